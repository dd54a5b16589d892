#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use serde_json::json;

use super::*;
use crate::expr::Secrets;

fn jobs() -> Jobs {
    let env = BTreeMap::from([("PATH".to_owned(), std::env::var("PATH").unwrap_or_default()), ("LEAK".to_owned(), "leaked".to_owned())]);
    let secrets = Secrets::from_maps(BTreeMap::from([("probe".to_owned(), BTreeMap::from([("token".to_owned(), "tok-81".to_owned())]))]));
    Jobs { runner: Runner::Process, env: Arc::new(env), secrets }
}

fn job(container: serde_json::Value, more: serde_json::Value) -> Job {
    let mut spec = json!({"template": {"spec": {"containers": [container]}}});
    spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    serde_json::from_value(json!({ "spec": spec })).unwrap()
}

fn shell(script: &str) -> serde_json::Value {
    json!({"name": "probe", "command": ["sh", "-c", script]})
}

async fn phase(job: &Job) -> (Phase, String, String) {
    let attempts = jobs().run(job, "test.probe.1", 0).await;
    let stands = attempts.stands.unwrap();
    let (phase, message) = assess(&stands.status, &stands.waiting);
    (phase, message, attempts.log)
}

#[tokio::test]
async fn an_exit_code_of_zero_is_success_and_what_was_printed_is_kept() {
    let (phase, _, log) = phase(&job(shell("echo hello; echo oops >&2"), json!({}))).await;
    assert_eq!(phase, Phase::Successful);
    assert_eq!(log, "[probe out] hello\n[probe err] oops\n");
}

#[tokio::test]
async fn without_retries_the_first_failure_counts() {
    let (phase, message, _) = phase(&job(shell("exit 3"), json!({"backoffLimit": 0}))).await;
    assert_eq!((phase, message.as_str()), (Phase::Failed, "container `probe` ended with exit code 3"));
}

#[tokio::test]
async fn a_retry_can_succeed() {
    let folder = tempfile::tempdir().unwrap();
    let script = format!("test -e {0}/flag || {{ touch {0}/flag; exit 1; }}", folder.path().display());
    let attempts = jobs().run(&job(shell(&script), json!({"backoffLimit": 1})), "test.probe.1", 0).await;
    assert_eq!(attempts.failed, 1);
    assert_eq!(assess(&attempts.stands.unwrap().status, &[]).0, Phase::Successful);
}

#[tokio::test]
async fn a_job_sees_its_variables_and_nothing_of_ours() {
    let mut container = shell("echo $TOKEN $URL ${LEAK:-none}");
    container["env"] = json!([
        {"name": "HOST", "value": "shop"}, {"name": "URL", "value": "https://$(HOST)/$(NO)"},
        {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "probe", "key": "token"}}},
    ]);
    let (_, _, log) = phase(&job(container, json!({}))).await;
    assert_eq!(log, "[probe out] ***** https://shop/$(NO) none\n");
}

#[tokio::test]
async fn a_deadline_ends_a_job_with_all_it_started() {
    let begun = Instant::now();
    let (phase, message, _) = phase(&job(shell("sleep 60 & sleep 60"), json!({"activeDeadlineSeconds": 1}))).await;
    assert_eq!(phase, Phase::Failed, "{message}");
    assert!(begun.elapsed() < Duration::from_secs(20));
}

/// A stand-in for docker that writes down how it is called; `run` prints `$TOKEN` and ends as it is told.
fn engine(folder: &std::path::Path, end: &str) -> Jobs {
    use std::os::unix::fs::PermissionsExt as _;
    let script = format!("#!/bin/sh\necho \"$@\" >> {}/calls\n[ \"$1\" = run ] || exit 0\necho \"token $TOKEN\"\n{end}\n", folder.display());
    let path = folder.join("docker");
    std::fs::write(&path, script).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    let env = BTreeMap::from([("PATH".to_owned(), format!("{}:{}", folder.display(), std::env::var("PATH").unwrap_or_default()))]);
    Jobs { runner: Runner::Container, env: Arc::new(env), ..jobs() }
}

fn contained() -> Job {
    let env = json!([{"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "probe", "key": "token"}}}]);
    job(json!({"name": "probe", "image": "probe:2", "command": ["probe", "-v"], "args": ["uat"], "env": env}), json!({"backoffLimit": 0}))
}

#[tokio::test]
async fn a_container_gets_secrets_by_its_environment_and_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let attempts = engine(folder.path(), "exit 0").run(&contained(), "test/x.probe.1", 0).await;
    assert_eq!(assess(&attempts.stands.unwrap().status, &[]).0, Phase::Successful);
    assert_eq!(attempts.log, "[probe out] token *****\n");
    let calls = std::fs::read_to_string(folder.path().join("calls")).unwrap();
    assert_eq!(calls, "rm --force consign-test-x.probe.1\nrun --rm --name consign-test-x.probe.1 --env TOKEN --entrypoint probe probe:2 -v uat\n");
}

#[tokio::test]
async fn an_image_that_cannot_be_pulled_is_neither_good_nor_bad() {
    let folder = tempfile::tempdir().unwrap();
    let refused = "echo 'docker: Error response from daemon: pull access denied for probe' >&2; exit 125";
    let stands = engine(folder.path(), refused).run(&contained(), "x", 0).await.stands.unwrap();
    let (phase, message) = assess(&stands.status, &stands.waiting);
    assert_eq!(phase, Phase::Inconclusive);
    assert!(message.contains("probe:2") && message.contains("pull access denied"), "{message}");
    let broken = engine(folder.path(), "echo 'Cannot connect to the Docker daemon' >&2; exit 125").run(&contained(), "x", 0).await;
    assert!(broken.stands.is_err());
}

#[tokio::test]
async fn what_needs_a_cluster_is_refused() {
    for container in [json!({"name": "x", "image": "busybox"}), json!({"name": "x", "command": ["true"], "envFrom": [{}]})] {
        assert!(jobs().run(&job(container, json!({})), "test.x.1", 0).await.stands.is_err());
    }
    let spec = json!({"spec": {"template": {"spec": {"containers": [{"name": "x", "command": ["true"]}], "volumes": [{"name": "v"}]}}}});
    assert!(jobs().run(&serde_json::from_value(spec).unwrap(), "test.x.1", 0).await.stands.is_err());
}

#[test]
fn names_are_cut_in_the_metric() {
    let run = "0b7c54b1-6d0e-4f7c-9a55-3f1d5f6f2a10";
    assert_eq!(name(run, "smoke", 1), format!("{run}.smoke.1"));
    let long = name(run, "end-to-end-checkout-with-payment-and-shipping", 12);
    assert_eq!((long.len(), long.ends_with(".12")), (63, true));
}
