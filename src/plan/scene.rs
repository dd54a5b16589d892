//! The inputs of a plan, indexed, with what the plan has changed so far laid over them.

use std::borrow::Cow;
use std::collections::BTreeMap;

use jiff::Timestamp;

use super::policy::Policies;
use super::{Action, Inputs, bookkeeping};
use crate::model::{Freight, FreightName, FreightRequest, Origin, Promotion, SelectionPolicy, Stage, StageName, StageStatus};

pub(super) struct Scene<'a> {
    pub inputs: &'a Inputs<'a>,
    pub policies: Policies,
    statuses: BTreeMap<&'a StageName, Cow<'a, StageStatus>>,
    freight: BTreeMap<FreightName, Item<'a>>,
    /// Newest first.
    by_origin: BTreeMap<&'a Origin, Vec<FreightName>>,
    /// Which freight says that it is in a stage.
    held_in: BTreeMap<&'a StageName, Vec<FreightName>>,
    /// By name, that is by creation.
    promotions: BTreeMap<&'a StageName, Vec<&'a Promotion>>,
}

/// Whether a request takes what its upstream stage holds now instead of the newest.
fn follows(request: &FreightRequest) -> bool {
    request.sources.auto_promotion_options.as_ref().is_some_and(|options| options.selection_policy == SelectionPolicy::MatchUpstream)
}

struct Item<'a> {
    freight: Cow<'a, Freight>,
    newly_verified_in: Vec<StageName>,
}

impl<'a> Scene<'a> {
    pub fn new(inputs: &'a Inputs<'a>) -> Self {
        let mut by_origin: BTreeMap<&Origin, Vec<&Freight>> = BTreeMap::new();
        let mut held_in: BTreeMap<&StageName, Vec<FreightName>> = BTreeMap::new();
        for freight in inputs.freight {
            by_origin.entry(&freight.origin).or_default().push(freight);
            for stage in freight.status.currently_in.keys() {
                held_in.entry(stage).or_default().push(freight.name());
            }
        }
        let newest_first = |mut freight: Vec<&Freight>| {
            freight.sort_by(|a, b| (b.age_key(), &b.metadata.name).cmp(&(a.age_key(), &a.metadata.name)));
            freight.into_iter().map(Freight::name).collect()
        };
        let mut promotions: BTreeMap<&StageName, Vec<&Promotion>> = BTreeMap::new();
        for promotion in inputs.promotions {
            promotions.entry(&promotion.spec.stage).or_default().push(promotion);
        }
        for of_stage in promotions.values_mut() {
            of_stage.sort_by(|a, b| a.metadata.name.cmp(&b.metadata.name));
        }
        Self {
            inputs,
            policies: Policies::new(inputs.project.config.as_ref()),
            statuses: inputs.stages.iter().map(|(name, status)| (name, Cow::Borrowed(status))).collect(),
            freight: inputs
                .freight
                .iter()
                .map(|freight| (freight.name(), Item { freight: Cow::Borrowed(freight), newly_verified_in: Vec::new() }))
                .collect(),
            by_origin: by_origin.into_iter().map(|(origin, freight)| (origin, newest_first(freight))).collect(),
            held_in,
            promotions,
        }
    }

