#![allow(clippy::unwrap_used)]

use std::time::{Duration, SystemTime};

use consign::model::StepStatus;
use consign::promote::tools::Tools;
use serde_json::json;

use crate::support::step_bench::StepBench;

#[tokio::test]
async fn equal_files_give_equal_archives() {
    let bench = StepBench::new(Tools::default());
    bench.write("src/a.txt", "a").write("src/sub/b.txt", "b");
    bench.run("tar", json!({"inPath": "src", "outPath": "1.tgz", "gzip": true})).await.unwrap();
    let file = std::fs::File::options().write(true).open(bench.root().join("src/a.txt")).unwrap();
    file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(1)).unwrap();
    bench.run("tar", json!({"inPath": "src", "outPath": "2.tgz", "gzip": true})).await.unwrap();
    let read = |name: &str| std::fs::read(bench.root().join(name)).unwrap();
    assert_eq!(read("1.tgz"), read("2.tgz"));
}

#[tokio::test]
async fn an_archive_in_the_folder_that_is_packed_leaves_itself_out() {
    let bench = StepBench::new(Tools::default());
    bench.write("src/a.txt", "a").write("src/out.tar", "an older archive");
    bench.run("tar", json!({"inPath": "src", "outPath": "src/out.tar"})).await.unwrap();
    let result = bench.run("untar", json!({"inPath": "src/out.tar", "outPath": "back"})).await.unwrap();
    assert_eq!(result.status, StepStatus::Succeeded);
    let names: Vec<_> = std::fs::read_dir(bench.root().join("back")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["a.txt"]);
}

#[tokio::test]
async fn a_folder_is_never_replaced_by_an_archive() {
    let bench = StepBench::new(Tools::default());
    bench.write("src/a.txt", "a").write("out/keep.txt", "k");
    let result = bench.run("tar", json!({"inPath": "src", "outPath": "out"})).await.unwrap();
    assert_eq!(result.status, StepStatus::Errored);
    assert_eq!(bench.read("out/keep.txt"), "k");
}

#[tokio::test]
async fn names_of_any_length_survive_the_way_in_and_out() {
    let bench = StepBench::new(Tools::default());
    let long = format!("{}/{}.txt", "folder".repeat(20), "größe".repeat(20));
    bench.write(&format!("src/{long}"), "deep");
    bench.run("tar", json!({"inPath": "src", "outPath": "a.tar"})).await.unwrap();
    bench.run("untar", json!({"inPath": "a.tar", "outPath": "back"})).await.unwrap();
    assert_eq!(bench.read(&format!("back/{long}")), "deep");
}
