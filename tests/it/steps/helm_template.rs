//! `helm-template`.

use consign::diagnostic::FailureKind;
use consign::promote::tools::Tools;
use serde_json::json;

use crate::support::helm_repo::{ChartServer, package};
use crate::support::step_bench::StepBench;
use crate::support::tools::available;

const CHART: &str = "apiVersion: v2\nname: web\nversion: 0.1.0\n";
const MAP: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\ndata:\n  v: {{ .Values.v | quote }}\n";

#[tokio::test]
async fn rendering_again_over_an_old_render_changes_nothing() {
    let Some(tools) = available("helm-template: again").await else { return };
    let bench = StepBench::new(tools);
    bench
        .write("chart/Chart.yaml", CHART)
        .write("chart/templates/map.yaml", MAP)
        .write("chart/templates/job.yaml", "apiVersion: batch/v1\nkind: Job\nmetadata:\n  name: j\n  annotations: {helm.sh/hook: post-install}\n");
    let config = json!({"path": "chart", "outPath": "out", "releaseName": "r"});
    assert_eq!(bench.run("helm-template", config.clone()).await.unwrap().error, None);
    let first = bench.read("out/web/templates/job.yaml");
    assert_eq!(bench.run("helm-template", config).await.unwrap().error, None);
    assert_eq!(bench.read("out/web/templates/job.yaml"), first, "the hook is not appended to its old self");
}

#[tokio::test]
async fn names_of_values_files_are_taken_whole() {
    let Some(tools) = available("helm-template: names").await else { return };
    let bench = StepBench::new(tools);
    bench.write("chart/Chart.yaml", CHART).write("chart/templates/map.yaml", MAP).write("v/a,b \"c\".yaml", "v: 1\n").write("v/-x.yaml", "v: 2\n");
    for (file, value) in [("v/a,b \"c\".yaml", "\"1\""), ("v/-x.yaml", "\"2\"")] {
        let config = json!({"path": "chart", "outPath": "o.yaml", "releaseName": "r", "valuesFiles": [file]});
        assert_eq!(bench.run("helm-template", config).await.unwrap().error, None);
        assert!(bench.read("o.yaml").ends_with(&format!("v: {value}\n")), "{}", bench.read("o.yaml"));
    }
}

#[tokio::test]
async fn a_chart_reads_nothing_outside() {
    let bench = StepBench::new(Tools::searching("/nowhere"));
    bench.write("chart/Chart.yaml", CHART).write("chart/files/.keep", "");
    std::os::unix::fs::symlink("/etc/hostname", bench.root().join("chart/files/leak")).unwrap();
    let result = bench.run("helm-template", json!({"path": "chart", "outPath": "o.yaml", "releaseName": "r"})).await.unwrap();
    assert_eq!(result.error.unwrap().message, "`chart/files/leak` is a symbolic link that leads out of the working directory");
}

#[tokio::test]
async fn a_missing_tool_is_the_environments_failure() {
    let bench = StepBench::new(Tools::searching("/nowhere"));
    bench.write("chart/Chart.yaml", CHART);
    let failure = bench.run("helm-template", json!({"path": "chart", "outPath": "o.yaml", "releaseName": "r"})).await.unwrap_err();
    assert_eq!((failure.kind, failure.message.as_str()), (FailureKind::Tool, "`helm` is not on PATH"));
}

#[tokio::test]
async fn dependencies_are_built_as_locked() {
    let Some(tools) = available("helm-template: locked").await else { return };
    let chart = |version: &str| {
        let template = format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: redis}}\ndata: {{version: {version:?}}}\n");
        package(
            &[("Chart.yaml".to_owned(), format!("apiVersion: v2\nname: redis\nversion: {version}\n")), ("templates/a.yaml".to_owned(), template)]
                .into(),
        )
    };
    let server = ChartServer::repository(&[chart("1.0.0"), chart("1.1.0")]);
    let bench = StepBench::new(tools);
    let dependency =
        |version: &str| format!("{CHART}dependencies:\n- {{name: redis, version: {version:?}, repository: \"http://{}\"}}\n", server.host);
    // The lock is made for one version, then the range widens: only its digest tells that they still belong together.
    bench.write("chart/Chart.yaml", &dependency("1.0.0"));
    assert_eq!(bench.run("helm-update-chart", json!({"path": "chart"})).await.unwrap().error, None);
    std::fs::remove_dir_all(bench.root().join("chart/charts")).unwrap();
    let config = json!({"path": "chart", "outPath": "o.yaml", "releaseName": "r", "buildDependencies": true});
    assert_eq!(bench.run("helm-template", config.clone()).await.unwrap().error, None);
    assert!(bench.read("o.yaml").contains("version: \"1.0.0\""), "{}", bench.read("o.yaml"));
    bench.write("chart/Chart.yaml", &dependency("^1.0.0"));
    let error = bench.run("helm-template", config).await.unwrap().error.unwrap();
    assert!(error.message.contains("out of sync"), "{}", error.message);
}
