//! What verbs that change records stand on: the project, its records as of now, and the names that people type.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::{Map, Value};

use crate::diagnostic::{Failure, FailureKind, nearest};
use crate::ledger::{RecordPath, Scope, State};
use crate::model::{Freight, FreightName, OriginKey, Project, Promotion, PromotionName, Stage, StageName, StageStatus};
use crate::plan::ancestry::Ancestry;
use crate::plan::{self, Inputs};
use crate::tick::World;
use crate::tick::view::{View, required};

/// From how many characters on the beginning of a name will do.
const BEGINNING: usize = 4;
/// Most names listed in a hint.
const LISTED: usize = 12;

/// A project and its records.
pub struct Ground<'w> {
    /// Everything.
    pub world: &'w World,
    /// The project.
    pub project: &'w Project,
    /// The ledger.
    pub state: State,
    /// The project's records.
    pub view: View,
    settings: plan::Settings,
    ancestry: Ancestry,
}

impl<'w> Ground<'w> {
    /// Reads the records of a project as of the last fetch or push; a ledger that does not exist yet is made.
    ///
    /// # Errors
    /// What the ledger says.
    pub async fn read(world: &'w World, project: &'w Project) -> Result<Self, Failure> {
        let state = world.ledger.open_at(world.ledger_tip(), &world.occasion).await?.state;
        let view = View::read(&state, project).await?;
        Ok(Self { world, project, state, view, settings: crate::tick::view::plan_settings(&world.settings), ancestry: Ancestry::default() })
    }

    /// The ground of the project that has this stage.
    ///
    /// # Errors
    /// Usage, if there is none; else as [`read`](Self::read).
    pub async fn of_stage(world: &'w World, stage: &str) -> Result<Self, Failure> {
        Self::read(world, world.project_with_stage(stage)?).await
    }

    /// The ground of the project that a promotion belongs to, and the promotion: by name, by a beginning of it that no other has, or by the
    /// name of a stage in which exactly one is under way.
    ///
    /// # Errors
    /// Usage, if there is none, or several.
    pub async fn of_promotion(world: &'w World, text: &str) -> Result<(Self, Promotion), Failure> {
        let mut grounds = Vec::new();
        for project in world.wanted_projects() {
            grounds.push(Self::read(world, project).await?);
        }
        let mut found: Vec<(usize, StageName, PromotionName)> = Vec::new();
        let mut all = BTreeSet::new();
        for (at, ground) in grounds.iter().enumerate() {
            for stage in ground.state.stages_with_promotions(&ground.project.name)? {
                for name in ground.state.promotions(&ground.project.name, &stage)? {
                    if name.as_str() == text || (text.len() >= BEGINNING && name.as_str().starts_with(text) && text.contains('.')) {
                        found.push((at, stage.clone(), name.clone()));
                    }
                    all.insert(name);
                }
            }
            let open =
                ground.view.promotions.iter().filter(|promotion| promotion.spec.stage.as_str() == text && !promotion.status.phase.is_terminal());
            found.extend(open.map(|promotion| (at, promotion.spec.stage.clone(), promotion.name())));
        }
        if let Some(exact) = found.iter().position(|(_, _, name)| name.as_str() == text) {
            found = vec![found.swap_remove(exact)];
        }
        match found.as_slice() {
            [(at, stage, name)] => {
                let ground = grounds.swap_remove(*at);
                let record = required(&ground.state, || ground.state.promotion(&ground.project.name, stage, name)).await?;
                let record = record.ok_or_else(|| Failure::new(FailureKind::Conflict, format!("promotion `{name}` has just been removed")))?;
                Ok((ground, (*record).clone()))
            }
            [] => {
                let failure = Failure::new(FailureKind::Usage, format!("there is no promotion `{text}`"));
                let is_stage = world.wanted_projects().any(|project| project.stages.contains_key(text));
                let near = nearest(text, all.iter().map(PromotionName::as_str));
                Err(match (is_stage, near) {
                    (true, _) => failure.hint(format!("no promotion to `{text}` is under way; `consign history {text}` lists the earlier ones")),
                    (_, Some(near)) => failure.hint(format!("did you mean `{near}`?")),
                    _ => failure.hint("`consign history` lists the promotions"),
                })
            }
            several => {
                let names: Vec<String> = several.iter().take(LISTED).map(|(_, _, name)| format!("`{name}`")).collect();
                Err(Failure::new(FailureKind::Usage, format!("`{text}` may be any of several promotions"))
                    .hint(format!("say which: {}", names.join(", "))))
            }
        }
    }

