//! A push of many units that share one fate only where they must: a unit that is refused for good is left out, the rest is pushed.

use std::collections::{BTreeMap, HashMap, VecDeque};

use super::oid::Oid;
use super::push::{Expected, PushOutcome, RefOutcome, RefUpdate};
use super::store::Store;
use crate::diagnostic::{Failure, FailureKind};

/// After this many pushes a group is given up on; what is left waits for the next tick.
const PUSH_LIMIT: usize = 40;

/// Refs that move together or not at all, such as what one promotion pushed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushUnit {
    /// Names the unit in the outcome.
    pub key: String,
    /// Its refs. Two units may move the same ref when the later one's commit stands on the earlier one's.
    pub updates: Vec<RefUpdate>,
}

/// The refs that complete a push, such as the ledger's with exactly the units that travel along recorded.
#[async_trait::async_trait]
pub trait Closing: Send {
    /// The refs for a push of the units with these keys, in order. Asked again when a unit was left out.
    ///
    /// # Errors
    /// Then nothing is pushed.
    async fn refs(&mut self, keys: &[String]) -> Result<Vec<RefUpdate>, Failure>;
}

/// Nothing completes the push.
#[async_trait::async_trait]
impl Closing for () {
    async fn refs(&mut self, _keys: &[String]) -> Result<Vec<RefUpdate>, Failure> {
        Ok(Vec::new())
    }
}

/// What became of a unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UnitOutcome {
    /// All its refs stand where they should.
    Landed,
    /// Somebody else moved one of its refs (or a ref it stacks on was left out): build it again on the new tip.
    Stale {
        /// The refs.
        refs: Vec<String>,
    },
    /// The remote refused it for good.
    Refused {
        /// The ref.
        name: String,
        /// The remote's words.
        words: String,
    },
    /// Nothing is wrong with it, but its push did not happen: something it travelled with was stale.
    NotPushed,
}

/// What became of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupOutcome {
    /// Each unit by key.
    pub units: BTreeMap<String, UnitOutcome>,
    /// What became of the closing refs of the last push; None: there were none, or they landed.
    pub closing: Option<(String, RefOutcome)>,
}

impl GroupOutcome {
    /// Whether every unit landed.
    pub fn landed(&self) -> bool {
        self.units.values().all(|outcome| *outcome == UnitOutcome::Landed)
    }
}

impl Store {
    /// Pushes units together in as few pushes as possible: one, unless a ref is refused or a limit on refs per push is set.
    ///
    /// `closing` is asked before each push for the refs that complete it. When it is asked again, units of an earlier push may have landed; [`Store::tip`] has the closing
    /// ref's new tip by then.
    ///
    /// A refused unit is left out and the rest pushed again; when the remote names no culprit the group is halved until it is found. A
    /// stale ref ends the group: fetch, build again, push again.
    ///
    /// # Errors
    /// As [`Store::push`], and those of `closing`. What had landed by then is seen in the refs.
    pub async fn push_group(&self, units: Vec<PushUnit>, closing: &mut dyn Closing) -> Result<GroupOutcome, Failure> {
        let mut outcome = GroupOutcome { units: units.iter().map(|unit| (unit.key.clone(), UnitOutcome::NotPushed)).collect(), closing: None };
        if outcome.units.len() != units.len() {
            return Err(Failure::new(FailureKind::Internal, "two units of one push have the same key"));
        }
        let mut queue = self.shares(units);
        let mut pushes = 0;
        while let Some(share) = queue.pop_front() {
            let share = without_orphans(share, &mut outcome);
            let keys: Vec<String> = share.iter().map(|unit| unit.key.clone()).collect();
            let mut updates = stack(&share);
            let last = closing.refs(&keys).await?;
            let closing_names: Vec<String> = last.iter().map(|update| update.name.clone()).collect();
            updates.extend(last);
            if updates.is_empty() {
                continue;
            }
            pushes += 1;
            if pushes > PUSH_LIMIT {
                break;
            }
            let push = self.push(&updates).await?;
            if push.landed() {
                outcome.units.extend(keys.into_iter().map(|key| (key, UnitOutcome::Landed)));
                continue;
            }
            let bad = |outcome: &RefOutcome| matches!(outcome, RefOutcome::Refused(_));
            let refused_all = share.len() > 1 && push.refs.values().all(bad);
            if refused_all {
                // No culprit: halves find it in few pushes.
                let mut first = share;
                let second = first.split_off(first.len() / 2);
                queue.push_front(second);
                queue.push_front(first);
                continue;
            }
            if let Some(name) = closing_names.iter().find(|name| push.refs.get(*name).is_some_and(bad))
                && (share.is_empty() || !share.iter().any(|unit| unit.updates.iter().any(|update| push.refs.get(&update.name).is_some_and(bad))))
            {
                // Without its closing refs nothing may be pushed.
                outcome.closing = push.refs.get(name).map(|outcome| (name.clone(), outcome.clone()));
                break;
            }
            let (kept, dropped): (Vec<_>, Vec<_>) = share.into_iter().partition(|unit| refusal(unit, &push).is_none());
            for unit in &dropped {
                if let Some((name, words)) = refusal(unit, &push) {
                    outcome.units.insert(unit.key.clone(), UnitOutcome::Refused { name, words });
                }
            }
            let mut stale = false;
            for unit in &kept {
                let refs: Vec<String> = unit.updates.iter().map(|update| update.name.clone()).filter(|name| is_stale(&push, name)).collect();
                if !refs.is_empty() {
                    stale = true;
                    outcome.units.insert(unit.key.clone(), UnitOutcome::Stale { refs });
                }
            }
            if let Some(name) = closing_names.iter().find(|name| is_stale(&push, name)) {
                stale = true;
                outcome.closing = push.refs.get(name).map(|outcome| (name.clone(), outcome.clone()));
            }
            if stale {
                break;
            }
            if dropped.is_empty() {
                return Err(Failure::new(FailureKind::Remote, format!("the push to `{}` failed without a reason", self.url()))
                    .hint("the next run tries again"));
            }
            if !kept.is_empty() {
                queue.push_front(kept);
            }
        }
        Ok(outcome)
    }

