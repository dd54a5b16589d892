//! The kinds a config repository may hold: group, scope, fields. Kargo's resource reference, as measured.

use std::sync::LazyLock;

use serde_json::Value;

use super::schema::{
    DURATION, Field, Format, List, Schema, Text, Unique, VARIABLE, formatted, k8s_name, list, list_of_some, map, matching, may, must, non_empty,
    object, one_of, or, text,
};

/// Group and version of Kargo's kinds.
pub const KARGO: &str = "kargo.akuity.io/v1alpha1";
/// Group and version of the analysis kinds.
pub const ARGO: &str = "argoproj.io/v1alpha1";

/// A kind that definitions may hold.
pub struct Kind {
    /// Its name.
    pub name: &'static str,
    /// Its group and version.
    pub api_version: &'static str,
    /// Whether it stands outside of projects.
    pub cluster_scoped: bool,
    /// Its fields.
    pub(crate) schema: Schema,
}

impl Kind {
    /// A kind by name; None: not one of ours.
    pub fn find(name: &str) -> Option<&'static Self> {
        KINDS.iter().find(|kind| kind.name == name)
    }

    /// All kinds.
    pub fn all() -> impl Iterator<Item = &'static Self> {
        KINDS.iter()
    }

    /// The kind's JSON Schema, for editors.
    pub fn json_schema(&self) -> Value {
        let mut schema = self.schema.to_json_schema();
        schema["$schema"] = "https://json-schema.org/draft/2020-12/schema".into();
        schema["title"] = self.name.into();
        schema["properties"]["apiVersion"]["const"] = self.api_version.into();
        schema["properties"]["kind"]["const"] = self.name.into();
        if self.name == "Warehouse" {
            schema["properties"]["spec"]["properties"]["subscriptions"]["items"] = super::warehouse::json_schema();
        }
        schema
    }
}

static KINDS: LazyLock<Vec<Kind>> = LazyLock::new(|| {
    let kargo = |name, cluster_scoped, fields: Vec<Field>| Kind { name, api_version: KARGO, cluster_scoped, schema: resource(fields) };
    vec![
        kargo("Project", true, vec![]),
        kargo("ProjectConfig", false, vec![may("spec", project_config(), "who may be auto-promoted, windows, links")]),
        kargo("ClusterConfig", true, vec![may("spec", cluster_config(), "settings for all projects")]),
        kargo("Warehouse", false, vec![must("spec", warehouse(), "what is watched")]),
        kargo("Stage", false, vec![must("spec", stage(), "the recipe of a promotion target")]),
        kargo("PromotionTask", false, vec![must("spec", task(), "steps to share between stages")]),
        kargo("ClusterPromotionTask", true, vec![must("spec", task(), "steps to share between projects")]),
        kargo("Freight", false, freight()),
        kargo("Promotion", false, vec![must("spec", promotion(), "what is promoted where")]),
        kargo("Target", false, vec![may("spec", object([may("params", map(Schema::Any), "read in steps as `target.params`")]), "")]),
        Kind {
            name: "AnalysisTemplate",
            api_version: ARGO,
            cluster_scoped: false,
            schema: resource(vec![must("spec", analysis(), "metrics to measure")]),
        },
        Kind {
            name: "ClusterAnalysisTemplate",
            api_version: ARGO,
            cluster_scoped: true,
            schema: resource(vec![must("spec", analysis(), "metrics to measure")]),
        },
        Kind {
            name: "ConfigMap",
            api_version: "v1",
            cluster_scoped: false,
            schema: resource(vec![
                may("data", map(text()), "read in steps with `configMap('name').key`"),
                may("binaryData", Schema::Any, ""),
                may("immutable", Schema::Bool, ""),
            ]),
        },
        Kind {
            name: "Secret",
            api_version: "v1",
            cluster_scoped: false,
            schema: resource(vec![
                may("data", Schema::Any, "never read"),
                may("stringData", Schema::Any, "never read"),
                may("type", text(), ""),
                may("immutable", Schema::Bool, ""),
            ]),
        },
        Kind { name: "Namespace", api_version: "v1", cluster_scoped: true, schema: resource(vec![may("spec", Schema::Any, "")]) },
    ]
});