    pub fn status(&self, stage: &StageName) -> Cow<'_, StageStatus> {
        self.statuses.get(stage).map_or_else(Cow::default, |status| Cow::Borrowed(status.as_ref()))
    }

    pub fn set_status(&mut self, stage: &'a StageName, status: StageStatus) {
        if *self.status(stage) != status {
            self.statuses.insert(stage, Cow::Owned(status));
        }
    }

    pub fn promotions(&self, stage: &StageName) -> &[&'a Promotion] {
        self.promotions.get(stage).map_or(&[], Vec::as_slice)
    }

    /// Promotions of stages that are not defined, by stage and name.
    pub fn orphans(&self) -> impl Iterator<Item = &'a Promotion> {
        self.promotions
            .iter()
            .filter(|(stage, _)| !self.inputs.project.stages.contains_key(**stage))
            .flat_map(|(_, promotions)| promotions.iter().copied())
    }

    pub fn freight(&self, name: &FreightName) -> Option<&Freight> {
        self.freight.get(name).map(|item| item.freight.as_ref())
    }

    /// Freight of an origin, newest first.
    pub fn of_origin(&self, origin: &Origin) -> impl Iterator<Item = &Freight> {
        self.by_origin.get(origin).into_iter().flatten().filter_map(|name| self.freight(name))
    }

    /// Whether a stage may take a freight: available, not in quarantine, and its warehouse is still defined.
    pub fn is_available(&self, stage: &Stage, freight: &Freight) -> bool {
        self.inputs.project.warehouses.contains_key(&freight.origin.name)
            && freight.status.quarantined.is_none()
            && super::availability::is_available(stage, freight, self.inputs.now)
    }

    /// The freight that auto-promotion may pick from for a request, newest first: what is available, and, where the stage follows another one, what
    /// is there now.
    pub fn selectable(&self, stage: &Stage, request: &FreightRequest) -> impl Iterator<Item = &Freight> {
        let upstream = follows(request).then(|| request.sources.stages.first());
        let there = move |freight: &&Freight| match &upstream {
            None => true,
            Some(upstream) => upstream.is_some_and(|upstream| freight.status.currently_in.contains_key(upstream)),
        };
        self.of_origin(&request.origin).filter(there).filter(|freight| self.is_available(stage, freight))
    }

    /// What auto-promotion would pick for a request, before any other gate.
    pub fn candidate(&self, stage: &Stage, request: &FreightRequest) -> Option<FreightName> {
        let mut selectable = self.selectable(stage, request);
        let newest = selectable.next()?;
        // Two at once in an upstream stage happen while it changes; then none is picked this time.
        let ambiguous = follows(request) && selectable.next().is_some();
        (!ambiguous).then(|| newest.name())
    }

    /// Writes into the freight what the stage holds: who entered, who left, and who is verified.
    pub fn sync_freight(&mut self, stage: &'a StageName, status: &StageStatus) {
        let now = self.inputs.now;
        let current = status.current_freight();
        for name in self.held_in.get(stage).cloned().unwrap_or_default() {
            if !current.is_some_and(|current| current.contains(&name)) {
                self.change(&name, |freight| bookkeeping::leave(&mut freight.status, stage, now));
            }
        }
        let verified_at = bookkeeping::verified_at(status);
        for item in current.into_iter().flat_map(|current| current.items.values()) {
            if self.freight(&item.name).is_some_and(|freight| !freight.status.currently_in.contains_key(stage)) {
                self.change(&item.name, |freight| bookkeeping::enter(&mut freight.status, stage, now));
            }
            if let Some(at) = verified_at {
                self.mark_verified(&item.name, stage, at);
            }
        }
    }

    fn mark_verified(&mut self, name: &FreightName, stage: &StageName, at: Timestamp) {
        if self.freight(name).is_some_and(|freight| !freight.status.verified_in.contains_key(stage)) {
            self.change(name, |freight| bookkeeping::verify(&mut freight.status, stage, at));
            if let Some(item) = self.freight.get_mut(name) {
                item.newly_verified_in.push(stage.clone());
            }
        }
    }

    fn change(&mut self, name: &FreightName, edit: impl FnOnce(&mut Freight)) {
        if let Some(item) = self.freight.get_mut(name) {
            edit(item.freight.to_mut());
        }
    }

    /// Marks as verified, in each control-flow stage, whatever it may pick from, until nothing changes: such stages may follow each other.
    pub fn pass_through_control_flow(&mut self) {
        loop {
            let mut marks = Vec::new();
            for stage in self.inputs.project.stages.values().filter(|stage| stage.is_control_flow()) {
                let name = stage.name();
                for request in &stage.spec.requested_freight {
                    let new = self.selectable(stage, request).filter(|freight| !freight.status.verified_in.contains_key(&name));
                    marks.extend(new.map(|freight| (freight.name(), name.clone())));
                }
            }
            if marks.is_empty() {
                return;
            }
            for (freight, stage) in marks {
                self.mark_verified(&freight, &stage, self.inputs.now);
            }
        }
    }

    /// The records that differ from the inputs.
    pub fn changes(&self) -> impl Iterator<Item = Action> {
        let stages = self.statuses.iter().filter_map(|(name, status)| match status {
            Cow::Owned(status) => Some(Action::Record { stage: (*name).clone(), status: Box::new(status.clone()) }),
            Cow::Borrowed(_) => None,
        });
        let freight = self.freight.iter().filter_map(|(name, item)| match &item.freight {
            Cow::Owned(freight) => Some(Action::RecordFreight {
                freight: name.clone(),
                status: Box::new(freight.status.clone()),
                verified_in: item.newly_verified_in.clone(),
            }),
            Cow::Borrowed(_) => None,
        });
        stages.chain(freight)
    }
}
