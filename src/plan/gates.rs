//! Gates: everything that must be true before a freight enters a stage, each with its state and what would open it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use super::availability::{Availability, Upstream, availability};
use super::policy::BadSelector;
use super::scene::Scene;
use super::{Inputs, OnForeignChange, OnRegression, Plan, QueuePolicy, ancestry, bookkeeping, holds, stage};
use crate::model::{
    Freight, FreightName, FreightRequest, GoDuration, Hold, Origin, OriginKey, Promotion, PromotionName, PromotionPhase, Stage, StageName,
    StageStatus, VerificationPhase,
};

/// One gate of a freight and a stage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Gate {
    /// Which one.
    pub gate: GateName,
    /// Its state.
    pub open: bool,
    /// Why it is in that state, and, if it is closed, what opens it.
    pub detail: String,
    /// When time alone opens it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub opens_at: Option<Timestamp>,
    /// What it guards.
    #[serde(skip)]
    pub guards: Guards,
}

/// What a gate guards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guards {
    /// Whether the stage may take the freight at all.
    Admission,
    /// Whether a promotion is created automatically.
    Automation,
    /// Whether a promotion that is created may run.
    Start,
}

/// The gates there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum GateName {
    /// The stage has steps to promote with.
    Steps,
    /// The stage requests freight of this origin, and the warehouse exists.
    Origin,
    /// Nobody has put the freight into quarantine.
    Quarantine,
    /// Approved, direct, or verified and soaked upstream.
    Availability,
    /// A promotion window is open.
    Window,
    /// Auto-promotion is enabled for the stage.
    Policy,
    /// No hold on the origin.
    Hold,
    /// The selection policy picks this freight.
    Candidate,
    /// The stage does not hold it already.
    Current,
    /// No promotion of it is under way.
    InFlight,
    /// Its last promotion to this stage did not fail.
    EarlierFailure,
    /// It contains the commits that the stage holds.
    Regression,
    /// Nobody else changed what the stage writes.
    ForeignChange,
    /// No other promotion goes first.
    Queue,
    /// What the stage holds is not being verified.
    Verification,
    /// No other tick is running the promotion.
    Claim,
}

impl Gate {
    fn new(gate: GateName, guards: Guards, open: bool, detail: impl Into<String>) -> Self {
        Self { gate, open, detail: detail.into(), opens_at: None, guards }
    }
}

/// Every gate of a freight and a stage, in the order in which they are asked; None if one of the two is unknown.
pub fn why(inputs: &Inputs<'_>, freight: &FreightName, stage: &StageName) -> Option<Vec<Gate>> {
    let definition = inputs.project.stages.get(stage)?;
    let mut scene = Scene::new(inputs);
    stage::settle_all(&mut scene, &mut Plan::default());
    scene.pass_through_control_flow();
    let asked = Asked::new(&scene, definition);
    Some(asked.gates(scene.freight(freight)?))
}

/// The gates that refuse a promotion asked for by a person; empty: it is admitted. None if freight or stage is unknown.
pub fn refusals(inputs: &Inputs<'_>, freight: &FreightName, stage: &StageName) -> Option<Vec<Gate>> {
    let gates = why(inputs, freight, stage)?;
    Some(gates.into_iter().filter(|gate| gate.guards == Guards::Admission && !gate.open).collect())
}

/// What the gates of one stage share.
pub(super) struct Asked<'s, 'a> {
    scene: &'s Scene<'a>,
    pub stage: &'a Stage,
    pub name: StageName,
    pub status: StageStatus,
    pub promotions: Vec<&'a Promotion>,
    pub policy: Result<bool, BadSelector>,
    pub holds: BTreeMap<OriginKey, Hold>,
    candidates: BTreeMap<&'a Origin, FreightName>,
}

impl<'s, 'a> Asked<'s, 'a> {
    pub fn new(scene: &'s Scene<'a>, stage: &'a Stage) -> Self {
        let name = stage.name();
        let status = scene.status(&name).into_owned();
        let promotions = scene.promotions(&name).to_vec();
        let policy = scene.policies.auto_promotion(stage);
        let holds = holds::effective(stage, &status, &promotions, policy != Ok(false));
        let candidate = |request: &'a FreightRequest| Some((&request.origin, scene.candidate(stage, request)?));
        let candidates = stage.spec.requested_freight.iter().filter_map(candidate).collect();
        Self { scene, stage, name, status, promotions, policy, holds, candidates }
    }

    /// All gates for a freight.
    pub fn gates(&self, freight: &Freight) -> Vec<Gate> {
        let mut gates = vec![self.steps(), self.origin(freight), quarantine(freight), self.availability(freight), self.window(), self.policy()];
        gates.extend([self.hold(freight), self.candidate(freight), self.current(freight), self.in_flight(freight), self.earlier_failure(freight)]);
        gates.extend([self.regression(freight), self.foreign_change(), self.queue(freight), self.verification()]);
        gates
    }

