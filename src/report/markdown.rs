//! Text from outside in Markdown we write: it shows as it is, and can be nothing but text.

use minijinja::syntax::SyntaxConfig;
use minijinja::{AutoEscape, Environment, Output, UndefinedBehavior, Value};

/// An environment for our Markdown templates: every value is escaped unless the template says `|safe`, and an unknown name is an error.
pub fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| AutoEscape::Custom("markdown".into()));
    environment.set_formatter(|output: &mut Output<'_>, _, value: &Value| {
        match value.as_str() {
            Some(text) if !value.is_safe() => output.write_str(&escape(text))?,
            _ => output.write_str(&value.to_string())?,
        }
        Ok(())
    });
    environment.set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build().expect("the delimiters are the usual ones"));
    environment
}

/// Escapes a text for the inline context of a paragraph, list item or table cell: one line, no markup, no link, no mention, no reference.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() + 8);
    let mut blank = false;
    for c in text.chars() {
        if c.is_control() || c.is_whitespace() || is_invisible(c) {
            blank = !escaped.is_empty();
            continue;
        }
        if std::mem::take(&mut blank) {
            escaped.push(' ');
        }
        match c {
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' | '!' | '$' => {
                escaped.push('\\');
                escaped.push(c);
            }
            // As entities: a backslash does not stop what a forge adds on top of Markdown (mentions, references, bare links).
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '@' => escaped.push_str("&#64;"),
            '#' => escaped.push_str("&#35;"),
            _ => escaped.push(c),
        }
    }
    // What a forge would turn into a link on its own.
    escaped.replace("://", "&#58;//").replace("www.", "www&#46;").replace("WWW.", "WWW&#46;")
}

/// A URL for a link's target; None for anything but `http` and `https`.
pub fn link_target(url: &str) -> Option<String> {
    let url = url::Url::parse(url).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
    Some(url.as_str().replace('(', "%28").replace(')', "%29").replace('<', "%3C").replace('>', "%3E").replace('|', "%7C").replace('\\', "%5C"))
}

/// A text for a code block, with what would hide or reorder it written out.
pub fn visible(text: &str) -> String {
    let mut visible = String::with_capacity(text.len());
    for c in text.chars() {
        if is_invisible(c) { visible.extend(c.escape_unicode()) } else { visible.push(c) }
    }
    visible
}

/// Characters that hide or reorder text.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn text_from_outside_is_nothing_but_text() {
        assert_eq!(escape("green-fox v1.2 (final)"), "green-fox v1.2 (final)");
        assert_eq!(escape("a | b\n\n# c"), "a \\| b &#35; c");
        assert_eq!(escape("[x](javascript:alert(1)) ![y](z)"), "\\[x\\](javascript:alert(1)) \\!\\[y\\](z)");
        assert_eq!(
            escape("<img src=x> &lt; `code` @team #12 https://evil www.evil"),
            "&lt;img src=x&gt; &amp;lt; \\`code\\` &#64;team &#35;12 https&#58;//evil www&#46;evil"
        );
        assert_eq!(escape("\u{202e}abc\u{200b}def "), "abc def");
    }

    #[test]
    fn only_web_links_are_links() {
        assert_eq!(link_target("https://forge.example/a/pull/1)|x"), Some("https://forge.example/a/pull/1%29%7Cx".to_owned()));
        for url in ["javascript:alert(1)", "ftp://a", "/relative", "", "file:///etc/passwd"] {
            assert_eq!(link_target(url), None, "{url}");
        }
    }
}
