//! What may be forgotten: ended promotions with their logs, and freight that nobody uses. The branch's history keeps them all the same.
//!
//! The rule is Kargo's garbage collection: of the promotions of a stage, and of the freight of a warehouse, everything newer than the oldest
//! one that is still in use is kept, and so many more; beyond that, what is old enough goes. Holds, histories and the copy of the last
//! promotion stay in the stage's record.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use crate::model::{FreightName, ProjectName};

use super::draft::{Draft, Stop, ulid_of};
use super::legal::ChangeKind;
use super::records::{RecordPath, StageRecord};

/// How much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Promotions of a stage beyond the oldest that has not ended.
    pub promotions: usize,
    /// Freight of a warehouse beyond the oldest that a stage holds.
    pub freight: usize,
    /// Younger than this stays.
    pub min_age: SignedDuration,
}

impl Default for Retention {
    /// Kargo's defaults: 20, 20, two weeks.
    fn default() -> Self {
        Self { promotions: 20, freight: 20, min_age: SignedDuration::from_hours(336) }
    }
}

/// What was removed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Removed {
    /// Promotions, with their logs.
    pub promotions: usize,
    /// Freight.
    pub freight: usize,
}

impl Draft<'_> {
    /// Removes what may be forgotten of a project. The transaction is a retention and may do nothing else.
    ///
    /// # Errors
    /// As [`super::State::get`].
    pub fn retain(&mut self, project: &ProjectName, retention: Retention) -> Result<Removed, Stop> {
        self.follow_rules_of(ChangeKind::Retention);
        let removed = Removed { promotions: self.retain_promotions(project, retention)?, freight: self.retain_freight(project, retention)? };
        if removed != Removed::default() {
            self.say(format!("forget {} promotions and {} freight of {project}", removed.promotions, removed.freight));
        }
        Ok(removed)
    }

    fn old_enough(&self, time: Timestamp, retention: Retention) -> bool {
        self.now().duration_since(time) > retention.min_age
    }

    fn retain_promotions(&mut self, project: &ProjectName, retention: Retention) -> Result<usize, Stop> {
        let mut gone = Vec::new();
        for stage in self.state().stages_with_promotions(project)? {
            if self.state().promotions(project, &stage)?.len() <= retention.promotions {
                continue;
            }
            let mut promotions = self.promotions(project, &stage)?;
            promotions.reverse();
            let oldest_in_use = promotions.iter().rposition(|promotion| !promotion.status.phase.is_terminal());
            let kept = oldest_in_use.map_or(0, |index| index + 1) + retention.promotions;
            for promotion in promotions.into_iter().skip(kept) {
                let name = promotion.name();
                let by_name = || Timestamp::from_millisecond(i64::try_from(ulid_of(&name)?.timestamp_ms()).ok()?).ok();
                let created = promotion.metadata.creation_timestamp.or_else(by_name);
                if created.is_some_and(|created| self.old_enough(created, retention)) {
                    gone.push((stage.clone(), name));
                }
            }
        }
        let count = gone.len();
        for (stage, name) in gone {
            self.remove(RecordPath::Log(project.clone(), stage.clone(), name.to_string()));
            self.remove(RecordPath::Promotion(project.clone(), stage, name));
        }
        Ok(count)
    }

    fn retain_freight(&mut self, project: &ProjectName, retention: Retention) -> Result<usize, Stop> {
        let held = self.held_freight(project)?;
        let mut count = 0;
        for warehouse in self.state().warehouses(project)? {
            let Some(record) = self.state().warehouse(project, &warehouse)? else { continue };
            let live = &record.status.freight;
            if live.len() <= retention.freight {
                continue;
            }
            let kept = live.iter().rposition(|freight| held.contains(&freight.name)).map_or(0, |index| index + 1) + retention.freight;
            let gone: BTreeSet<FreightName> = live
                .iter()
                .skip(kept)
                .filter(|freight| freight.discovered_at.is_some_and(|found| self.old_enough(found, retention)))
                .map(|freight| freight.name.clone())
                .collect();
            if gone.is_empty() {
                continue;
            }
            count += gone.len();
            self.warehouse_mut(project, &warehouse)?.status.freight.retain(|freight| !gone.contains(&freight.name));
            for name in gone {
                self.remove(RecordPath::Freight(project.clone(), name));
            }
        }
        Ok(count)
    }

    /// Freight that a stage holds, or that a promotion which has not ended will bring there.
    fn held_freight(&self, project: &ProjectName) -> Result<BTreeSet<FreightName>, Stop> {
        let mut held = BTreeSet::new();
        let stages = self.state().stages(project)?.into_iter().map(|stage| RecordPath::Stage(project.clone(), stage));
        for record in self.get_all::<StageRecord>(stages)?.into_iter().flatten() {
            held.extend(
                record.status.current_freight().into_iter().flat_map(|collection| collection.items.values()).map(|freight| freight.name.clone()),
            );
        }
        for stage in self.state().stages_with_promotions(project)? {
            let promotions = self.promotions(project, &stage)?;
            held.extend(promotions.iter().filter(|promotion| !promotion.status.phase.is_terminal()).map(|promotion| promotion.spec.freight.clone()));
        }
        Ok(held)
    }
}

#[cfg(test)]
#[path = "retention_tests.rs"]
mod tests;