    fn steps(&self) -> Gate {
        if self.stage.is_control_flow() {
            let detail = "the stage has no steps: it is never promoted to, and passes on whatever is available to it";
            return Gate::new(GateName::Steps, Guards::Admission, false, detail);
        }
        Gate::new(GateName::Steps, Guards::Admission, true, "the stage has steps")
    }

    fn origin(&self, freight: &Freight) -> Gate {
        let origin = &freight.origin;
        let requested = self.stage.spec.requested_freight.iter().any(|request| request.origin == *origin);
        let (open, detail) = if !requested {
            (false, format!("`{}` does not request freight of `{origin}`", self.name))
        } else if !self.scene.inputs.project.warehouses.contains_key(&origin.name) {
            (false, format!("the warehouse `{}` is not defined", origin.name))
        } else {
            (true, format!("`{}` requests freight of `{origin}`", self.name))
        };
        Gate::new(GateName::Origin, Guards::Admission, open, detail)
    }

    fn availability(&self, freight: &Freight) -> Gate {
        let gate = |open, detail: String| Gate::new(GateName::Availability, Guards::Admission, open, detail);
        match availability(self.stage, freight, self.scene.inputs.now) {
            Availability::NotRequested => gate(false, "the stage does not request this origin".into()),
            Availability::Approved => gate(true, approval(freight, &self.name)),
            Availability::Direct => gate(true, "the stage takes everything of this warehouse".into()),
            Availability::Upstream { open, opens_at, all, upstreams } => {
                let parts: Vec<String> = upstreams.iter().map(describe).collect();
                let need = match (open, all, upstreams.len()) {
                    (true, ..) | (false, _, 1) => String::new(),
                    (false, _, 0) => "the request names no source; approve the freight for this stage".into(),
                    (false, true, _) => "needs every one: ".into(),
                    (false, false, _) => "needs one of: ".into(),
                };
                Gate { opens_at, ..gate(open, need + &parts.join("; ")) }
            }
        }
    }

    pub fn window(&self) -> Gate {
        match self.scene.inputs.closed_windows.get(&self.name) {
            None => Gate::new(GateName::Window, Guards::Admission, true, "no promotion window is closed"),
            Some(closed) => Gate { opens_at: closed.opens_at, ..Gate::new(GateName::Window, Guards::Admission, false, closed.reason.clone()) },
        }
    }

    fn policy(&self) -> Gate {
        let (open, detail) = match &self.policy {
            Ok(true) => (true, "auto-promotion is enabled".to_owned()),
            Ok(false) => (false, format!("auto-promotion is not enabled for `{0}`; run `consign promote {0}`", self.name)),
            Err(error) => (false, error.to_string()),
        };
        Gate::new(GateName::Policy, Guards::Automation, open, detail)
    }

    fn hold(&self, freight: &Freight) -> Gate {
        let Some(hold) = self.holds.get(&OriginKey(freight.origin.clone())) else {
            return Gate::new(GateName::Hold, Guards::Automation, true, "no hold");
        };
        let who = if hold.actor.is_empty() { String::new() } else { format!(" by {}", hold.actor) };
        let what = if holds::is_by_hand(hold) { "held".to_owned() } else { format!("held at `{}`", hold.freight_name) };
        let reason = if hold.reason.is_empty() { String::new() } else { format!(": {}", hold.reason) };
        let detail = format!("{what}{who}{reason}; `consign release {}` lifts it", self.name);
        Gate::new(GateName::Hold, Guards::Automation, false, detail)
    }

    fn candidate(&self, freight: &Freight) -> Gate {
        let gate = |open, detail: String| Gate::new(GateName::Candidate, Guards::Automation, open, detail);
        match self.candidate_of(&freight.origin) {
            Some(candidate) if *candidate == freight.name() => gate(true, "it is what auto-promotion picks".into()),
            Some(candidate) => gate(false, format!("auto-promotion picks `{candidate}`")),
            None => gate(false, "auto-promotion has nothing to pick".into()),
        }
    }

    /// What auto-promotion would pick of an origin, before any other gate.
    pub fn candidate_of(&self, origin: &Origin) -> Option<&FreightName> {
        self.candidates.get(origin)
    }

    fn current(&self, freight: &Freight) -> Gate {
        let held = self.status.current_freight().and_then(|current| current.items.get(&OriginKey(freight.origin.clone())));
        let there = held.is_some_and(|held| held.name == freight.name());
        let detail = if there { format!("`{}` holds it", self.name) } else { format!("`{}` does not hold it yet", self.name) };
        Gate::new(GateName::Current, Guards::Automation, !there, detail)
    }

