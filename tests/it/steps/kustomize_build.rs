//! `kustomize-build`.

use std::collections::BTreeSet;
use std::process::Command;

use consign::diagnostic::FailureKind;
use consign::promote::tools::Tools;
use serde_json::json;

use crate::support::step_bench::StepBench;
use crate::support::tools::available;

#[tokio::test]
async fn files_are_named_as_kustomize_names_them() {
    let Some(tools) = available("kustomize-build: names").await else { return };
    let kustomize = tools.kustomize().await.unwrap();
    let bench = StepBench::new(tools);
    let kinds = [
        ("v1", "ConfigMap"),
        ("v1", "Node"),
        ("v1", "PersistentVolume"),
        ("apps/v1", "Deployment"),
        ("rbac.authorization.k8s.io/v1", "ClusterRole"),
        ("rbac.authorization.k8s.io/v1", "RoleBinding"),
        ("storage.k8s.io/v1", "StorageClass"),
        ("apiextensions.k8s.io/v1", "CustomResourceDefinition"),
        ("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration"),
        ("example.com/v1", "Widget"),
        ("example.com/v1", "Namespace"),
    ];
    let objects: Vec<String> =
        kinds.iter().map(|(version, kind)| format!("apiVersion: {version}\nkind: {kind}\nmetadata: {{name: A.b}}\n")).collect();
    let namespaced = "apiVersion: v1\nkind: Secret\nmetadata: {name: s, namespace: Shop}\n---\n";
    for (case, extra) in [("one", ""), ("several", namespaced)] {
        bench
            .write(&format!("{case}/kustomization.yaml"), "resources: [all.yaml]\n")
            .write(&format!("{case}/all.yaml"), &format!("{extra}{}", objects.join("---\n")));
        let result =
            bench.run("kustomize-build", json!({"path": case, "outPath": format!("{case}-ours"), "outputFormat": "kustomize"})).await.unwrap();
        assert_eq!(result.error, None);
        let theirs = bench.outside().join(case);
        std::fs::create_dir(&theirs).unwrap();
        let status = Command::new(kustomize.path()).args(["build", "-o"]).arg(&theirs).arg(bench.root().join(case)).status().unwrap();
        assert!(status.success());
        let names = |folder: &std::path::Path| std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect::<BTreeSet<_>>();
        assert_eq!(names(&bench.root().join(format!("{case}-ours"))), names(&theirs));
    }
}

#[tokio::test]
async fn the_network_is_refused_before_anything_runs() {
    for written in ["https://example.com/all.yaml", "github.com/example/repo//base?ref=v1", "git@example.com:o/r.git", "file:///etc"] {
        let bench = StepBench::new(Tools::searching("/nowhere"));
        bench.write("app/kustomization.yaml", "resources: [../base]\n").write("base/kustomization.yaml", &format!("resources: ['{written}']\n"));
        let failure = bench.run("kustomize-build", json!({"path": "app", "outPath": "o.yaml"})).await.unwrap_err();
        assert_eq!(failure.kind, FailureKind::Refused);
        assert_eq!(failure.message, format!("`{written}` in `base/kustomization.yaml` would be fetched from the network"));
    }
}

#[tokio::test]
async fn nothing_outside_is_read() {
    let kustomizations = [
        "resources: [link.yaml]\n",
        "resources: [../../secret]\n",
        "configMapGenerator: [{name: a, files: [link.yaml]}]\n",
        "generators:\n- |-\n  apiVersion: builtin\n  kind: ConfigMapGenerator\n  metadata: {name: a}\n  files: [k=/etc/hostname]\n",
        "helmGlobals: {chartHome: /etc}\nhelmCharts: [{name: a}]\n",
    ];
    for kustomization in kustomizations {
        let bench = StepBench::new(Tools::searching("/nowhere"));
        std::fs::write(bench.outside().join("secret"), "secret").unwrap();
        bench.write("app/kustomization.yaml", kustomization);
        std::os::unix::fs::symlink(bench.outside().join("secret"), bench.root().join("app/link.yaml")).unwrap();
        let result = bench.run("kustomize-build", json!({"path": "app", "outPath": "o.yaml"})).await.unwrap();
        let error = result.error.unwrap();
        assert!(error.message.contains("leads out of the working directory") && !error.terminal, "{kustomization}: {}", error.message);
    }
}

#[tokio::test]
async fn a_missing_tool_is_the_environments_failure() {
    let bench = StepBench::new(Tools::searching("/nowhere"));
    bench.write("app/kustomization.yaml", "namespace: x\n");
    let failure = bench.run("kustomize-build", json!({"path": "app", "outPath": "o.yaml"})).await.unwrap_err();
    assert_eq!((failure.kind, failure.message.as_str()), (FailureKind::Tool, "`kustomize` is not on PATH"));
}

#[tokio::test]
async fn references_are_read_from_where_a_linked_base_really_lies() {
    let bench = StepBench::new(Tools::searching("/nowhere"));
    std::fs::write(bench.outside().join("secret"), "secret").unwrap();
    bench.write("base/kustomization.yaml", "resources: [../../secret]\n").write("app/kustomization.yaml", "resources: [link]\n");
    std::os::unix::fs::symlink("../base", bench.root().join("app/link")).unwrap();
    let result = bench.run("kustomize-build", json!({"path": "app", "outPath": "o.yaml"})).await.unwrap();
    assert_eq!(result.error.unwrap().message, "`../../secret` in `base/kustomization.yaml` leads out of the working directory");
}
