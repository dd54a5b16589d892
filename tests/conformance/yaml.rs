//! `yaml.json`: text to documents.

use consign::config::yaml::{DuplicateKeys, Options, parse_documents};
use serde_json::{Value, json};

use crate::harness::{Outcome, Runner, judge};

/// Prepares the runner.
pub fn prepare(_document: &Value) -> Runner {
    Box::new(|case| {
        let text = text_of(case);
        let read = parse_documents(&text, &Options::default());
        if case["want"]["strict"] == "refused" {
            // The strict reader refuses, the lenient one takes the last.
            let lenient = parse_documents(&text, &Options { duplicate_keys: DuplicateKeys::LastWins, ..Options::default() });
            let docs: Vec<Value> = lenient.documents.iter().map(|node| node.as_ref().map_or(Value::Null, |node| node.to_json())).collect();
            let got = json!({"docs": docs});
            return match &read.error {
                Some(error) if error.earlier.is_some() => judge(case, &got, |want, got| same(&want["docs"], &got["docs"])),
                _ => Outcome::Differ("the repeated key was taken".into()),
            };
        }
        let docs: Vec<Value> = read.documents.iter().map(|node| node.as_ref().map_or(Value::Null, |node| node.to_json())).collect();
        let got = match read.error {
            Some(error) => json!({"error": true, "docs": docs, "message": error.message}),
            None => json!({"docs": docs}),
        };
        judge(case, &got, |want, got| want["error"] == got["error"] && (want.get("docs").is_none() || same(&want["docs"], &got["docs"])))
    })
}

/// Large texts are given in words: `textIs: "a: followed by 10001 [ and 10001 ]"`.
fn text_of(case: &Value) -> String {
    let Some(words) = case["textIs"].as_str() else { return case["text"].as_str().expect("text").to_owned() };
    let words: Vec<&str> = words.split_whitespace().collect();
    let [start, "followed", "by", opens, open, "and", closes, close] = words.as_slice() else { panic!("other words: {words:?}") };
    let times = |count: &str| count.parse::<usize>().expect("a count");
    format!("{start} {}{}\n", open.repeat(times(opens)), close.repeat(times(closes)))
}

fn same(want: &Value, got: &Value) -> bool {
    match (want, got) {
        (Value::Object(big), Value::Number(number)) if big.contains_key("$number") => {
            let exact = big["$number"].as_str().expect("digits");
            exact == number.to_string() || exact.parse::<f64>().ok() == number.as_f64()
        }
        (Value::Number(want), Value::Number(got)) => want == got || want.as_f64() == got.as_f64(),
        (Value::Array(want), Value::Array(got)) => want.len() == got.len() && want.iter().zip(got).all(|(want, got)| same(want, got)),
        (Value::Object(want), Value::Object(got)) => {
            want.len() == got.len() && want.iter().all(|(key, want)| got.get(key).is_some_and(|got| same(want, got)))
        }
        _ => want == got,
    }
}
