//! From a stage and its freight to runs and records.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use consign::expr::{Context, Secrets};
use consign::freight::identity;
use consign::model::{
    AnalysisTemplate, Freight, FreightCollection, Health, OriginKey, Project, PromotionReference, Stage, StageName, StageStatus, VerificationInfo,
    Warehouse,
};
use consign::plan::{self, Action, Inputs, Settings, ancestry::Ancestry, bookkeeping};
use consign::tick::verification::{arguments, arguments_context};
use consign::verify::build::Templates;
use consign::verify::lifecycle::{self, Beginning};
use consign::verify::run::AnalysisRun;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{compact, list, read, time};

/// Everything a case says about the project.
struct Setting {
    stage: Stage,
    freight: Vec<Freight>,
    project: Project,
    secrets: BTreeMap<String, BTreeMap<String, String>>,
}

impl Setting {
    fn new(case: &Value, stage: Stage) -> Self {
        let mut project = Project { name: "shop".into(), ..Project::default() };
        for template in case["templates"].as_array().into_iter().flatten() {
            let parsed: AnalysisTemplate = read(template);
            let name = parsed.metadata.name.clone();
            if template["kind"] == json!("ClusterAnalysisTemplate") {
                project.cluster_analysis_templates.insert(name, parsed);
            } else if ["", "shop"].contains(&parsed.metadata.namespace.as_str()) {
                project.analysis_templates.insert(name, parsed);
            }
        }
        project.warehouses = list::<Warehouse>(&case["warehouses"]).into_iter().map(|warehouse| (warehouse.name(), warehouse)).collect();
        project.stages.insert(stage.name(), stage.clone());
        let texts = |key: &str, data: &str| -> BTreeMap<String, BTreeMap<String, String>> {
            let all = case[key].as_array().into_iter().flatten();
            all.map(|one| (one["metadata"]["name"].as_str().expect("a name").to_owned(), read(&one[data]))).collect()
        };
        project.config_maps = texts("configMaps", "data");
        Self { freight: list(&case["freight"]), secrets: texts("secrets", "stringData"), stage, project }
    }

    /// The collection of all freight of the case.
    fn collection(&self) -> FreightCollection {
        let items = self.freight.iter().map(|freight| (OriginKey(freight.origin.clone()), freight.reference())).collect();
        FreightCollection {
            id: identity::collection_id(self.freight.iter().map(Freight::name).collect::<Vec<_>>().iter()),
            items,
            ..FreightCollection::default()
        }
    }

    fn begin(&self, status: &StageStatus, now: Timestamp) -> (VerificationInfo, Option<AnalysisRun>) {
        let mut context = Context::default();
        context.set_ctx(&json!({"project": "shop", "stage": self.stage.metadata.name}));
        context.freight = self.freight.iter().map(Freight::reference).collect();
        context.requested = self.stage.spec.requested_freight.iter().map(|request| request.origin.name.clone()).collect();
        context.warehouses = Arc::new(self.project.warehouses.clone());
        context.config_maps = Arc::new(self.project.config_maps.clone());
        context.secrets = Secrets::from_maps(self.secrets.clone());
        context.now = now;
        let given = arguments_context(&self.stage, context).and_then(|context| arguments(&self.stage, &context));
        lifecycle::begin(&Beginning {
            stage: &self.stage,
            status,
            templates: &Templates { project: &self.project.analysis_templates, cluster: &self.project.cluster_analysis_templates },
            given: given.as_deref().map_err(Clone::clone),
            now,
            random: 7,
        })
    }

    fn status(&self, case: &Value) -> StageStatus {
        let last = case["stage"]["status"]["lastPromotion"]["name"].as_str();
        StageStatus {
            freight_history: vec![self.collection()],
            health: Some(Health { status: consign::model::HealthState::Healthy, issues: Vec::new() }),
            last_promotion: last.map(|name| PromotionReference { name: name.into(), ..PromotionReference::default() }),
            ..StageStatus::default()
        }
    }
}

/// A stage that verifies with all templates of a case.
fn stage_of_templates(case: &Value) -> Stage {
    let templates: Vec<Value> = case["templates"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|template| json!({"name": template["metadata"]["name"], "kind": template["kind"]}))
        .collect();
    read(&json!({
        "metadata": {"name": "uat", "namespace": "shop"},
        "spec": {"verification": {"analysisTemplates": templates, "args": case.get("args").cloned().unwrap_or(json!([]))}},
    }))
}

/// The run of a case that lists templates and args; an error, if there is none.
pub fn run_of_templates(case: &Value) -> Result<AnalysisRun, String> {
    let secretless = {
        let mut case = case.clone();
        case.as_object_mut().expect("an object").remove("secrets");
        case
    };
    let setting = Setting::new(&secretless, stage_of_templates(case));
    let (info, run) = setting.begin(&setting.status(case), Timestamp::UNIX_EPOCH);
    run.ok_or(info.message)
}