fn resource(fields: Vec<Field>) -> Schema {
    let mut all = vec![
        must("apiVersion", text(), ""),
        must("kind", text(), ""),
        must("metadata", metadata(), "name, namespace, labels, annotations"),
        may("status", Schema::Any, "not read from definitions"),
    ];
    all.extend(fields);
    Schema::Object(all)
}

fn metadata() -> Schema {
    object([
        // Checked with rules of their own: `metadata.rs`.
        may("name", Schema::Any, "the resource's name"),
        may("namespace", text(), "the project it belongs to"),
        may("labels", Schema::Any, ""),
        may("annotations", Schema::Any, ""),
        may("generateName", text(), ""),
        may("creationTimestamp", Schema::Any, ""),
        may("deletionTimestamp", Schema::Any, ""),
        may("deletionGracePeriodSeconds", Schema::Any, ""),
        may("finalizers", Schema::Any, ""),
        may("generation", Schema::Any, ""),
        may("managedFields", Schema::Any, ""),
        may("ownerReferences", Schema::Any, ""),
        may("resourceVersion", Schema::Any, ""),
        may("selfLink", Schema::Any, ""),
        may("uid", Schema::Any, ""),
    ])
}

fn vars() -> Schema {
    list(object([must("name", matching(&VARIABLE), "read as `vars.<name>`"), may("value", text(), "text or a template")]))
}

fn steps() -> Schema {
    list_of_some(object([
        may("uses", non_empty(), "kind of the step"),
        may(
            "task",
            object([
                must("name", k8s_name(), "the task's name"),
                may("kind", one_of(&["PromotionTask", "ClusterPromotionTask"]), "scope of the task; `PromotionTask` unless given"),
            ]),
            "reference to a task",
        ),
        may("as", text(), "alias: key of the step's output"),
        may("if", text(), "condition, a template"),
        may("continueOnError", Schema::Bool, "whether a failure of the step is overlooked"),
        may(
            "retry",
            object([
                may("timeout", text(), "limit on the time since the step first started"),
                may("errorThreshold", Schema::Int32, "errors after which the step is given up"),
            ]),
            "retries and timeout",
        ),
        may("vars", vars(), "variables of the step; for a task its inputs"),
        may("config", Schema::Any, "configuration of the step"),
    ]))
}

fn label_selector() -> Vec<Field> {
    vec![
        may("matchLabels", map(text()), "labels that must be equal"),
        may(
            "matchExpressions",
            list(object([
                must("key", text(), "the label"),
                must("operator", text(), "`In`, `NotIn`, `Exists` or `DoesNotExist`"),
                may("values", list(text()), "values of `In` and `NotIn`"),
            ])),
            "conditions on labels",
        ),
    ]
}

fn stage_selector() -> Schema {
    let mut fields = vec![may("name", text(), "a name, or `glob:` or `regex:` and a pattern")];
    fields.extend(label_selector());
    Schema::Object(fields)
}

fn warehouse() -> Schema {
    object([
        may("shard", text(), "kept as written"),
        or("interval", "5m0s", matching(&DURATION), "discovery period; a runner looks at every tick"),
        or("freightCreationPolicy", "Automatic", one_of(&["Automatic", "Manual"]), "whether freight is made without being asked"),
        must("subscriptions", list_of_some(Schema::Any), "the repositories"),
        may("freightCreationCriteria", object([may("expression", text(), "a bare expression")]), "a condition on automatic creation"),
    ])
}

fn origin() -> Schema {
    object([must("kind", one_of(&["Warehouse"]), "always `Warehouse`"), must("name", text(), "the warehouse's name")])
}

