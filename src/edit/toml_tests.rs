#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{EditError, Update, update};

fn set(text: &str, key: &str, value: Value) -> Result<String, EditError> {
    update(text, &[Update { key: key.into(), value }])
}

#[test]
fn only_the_bytes_of_the_value_change() {
    for (before, key, after) in [
        ("a = \"old\" # c\r\n", "a", "a = 'x' # c\r\n"),
        ("a = \"\"\"\none\n\"\"\"\nb = 1", "a", "a = 'x'\nb = 1"),
        ("[a.b]\nc = 1\n", "a.b.c", "[a.b]\nc = 'x'\n"),
        ("a.b.c = 1\n", "a.b.c", "a.b.c = 'x'\n"),
        ("a = { b = [1, 2] }\n", "a.b.1", "a = { b = [1, 'x'] }\n"),
        ("[[a]]\n[[a.b]]\nc = 1\n[[a]]\n[[a.b]]\nc = 2\n[[a.b]]\nc = 3\n", "a.1.b.0.c", "[[a]]\n[[a.b]]\nc = 1\n[[a]]\n[[a.b]]\nc = 'x'\n[[a.b]]\nc = 3\n"),
        ("\"a.b\" = 1\n", r"a\.b", "\"a.b\" = 'x'\n"),
        ("d = 2026-01-15\n", "d", "d = 'x'\n"),
    ] {
        assert_eq!(set(before, key, json!("x")).unwrap(), after, "{before}");
    }
}

#[test]
fn numbers_keep_the_type_that_fits() {
    for (before, value, after) in [
        ("n = 1\n", json!(16), "n = 16\n"),
        ("n = 1\n", json!(16.0), "n = 16\n"),
        ("n = 0.5\n", json!(16), "n = 16.0\n"),
        ("n = 1\n", json!(0.00001), "n = 0.00001\n"),
        ("n = 1\n", json!(1e21), "n = 1000000000000000000000.0\n"),
        ("n = \"x\"\n", json!(7), "n = 7\n"),
        ("n = 1\n", json!(9_223_372_036_854_775_807_i64), "n = 9223372036854775807\n"),
    ] {
        assert_eq!(set(before, "n", value).unwrap(), after);
    }
}

#[test]
fn what_cannot_be_edited_is_refused() {
    assert!(matches!(set("a = [1]\n", "a", json!(1)), Err(EditError::NotScalar { .. })));
    assert!(matches!(set("[a]\nb = 1\n", "a", json!(1)), Err(EditError::NotScalar { .. })));
    assert!(matches!(set("[[a]]\nb = 1\n", "a", json!(1)), Err(EditError::NotScalar { .. })));
    assert!(matches!(set("[[a]]\nb = 1\n", "a.0", json!(1)), Err(EditError::NotScalar { .. })));
    assert!(matches!(set("[[a]]\nb = 1\n", "a.1.b", json!(1)), Err(EditError::NotFound { .. })));
    assert!(matches!(set("a = [1]\n", "a.-1", json!(1)), Err(EditError::NotFound { .. })));
    assert!(matches!(set("a = 1\n", "a.b", json!(1)), Err(EditError::NotFound { .. })));
    assert!(matches!(set("a = 1\na = 2\n", "a", json!(1)), Err(EditError::Syntax { .. })));
    assert!(matches!(set("a = 1\n", "a", json!(null)), Err(EditError::NotScalarValue { .. })));
    assert!(matches!(set("a = 1\n", "a..b", json!(1)), Err(EditError::Key { .. })));
}

proptest! {
    #[test]
    fn an_edit_changes_exactly_the_edited_value(
        values in prop::collection::vec(prop_oneof![Just("1"), Just("'s'"), Just("\"\"\"\nm\n\"\"\""), Just("2026-01-15"), Just("[1, 2] # l"), Just("{ x = 1 }")], 1..6),
        which in any::<prop::sample::Index>(),
        new in any::<String>(),
    ) {
        let which = which.index(values.len());
        let lines: Vec<String> = values.iter().enumerate().map(|(index, value)| format!("k{index} =  {value}   # c\n")).collect();
        let text = format!("# head\n[t]\n{}", lines.concat());
        let key = match values[which].chars().next().unwrap() {
            '[' => format!("t.k{which}.0"),
            '{' => format!("t.k{which}.x"),
            _ => format!("t.k{which}"),
        };
        let edited = set(&text, &key, json!(new)).unwrap();
        let before = "# head\n[t]\n".len() + lines[..which].concat().len();
        let after = lines[which + 1..].concat().len();
        prop_assert_eq!(&edited[..before], &text[..before]);
        prop_assert_eq!(&edited[edited.len() - after..], &text[text.len() - after..]);
        let read: toml_edit::DocumentMut = edited.parse().unwrap();
        let item = &read["t"][format!("k{which}").as_str()];
        let item = match values[which].chars().next().unwrap() {
            '[' => item.as_array().unwrap().get(0).unwrap().as_str(),
            '{' => item["x"].as_str(),
            _ => item.as_str(),
        };
        prop_assert_eq!(item, Some(new.as_str()));
    }
}
