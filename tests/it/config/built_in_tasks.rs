//! The built-in tasks are ordinary definitions.

use consign::config::{LoadOptions, SourceFile, builtin, load};
use consign::model::TaskKind;

use super::{lines, load_text};

const STAGE: &str = "apiVersion: kargo.akuity.io/v1alpha1
kind: Stage
metadata: {name: test, namespace: shop}
spec:
  requestedFreight: [{origin: {kind: Warehouse, name: web}, sources: {direct: true}}]
  promotionTemplate:
    spec:
      steps:
      - task: {name: bump-image, kind: ClusterPromotionTask}
        vars: [{name: repoURL, value: \"https://git.example.com/acme/gitops.git\"}, {name: image, value: ghcr.io/acme/web}]
---
apiVersion: kargo.akuity.io/v1alpha1
kind: Warehouse
metadata: {name: web, namespace: shop}
spec:
  subscriptions: [{image: {repoURL: ghcr.io/acme/web}}]
";

#[test]
fn they_pass_every_check_that_a_users_tasks_do() {
    let knowledge = consign::tick::knowledge::knowledge(false);
    for (file, yaml) in builtin::TASKS {
        let source = SourceFile { path: file.to_owned(), bytes: yaml.as_bytes().to_vec() };
        let loaded = load(&[source], &LoadOptions { knowledge, ..LoadOptions::default() });
        assert_eq!(lines(&loaded), Vec::<String>::new(), "{file}");
        assert_eq!(loaded.resources["ClusterPromotionTask"], 1);
    }
}

#[test]
fn a_simple_stage_is_a_few_lines_with_them() {
    let loaded = load_text(STAGE);
    assert_eq!(lines(&loaded), Vec::<String>::new());
    let task = &loaded.projects[0].tasks[&(TaskKind::ClusterPromotionTask, "bump-image".to_owned())];
    assert_eq!(task.spec.steps[0].uses, "git-clone");
    assert_eq!(loaded.resources.get("ClusterPromotionTask"), None, "built-in tasks are not counted as the user's");
}

#[test]
fn a_definition_of_the_same_name_takes_the_place_of_one() {
    let own =
        "---\napiVersion: kargo.akuity.io/v1alpha1\nkind: ClusterPromotionTask\nmetadata: {name: bump-image}\nspec:\n  steps:\n  - uses: fail\n";
    let loaded = load_text(&format!("{STAGE}{own}"));
    assert_eq!(lines(&loaded), Vec::<String>::new());
    assert_eq!(loaded.projects[0].tasks[&(TaskKind::ClusterPromotionTask, "bump-image".to_owned())].spec.steps.len(), 1);
}

#[test]
fn they_keep_what_the_forge_reads_from_a_stage_branch_and_wait_only_when_gated() {
    for (file, yaml) in builtin::TASKS {
        let renders = file.starts_with("render-");
        assert_eq!(yaml.contains("!/.github/") && yaml.contains("!/CODEOWNERS"), renders, "{file}");
        assert!(yaml.contains("uses: git-wait-for-pr") && yaml.contains("string(vars.gated) == 'true'"), "{file}");
    }
}