fn stage() -> Schema {
    object([
        may("shard", text(), "kept as written"),
        may("vars", vars(), "variables of steps and verification arguments"),
        must(
            "requestedFreight",
            list_of_some(object([
                must("origin", origin(), "the warehouse"),
                must(
                    "sources",
                    object([
                        may("direct", Schema::Bool, "accept freight straight from the warehouse"),
                        may("stages", list(text()), "accept freight verified in these stages"),
                        may("requiredSoakTime", matching(&DURATION), "how long it must have been in an upstream stage"),
                        may("availabilityStrategy", one_of(&["All", "OneOf", ""]), "one or all of `stages`"),
                        may(
                            "autoPromotionOptions",
                            object([may("selectionPolicy", one_of(&["NewestFreight", "MatchUpstream"]), "which available freight is picked")]),
                            "how auto-promotion picks",
                        ),
                    ]),
                    "where freight may come from",
                ),
            ])),
            "one slot per origin",
        ),
        may(
            "promotionTemplate",
            object([must("spec", object([may("vars", vars(), "variables; win over the stage's"), may("steps", steps(), "the steps")]), "")]),
            "the steps; without them the stage only passes freight on",
        ),
        may(
            "verification",
            object([
                may(
                    "analysisTemplates",
                    list(object([
                        must("name", text(), "the template's name"),
                        may("kind", one_of(&["AnalysisTemplate", "ClusterAnalysisTemplate"]), "scope of the template"),
                    ])),
                    "templates whose metrics run together",
                ),
                may("analysisRunMetadata", object([may("labels", map(text()), ""), may("annotations", map(text()), "")]), ""),
                may(
                    "args",
                    list(object([must("name", text(), ""), must("value", text(), "a template that gives text")])),
                    "arguments of the templates",
                ),
            ]),
            "what runs after a promotion before its freight counts as verified",
        ),
        may("targets", object([must("selectors", list(Schema::Object(label_selector())), "any may match")]), "targets the stage promotes to"),
    ])
}

fn task() -> Schema {
    object([may("vars", vars(), "inputs; a value is the default, without one the input is required"), must("steps", steps(), "the steps")])
}

fn promotion() -> Schema {
    object([
        must("stage", k8s_name(), "the stage"),
        may("freight", k8s_name(), "the freight's name"),
        may("origin", origin(), "promote the current candidate of this origin"),
        may("target", k8s_name(), ""),
        may("vars", vars(), "always the stage's"),
        may("steps", steps(), "always the stage's"),
    ])
}

fn freight() -> Vec<Field> {
    let commit = object([
        may("repoURL", text(), ""),
        may("id", text(), ""),
        may("branch", text(), ""),
        may("tag", text(), ""),
        may("message", text(), ""),
        may("author", text(), ""),
        may("committer", text(), ""),
        may("subscriptionName", text(), ""),
    ]);
    let image = object([
        may("repoURL", text(), ""),
        may("tag", text(), ""),
        may("digest", text(), ""),
        may("annotations", map(text()), ""),
        may("subscriptionName", text(), ""),
    ]);
    let chart = object([may("repoURL", text(), ""), may("name", text(), ""), may("version", text(), ""), may("subscriptionName", text(), "")]);
    let artifact = object([
        may("artifactType", text(), ""),
        must("subscriptionName", non_empty(), ""),
        must("version", non_empty(), ""),
        may("metadata", Schema::Any, ""),
    ]);
    vec![
        may("alias", text(), "human name, unique in the project"),
        may("discoveredAt", formatted(Format::DateTime, 0), "when it was found; orders freight"),
        must("origin", origin(), "the warehouse"),
        may("commits", list(commit), "in the order of the subscriptions"),
        may("images", list(image), "in the order of the subscriptions"),
        may("charts", list(chart), "in the order of the subscriptions"),
        may("artifacts", list(artifact), ""),
    ]
}

fn secret_reference() -> Schema {
    object([or("name", "", text(), "the secret's name")])
}

/// The kinds of webhook receiver, as fields of an entry.
pub(crate) const RECEIVERS: [&str; 10] = ["azure", "artifactory", "bitbucket", "dockerhub", "generic", "gitea", "github", "gitlab", "harbor", "quay"];

fn receivers() -> Schema {
    let mut fields = vec![must("name", text(), "unique name")];
    for kind in RECEIVERS {
        let mut own = vec![must("secretRef", secret_reference(), "")];
        match kind {
            "artifactory" => own.push(may("virtualRepoName", text(), "")),
            "generic" => own.push(may("actions", list_of_some(generic_action()), "")),
            _ => {}
        }
        fields.push(may(kind, Schema::Object(own), ""));
    }
    list(Schema::Object(fields))
}

