#![allow(clippy::unwrap_used)]

use consign::model::StepStatus;
use consign::promote::tools::Tools;
use serde_json::json;

use crate::support::step_bench::StepBench;

#[tokio::test]
async fn a_trailing_double_star_takes_the_folder_too() {
    let bench = StepBench::new(Tools::default());
    bench.write("app/a.txt", "a").write("app/sub/b.txt", "b").write("keep.txt", "k");
    std::fs::create_dir(bench.root().join("empty")).unwrap();
    let result = bench.run("delete", json!({"paths": ["app/**", "emp*"], "pathsAreGlobs": true, "strict": true})).await.unwrap();
    assert_eq!(result.status, StepStatus::Succeeded);
    assert!(!bench.root().join("app").exists());
    assert!(!bench.root().join("empty").exists());
    assert_eq!(bench.read("keep.txt"), "k");
}

#[tokio::test]
async fn alternatives_and_dot_slash_match() {
    let bench = StepBench::new(Tools::default());
    bench.write("a.json", "").write("a.yaml", "").write("a.txt", "");
    bench.run("delete", json!({"path": "./a.{json,yaml}", "pathsAreGlobs": true})).await.unwrap();
    assert!(!bench.root().join("a.json").exists() && !bench.root().join("a.yaml").exists() && bench.root().join("a.txt").exists());
}