pub fn args(case: &Value) -> Value {
    match run_of_templates(case) {
        Ok(run) => json!({"resolved": run.spec.args}),
        Err(message) => json!({"phase": "Error", "error": message}),
    }
}

/// A name with the ULID replaced.
fn anonymous(name: &str) -> String {
    let mut parts: Vec<&str> = name.split('.').collect();
    if plan::naming::ulid_of(name).is_some() {
        let ulid = parts.len() - 2;
        parts[ulid] = "<ulid>";
    }
    parts.join(".")
}

pub fn build(case: &Value) -> Value {
    let setting = Setting::new(case, read(&case["stage"]));
    let (info, run) = setting.begin(&setting.status(case), time(&json!("2026-04-14T09:00:00Z")));
    let Some(mut run) = run else { return json!({"phase": info.phase, "error": info.message}) };
    for arg in &mut run.spec.args {
        // What a value was made of stands beside it, so that the value of a secret is not recorded.
        arg.template = None;
    }
    let mut value = json!({"metadata": run.metadata, "spec": run.spec});
    value["metadata"]["name"] = json!(anonymous(&run.metadata.name));
    // Objects of a cluster own each other; records of a ledger do not.
    let shown = [&case["want"], &case["sane"]].into_iter().find_map(|want| want["analysisRun"]["metadata"].get("ownerReferences"));
    if let Some(owners) = shown {
        value["metadata"]["ownerReferences"] = owners.clone();
    }
    compact(&mut value);
    json!({"analysisRun": value, "phase": info.phase})
}

/// A stage through its ticks.
struct Story {
    setting: Setting,
    status: StageStatus,
    ids: Vec<String>,
    reverify: Option<(String, String)>,
    abort: Option<(String, String)>,
    promoting: bool,
}

pub fn lifecycle(case: &Value) -> Value {
    let setting = Setting::new(case, read(&case["stage"]));
    let status = setting.status(case);
    let mut story = Story { setting, status, ids: Vec::new(), reverify: None, abort: None, promoting: false };
    story.remember_runs(case);
    let mut steps = Vec::new();
    for (index, step) in case["steps"].as_array().expect("steps").iter().enumerate() {
        story.change(step);
        story.tick(time(&step["now"]));
        steps.push(story.observe(case, index));
    }
    json!({ "steps": steps })
}

impl Story {
    /// Runs that exist before: the stage has held such freight, was verified, and then held something else.
    fn remember_runs(&mut self, case: &Value) {
        let current = self.status.freight_history[0].id.clone();
        let mut runs: Vec<&Value> = case["analysisRuns"].as_array().into_iter().flatten().collect();
        runs.sort_by_key(|run| run["metadata"]["creationTimestamp"].as_str());
        for run in runs {
            let id = run["metadata"]["labels"]["kargo.akuity.io/freight-collection"].as_str().expect("a label").replace("<collection>", &current);
            let at = time(&run["metadata"]["creationTimestamp"]);
            let info = json!({
                "id": run["metadata"]["name"], "phase": run["status"]["phase"], "startTime": at, "finishTime": at,
                "analysisRun": {"namespace": "shop", "name": run["metadata"]["name"], "phase": run["status"]["phase"]},
            });
            let collection = FreightCollection { id, verification_history: vec![read(&info)], ..FreightCollection::default() };
            self.status.freight_history.insert(1, collection);
        }
    }

    fn change(&mut self, step: &Value) {
        let request = |ids: &[String], text: &Value| -> Option<(String, String)> {
            let mut text = text.as_str()?.to_owned();
            for (index, id) in ids.iter().enumerate() {
                text = text.replace(&format!("<id{}>", index + 1), id);
            }
            match serde_json::from_str::<Value>(&text) {
                Ok(Value::Object(request)) => {
                    Some((request["id"].as_str()?.to_owned(), request.get("actor").and_then(Value::as_str).unwrap_or_default().to_owned()))
                }
                Ok(_) => None,
                Err(_) => Some((text, String::new())),
            }
        };
        if step.get("reverify").is_some() {
            self.reverify = request(&self.ids, &step["reverify"]);
        }
        if step.get("abort").is_some() {
            self.abort = request(&self.ids, &step["abort"]);
        }
        if let Some(health) = step.get("health") {
            let text = health.as_str().expect("text");
            self.status.health = (!text.is_empty()).then(|| Health { status: read(health), issues: Vec::new() });
        }
        if let Some(promoting) = step.get("promoting") {
            self.promoting = promoting.as_bool().unwrap_or_else(|| promoting.as_str().is_some_and(|name| !name.is_empty()));
            self.status.current_promotion = self.promoting.then(PromotionReference::default);
        }
        if step.get("dropVerification").is_some() {
            self.setting.stage.spec.verification = None;
            self.setting.project.stages.insert(self.setting.stage.name(), self.setting.stage.clone());
        }
        if step.get("newCollection").is_some() {
            let collection = self.setting.collection();
            self.status.freight_history.insert(0, collection);
        }
        let Some(newest) = self.status.freight_history[0].verification_history.first_mut() else { return };
        if step.get("deleteRun").is_some() {
            newest.run = None;
        }
        if let (Some(run), Some(status)) = (&mut newest.run, step.get("runStatus")) {
            run["status"] = status.clone();
        }
    }

