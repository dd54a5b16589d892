//! Templates: text with `${{ ... }}` and `${% ... %}` in it.

use super::ExprError;
use super::coerce::{Rendered, coerce};
use super::format::{Style, json_text};
use super::program::Program;
use super::sites::Scope;
use super::value::Value;

/// Longest text that a template may render to.
const MAX_RENDERED: usize = 64 << 20;

/// A piece of a template.
#[derive(Debug, PartialEq)]
pub(super) enum Piece<'a> {
    /// Text as it is.
    Literal(&'a str),
    /// The text between delimiters.
    Expression(&'a str),
}

/// Whether a text has an opening delimiter; others are not templates and stay as they are.
pub fn is_template(text: &str) -> bool {
    text.contains("${{") || text.contains("${%")
}

/// The pieces of a template. An opening delimiter ends at the first closing one of its kind, whatever is between them; nothing at all between
/// them ends the template there.
pub(super) fn pieces(template: &str) -> Result<Vec<Piece<'_>>, ExprError> {
    let mut pieces = Vec::new();
    let mut rest = template;
    loop {
        let (start, close) = match (rest.find("${{"), rest.find("${%")) {
            (Some(braces), Some(percent)) if percent < braces => (percent, "%}"),
            (Some(braces), _) => (braces, "}}"),
            (None, Some(percent)) => (percent, "%}"),
            (None, None) => {
                pieces.push(Piece::Literal(rest));
                return Ok(pieces);
            }
        };
        pieces.push(Piece::Literal(&rest[..start]));
        let inside = &rest[start + 3..];
        let end = inside.find(close).ok_or_else(|| {
            let shown: String = rest[start..].chars().take(40).collect();
            ExprError { compile: true, ..ExprError::placeless(format!("unclosed expression: `{shown}`; close it with `{close}`")) }
        })?;
        rest = &inside[end + 2..];
        if end == 0 {
            pieces.push(Piece::Literal(rest));
            return Ok(pieces);
        }
        pieces.push(Piece::Expression(&inside[..end]));
    }
}

/// Renders a template that is one expression giving text: the text as it is, whatever it looks like. None for other templates.
pub(super) fn render_text(template: &str, scope: &Scope<'_>) -> Result<Option<String>, ExprError> {
    let pieces = pieces(template)?;
    let [Piece::Literal(""), Piece::Expression(expression), Piece::Literal(end @ ("" | "\n"))] = pieces.as_slice() else {
        return Ok(None);
    };
    match Program::compile(scope.site, expression)?.run(scope)? {
        Value::Str(text) => Ok(Some(format!("{text}{end}"))),
        _ => Ok(None),
    }
}

/// Renders a template to a typed value.
pub(super) fn render(template: &str, scope: &Scope<'_>) -> Result<Value, ExprError> {
    if !is_template(template) {
        return Ok(Value::text(template));
    }
    let pieces = pieces(template)?;
    let mut rendered = Rendered::default();
    for piece in pieces {
        match piece {
            Piece::Literal(text) => {
                if text.is_empty() {
                    continue;
                }
                rendered.outer = (rendered.outer.0 || rendered.literal.is_empty(), true);
                rendered.quotes += text.matches('"').count();
                rendered.literal.push_str(text);
                rendered.exact.push_str(text);
            }
            Piece::Expression(expression) => {
                let value = Program::compile(scope.site, expression)?.run(scope)?;
                append(&mut rendered, &value)?;
            }
        }
        if rendered.literal.len() > MAX_RENDERED {
            return Err(ExprError::placeless("the template renders to more than 64 MiB"));
        }
    }
    Ok(coerce(rendered))
}

fn append(rendered: &mut Rendered, value: &Value) -> Result<(), ExprError> {
    let json = |html| json_text(value, Style { indented: false, html }).map_err(ExprError::placeless);
    let (literal, exact) = match value {
        Value::Str(text) => (text.to_string(), None),
        Value::Quoted(quoted) => (quoted.literal.to_string(), Some(quoted.exact.to_string())),
        Value::Time(time) => (json(true)?, Some(time.rfc3339())),
        Value::Version(version) => (json(true)?, Some(version.to_string())),
        // Kargo escapes `<`, `>` and `&` here, which shows in text only
        _ => (json(false)?, None),
    };
    if !literal.is_empty() {
        rendered.outer = (rendered.outer.0 && !rendered.literal.is_empty(), false);
    }
    rendered.own_newline = exact.as_ref().is_some_and(|exact| exact.ends_with('\n'));
    rendered.differs |= exact.is_some();
    rendered.exact.push_str(exact.as_deref().unwrap_or(&literal));
    rendered.literal.push_str(&literal);
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_first_opening_delimiter_counts() {
        let all = pieces("a${{ 1 }}b${% '}}' %}c").unwrap();
        assert_eq!(all, [Piece::Literal("a"), Piece::Expression(" 1 "), Piece::Literal("b"), Piece::Expression(" '}}' "), Piece::Literal("c")]);
        assert_eq!(pieces("a${{}}b${{ 1 }}").unwrap().last(), Some(&Piece::Literal("b${{ 1 }}")));
        assert!(pieces("${% 1 }}").is_err());
    }
}
