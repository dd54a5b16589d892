#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{EditError, Update, update};

fn set(text: &str, key: &str, value: Value) -> Result<String, EditError> {
    update(text, &[Update { key: key.into(), value }])
}

#[test]
fn paths_reach_keys_items_and_what_is_not_there_yet() {
    for (before, key, after) in [
        ("{\"a\": 1}\n", "a", "{\"a\": \"x\"}\n"),
        ("{\"a\": 1}\n", "b", "{\"a\": 1,\"b\":\"x\"}\n"),
        ("{\"a\": 1,}\n", "b", "{\"a\": 1,\"b\":\"x\"}\n"),
        ("{}", "a.b.c", "{\"a\":{\"b\":{\"c\":\"x\"}}}"),
        ("{}", "a.1.b", "{\"a\":[null,{\"b\":\"x\"}]}"),
        ("{}", "a.:1", "{\"a\":{\"1\":\"x\"}}"),
        ("{}", "a.-1", "{\"a\":[\"x\"]}"),
        ("{\"a\": [ 1, 2 ]}", "a.4", "{\"a\": [1,2,null,null,\"x\"]}"),
        ("{\"a\": [ 1 /* one */ ]}", "a.1", "{\"a\": [ 1 /* one */ ,\"x\"]}"),
        ("{\"a\": [ 1, 2 ]}", "a.-1", "{\"a\": [ 1, 2 ,\"x\"]}"),
        ("{\"a.b\": 1}", r"a\.b", "{\"a.b\": \"x\"}"),
        ("{\"a\\u0062\": 1}", "ab", "{\"a\\u0062\": \"x\"}"),
        ("[{\"n\": 1}, {\"n\": 2}]", "1.n", "[{\"n\": 1}, {\"n\": \"x\"}]"),
        ("{\"l\": [{\"n\": 1}, {\"n\": 2}, {}]}", "l.#.n", "{\"l\": [{\"n\": \"x\"}, {\"n\": \"x\"}, {}]}"),
        ("{\"l\": [{\"n\": 1}, {\"n\": 2}, {\"n\": 2}]}", "l.#(n==2).n", "{\"l\": [{\"n\": 1}, {\"n\": \"x\"}, {\"n\": 2}]}"),
        ("{\"l\": [{\"n\": 1}, {\"n\": 2}, {\"n\": 2}]}", "l.#(n>1)#.n", "{\"l\": [{\"n\": 1}, {\"n\": \"x\"}, {\"n\": \"x\"}]}"),
        ("{\"l\": [\"a\", \"b\"]}", "l.#(==\"b\")", "{\"l\": [\"a\", \"x\"]}"),
        ("{\"l\": [{\"n\": 1}]}", "l.#(n==7).n", "{\"l\": [{\"n\": 1}]}"),
        ("{\"l\": [{\"n\": \"ab\"}]}", "l.#(n%\"a*\").n", "{\"l\": [{\"n\": \"x\"}]}"),
        ("\u{feff}{\"a\": 1}", "a", "\u{feff}{\"a\": \"x\"}"),
        ("  ", "a", "{\"a\":\"x\"}"),
    ] {
        assert_eq!(set(before, key, json!("x")).unwrap(), after, "{before} {key}");
    }
}

#[test]
fn what_is_no_json_or_no_usable_key_is_refused() {
    for (text, key) in [
        ("hello", "a"),
        ("{\"a\": 1", "a"),
        ("{\"a\": 1} x", "a"),
        ("{a: 1}", "a"),
        ("{\"a\": 01}", "a"),
        ("{\"a\": 1}", ""),
        ("{\"a\": 1}", "a*"),
        ("{\"a\": 1}", "a|b"),
        ("{\"a\": [1]}", "a.b"),
        ("{\"a\": [1]}", "a.99999999"),
        ("{\"a\": [1]}", "a.#(b"),
    ] {
        assert!(set(text, key, json!(1)).is_err(), "{text} {key}");
    }
    for value in [json!(null), json!([]), json!({})] {
        assert!(matches!(set("{}", "a", value), Err(EditError::NotScalarValue { .. })));
    }
}

fn document() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![Just(json!(null)), any::<bool>().prop_map(Value::from), any::<i32>().prop_map(Value::from), ".*".prop_map(Value::from)];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map("[a-d]", inner, 0..4).prop_map(|members| members.into_iter().collect::<Value>()),
        ]
    })
}

/// Every place in a document: its key path and its JSON pointer.
fn places(value: &Value, path: &str, pointer: &str, out: &mut Vec<(String, String)>) {
    let mut visit = |name: String, child: &Value| {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        let pointer = format!("{pointer}/{name}");
        places(child, &path, &pointer, out);
        out.push((path, pointer));
    };
    match value {
        Value::Object(members) => members.iter().for_each(|(name, child)| visit(name.clone(), child)),
        Value::Array(items) => items.iter().enumerate().for_each(|(index, child)| visit(index.to_string(), child)),
        _ => {}
    }
}

proptest! {
    #[test]
    fn an_edit_changes_exactly_the_edited_value(document in document(), which in any::<prop::sample::Index>(), new in ".*", pretty in any::<bool>()) {
        let mut all = Vec::new();
        places(&document, "", "", &mut all);
        prop_assume!(!all.is_empty());
        let (path, pointer) = &all[which.index(all.len())];
        let text = if pretty { serde_json::to_string_pretty(&document).unwrap() } else { document.to_string() };
        let edited = set(&text, path, json!(new)).unwrap();
        let mut expected = document.clone();
        *expected.pointer_mut(pointer).unwrap() = json!(new);
        prop_assert_eq!(serde_json::from_str::<Value>(&edited).unwrap(), expected);
    }
}