    fn in_flight(&self, freight: &Freight) -> Gate {
        let open = self.open_promotions().find(|promotion| promotion.spec.freight == freight.name());
        match open {
            Some(promotion) => Gate::new(GateName::InFlight, Guards::Automation, false, format!("`{}` promotes it", promotion.metadata.name)),
            None => Gate::new(GateName::InFlight, Guards::Automation, true, "no promotion of it is under way"),
        }
    }

    /// A promotion that failed is not repeated by itself until one of the same freight succeeds. One that made way for newer freight has not
    /// failed.
    fn earlier_failure(&self, freight: &Freight) -> Gate {
        let newest = self
            .promotions
            .iter()
            .filter(|promotion| promotion.spec.freight == freight.name() && promotion.status.phase.is_terminal())
            .rfind(|promotion| promotion.status.consign.superseded_by.is_empty());
        match newest {
            Some(failed) if failed.status.phase != PromotionPhase::Succeeded => {
                let name = &failed.metadata.name;
                let ended = match failed.status.phase {
                    PromotionPhase::Aborted => "was aborted",
                    PromotionPhase::Refused => "was refused",
                    _ => "failed",
                };
                let message = if failed.status.message.is_empty() { String::new() } else { format!(": {}", failed.status.message) };
                Gate::new(
                    GateName::EarlierFailure,
                    Guards::Automation,
                    false,
                    format!("`{name}` {ended}{message}; `consign retry {name}` tries again"),
                )
            }
            _ => Gate::new(GateName::EarlierFailure, Guards::Automation, true, "no promotion of it failed here"),
        }
    }

    fn regression(&self, freight: &Freight) -> Gate {
        let lacks = self.status.current_freight().and_then(|current| {
            let known = |question: &ancestry::Question| self.scene.inputs.ancestry.contains(&question.held, &question.candidate) == Some(false);
            ancestry::replaced_commits(current, freight).into_iter().find(known)
        });
        let Some(lacks) = lacks else {
            return Gate::new(GateName::Regression, Guards::Automation, true, "it lacks no commit that the stage is known to hold");
        };
        let warns = self.settings().on_regression == OnRegression::Warn;
        let detail = format!("commit `{}` of `{}` lacks `{}`, which the stage holds", short(&lacks.candidate), lacks.repo_url, short(&lacks.held));
        let hint = if warns { "" } else { "; promote it by hand if that is meant" };
        Gate::new(GateName::Regression, Guards::Automation, warns, detail + hint)
    }

    fn foreign_change(&self) -> Gate {
        let changes = self.scene.inputs.foreign_changes.get(&self.name).map(Vec::as_slice).unwrap_or_default();
        let Some(first) = changes.first() else {
            return Gate::new(GateName::ForeignChange, Guards::Automation, true, "nobody else changed what the stage writes");
        };
        let author = if first.author.is_empty() { "somebody" } else { &first.author };
        let detail = format!("{author} changed `{}` in `{}`", first.paths.first().map_or("/", String::as_str), first.branch);
        let (open, then) = match self.settings().on_foreign_change {
            OnForeignChange::Overwrite => (true, "; the next promotion overwrites it".to_owned()),
            OnForeignChange::Fail => (true, "; the next promotion fails".to_owned()),
            OnForeignChange::Hold => (false, format!("; `consign adopt {}` accepts it", self.name)),
        };
        Gate::new(GateName::ForeignChange, Guards::Automation, open, detail + &then)
    }

    fn queue(&self, freight: &Freight) -> Gate {
        let settings = self.settings();
        let first = self.open_promotions().filter(|promotion| promotion.spec.freight != freight.name());
        let stays = |promotion: &&Promotion| settings.queue == QueuePolicy::Fifo || !self.makes_way(promotion, freight);
        let Some(first) = first.into_iter().find(stays) else {
            return Gate::new(GateName::Queue, Guards::Start, true, "no other promotion goes first");
        };
        // Where newer freight takes the place of older, it is not even queued behind what stays: something newer may come until then.
        let same_origin = self.scene.freight(&first.spec.freight).is_some_and(|other| other.origin == freight.origin);
        let guards = if settings.queue == QueuePolicy::Latest && same_origin { Guards::Automation } else { Guards::Start };
        Gate::new(GateName::Queue, guards, false, format!("`{}` goes first", first.metadata.name))
    }

    pub fn verification(&self) -> Gate {
        let (open, detail) = match self.unfinished_verification() {
            None => (true, "no verification is under way"),
            Some(Unfinished::Running) => (false, "what the stage holds is being verified"),
            Some(Unfinished::NotBegun) => (false, "what the stage holds has to be verified first"),
        };
        Gate::new(GateName::Verification, Guards::Start, open, detail)
    }

