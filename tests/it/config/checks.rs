//! One test for each rule: what it says, where, and that it is silent otherwise.

use super::{codes, help, lines, load_files, load_text, underlined};

const PROJECT: &str = "apiVersion: kargo.akuity.io/v1alpha1\nkind: Project\nmetadata:\n  name: shop\n---\n";
const WAREHOUSE: &str = "apiVersion: kargo.akuity.io/v1alpha1
kind: Warehouse
metadata:
  name: web
spec:
  subscriptions:
  - image:
      repoURL: ghcr.io/acme/web
---
";

fn stage(name: &str, sources: &str, rest: &str) -> String {
    format!(
        "apiVersion: kargo.akuity.io/v1alpha1\nkind: Stage\nmetadata:\n  name: {name}\nspec:\n  requestedFreight:\n  - origin: {{kind: Warehouse, name: web}}\n    sources: {sources}\n{rest}---\n"
    )
}

fn steps(steps: &str) -> String {
    format!("  promotionTemplate:\n    spec:\n      steps:\n{steps}")
}

#[test]
fn a_sound_project_is_silent() {
    let text =
        format!("{PROJECT}{WAREHOUSE}{}{}", stage("test", "{direct: true}", &steps("      - uses: fail\n")), stage("prod", "{stages: [test]}", ""));
    let loaded = load_text(&text);
    assert_eq!(lines(&loaded), Vec::<String>::new());
    assert_eq!(loaded.projects.len(), 1);
    assert_eq!(loaded.projects[0].stages.len(), 2);
    assert_eq!(loaded.resources["Stage"], 2);
}

#[test]
fn every_line_of_a_definition_can_be_found_again() {
    let text = format!("{PROJECT}{WAREHOUSE}{}", stage("test", "{direct: true}", &steps("      - uses: fail\n      - uses: git-push\n")));
    let loaded = load_text(&text);
    assert_eq!(loaded.describe("shop", "Stage", "test", "spec.promotionTemplate.spec.steps[1].uses").as_deref(), Some("project.yaml:27:15"));
    assert_eq!(loaded.describe("shop", "Stage", "none", "spec"), None);
}

#[test]
fn unknown_names_are_met_with_a_suggestion() {
    let text = format!(
        "{PROJECT}{WAREHOUSE}{}{}",
        stage("test", "{direct: true}", ""),
        stage("prod", "{stages: [tset]}", &steps("      - task: {name: bump-imag, kind: ClusterPromotionTask}\n      - uses: yaml-updat\n"))
    );
    let loaded = load_text(
        &text.replace("origin: {kind: Warehouse, name: web}\n    sources: {stages", "origin: {kind: Warehouse, name: wbe}\n    sources: {stages"),
    );
    assert_eq!(codes(&loaded), ["config/unknown-warehouse", "config/unknown-stage", "config/unknown-task", "config/unknown-step"]);
    assert_eq!(help(&loaded, "config/unknown-warehouse"), "did you mean `web`?");
    assert_eq!(help(&loaded, "config/unknown-stage"), "did you mean `test`?");
    assert_eq!(help(&loaded, "config/unknown-task"), "did you mean `bump-image`?");
    assert_eq!(help(&loaded, "config/unknown-step"), "did you mean `yaml-update`?");
    assert_eq!(underlined(&loaded, "config/unknown-stage"), "tset");
    assert!(loaded.is_usable(), "what may still come is a warning");
}

#[test]
fn a_circle_of_stages_is_shown_once() {
    let text =
        format!("{PROJECT}{WAREHOUSE}{}{}{}", stage("a", "{stages: [c]}", ""), stage("b", "{stages: [a]}", ""), stage("c", "{stages: [b]}", ""));
    let loaded = load_text(&text);
    assert_eq!(codes(&loaded), ["config/cycle"]);
    assert_eq!(loaded.diagnostics[0].message, "freight of `web` goes in a circle: `b` -> `c` -> `a` -> `b`");
    assert_eq!(loaded.diagnostics[0].related.len(), 2);
}

#[test]
fn a_stage_without_sources_and_a_soak_behind_control_flow_are_found() {
    let text = format!(
        "{PROJECT}{WAREHOUSE}{}{}{}",
        stage("lone", "{}", ""),
        stage("gate", "{direct: true}", ""),
        stage("prod", "{stages: [gate], requiredSoakTime: 1h}", &steps("      - uses: fail\n"))
    );
    let loaded = load_text(&text);
    assert_eq!(codes(&loaded), ["config/no-source", "config/soak-behind-control-flow"]);
    assert!(!loaded.is_usable());
}

