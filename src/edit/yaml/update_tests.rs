#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use serde_json::{Value, json};

use super::update;
use crate::edit::{EditError, Update};

fn set(text: &str, key: &str, value: Value) -> Result<String, EditError> {
    update(text, &[Update { key: key.into(), value }])
}

#[test]
fn only_the_bytes_of_the_value_change() {
    for (before, key, after) in [
        ("a: old # why\n", "a", "a: new # why\n"),
        ("a: \"old\" # why\r\nb: 1\r\n", "a", "a: new # why\r\nb: 1\r\n"),
        ("\u{feff}größe: old\n", "größe", "\u{feff}größe: new\n"),
        ("a: {b: old, c: [1, 2]}\n", "a.b", "a: {b: new, c: [1, 2]}\n"),
        ("a: [old ,b]\n", "a.0", "a: [new ,b]\n"),
        ("a: &x old\nb: *x\n", "a", "a: &x new\nb: *x\n"),
        ("a: !!str old\n", "a", "a: !!str new\n"),
        ("a: !!int 3\n", "a", "a: new\n"),
        ("a: &x !!int 3\n", "a", "a: &x new\n"),
        ("a: !env old\n", "a", "a: !env new\n"),
        ("a:\n  old\nb: 1\n", "a", "a:\n  new\nb: 1\n"),
        ("a: 'it''s'\n", "a", "a: new\n"),
        ("---\na: old\n---\na: old\n", "a", "---\na: new\n---\na: old\n"),
    ] {
        assert_eq!(set(before, key, json!("new")).unwrap(), after, "{before}");
    }
}

#[test]
fn values_that_are_not_written_find_their_place() {
    for (before, key, after) in [
        ("a:\nb: 1\n", "a", "a: new\nb: 1\n"),
        ("a:   # later\n", "a", "a: new   # later\n"),
        ("a:", "a", "a: new\n"),
        ("{a: , b}\n", "a", "{a: new , b}\n"),
        ("{a: , b}\n", "b", "{a: , b: new}\n"),
        ("- \n- b\n", "0", "- new\n- b\n"),
        ("-\n- b\n", "0", "- new\n- b\n"),
        ("a: &x\nb: 1\n", "a", "a: &x new\nb: 1\n"),
        ("a: !!null\nb: 1\n", "a", "a:  new\nb: 1\n"),
        ("? a\n: \n", "a", "? a\n: new \n"),
    ] {
        assert_eq!(set(before, key, json!("new")).unwrap(), after, "{before}");
    }
}

#[test]
fn a_block_scalar_goes_as_a_whole() {
    for (before, key, after) in [
        ("s: |\n  one\n\n  two\n\nn: 1\n", "s", "s: new\n\nn: 1\n"),
        ("s: |+\n  one\n\n\nn: 1\n", "s", "s: new\nn: 1\n"),
        ("s: >- # fold\n  one\n# c\nn: 1\n", "s", "s: new # fold\n# c\nn: 1\n"),
        ("s: &x |2\n   one\n", "s", "s: &x new\n"),
        ("s: |\nn: 1\n", "s", "s: new\nn: 1\n"),
        ("s: |", "s", "s: new\n"),
        ("- |\n  one\n- b\n", "0", "- new\n- b\n"),
        ("s: |\r\n  one\r\n  two\r\nn: 1\r\n", "s", "s: new\r\nn: 1\r\n"),
        ("s:\n  |\n  one\nn: 1\n", "s", "s:\n  new\nn: 1\n"),
        ("'a|b': |\n  one\n", "a|b", "'a|b': new\n"),
    ] {
        assert_eq!(set(before, key, json!("new")).unwrap(), after, "{before}");
    }
}

#[test]
fn the_value_is_quoted_where_its_place_asks_for_it() {
    assert_eq!(set("a: [x, y]\n", "a.1", json!("p, q")).unwrap(), "a: [x, \"p, q\"]\n");
    assert_eq!(set("a: x\n", "a", json!("p, q")).unwrap(), "a: p, q\n");
    assert_eq!(set("{\"a\": \"x\"}\n", "a", json!("v1")).unwrap(), "{\"a\": \"v1\"}\n");
}

