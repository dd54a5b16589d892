//! The shapes that Kargo's documentation shows, in words of our own: all of them are read without a word.

use super::{lines, load_text};

const PROJECT: &str = "apiVersion: kargo.akuity.io/v1alpha1\nkind: Project\nmetadata:\n  name: kitchen\n---\n";

fn silent(text: &str) {
    let loaded = load_text(&format!("{PROJECT}{text}"));
    let wrong: Vec<String> = lines(&loaded).into_iter().filter(|line| !line.contains("config/unknown-")).collect();
    assert_eq!(wrong, Vec::<String>::new(), "{text}");
}

#[test]
fn warehouses_with_every_selection_strategy() {
    silent(
        r"apiVersion: kargo.akuity.io/v1alpha1
kind: Warehouse
metadata: {name: everything, namespace: kitchen}
spec:
  interval: 10m
  freightCreationPolicy: Manual
  freightCreationCriteria:
    expression: imageFrom('ghcr.io/acme/stove').Tag == imageFrom('ghcr.io/acme/oven').Tag
  subscriptions:
  - image:
      repoURL: ghcr.io/acme/stove
      constraint: ^1.0.0
      strictSemvers: false
      platform: linux/amd64
  - image:
      repoURL: ghcr.io/acme/oven
      imageSelectionStrategy: NewestBuild
      allowTagsRegexes: ['^main-\d+$']
  - image: {repoURL: ghcr.io/acme/sink, imageSelectionStrategy: Digest, constraint: stable}
  - image: {repoURL: ghcr.io/acme/table, imageSelectionStrategy: Lexical, ignoreTagsRegexes: [beta]}
  - git:
      repoURL: https://github.com/acme/recipes.git
      branch: main
      includePaths: [soups, 'glob:salads/*/*.yaml']
      excludePaths: ['regex:\.md$']
      expressionFilter: author != 'bot'
  - git: {repoURL: https://github.com/acme/menu.git, commitSelectionStrategy: SemVer, semverConstraint: '>=1.0.0 <2.0.0'}
  - git: {repoURL: https://github.com/acme/wine.git, commitSelectionStrategy: NewestTag, discoveryLimit: 5}
  - git: {repoURL: https://github.com/acme/beer.git, commitSelectionStrategy: Lexical}
  - chart: {repoURL: oci://ghcr.io/acme/charts/kitchen, semverConstraint: ^2}
  - chart: {repoURL: https://charts.example.com, name: kitchen}
",
    );
}

#[test]
fn stages_with_steps_tasks_verification_and_control_flow() {
    silent(
        r#"apiVersion: kargo.akuity.io/v1alpha1
kind: Stage
metadata:
  name: taste
  namespace: kitchen
  annotations: {kargo.akuity.io/color: '#00aa88'}
spec:
  shard: eu
  vars:
  - {name: repo, value: https://github.com/acme/menu.git}
  requestedFreight:
  - origin: {kind: Warehouse, name: stove}
    sources: {direct: true}
  - origin: {kind: Warehouse, name: recipes}
    sources: {stages: [cook], requiredSoakTime: 30m, availabilityStrategy: All}
  promotionTemplate:
    spec:
      vars:
      - {name: branch, value: "stage/${{ ctx.stage }}"}
      steps:
      - uses: git-clone
        config:
          repoURL: ${{ vars.repo }}
          checkout:
          - {commit: "${{ commitFrom(vars.repo).ID }}", path: ./src}
          - {branch: "${{ vars.branch }}", create: true, path: ./out}
      - uses: yaml-update
        as: update
        config:
          path: ./src/values.yaml
          updates:
          - {key: image.tag, value: "${{ imageFrom('ghcr.io/acme/stove').Tag }}"}
      - uses: git-commit
        config: {path: ./out, message: "${{ outputs.update.commitMessage }}"}
      - uses: git-push
        retry: {timeout: 30m, errorThreshold: 3}
        continueOnError: true
        if: ${{ always() }}
        config: {path: ./out}
      - task: {name: tell}
        as: tell
        vars:
        - {name: what, value: served}
  verification:
    analysisTemplates:
    - {name: tasty}
    - {name: hot, kind: ClusterAnalysisTemplate}
    analysisRunMetadata: {labels: {course: main}}
    args:
    - {name: stage, value: "${{ ctx.stage }}"}
---
apiVersion: kargo.akuity.io/v1alpha1
kind: Stage
metadata: {name: cook, namespace: kitchen}
spec:
  requestedFreight:
  - origin: {kind: Warehouse, name: recipes}
    sources: {direct: true, autoPromotionOptions: {selectionPolicy: NewestFreight}}
  promotionTemplate:
    spec:
      steps:
      - uses: fail
---
apiVersion: kargo.akuity.io/v1alpha1
kind: PromotionTask
metadata: {name: tell, namespace: kitchen}
spec:
  vars:
  - name: what
  - {name: whom, value: everybody}
  steps:
  - uses: fail
    as: say
    config: {message: "${{ vars.what }} to ${{ vars.whom }}"}
---
apiVersion: argoproj.io/v1alpha1
kind: AnalysisTemplate
metadata: {name: tasty, namespace: kitchen}
spec:
  args:
  - name: stage
  - {name: spoon, value: large}
  - {name: key, valueFrom: {secretKeyRef: {name: kitchen, key: door}}}
  metrics:
  - name: smile
    interval: 30s
    count: 3
    failureLimit: 1
    successCondition: result == 'yes'
    provider:
      web: {url: "https://guests.example.com/{{ args.stage }}", jsonPath: "{$.face}"}
---
apiVersion: argoproj.io/v1alpha1
kind: ClusterAnalysisTemplate
metadata: {name: hot}
spec:
  metrics:
  - name: steam
    provider:
      job:
        spec:
          backoffLimit: 0
          template: {spec: {restartPolicy: Never, containers: [{name: look, image: busybox, command: [test, -e, /steam]}]}}
"#,
    );
}

#[test]
fn project_and_cluster_settings() {
    silent(
        r#"apiVersion: kargo.akuity.io/v1alpha1
kind: ProjectConfig
metadata: {name: kitchen, namespace: kitchen}
spec:
  promotionPolicies:
  - stageSelector: {name: "regex:^(cook|taste)$", matchLabels: {warm: "yes"}}
    autoPromotionEnabled: true
    autoRollback: {onPromotion: [Failed], onVerification: [Failed, Error]}
  webhookReceivers:
  - {name: forge, github: {secretRef: {name: hook}}}
  - name: bell
    generic:
      secretRef: {name: hook}
      actions:
      - action: Refresh
        whenExpression: request.header('X-Bell') == 'ring'
        targetSelectionCriteria: [{kind: Warehouse, name: stove}]
  freightLinks:
  - {title: Recipe, url: "https://recipes.example.com/{{ .freight.alias }}", if: freight.alias != ''}
  promotionWindows:
  - {name: opening-hours, kind: Allow, rrule: "FREQ=WEEKLY;BYDAY=TU,WE,TH,FR,SA", dtstart: "TZID=Europe/Berlin:20260106T120000", dtend: "TZID=Europe/Berlin:20260106T220000"}
---
apiVersion: kargo.akuity.io/v1alpha1
kind: ClusterConfig
metadata: {name: cluster}
spec:
  gitClient: {name: Chef, email: chef@example.com, signingKeySecret: {name: key}}
  promotionWindows:
  - {name: new-year, kind: Deny, dtstart: "20261231T180000Z", dtend: "20270101T060000Z", projectSelector: {name: "glob:kit*"}}
---
apiVersion: kargo.akuity.io/v1alpha1
kind: ClusterPromotionTask
metadata: {name: wash-up}
spec:
  steps:
  - {uses: fail, as: wash}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: guests, namespace: kitchen}
data: {count: "4"}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: season, namespace: kargo-shared-resources}
data: {now: winter}
---
apiVersion: v1
kind: Secret
metadata: {name: gitops, namespace: kitchen, labels: {kargo.akuity.io/cred-type: git}}
---
apiVersion: kargo.akuity.io/v1alpha1
kind: Target
metadata: {name: table-4, namespace: kitchen, labels: {room: garden}}
spec:
  params: {seats: 4, view: {of: garden}}
"#,
    );
}

#[test]
fn what_was_read_is_what_the_model_holds() {
    let loaded = load_text(
        r#"apiVersion: kargo.akuity.io/v1alpha1
kind: Project
metadata: {name: kitchen}
---
apiVersion: kargo.akuity.io/v1alpha1
kind: Warehouse
metadata: {name: stove}
spec:
  subscriptions:
  - image: {repoUrl: ghcr.io/acme/stove}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: season, namespace: kargo-shared-resources}
data: {now: winter}
"#,
    );
    assert_eq!(super::codes(&loaded), ["config/field-case"]);
    let project = &loaded.projects[0];
    let consign::model::Source::Image(image) = &project.warehouses["stove"].spec.subscriptions[0].source else { panic!("an image") };
    assert_eq!((image.repo_url.as_str(), image.discovery_limit, image.strict_semvers), ("ghcr.io/acme/stove", 20, true));
    assert_eq!(project.warehouses["stove"].spec.interval, "5m0s");
    assert_eq!(project.warehouses["stove"].metadata.namespace, "kitchen");
    assert_eq!(project.shared_config_maps["season"]["now"], "winter");
}