#[test]
fn missing_inputs_and_meeting_aliases_are_found_before_a_promotion_is_made() {
    let task = "apiVersion: kargo.akuity.io/v1alpha1\nkind: PromotionTask\nmetadata:\n  name: deploy\nspec:\n  vars:\n  - name: repo\n  - {name: branch, value: main}\n  steps:\n  - uses: git-push\n    as: push\n---\n";
    let text = format!(
        "{PROJECT}{WAREHOUSE}{task}{}",
        stage("test", "{direct: true}", &steps("      - task: {name: deploy}\n        as: deploy\n      - uses: fail\n        as: deploy::push\n"))
    );
    let loaded = load_text(&text);
    assert_eq!(codes(&loaded), ["config/missing-input", "config/duplicate-alias"]);
    assert_eq!(underlined(&loaded, "config/duplicate-alias"), "deploy::push");
    let given =
        text.replace("spec:\n  requestedFreight", "spec:\n  vars:\n  - {name: repo, value: x}\n  requestedFreight").replace("deploy::push", "other");
    assert_eq!(lines(&load_text(&given)), Vec::<String>::new());
}

#[test]
fn patterns_that_do_not_compile_are_errors() {
    let warehouse = "apiVersion: kargo.akuity.io/v1alpha1\nkind: Warehouse\nmetadata:\n  name: web\nspec:\n  subscriptions:\n  - git:\n      repoURL: https://git.example.com/acme/web.git\n      includePaths: [\"glob:apps/[a-\", \"apps/*\", \"wildcard:x\"]\n      excludePaths: ['regex:(']\n      commitSelectionStrategy: SemVer\n      allowTagsRegexes: ['^v(?!0)']\n      ignoreTags: [v0.0.1]\n";
    let loaded = load_text(&format!("{PROJECT}{warehouse}"));
    assert_eq!(
        codes(&loaded),
        ["config/bad-pattern", "config/pattern-prefix", "config/pattern-prefix", "config/bad-pattern", "config/bad-pattern", "config/removed-field"]
    );
    assert_eq!(help(&loaded, "config/pattern-prefix"), "write `glob:apps/*`");
}

#[test]
fn the_configuration_of_a_step_is_held_against_its_schema() {
    let config = "      - uses: yaml-update\n        config:\n          path: x.yaml\n          updates:\n          - {key: a, vlaue: b}\n          update: []\n      - uses: yaml-update\n        config:\n          path: ${{ vars.path }}\n          updates: ${{ vars.updates }}\n";
    let loaded = load_text(&format!("{PROJECT}{WAREHOUSE}{}", stage("test", "{direct: true}", &steps(config))));
    assert_eq!(codes(&loaded), ["config/missing-step-field", "config/unknown-step-field", "config/unknown-step-field"]);
    assert_eq!(help(&loaded, "config/unknown-step-field"), "did you mean `value`?");
}

#[test]
fn an_expression_is_shown_at_the_very_character() {
    let warehouse = "apiVersion: kargo.akuity.io/v1alpha1\nkind: Warehouse\nmetadata:\n  name: web\nspec:\n  subscriptions:\n  - git:\n      repoURL: https://git.example.com/acme/web.git\n      expressionFilter: subject contains ((\n";
    let loaded = load_text(&format!("{PROJECT}{warehouse}"));
    assert_eq!(
        lines(&loaded),
        ["project.yaml:14:43 error config/bad-expression: the expression does not compile: unexpected token end of the expression"]
    );
}

#[test]
fn windows_whose_rule_cannot_be_read_are_errors() {
    let config = "apiVersion: kargo.akuity.io/v1alpha1\nkind: ProjectConfig\nmetadata: {name: shop, namespace: shop}\nspec:\n  promotionWindows:\n  - {name: office, kind: Allow, rrule: EVERY DAY, dtstart: 9am, dtend: \"TZID=Europe/Berlin:20260105T170000\"}\n";
    assert_eq!(codes(&load_text(&format!("{PROJECT}{config}"))), ["config/bad-window", "config/bad-window"]);
}

#[test]
fn policies_for_stages_that_are_not_there_are_noticed() {
    let config = "apiVersion: kargo.akuity.io/v1alpha1\nkind: ProjectConfig\nmetadata: {name: shop, namespace: shop}\nspec:\n  promotionPolicies:\n  - stageSelector: {name: tset}\n    autoPromotionEnabled: true\n  - stageSelector: {name: 'glob:*'}\n";
    let loaded = load_text(&format!("{PROJECT}{WAREHOUSE}{config}---\n{}", stage("test", "{direct: true}", "")));
    assert_eq!(codes(&loaded), ["config/unknown-stage"]);
    assert_eq!(help(&loaded, "config/unknown-stage"), "did you mean `test`?");
}