#[test]
fn what_cannot_be_edited_is_refused() {
    let found = |result: Result<String, EditError>| match result.unwrap_err() {
        EditError::NotFound { .. } => "not found",
        EditError::NotScalar { .. } => "not a scalar",
        EditError::NotScalarValue { .. } => "not a scalar value",
        EditError::NotAnIndex { .. } => "not an index",
        EditError::Syntax { .. } => "syntax",
        EditError::Key { .. } => "key",
        EditError::Entangled => "entangled",
    };
    assert_eq!(found(set("a: &x {b: 1}\nc: *x\n", "c.b", json!(1))), "not a scalar");
    assert_eq!(found(set("a: &x 1\nc: *x\n", "c", json!(1))), "not a scalar");
    assert_eq!(found(set("a: [1]\n", "a.1", json!(1))), "not found");
    assert_eq!(found(set("a: [1]\n", "a.-1", json!(1))), "not found");
    assert_eq!(found(set("a: [1]\n", "a.b", json!(1))), "not an index");
    assert_eq!(found(set("a: 1\n", "a", json!({"b": 1}))), "not a scalar value");
    assert_eq!(found(set("a: [1\n", "a", json!(1))), "syntax");
    assert_eq!(found(set("", "a", json!(1))), "not found");
}

/// A mapping of generated scalars in several styles; the texts of its lines without line break.
fn line() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z]{1,6}",
        "[0-9]{1,4}",
        "\"[a-z ,:#é]{0,8}\"",
        "'[a-z ,:#]{0,8}'",
        Just(String::new()),
        Just("~".to_owned()),
        "&anchor [a-z]{1,4}",
        "!!str [0-9]{1,3}",
        "\\[[a-z]{1,3}, [a-z]{1,3}\\]",
        "\\|\n    [a-z]{1,6}\n\n    [a-z ]{0,3}[a-z]",
    ]
}

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![any::<String>().prop_map(Value::from), any::<i64>().prop_map(Value::from), any::<bool>().prop_map(Value::from), Just(Value::Null)]
}

proptest! {
    #[test]
    fn an_edit_touches_its_own_lines_only(
        lines in prop::collection::vec((line(), prop_oneof![Just(""), Just("  # note"), Just("   ")]), 1..7),
        which in any::<prop::sample::Index>(),
        value in scalar(),
        crlf in any::<bool>(),
    ) {
        let which = which.index(lines.len());
        let entries: Vec<String> = lines
            .iter()
            .enumerate()
            .map(|(index, (line, tail))| {
                let tail = if line.starts_with('|') { "" } else { *tail };
                format!("  k{index}: {}{tail}\n", line.replace("&anchor", &format!("&a{index}")))
            })
            .collect();
        let mut text = format!("# head\nroot:\n{}", entries.concat());
        if crlf {
            text = text.replace('\n', "\r\n");
        }
        let is_list = lines[which].0.starts_with('[');
        let key = if is_list { format!("root.k{which}.0") } else { format!("root.k{which}") };
        let edited = set(&text, &key, value.clone()).unwrap();

        let break_ = if crlf { "\r\n" } else { "\n" };
        let before_len = format!("# head\nroot:\n{}", entries[..which].concat()).replace('\n', break_).len();
        let after_len = entries[which + 1..].concat().replace('\n', break_).len();
        prop_assert_eq!(&edited[..before_len], &text[..before_len]);
        prop_assert_eq!(&edited[edited.len() - after_len..], &text[text.len() - after_len..]);
        if lines[which].1.contains('#') && !lines[which].0.starts_with('|') {
            prop_assert!(edited[before_len..].contains("# note"));
        }
        // An independent reader finds the value, and all others as they were.
        let read = |text: &str| yaml_serde::from_str::<yaml_serde::Value>(text).unwrap();
        let (old, new) = (read(&text), read(&edited));
        for index in 0..lines.len() {
            let name = format!("k{index}");
            let (old, new) = (&old["root"][name.as_str()], &new["root"][name.as_str()]);
            if index != which {
                prop_assert_eq!(old, new);
                continue;
            }
            let new = if is_list { &new[0] } else { new };
            match &value {
                Value::String(string) => prop_assert_eq!(new.as_str(), Some(string.as_str())),
                Value::Number(number) => prop_assert_eq!(new.as_i64(), number.as_i64()),
                Value::Bool(flag) => prop_assert_eq!(new.as_bool(), Some(*flag)),
                _ => prop_assert!(new.is_null()),
            }
        }
    }
}
