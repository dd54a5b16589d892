//! The update and merge steps, as far as the files themselves are concerned.

#![allow(clippy::unwrap_used)]

use std::os::unix::fs::PermissionsExt as _;

use consign::model::StepStatus;
use consign::promote::tools::Tools;
use serde_json::json;

use crate::support::step_bench::StepBench;

#[tokio::test]
async fn an_updated_file_keeps_its_mode_and_every_other_byte() {
    let bench = StepBench::new(Tools::default());
    for (kind, file, before, after) in [
        ("yaml-update", "a.yaml", "a: &x old # why\r\nb: [1, 2]\r\n", "a: &x v2 # why\r\nb: [1, 2]\r\n"),
        ("json-update", "a.json", "{ \"a\" :\t\"old\" }\r\n", "{ \"a\" :\t\"v2\" }\r\n"),
        ("toml-update", "a.toml", "a =  \"old\" # why\r\n", "a =  'v2' # why\r\n"),
    ] {
        bench.write(file, before);
        std::fs::set_permissions(bench.root().join(file), std::fs::Permissions::from_mode(0o640)).unwrap();
        let result = bench.run(kind, json!({"path": file, "updates": [{"key": "a", "value": "v2"}]})).await.unwrap();
        assert_eq!(result.status, StepStatus::Succeeded, "{kind}");
        assert_eq!(bench.read(file), after);
        assert_eq!(std::fs::metadata(bench.root().join(file)).unwrap().permissions().mode() & 0o777, 0o640);
    }
}

#[tokio::test]
async fn a_wrong_key_leaves_the_file_alone_and_is_named() {
    let bench = StepBench::new(Tools::default());
    bench.write("a.yaml", "a: 1\n");
    let updates = json!([{"key": "a", "value": 2}, {"key": "b", "value": 2}]);
    let result = bench.run("yaml-update", json!({"path": "a.yaml", "updates": updates})).await.unwrap();
    insta::assert_snapshot!(result.error.unwrap().message, @"cannot update `a.yaml`: key `b` is not in the file; only values that exist can be updated");
    assert_eq!(bench.read("a.yaml"), "a: 1\n");
}

#[tokio::test]
async fn a_merge_that_fails_names_file_and_key() {
    let bench = StepBench::new(Tools::default());
    bench.write("a.yaml", "k: {x: 1}\n").write("b.yaml", "k: 1\n");
    let result = bench.run("yaml-merge", json!({"inFiles": ["a.yaml", "b.yaml"], "outFile": "out.yaml"})).await.unwrap();
    insta::assert_snapshot!(result.error.unwrap().message, @"cannot merge `b.yaml`: `k` is a mapping before it and a scalar in it");
    assert!(!bench.root().join("out.yaml").exists());
}