    /// What the stage holds must have been verified, well or badly, before the next promotion starts, unless the stage is not healthy: then the
    /// next promotion may be the cure.
    fn unfinished_verification(&self) -> Option<Unfinished> {
        let current = self.status.current_freight()?;
        match current.verification_history.first() {
            Some(newest) if !newest.phase.is_some_and(VerificationPhase::is_terminal) => Some(Unfinished::Running),
            Some(_) => None,
            None => {
                let ill = self.status.health.as_ref().is_some_and(|health| health.status != crate::model::HealthState::Healthy);
                (!ill).then_some(Unfinished::NotBegun)
            }
        }
    }

    /// Whether another tick runs the promotion.
    pub fn claim(&self, promotion: &Promotion) -> Gate {
        let inputs = self.scene.inputs;
        let other =
            promotion.status.consign.claim.as_ref().filter(|claim| claim.run != inputs.run && claim.until.is_some_and(|until| until > inputs.now));
        match other {
            None => Gate::new(GateName::Claim, Guards::Start, true, "no other tick runs it"),
            Some(claim) => {
                Gate { opens_at: claim.until, ..Gate::new(GateName::Claim, Guards::Start, false, format!("the tick `{}` runs it", claim.run)) }
            }
        }
    }

    /// Whether a waiting promotion ends when this freight is to be promoted.
    pub fn makes_way(&self, promotion: &Promotion, freight: &Freight) -> bool {
        let inputs = self.scene.inputs;
        let settings = self.settings();
        let approved = inputs.approved.contains(&promotion.name()) || !promotion.status.consign.approvals.is_empty();
        settings.queue == QueuePolicy::Latest
            && promotion.spec.freight != freight.name()
            && self.scene.freight(&promotion.spec.freight).is_none_or(|other| other.origin == freight.origin)
            && (settings.supersede_approved || !approved)
            && self.claim(promotion).open
    }

    /// Promotions that have not ended, in the order in which they run.
    pub fn open_promotions(&self) -> impl Iterator<Item = &'a Promotion> + use<'a> {
        let mut open: Vec<&'a Promotion> = self.promotions.iter().copied().filter(|promotion| !promotion.status.phase.is_terminal()).collect();
        open.sort_by_key(|promotion| promotion.status.phase != PromotionPhase::Running);
        open.into_iter()
    }

    /// The gate of a promotion that waits for another one.
    pub fn behind(first: &PromotionName) -> Gate {
        Gate::new(GateName::Queue, Guards::Start, false, format!("`{first}` goes first"))
    }

    fn settings(&self) -> &'a super::StageSettings {
        self.scene.inputs.settings.of(&self.name)
    }

    /// Whether the stage has a verification to go on with; its id.
    pub fn running_verification(&self) -> Option<&str> {
        let newest = self.status.current_freight()?.verification_history.first()?;
        (!newest.phase.is_some_and(VerificationPhase::is_terminal)).then_some(newest.id.as_str())
    }

    /// The collection whose verification should begin.
    pub fn verification_to_start(&self) -> Option<&str> {
        let wanted = self.stage.spec.verification.is_some() && bookkeeping::wants_verification(&self.status);
        self.status.current_freight().map(|current| current.id.as_str()).filter(|_| wanted)
    }
}

enum Unfinished {
    Running,
    NotBegun,
}

fn quarantine(freight: &Freight) -> Gate {
    let Some(quarantine) = &freight.status.quarantined else {
        return Gate::new(GateName::Quarantine, Guards::Admission, true, "not in quarantine");
    };
    let who = if quarantine.actor.is_empty() { String::new() } else { format!(" by {}", quarantine.actor) };
    let reason = if quarantine.reason.is_empty() { String::new() } else { format!(": {}", quarantine.reason) };
    let detail = format!("in quarantine{who}{reason}; `consign quarantine {} --lift` lifts it", freight.metadata.name);
    Gate::new(GateName::Quarantine, Guards::Admission, false, detail)
}

fn approval(freight: &Freight, stage: &StageName) -> String {
    match freight.status.approved_for.get(stage).map(|approved| approved.actor.as_str()) {
        Some(actor) if !actor.is_empty() => format!("approved by {actor}"),
        _ => "approved".to_owned(),
    }
}

fn describe(upstream: &Upstream) -> String {
    let Upstream { stage, verified, soaked, required, opens_at } = upstream;
    match (verified, *required > GoDuration::default()) {
        (false, _) => format!("not verified in `{stage}`"),
        (true, false) => format!("verified in `{stage}`"),
        (true, true) if soaked >= required => format!("verified in `{stage}`, stayed {soaked} of {required}"),
        (true, true) if opens_at.is_some() => format!("verified in `{stage}`, there for {soaked} of {required}"),
        (true, true) => format!("verified in `{stage}`, but its longest stay was {soaked} of {required}; it has to come back, or be approved"),
    }
}

fn short(commit: &str) -> &str {
    commit.get(..7).unwrap_or(commit)
}