    /// Splits units by the limit on refs per push; one place is kept for the closing ref.
    fn shares(&self, units: Vec<PushUnit>) -> VecDeque<Vec<PushUnit>> {
        let limit = self.git.settings().refs_per_push.map_or(usize::MAX, |limit| limit.saturating_sub(1).max(1));
        let mut shares: VecDeque<Vec<PushUnit>> = VecDeque::from([Vec::new()]);
        let mut refs = 0;
        for unit in units {
            if refs > 0 && refs + unit.updates.len() > limit {
                shares.push_back(Vec::new());
                refs = 0;
            }
            refs += unit.updates.len();
            if let Some(share) = shares.back_mut() {
                share.push(unit);
            }
        }
        shares
    }
}

/// Sets aside units that expect a ref where no unit before them leads it, because that one was left out.
fn without_orphans(share: Vec<PushUnit>, outcome: &mut GroupOutcome) -> Vec<PushUnit> {
    let mut stands: HashMap<String, Option<Oid>> = HashMap::new();
    let mut kept: Vec<PushUnit> = Vec::new();
    for unit in share {
        let broken: Vec<String> = unit
            .updates
            .iter()
            .filter(|update| stands.get(&update.name).is_some_and(|at| update.expected != at.map_or(Expected::Absent, Expected::At)))
            .map(|update| update.name.clone())
            .collect();
        if broken.is_empty() {
            stands.extend(unit.updates.iter().map(|update| (update.name.clone(), update.new)));
            kept.push(unit);
        } else {
            outcome.units.insert(unit.key, UnitOutcome::Stale { refs: broken });
        }
    }
    kept
}

/// One update per ref: from what the first unit expects to where the last one leads.
fn stack(share: &[PushUnit]) -> Vec<RefUpdate> {
    let mut stacked: Vec<RefUpdate> = Vec::new();
    for update in share.iter().flat_map(|unit| &unit.updates) {
        match stacked.iter_mut().find(|earlier| earlier.name == update.name) {
            Some(earlier) => {
                earlier.new = update.new;
                earlier.force |= update.force;
            }
            None => stacked.push(update.clone()),
        }
    }
    stacked
}

fn refusal(unit: &PushUnit, push: &PushOutcome) -> Option<(String, String)> {
    unit.updates.iter().find_map(|update| match push.refs.get(&update.name) {
        Some(RefOutcome::Refused(words)) => Some((update.name.clone(), words.clone())),
        _ => None,
    })
}

fn is_stale(push: &PushOutcome, name: &str) -> bool {
    matches!(push.refs.get(name), Some(RefOutcome::Stale(_)))
}
