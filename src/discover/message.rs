//! What is shown of commit messages and identities.

use gix::bstr::{BStr, ByteSlice as _};

/// Longest subject that is kept whole, in bytes.
const SUBJECT: usize = 80;

/// The first paragraph in one line: leading blank lines are skipped, blanks at the ends of lines dropped.
pub(super) fn first_paragraph(message: &BStr) -> String {
    let lines = message.lines().map(|line| line.trim_end()).skip_while(|line| line.is_empty()).take_while(|line| !line.is_empty());
    lines.map(|line| line.to_str_lossy().into_owned()).collect::<Vec<_>>().join(" ")
}

/// A subject as freight keeps it: longer ones are cut to 77 bytes and `...`, between characters.
pub(super) fn cut(subject: &str) -> String {
    if subject.len() <= SUBJECT {
        return subject.to_owned();
    }
    format!("{}...", &subject[..subject.floor_char_boundary(SUBJECT - 3)])
}

/// `Name <email>`; `.mailmap` is not consulted.
pub(super) fn identity(signature: &gix::actor::SignatureRef<'_>) -> String {
    format!("{} <{}>", signature.name.to_str_lossy(), signature.email.to_str_lossy())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_is_the_first_paragraph_in_one_line() {
        for (message, subject) in
            [("one\n", "one"), ("\n\n  one  \ntwo\r\n\r\nbody", "  one two"), ("one\ntwo\n\nbody", "one two"), ("tab\there", "tab\there"), ("", "")]
        {
            assert_eq!(first_paragraph(message.into()), subject, "{message:?}");
        }
    }

    #[test]
    fn a_long_subject_is_cut_between_characters() {
        assert_eq!(cut(&"x".repeat(80)), "x".repeat(80));
        assert_eq!(cut(&"x".repeat(81)), format!("{}...", "x".repeat(77)));
        assert_eq!(cut(&"é".repeat(41)), format!("{}...", "é".repeat(38)));
    }
}
