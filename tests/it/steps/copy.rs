#![allow(clippy::unwrap_used)]

use consign::model::StepStatus;
use consign::promote::tools::Tools;
use serde_json::json;

use crate::support::step_bench::StepBench;

#[tokio::test]
async fn a_folder_is_never_copied_into_itself() {
    let bench = StepBench::new(Tools::default());
    bench.write("src/a.txt", "a");
    for (from, to) in [("src", "src/copy"), ("src", "src"), ("src/a.txt", "src/a.txt"), (".", "dst")] {
        let result = bench.run("copy", json!({"inPath": from, "outPath": to})).await.unwrap();
        assert_eq!(result.status, StepStatus::Errored, "{from} {to}");
    }
    assert_eq!(bench.read("src/a.txt"), "a");
    assert!(!bench.root().join("src/copy").exists());
}

#[tokio::test]
async fn a_link_in_the_destination_does_not_lead_out() {
    let bench = StepBench::new(Tools::default());
    bench.write("src/a.txt", "new").write("dst/keep.txt", "k");
    std::fs::write(bench.outside().join("secret.txt"), "secret").unwrap();
    std::os::unix::fs::symlink(bench.outside().join("secret.txt"), bench.root().join("dst/a.txt")).unwrap();
    let result = bench.run("copy", json!({"inPath": "src", "outPath": "dst"})).await.unwrap();
    assert_eq!(result.status, StepStatus::Succeeded);
    assert_eq!(std::fs::read_to_string(bench.outside().join("secret.txt")).unwrap(), "secret");
}
