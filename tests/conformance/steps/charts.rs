//! Charts and their repositories.

#[path = "../../it/support/helm_repo.rs"]
#[allow(dead_code)]
mod helm_repo;
#[path = "../../it/support/tools.rs"]
#[allow(dead_code)]
mod tools;

use std::io::Write as _;
use std::process::{Command, Stdio};

use base64::Engine as _;
use consign::promote::step::Doors;
use consign::promote::tools::Tools;
use helm_repo::{ChartServer, Package};
use serde_json::{Value, json};

use super::Scene;

/// The repositories of a case; they end with this value.
pub struct Servers(#[allow(dead_code)] Vec<ChartServer>);

/// Doors with the tools of the tests.
#[allow(clippy::needless_update)]
pub fn doors() -> Doors {
    Doors { tools: Tools::searching(tools::search_path()), ..Doors::default() }
}

/// Serves the chart repositories of a case and names them among the scene's placeholders.
pub fn serve(scene: &mut Scene, case: &Value) -> Result<Servers, String> {
    let mut servers = Vec::new();
    if let Some(charts) = case.get("helmRepo") {
        let server = ChartServer::repository(&packages(charts)?);
        scene.placeholders.push(("{{helmRepo}}".into(), format!("http://{}", server.host)));
        servers.push(server);
    }
    if let Some(paths) = case["ociRepo"].as_object() {
        let charts = paths.iter().map(|(path, charts)| Ok((path.as_str(), packages(charts)?))).collect::<Result<Vec<_>, String>>()?;
        let server = ChartServer::registry(charts);
        scene.placeholders.push(("{{ociHost}}".into(), server.host.clone()));
        servers.push(server);
    }
    Ok(Servers(servers))
}

fn packages(charts: &Value) -> Result<Vec<Package>, String> {
    let charts = charts.as_array().ok_or("charts are a list")?;
    charts.iter().map(|chart| serde_json::from_value(chart["files"].clone()).map(|files| helm_repo::package(&files)).map_err(|error| error.to_string())).collect()
}

/// How a packaged chart that was written differs from the wanted one; None: not at all.
pub fn differs(want: &Value, got: &Value) -> Option<String> {
    match read(got) {
        Ok(got) => (*want != got).then(|| format!("it holds {got}, not {want}")),
        Err(problem) => Some(problem),
    }
}

/// A package as the cases show it: name, version and files.
fn read(file: &Value) -> Result<Value, String> {
    let bytes = base64::engine::general_purpose::STANDARD.decode(file["base64"].as_str().ok_or("it is no archive")?).map_err(|error| error.to_string())?;
    let names = tar(&["-tzf", "-"], &bytes)?;
    let name = names.split('/').next().unwrap_or_default();
    let mut files: Vec<&str> = names.lines().filter(|line| !line.ends_with('/')).filter_map(|line| line.strip_prefix(name)?.strip_prefix('/')).collect();
    files.sort_unstable();
    let chart = tar(&["-xzOf", "-", &format!("{name}/Chart.yaml")], &bytes)?;
    let version = chart.lines().find_map(|line| line.strip_prefix("version: ")).unwrap_or_default();
    Ok(json!({"name": name, "version": version.trim_matches('"'), "files": files}))
}

fn tar(arguments: &[&str], bytes: &[u8]) -> Result<String, String> {
    let mut child = Command::new("tar")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("tar does not start: {error}"))?;
    // What tar does not read to its end it does not need.
    let _ = child.stdin.take().expect("piped").write_all(bytes);
    let output = child.wait_with_output().map_err(|error| error.to_string())?;
    if output.status.success() { Ok(String::from_utf8_lossy(&output.stdout).into_owned()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
}
