//! Runs the cases of a file through a room and counts the outcomes.

#![allow(clippy::print_stdout)]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

/// What came of one case.
pub enum Outcome {
    /// Our result is `want`.
    AsKargo,
    /// Our result is `sane`, the case has a quirk.
    Sane,
    /// Neither; what came out instead.
    Differ(String),
    /// Not run: a step kind that this version checks but cannot run. Counted and named, never silent.
    NotBuilt(String),
}

/// Runs one case; made once per file from the whole document.
pub type Runner = Box<dyn Fn(&Value) -> Outcome + Sync + Send>;

/// One file of cases.
pub struct Family {
    /// File name without `.json`.
    pub file: &'static str,
    /// Prepares what all cases of the file share.
    pub prepare: fn(&Value) -> Runner,
}

#[derive(Default)]
struct Tally {
    as_kargo: Vec<String>,
    sane: Vec<String>,
    listed: Vec<String>,
    differ: Vec<(String, String)>,
    not_built: BTreeMap<String, usize>,
}

/// Runs all families and prints a line for each.
pub fn run(families: &[Family]) -> ExitCode {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance");
    let folder = std::env::var_os("CONFORMANCE_DIR").map_or_else(|| own.clone(), PathBuf::from);
    let only = std::env::var("CONFORMANCE_ONLY").unwrap_or_default();
    let (only_file, only_id) = only.split_once('/').unwrap_or((only.as_str(), ""));
    let listed = read_differences(&own.join("differences.yaml"));
    let mut report = serde_json::Map::new();
    let (mut passed, mut failed) = (0, 0);
    for family in families {
        let path = folder.join(family.file).with_extension("json");
        if (!only_file.is_empty() && only_file != family.file) || !path.exists() {
            continue;
        }
        let document: Value = serde_json::from_slice(&std::fs::read(&path).expect("readable")).expect("a file of cases is JSON");
        let none = BTreeSet::new();
        let tally = run_file(family, &document, only_id, listed.get(family.file).unwrap_or(&none));
        passed += tally.as_kargo.len() + tally.sane.len() + tally.listed.len();
        failed += tally.differ.len();
        let not_built: Vec<String> = tally.not_built.iter().map(|(kind, cases)| format!("{cases} of `{kind}`")).collect();
        println!(
            "conformance {}: {} as Kargo, {} sane, {} listed, {} differ{}",
            family.file,
            tally.as_kargo.len(),
            tally.sane.len(),
            tally.listed.len(),
            tally.differ.len(),
            if not_built.is_empty() { String::new() } else { format!("; not run: {}", not_built.join(", ")) }
        );
        for (id, got) in &tally.differ {
            println!("  {id}: {}", if only.is_empty() { got.lines().next().unwrap_or_default().chars().take(200).collect() } else { got.clone() });
        }
        report.insert(
            family.file.to_owned(),
            json!({
                "asKargo": tally.as_kargo,
                "sane": tally.sane,
                "listed": tally.listed,
                "differ": tally.differ.iter().map(|(id, got)| json!({"id": id, "got": got})).collect::<Vec<_>>(),
            }),
        );
    }
    if let Some(file) = std::env::var_os("CONFORMANCE_REPORT") {
        std::fs::write(file, serde_json::to_vec_pretty(&report).expect("serializes")).expect("the report can be written");
    }
    println!("{passed} passed, {failed} failed");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn run_file(family: &Family, document: &Value, only_id: &str, listed: &BTreeSet<String>) -> Tally {
    let runner = (family.prepare)(document);
    let cases: Vec<&Value> =
        document["cases"].as_array().expect("cases").iter().filter(|case| case["id"].as_str().expect("id").contains(only_id)).collect();
    let next = AtomicUsize::new(0);
    let results = Mutex::new(BTreeMap::new());
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) {
            std::thread::Builder::new()
                .stack_size(16 << 20)
                .spawn_scoped(scope, || {
                    loop {
                        let index = next.fetch_add(1, Ordering::Relaxed);
                        let Some(case) = cases.get(index) else { break };
                        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| runner(case)))
                            .unwrap_or_else(|_| Outcome::Differ("panicked".into()));
                        results.lock().expect("no poison").insert(index, outcome);
                    }
                })
                .expect("a thread starts");
        }
    });
    let mut tally = Tally::default();
    for (index, outcome) in results.into_inner().expect("no poison") {
        let id = cases[index]["id"].as_str().expect("id").to_owned();
        match (outcome, listed.contains(&id)) {
            (Outcome::NotBuilt(kind), _) => *tally.not_built.entry(kind).or_default() += 1,
            (Outcome::AsKargo, false) => tally.as_kargo.push(id),
            (Outcome::Sane, false) => tally.sane.push(id),
            (Outcome::Differ(_), true) => tally.listed.push(id),
            (Outcome::Differ(got), false) => tally.differ.push((id, got)),
            (_, true) => tally.differ.push((id, "agrees, but stands in differences.yaml".into())),
        }
    }
    tally
}

fn read_differences(path: &Path) -> BTreeMap<String, BTreeSet<String>> {
    let text = std::fs::read_to_string(path).expect("differences.yaml is there");
    let all: BTreeMap<String, Vec<BTreeMap<String, String>>> =
        serde_saphyr::from_str(&text).expect("differences.yaml: file -> list of {id, ours, why}");
    all.into_iter()
        .map(|(file, entries)| {
            let ids = entries
                .into_iter()
                .map(|entry| {
                    assert!(entry.contains_key("ours") && entry.contains_key("why"), "{entry:?} needs `ours` and `why`");
                    entry["id"].clone()
                })
                .collect();
            (file, ids)
        })
        .collect()
}

/// Compares a result with `want`, then with `want` overlaid by `sane`; the usual judgement of a case.
#[allow(dead_code)]
pub fn judge(case: &Value, got: &Value, same: impl Fn(&Value, &Value) -> bool) -> Outcome {
    if same(&case["want"], got) {
        return Outcome::AsKargo;
    }
    if let Some(sane) = case.get("sane") {
        let mut merged = case["want"].clone();
        match (merged.as_object_mut(), sane.as_object()) {
            (Some(merged), Some(sane)) => merged.extend(sane.clone()),
            _ => merged = sane.clone(),
        }
        if same(&merged, got) || same(sane, got) {
            return Outcome::Sane;
        }
    }
    let mut text = String::new();
    let _ = write!(text, "got {got}");
    let _ = write!(text, "\n    want {}", case["want"]);
    if let Some(sane) = case.get("sane") {
        let _ = write!(text, "\n    sane {sane}");
    }
    if let Some(quirk) = case.get("quirk") {
        let _ = write!(text, "\n    quirk {quirk}");
    }
    Outcome::Differ(text)
}
