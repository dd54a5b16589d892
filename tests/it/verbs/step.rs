use std::path::Path;

use super::{Ran, run_in};
use crate::support::git_server::GitServer;

struct Bench(tempfile::TempDir);

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("work")).unwrap();
        Self(folder)
    }

    fn work(&self) -> std::path::PathBuf {
        self.0.path().join("work")
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.0.path().join(name), text).unwrap();
    }

    fn run(&self, args: &[&str]) -> Ran {
        run_in(self.0.path(), &self.0.path().join("cache"), "2026-03-02T09:00:00Z", args)
    }

    fn step(&self, kind: &str, config: &str) -> Ran {
        self.write("config.yaml", config);
        self.run(&["step", kind, "--config", "config.yaml", "--workdir", "work", "--format", "json"])
    }
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn a_step_changes_the_folder_and_tells_its_output() {
    let bench = Bench::new();
    std::fs::write(bench.work().join("values.yaml"), "# kept\nimage: {tag: v1}\n").unwrap();
    let ran = bench.step("yaml-update", "path: values.yaml\nupdates: [{key: image.tag, value: v2}]\n").ok().json();
    assert_eq!((ran["status"].as_str(), ran["terminal"].as_bool()), (Some("Succeeded"), Some(false)), "{ran:#}");
    assert!(ran["output"]["commitMessage"].is_string(), "{ran:#}");
    assert_eq!(read(&bench.work().join("values.yaml")), "# kept\nimage: {tag: v2}\n");
}

#[test]
fn what_goes_wrong_is_told_and_the_exit_code_says_so_if_asked() {
    let bench = Bench::new();
    let config = "path: missing.yaml\nupdates: [{key: a, value: b}]\n";
    let ran = bench.step("yaml-update", config);
    assert_eq!(ran.code, 1);
    assert_eq!(ran.json()["status"], "Errored");
    assert!(ran.json()["message"].as_str().unwrap().contains("missing.yaml"));
    bench.write("config.yaml", config);
    assert_eq!(bench.run(&["step", "yaml-update", "--config", "config.yaml", "--workdir", "work", "--fail-on", "never"]).code, 0);
    let ran = bench.step("yaml-update", "path: 3\n");
    assert_eq!((ran.code, ran.json()["status"].as_str().unwrap().to_owned()), (1, "Failed".to_owned()));
    assert_eq!(ran.json()["terminal"], true);
}

#[test]
fn a_configuration_is_checked_alone() {
    let bench = Bench::new();
    bench.write("good.yaml", "message: x\n");
    bench.write("bad.yaml", "path: 3\nupdatess: []\n");
    let good = bench.run(&["step", "fail", "--config", "good.yaml", "--check", "--format", "json"]).ok().json();
    assert_eq!(good, serde_json::json!({"valid": true, "errors": []}));
    let bad = bench.run(&["step", "yaml-update", "--config", "bad.yaml", "--check", "--format", "json"]);
    assert_eq!(bad.code, 2);
    assert!(bad.json()["errors"].as_array().unwrap().len() >= 2, "all of them: {}", bad.stdout);
}

#[test]
fn whatever_is_no_step_is_a_mistake_of_the_command_line() {
    let bench = Bench::new();
    bench.write("broken.yaml", "a: [\n");
    bench.write("list.yaml", "- a\n");
    let unknown = bench.run(&["step", "yaml-updat", "--workdir", "work"]);
    assert_eq!(unknown.code, 2);
    assert!(unknown.stderr.contains("`yaml-update`"), "{}", unknown.stderr);
    assert_eq!(bench.run(&["step", "fail", "--workdir", "nowhere"]).code, 2);
    assert_eq!(bench.run(&["step", "fail", "--workdir", "work", "--config", "broken.yaml"]).code, 2);
    assert_eq!(bench.run(&["step", "fail", "--workdir", "work", "--context", "list.yaml"]).code, 2);
    assert_eq!(bench.run(&["step", "fail", "--workdir", "work", "--config", "list.yaml"]).code, 1, "a configuration of the wrong type");
    let help = bench.run(&["step", "--help"]).ok().stdout;
    assert!(help.contains("kustomize-set-image"), "{help}");
}

#[test]
fn the_context_says_which_freight_is_promoted() {
    let bench = Bench::new();
    bench.write("context.yaml", "ctx: {project: shop, stage: prod, promotion: prod.x.y, targetFreight: {name: f1}}\nvars: {greeting: hi}\nfreight: [{metadata: {name: f1}, alias: old, origin: {kind: Warehouse, name: app}}]\n");
    bench.write("config.yaml", "path: in.j2\noutPath: out.txt\n");
    std::fs::write(bench.work().join("in.j2"), "{{ vars.greeting }} {{ ctx.stage }}\n").unwrap();
    bench.run(&["step", "template", "--config", "config.yaml", "--workdir", "work", "--context", "context.yaml"]).ok();
    assert_eq!(read(&bench.work().join("out.txt")), "hi prod\n");
    bench.write("config.yaml", "updates: [{kind: Freight, name: f1, values: {a: 1}}]\n");
    let ran = bench.run(&["step", "set-metadata", "--config", "config.yaml", "--workdir", "work", "--context", "context.yaml", "--format", "json"]);
    assert_eq!(ran.ok().json()["changes"][0]["metadata"]["a"], 1);
}

#[test]
fn checkouts_are_remembered_from_step_to_step() {
    let server = GitServer::start();
    let repository = server.repository("acme/gitops");
    repository.commit("main", "Begin", &[("a.yaml", Some("v: 1\n")), ("b/c.txt", Some("c\n"))]);
    let bench = Bench::new();
    bench.step("git-clone", &format!("repoURL: {}\ncheckout: [{{branch: main, path: out}}]\n", repository.url())).ok();
    assert_eq!(read(&bench.work().join("out/b/c.txt")), "c\n", "everything is on disk");
    bench.step("yaml-update", "path: out/a.yaml\nupdates: [{key: v, value: 2}]\n").ok();
    let commit = bench.step("git-commit", "path: out\nmessage: Bump\n").ok().json();
    let pushed = bench.step("git-push", "path: out\n").ok().json();
    assert_eq!(pushed["output"]["commit"], commit["output"]["commit"]);
    assert_eq!(repository.tip("refs/heads/main").as_deref(), pushed["output"]["commit"].as_str());
    assert_eq!(repository.file("main", "a.yaml").as_deref(), Some("v: 2\n"));
    assert_eq!(repository.file("main", "b/c.txt").as_deref(), Some("c\n"));
}
