//! `helm-update-chart`.

use consign::diagnostic::FailureKind;
use consign::promote::tools::{ChartCredentials, RepositoryCredential};
use serde_json::json;

use crate::support::helm_repo::{ChartServer, Package, package};
use crate::support::step_bench::StepBench;
use crate::support::tools::available;

fn redis(version: &str) -> Package {
    package(&[("Chart.yaml".to_owned(), format!("apiVersion: v2\nname: redis\nversion: {version}\n"))].into())
}

fn umbrella(repository: &str) -> String {
    format!("apiVersion: v2\nname: umbrella\nversion: 1.0.0\ndependencies:\n- name: redis\n  version: 1.0.0 # pinned\n  repository: {repository}\n")
}

#[tokio::test]
async fn a_private_repository_takes_credentials() {
    let Some(tools) = available("helm-update-chart: private").await else { return };
    let server = ChartServer::private_repository(&[redis("1.0.0"), redis("1.1.0")], "bot", "s3cret: \"x\"");
    let url = format!("http://{}", server.host);
    let mut bench = StepBench::new(tools);
    let config = json!({"path": "chart", "charts": [{"repository": url, "name": "redis", "version": "1.1.0"}]});
    bench.write("chart/Chart.yaml", &umbrella(&url));

    let failure = bench.run("helm-update-chart", config.clone()).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Refused, "{}", failure.message);
    assert_eq!(bench.read("chart/Chart.yaml"), umbrella(&url), "a failed step leaves the chart as it was");

    let login = RepositoryCredential { url: url.clone(), username: "bot".into(), password: "s3cret: \"x\"".into() };
    bench.doors.tools.chart_credentials = ChartCredentials { repositories: vec![login], docker_config: None };
    let result = bench.run("helm-update-chart", config).await.unwrap();
    assert_eq!(result.error, None);
    assert_eq!(result.output.unwrap()["commitMessage"], "Updated chart dependencies for chart\n\n- redis: 1.1.0");
    assert_eq!(bench.read("chart/Chart.yaml"), umbrella(&url).replace("1.0.0 #", "1.1.0 #"));
    assert!(!result.log.contains("s3cret"), "{}", result.log);
    assert!(server.asked().iter().any(|path| path == "/redis-1.1.0.tgz"));
}

#[tokio::test]
async fn a_repository_out_of_reach_is_the_environments_failure() {
    let Some(tools) = available("helm-update-chart: out of reach").await else { return };
    // A port that was free a moment ago.
    let host = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("http://{host}");
    let bench = StepBench::new(tools);
    bench.write("chart/Chart.yaml", &umbrella(&url));
    let config = json!({"path": "chart", "charts": [{"repository": url, "name": "redis", "version": "1.1.0"}]});
    let failure = bench.run("helm-update-chart", config).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Remote, "{}", failure.message);
    assert_eq!(bench.read("chart/Chart.yaml"), umbrella(&url));
}

#[tokio::test]
async fn a_registry_serves_ranges() {
    let Some(tools) = available("helm-update-chart: registry").await else { return };
    let server = ChartServer::registry([("charts", vec![redis("1.0.0"), redis("1.1.0+build.2")])]);
    let url = format!("oci://{}/charts", server.host);
    let bench = StepBench::new(tools);
    bench.write("chart/Chart.yaml", &umbrella(&url).replace("1.0.0 # pinned", "^1.0.0"));
    let result = bench.run("helm-update-chart", json!({"path": "chart"})).await.unwrap();
    assert_eq!(result.error, None);
    assert_eq!(result.output.unwrap()["commitMessage"], "Updated chart dependencies for chart\n\n- redis: 1.1.0+build.2");
}
