//! Who may run a promotion, and how one is ended from outside.
//!
//! A promotion whose effects reach beyond the ledger's own remote is claimed before it is run: by one tick, until an expiry that a living tick
//! renews. After the expiry another tick takes it over; what was interrupted is then looked up before it is repeated.

use jiff::Timestamp;

use crate::model::{Claim, ProjectName, PromotionName, PromotionPhase, StageName, StepStatus};

use super::draft::{Draft, Stop};

impl Draft<'_> {
    /// Takes or renews this run's right to run a promotion until then.
    ///
    /// # Errors
    /// Stale, if it has ended or another run's claim on it has not expired.
    pub fn claim(&mut self, project: &ProjectName, stage: &StageName, name: &PromotionName, until: Timestamp) -> Result<(), Stop> {
        let (now, run) = (self.now(), self.occasion().run.clone());
        let promotion = self.promotion_mut(project, stage, name)?;
        if promotion.status.phase.is_terminal() {
            return Err(Stop::Stale(format!("promotion `{name}` has ended")));
        }
        if let Some(claim) = &promotion.status.consign.claim
            && claim.run != run
            && claim.until.is_some_and(|until| until > now)
        {
            return Err(Stop::Stale(format!("promotion `{name}` is being run by `{}`", claim.run)));
        }
        promotion.status.consign.claim = Some(Claim { run, until: Some(until) });
        Ok(())
    }

    /// Gives a claim back; nothing happens if another run has taken it over.
    ///
    /// # Errors
    /// Stale, if the promotion is gone.
    pub fn release(&mut self, project: &ProjectName, stage: &StageName, name: &PromotionName) -> Result<(), Stop> {
        let run = self.occasion().run.clone();
        let promotion = self.promotion_mut(project, stage, name)?;
        if promotion.status.consign.claim.as_ref().is_some_and(|claim| claim.run == run) {
            promotion.status.consign.claim = None;
        }
        Ok(())
    }

    /// Stops unless this run still holds the claim: what it is about to record may otherwise be done twice.
    ///
    /// # Errors
    /// Stale, if it does not.
    pub fn check_claim(&self, project: &ProjectName, stage: &StageName, name: &PromotionName) -> Result<(), Stop> {
        let held = self
            .promotion(project, stage, name)?
            .is_some_and(|promotion| promotion.status.consign.claim.as_ref().is_some_and(|claim| claim.run == self.occasion().run));
        if held { Ok(()) } else { Err(Stop::Stale(format!("another run has taken promotion `{name}` over"))) }
    }

    /// Ends a promotion as Aborted; one that has ended stays as it is. Gives whether it was running.
    ///
    /// # Errors
    /// Stale, if the promotion is gone.
    pub fn abort(&mut self, project: &ProjectName, stage: &StageName, name: &PromotionName, reason: &str) -> Result<bool, Stop> {
        let now = self.now();
        let promotion = self.promotion_mut(project, stage, name)?;
        let status = &mut promotion.status;
        if status.phase.is_terminal() {
            return Ok(false);
        }
        status.phase = PromotionPhase::Aborted;
        reason.clone_into(&mut status.message);
        status.finished_at = Some(now);
        status.consign.claim = None;
        for step in &mut status.step_execution_metadata {
            if step.status == Some(StepStatus::Running) {
                step.status = Some(StepStatus::Aborted);
                step.finished_at.get_or_insert(now);
            }
        }
        Ok(true)
    }
}