fn generic_action() -> Schema {
    object([
        must("action", one_of(&["Refresh"]), ""),
        may("whenExpression", text(), "a bare expression"),
        may("parameters", map(text()), ""),
        may(
            "targetSelectionCriteria",
            list_of_some(object([
                must("kind", one_of(&["Warehouse"]), ""),
                may("name", text(), ""),
                may("labelSelector", Schema::Object(label_selector()), ""),
                may(
                    "indexSelector",
                    object([may(
                        "matchIndices",
                        list(object([
                            must("key", one_of(&["subscribedURLs", "receiverPaths"]), ""),
                            may("operator", text(), "`Equals` or `NotEquals`"),
                            may("value", text(), ""),
                        ])),
                        "",
                    )]),
                    "",
                ),
            ])),
            "",
        ),
    ])
}

fn links() -> Schema {
    list(object([
        must("title", non_empty(), "label"),
        must("url", non_empty(), "a Go template"),
        may("description", text(), ""),
        may("if", text(), "a bare expression; false hides the link"),
    ]))
}

fn windows() -> Schema {
    Schema::List(List {
        of: Box::new(object([
            must("name", k8s_name(), "used in messages"),
            must("kind", one_of(&["Allow", "Deny"]), "`Deny` always wins"),
            may("stageSelector", stage_selector(), "omitted: all stages"),
            may("projectSelector", stage_selector(), "in a ClusterConfig; omitted: all projects"),
            may("rrule", text(), "RFC 5545 rule such as `FREQ=WEEKLY;BYDAY=MO,TU`"),
            may("dtstart", text(), "such as `TZID=Europe/Berlin:20260105T090000`"),
            may("dtend", text(), "such as `TZID=Europe/Berlin:20260105T170000`"),
        ])),
        min: 0,
        max: None,
        unique: Some(Unique::Key("name")),
    })
}

fn phases() -> Schema {
    Schema::List(List { of: Box::new(Schema::Text(Text::default())), min: 0, max: Some(2), unique: Some(Unique::Items) })
}

fn project_config() -> Schema {
    object([
        may(
            "promotionPolicies",
            list(object([
                may("stage", k8s_name(), "exact name of a stage (old form)"),
                may("stageSelector", stage_selector(), "which stages"),
                may("autoPromotionEnabled", Schema::Bool, "the switch"),
                may(
                    "autoRollback",
                    object([may("onPromotion", phases(), "`Failed`, `Errored`"), may("onVerification", phases(), "`Failed`, `Error`")]),
                    "what makes a stage return to its last verified freight",
                ),
            ])),
            "the first match wins",
        ),
        may("webhookReceivers", receivers(), "kept as written; a runner is woken by its CI"),
        may("freightLinks", links(), "links shown with freight"),
        may("stageLinks", links(), "links shown with stages"),
        may("promotionWindows", windows(), "when promotions may happen"),
    ])
}

fn cluster_config() -> Schema {
    object([
        may("webhookReceivers", receivers(), "kept as written"),
        may(
            "gitClient",
            object([
                must("name", non_empty(), "committer name"),
                must("email", formatted(Format::Email, 1), "committer e-mail"),
                may("signingKeySecret", secret_reference(), ""),
            ]),
            "who commits",
        ),
        may("freightLinks", links(), "links shown with freight of all projects"),
        may("stageLinks", links(), "links shown with stages of all projects"),
        may("promotionWindows", windows(), "when promotions may happen"),
    ])
}

fn analysis() -> Schema {
    let metric = object([
        must("name", text(), "unique name"),
        may("interval", text(), "time between measurements"),
        may("initialDelay", text(), "delay before the first"),
        may("count", Schema::Any, "measurements to take"),
        may("successCondition", text(), "a bare expression"),
        may("failureCondition", text(), "a bare expression"),
        may("failureLimit", Schema::Any, "failed measurements tolerated"),
        may("inconclusiveLimit", Schema::Any, ""),
        may("consecutiveErrorLimit", Schema::Any, "errors in a row tolerated"),
        may("consecutiveSuccessLimit", Schema::Any, "successes in a row that end the metric"),
        must("provider", Schema::Any, "how it is measured"),
    ]);
    object([
        may("metrics", list(metric), "what is measured"),
        may("args", list(object([must("name", text(), ""), may("value", text(), "the default"), may("valueFrom", Schema::Any, "")])), ""),
        may("dryRun", list(object([must("metricName", text(), "")])), "metrics whose outcome is ignored"),
        may("measurementRetention", list(object([must("metricName", text(), ""), must("limit", Schema::Any, "")])), ""),
        may("templates", Schema::Any, "ignored, as in Kargo"),
    ])
}
