#![allow(clippy::unwrap_used)]

use consign::model::StepStatus;
use consign::promote::tools::Tools;
use serde_json::json;

use crate::support::step_bench::StepBench;

fn archive(members: &[(&str, tar::EntryType, &str)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, kind, content) in members {
        let mut header = tar::Header::new_gnu();
        // Names that no builder would write are the point here.
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(*kind);
        header.set_mode(0o644);
        header.set_size(0);
        if kind.is_symlink() {
            header.as_old_mut().linkname[..content.len()].copy_from_slice(content.as_bytes());
            header.set_cksum();
            builder.append(&header, std::io::empty()).unwrap();
        } else {
            header.set_size(content.len() as u64);
            header.set_cksum();
            builder.append(&header, content.as_bytes()).unwrap();
        }
    }
    builder.into_inner().unwrap()
}

#[tokio::test]
async fn nothing_is_written_outside_the_destination() {
    use tar::EntryType::{Regular, Symlink};
    let bench = StepBench::new(Tools::default());
    let members = [
        ("../evil.txt", Regular, "x"),
        ("/evil.txt", Regular, "x"),
        ("a/../../evil.txt", Regular, "x"),
        ("abs", Symlink, "/"),
        ("abs/evil.txt", Regular, "x"),
        ("up", Symlink, ".."),
        ("up/evil.txt", Regular, "x"),
        ("in", Symlink, "folder/.."),
        ("in/evil.txt", Regular, "x"),
        ("ok.txt", Regular, "ok"),
    ];
    std::fs::write(bench.root().join("a.tar"), archive(&members)).unwrap();
    let result = bench.run("untar", json!({"inPath": "a.tar", "outPath": "out"})).await.unwrap();
    assert_eq!(result.status, StepStatus::Succeeded);
    let names: Vec<_> = std::fs::read_dir(bench.root().join("out")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["ok.txt"]);
    assert!(!bench.root().join("evil.txt").exists() && !bench.outside().join("evil.txt").exists());
}

#[tokio::test]
async fn a_failure_leaves_the_destination_alone() {
    let bench = StepBench::new(Tools::default());
    bench.write("out/old.txt", "old");
    let mut bytes = archive(&[("a.txt", tar::EntryType::Regular, &"x".repeat(2000))]);
    bytes.truncate(1024);
    std::fs::write(bench.root().join("a.tar"), bytes).unwrap();
    let result = bench.run("untar", json!({"inPath": "a.tar", "outPath": "out"})).await.unwrap();
    assert_eq!(result.status, StepStatus::Errored);
    assert_eq!(bench.read("out/old.txt"), "old");
    let mut names: Vec<_> = std::fs::read_dir(bench.root()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["a.tar", "out"]);
}