#[test]
fn a_project_with_the_old_spec_is_told_what_to_write() {
    let project = "apiVersion: kargo.akuity.io/v1alpha1\nkind: Project\nmetadata:\n  name: shop\nspec:\n  promotionPolicies:\n  - stage: test\n    autoPromotionEnabled: true\n";
    let loaded = load_text(project);
    assert_eq!(codes(&loaded), ["config/moved"]);
    let (_, written) = help(&loaded, "config/moved").split_once("write:\n").unwrap();
    assert_eq!(
        lines(&load_files(&[("a.yaml", PROJECT), ("b.yaml", written), ("c.yaml", WAREHOUSE), ("d.yaml", &stage("test", "{direct: true}", ""))])),
        Vec::<String>::new()
    );
}

#[test]
fn values_of_secrets_are_never_shown() {
    let secret = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: gitops\n  labels: {kargo.akuity.io/cred-type: git}\nstringData:\n  repoURL: https://git.example.com\n  password: hunter2\n";
    let loaded = load_text(&format!("{PROJECT}{secret}"));
    assert_eq!(codes(&loaded), ["config/literal-secret"]);
    assert_eq!(underlined(&loaded, "config/literal-secret"), "stringData");
    let shown = consign::report::diagnostics::text(&loaded.diagnostics, &loaded.sources, false, 100);
    assert!(!shown.contains("hunter2"), "{shown}");
    // Neither as a neighbour of the line that is shown, nor where the document cannot be read at all.
    let password_first = secret.replace("  repoURL: https://git.example.com\n", "");
    for text in [password_first.clone(), format!("{password_first}  password: again\n"), format!("{password_first}  key: |\n    hunter2\n\tx: [\n")] {
        let loaded = load_text(&text);
        assert!(!loaded.diagnostics.is_empty());
        let shown = consign::report::diagnostics::text(&loaded.diagnostics, &loaded.sources, false, 100);
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}

#[test]
fn scalars_that_yaml_reads_otherwise_are_noticed_where_anything_goes() {
    let config = "      - uses: fail\n        config: {a: yes, b: 0755, c: 12345e6, d: 1.10, e: \"1.10\", f: 3, on: x}\n";
    let loaded = load_text(&format!("{PROJECT}{WAREHOUSE}{}", stage("test", "{direct: true}", &steps(config))));
    assert_eq!(codes(&loaded), ["config/scalar"; 5]);
    assert_eq!(loaded.diagnostics[2].message, "`12345e6` is read as the number 12345000000; a commit id that reads as a number");
}

#[test]
fn a_stage_that_feeds_itself_gets_the_line_to_add() {
    let warehouse = "apiVersion: kargo.akuity.io/v1alpha1\nkind: Warehouse\nmetadata:\n  name: web\nspec:\n  subscriptions:\n  - git:\n      repoURL: https://git.example.com/acme/gitops.git\n      branch: main\n---\n";
    let recipe = "      - uses: git-clone\n        config:\n          repoURL: ${{ vars.repo }}\n          checkout:\n          - {branch: main, path: ./src}\n      - uses: yaml-update\n        config:\n          path: ./src/env/${{ ctx.stage }}/values.yaml\n          updates:\n          - {key: a, value: b}\n      - uses: git-push\n        config: {path: ./src}\n";
    let writing = stage("test", "{direct: true}", &steps(recipe))
        .replace("spec:\n  requested", "spec:\n  vars:\n  - {name: repo, value: https://git.example.com/acme/gitops}\n  requested");
    let loaded = load_text(&format!("{PROJECT}{warehouse}{writing}"));
    assert_eq!(codes(&loaded), ["config/self-feeding"], "{:#?}", lines(&loaded));
    let (_, line) = help(&loaded, "config/self-feeding").split_once('\n').unwrap();
    assert_eq!(line, "excludePaths: [\"env/test/values.yaml\"]");
    let mended = format!("{PROJECT}{}{writing}", warehouse.replace("      branch: main\n", &format!("      branch: main\n      {line}\n")));
    assert_eq!(lines(&load_text(&mended)), Vec::<String>::new());
    // Tasks are followed too, and elsewhere is elsewhere.
    let by_task = "      - task: {name: bump-image, kind: ClusterPromotionTask}\n        vars:\n        - {name: repoURL, value: https://git.example.com/acme/gitops.git}\n        - {name: image, value: x}\n";
    assert_eq!(codes(&load_text(&format!("{PROJECT}{warehouse}{}", stage("test", "{direct: true}", &steps(by_task))))), ["config/self-feeding"]);
    let elsewhere = by_task.replace("{name: image, value: x}", "{name: image, value: x}\n        - {name: branch, value: env/test}");
    assert_eq!(lines(&load_text(&format!("{PROJECT}{warehouse}{}", stage("test", "{direct: true}", &steps(&elsewhere))))), Vec::<String>::new());
}

#[test]
fn a_chain_that_nothing_proves_is_noticed_once_at_its_end() {
    let policies = "apiVersion: kargo.akuity.io/v1alpha1\nkind: ProjectConfig\nmetadata: {name: shop, namespace: shop}\nspec:\n  promotionPolicies:\n  - stageSelector: {name: 'glob:*'}\n    autoPromotionEnabled: true\n---\n";
    let push = steps("      - uses: git-push\n");
    let chain = |test: &str, prod: &str, recipe: &str| {
        format!(
            "{PROJECT}{WAREHOUSE}{policies}{}{}{}",
            stage("test", "{direct: true}", &push),
            stage("uat", test, &push),
            stage("prod", prod, recipe)
        )
    };
    let loaded = load_text(&chain("{stages: [test]}", "{stages: [uat]}", &push));
    assert_eq!(codes(&loaded), ["config/unproven-chain"]);
    assert_eq!(loaded.diagnostics[0].message, "a new freight goes through `test`, `uat`, `prod` in one tick: nothing proves it on the way");
    // A soak time, or a pull request, in between is enough.
    assert_eq!(
        codes(&load_text(&chain("{stages: [test], requiredSoakTime: 1h}", "{stages: [uat], requiredSoakTime: 1h}", &push))),
        Vec::<&str>::new()
    );
    let gated = steps(
        "      - task: {name: bump-image, kind: ClusterPromotionTask}\n        vars:\n        - {name: repoURL, value: https://git.example.com/x.git}\n        - {name: image, value: x}\n        - {name: gated, value: \"true\"}\n",
    );
    assert_eq!(codes(&load_text(&chain("{stages: [test], requiredSoakTime: 1h}", "{stages: [uat]}", &gated))), Vec::<&str>::new());
}

#[test]
fn resources_find_their_project_or_say_that_they_cannot() {
    let two = format!("{PROJECT}{}", PROJECT.replace("shop", "other"));
    let loaded = load_text(&format!("{two}{WAREHOUSE}"));
    assert_eq!(codes(&loaded), ["config/no-project"]);
    assert_eq!(help(&loaded, "config/no-project"), "add `namespace:` with one of `other`, `shop`");
    let loaded = load_text(&format!("{PROJECT}{}", WAREHOUSE.replace("name: web\n", "name: web\n  namespace: shpo\n")));
    assert_eq!(codes(&loaded), ["config/unknown-project"]);
    assert_eq!(help(&loaded, "config/unknown-project"), "did you mean `shop`?");
    // Without a Project at all the namespaces stand for projects.
    let loaded = load_text(&WAREHOUSE.replace("name: web\n", "name: web\n  namespace: shop\n"));
    assert_eq!((codes(&loaded), loaded.projects.len()), (vec![], 1));
}

#[test]
fn other_kinds_are_skipped_and_wrong_ones_named() {
    let text = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: x}\n---\napiVersion: kargo.akuity.io/v1alpha1\nkind: Stagee\nmetadata: {name: x}\n---\napiVersion: kargo.akuity.io/v1\nkind: Stage\nmetadata: {name: x}\n---\nfoo: bar\n";
    let loaded = load_text(text);
    assert_eq!(codes(&loaded), ["config/other-kind", "config/unknown-kind", "config/api-version", "config/not-a-resource"]);
    assert_eq!(help(&loaded, "config/unknown-kind"), "did you mean `Stage`?");
}

#[test]
fn a_resource_defined_twice_is_shown_in_both_places() {
    let loaded = load_files(&[("a.yaml", PROJECT), ("b.yaml", WAREHOUSE), ("c.yaml", WAREHOUSE)]);
    assert_eq!(codes(&loaded), ["config/duplicate-resource"]);
    assert_eq!(loaded.sources.describe(&loaded.diagnostics[0].related[0].place), "b.yaml:4:9");
}
