#![allow(clippy::unwrap_used)]

use consign::model::StepStatus;
use consign::promote::tools::Tools;
use serde_json::json;

use crate::support::step_bench::StepBench;

#[tokio::test]
async fn no_step_writes_into_a_git_folder() {
    let bench = StepBench::new(Tools::default());
    for path in [".git/config", "repo/.git/hooks/x", "repo/.GIT", "a/../.git"] {
        let result = bench.run("file-write", json!({"path": path, "contents": "x"})).await.unwrap();
        assert_eq!(result.status, StepStatus::Failed, "{path}");
        assert!(result.error.unwrap().terminal);
    }
    assert_eq!(std::fs::read_dir(bench.root()).unwrap().count(), 0);
}