    /// What a tick does about verifications: plan, write down, begin or follow, plan again.
    fn tick(&mut self, now: Timestamp) {
        if let Some((id, actor)) = self.abort.clone() {
            // A refusal is for whoever asked.
            let _ = lifecycle::abort(&self.setting.stage, &mut self.status, &id, &actor, now);
        }
        if let Some((id, actor)) = self.reverify.clone() {
            let _ = lifecycle::reverify(&self.setting.stage, &mut self.status, &id, &actor, now);
        }
        let mut looked_at = self.promoting;
        for _ in 0..8 {
            let actions = self.plan(now);
            for action in actions {
                match action {
                    Action::Record { status, .. } => self.status = *status,
                    Action::RecordFreight { freight, status, .. } => {
                        let known = self.setting.freight.iter_mut().find(|known| known.name() == freight).expect("known freight");
                        known.status = *status;
                    }
                    Action::StartVerification { .. } | Action::ContinueVerification { .. } if !looked_at => {
                        looked_at = true;
                        let info = self.look(now);
                        bookkeeping::record_verification(&mut self.status, info);
                    }
                    _ => {}
                }
            }
        }
        for info in self.status.freight_history[0].verification_history.iter().rev() {
            if !self.ids.contains(&info.id) {
                self.ids.push(info.id.clone());
            }
        }
    }

    fn look(&self, now: Timestamp) -> VerificationInfo {
        match lifecycle::under_way(&self.status) {
            Some(info) if info.analysis_run.is_some() => match lifecycle::run_of(info) {
                Ok(run) => lifecycle::follow(info, &run, now),
                Err(message) => lifecycle::broken(info, message, now),
            },
            _ => self.setting.begin(&self.status, now).0,
        }
    }

    fn plan(&self, now: Timestamp) -> Vec<Action> {
        let name = self.setting.stage.name();
        let stages = BTreeMap::from([(name, self.status.clone())]);
        let (settings, ancestry) = (Settings::default(), Ancestry::default());
        plan::plan(&Inputs {
            project: &self.setting.project,
            stages: &stages,
            freight: &self.setting.freight,
            promotions: &[],
            now,
            run: "conformance",
            ancestry: &ancestry,
            foreign_changes: &BTreeMap::new(),
            closed_windows: &BTreeMap::new(),
            approved: &BTreeSet::new(),
            settings: &settings,
        })
        .actions
    }

    /// What the records say, in the words of the cases. Conditions and events are Kargo's own way to say the same, and are left out.
    fn observe(&self, case: &Value, index: usize) -> Value {
        let stage: StageName = self.setting.stage.name();
        let history = &self.status.freight_history[0].verification_history;
        let shown: Vec<Value> = history
            .iter()
            .map(|info| {
                let mut value = serde_json::to_value(VerificationInfo { run: None, ..info.clone() }).expect("serializes");
                let position = self.ids.iter().position(|id| *id == info.id).expect("a known id");
                value["id"] = json!(format!("<id{}>", position + 1));
                if let Some(run) = &info.analysis_run {
                    value["analysisRun"]["name"] = json!(anonymous(&run.name));
                }
                value
            })
            .collect();
        let mut runs: Vec<Value> = case["analysisRuns"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|run| json!({"name": run["metadata"]["name"], "phase": run["status"]["phase"]}))
            .collect();
        let own = self.status.freight_history.iter().rev().flat_map(|collection| collection.verification_history.iter().rev());
        for run in own.filter_map(|info| info.run.as_ref()) {
            let mut value = json!({
                "name": anonymous(run["metadata"]["name"].as_str().expect("a name")),
                "phase": run["status"].get("phase").cloned().unwrap_or(json!("")),
            });
            if run["spec"]["terminate"] == json!(true) {
                value["terminate"] = json!(true);
            }
            if let Some(promotion) = run["metadata"]["annotations"].get("kargo.akuity.io/promotion") {
                value["promotion"] = promotion.clone();
            }
            runs.push(value);
        }
        let want = &case["want"]["steps"][index];
        let mut got = json!({"verificationHistory": shown, "analysisRuns": runs});
        for key in ["verified", "events"] {
            if let Some(value) = want.get(key) {
                got[key] = value.clone();
            }
        }
        let verified: BTreeMap<_, _> =
            self.setting.freight.iter().filter_map(|freight| Some((freight.name(), freight.status.verified_in.get(&stage)?.verified_at?))).collect();
        if !verified.is_empty() {
            got["verifiedAt"] = json!(verified);
        }
        got
    }
}