    /// The stage's definition.
    ///
    /// # Errors
    /// Usage, if there is none.
    pub fn stage(&self, name: &str) -> Result<&'w Stage, Failure> {
        self.project.stages.get(name).ok_or_else(|| {
            let near = nearest(name, self.project.stages.keys().map(StageName::as_str));
            let all: Vec<&str> = self.project.stages.keys().map(StageName::as_str).collect();
            let hint = near.map_or_else(|| format!("the stages are: {}", all.join(", ")), |near| format!("did you mean `{near}`?"));
            Failure::new(FailureKind::Usage, format!("there is no stage `{name}` in project `{}`", self.project.name)).hint(hint)
        })
    }

    /// The stage's record; empty if it never held anything.
    pub fn status(&self, stage: &StageName) -> StageStatus {
        self.view.stages.get(stage).cloned().unwrap_or_default()
    }

    /// What plans rest on.
    pub fn inputs(&self) -> Inputs<'_> {
        self.world.inputs(self.project, &self.view, &self.settings, &self.ancestry)
    }

    /// A freight: by name, alias, or a beginning of its name that no other has.
    ///
    /// # Errors
    /// Usage, if there is none, or several.
    pub fn freight(&self, text: &str) -> Result<&Freight, Failure> {
        let all = &self.view.freight;
        let is = |freight: &&Freight| freight.metadata.name == text || freight.alias == text;
        let mut found: Vec<&Freight> = all.iter().filter(is).collect();
        if found.is_empty() && text.len() >= BEGINNING {
            found = all.iter().filter(|freight| freight.metadata.name.starts_with(text)).collect();
        }
        match found.as_slice() {
            [freight] => Ok(freight),
            [] => {
                let failure = Failure::new(FailureKind::Usage, format!("there is no freight `{text}` in project `{}`", self.project.name));
                let known = all.iter().flat_map(|freight| [freight.alias.as_str(), freight.metadata.name.as_str()]).filter(|name| !name.is_empty());
                Err(match nearest(text, known) {
                    Some(near) => failure.hint(format!("did you mean `{near}`?")),
                    None if all.is_empty() => failure.hint("no freight is known yet; `consign run` looks for new artifacts"),
                    None => failure.hint(format!("newest first: {}", self.names(all.iter()))),
                })
            }
            several => Err(Failure::new(FailureKind::Usage, format!("`{text}` may be any of several freight"))
                .hint(format!("say which: {}", self.names(several.iter().copied())))),
        }
    }

    fn names<'f>(&self, freight: impl Iterator<Item = &'f Freight>) -> String {
        let mut freight: Vec<&Freight> = freight.collect();
        freight.sort_by_key(|freight| std::cmp::Reverse(freight.age_key()));
        let name = |freight: &&Freight| format!("{} ({})", freight.alias, crate::report::words::short(&freight.metadata.name));
        freight.iter().take(LISTED).map(name).collect::<Vec<_>>().join(", ")
    }

    /// What auto-promotion would pick for a stage, the only one or that of an origin: what "promote" means without a freight.
    ///
    /// # Errors
    /// Usage, if the stage takes freight of several origins; Refused, if nothing is available.
    pub fn candidate(&self, stage: &Stage) -> Result<&Freight, Failure> {
        let name = stage.name();
        let candidates = plan::candidates(&self.inputs(), &name);
        let several = stage.spec.requested_freight.len() > 1 && candidates.len() > 1;
        if several {
            let names: Vec<String> = candidates.iter().map(|(origin, freight)| format!("`{}` of {origin}", self.view.alias(freight))).collect();
            return Err(Failure::new(FailureKind::Usage, format!("`{name}` takes freight of several origins"))
                .hint(format!("say which with `--freight`; what would be taken is {}", names.join(" or "))));
        }
        let freight = candidates.values().next().and_then(|freight| self.view.freight.iter().find(|known| known.name() == *freight));
        freight.ok_or_else(|| {
            let from: Vec<String> = stage.spec.requested_freight.iter().map(|request| format!("`{}`", request.origin.name)).collect();
            Failure::new(FailureKind::Refused, format!("no freight of {} is available to `{name}`", from.join(" or ")))
                .hint(format!("`consign why FREIGHT {name}` shows each gate; `consign approve FREIGHT --stage {name}` opens it by hand"))
        })
    }

    /// All promotions of a stage, oldest first.
    ///
    /// # Errors
    /// What the ledger says.
    pub async fn promotions(&self, stage: &StageName) -> Result<Vec<Promotion>, Failure> {
        let project = &self.project.name;
        let names = self.state.promotions(project, stage)?;
        let paths = names.iter().map(|name| RecordPath::Promotion(project.clone(), stage.clone(), name.clone())).collect();
        self.state.load(&[Scope::Files(paths)]).await?;
        let mut promotions = Vec::new();
        for name in names {
            if let Some(record) = required(&self.state, || self.state.promotion(project, stage, &name)).await? {
                promotions.push((*record).clone());
            }
        }
        Ok(promotions)
    }

    /// A promotion of a stage that has not ended.
    pub fn under_way(&self, stage: &StageName) -> Option<&Promotion> {
        self.view.promotions.iter().find(|promotion| promotion.spec.stage == *stage && !promotion.status.phase.is_terminal())
    }

    /// A freight as people call it.
    pub fn called(&self, freight: &FreightName) -> String {
        let alias = self.view.alias(freight);
        if alias.is_empty() { crate::report::words::short(freight.as_str()).to_owned() } else { alias }
    }
}

/// The record of a resource as JSON, in Kargo's shape.
pub fn record<T: Serialize>(kind: &str, body: &T) -> Value {
    let mut document = Map::new();
    document.insert("apiVersion".into(), "kargo.akuity.io/v1alpha1".into());
    document.insert("kind".into(), kind.into());
    if let Ok(Value::Object(body)) = serde_json::to_value(body) {
        document.extend(body);
    }
    Value::Object(document)
}

/// The origin that a user means: a warehouse's name, or `Warehouse/<name>`; the stage must request it.
///
/// # Errors
/// Usage, if it does not.
pub fn origin(stage: &Stage, text: &str) -> Result<crate::model::Origin, Failure> {
    let wanted = text.parse::<OriginKey>().map_or_else(|_| crate::model::Origin::warehouse(text), |key| key.0);
    let known: BTreeMap<&str, _> = stage.spec.requested_freight.iter().map(|request| (request.origin.name.as_str(), &request.origin)).collect();
    if known.values().any(|origin| **origin == wanted) {
        return Ok(wanted);
    }
    let hint = match nearest(wanted.name.as_str(), known.keys().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("its origins are: {}", known.keys().copied().collect::<Vec<_>>().join(", ")),
    };
    Err(Failure::new(FailureKind::Usage, format!("stage `{}` takes no freight of `{}`", stage.metadata.name, wanted.name)).hint(hint))
}
