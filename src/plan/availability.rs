//! Whether a stage may take a freight. One rule for lists, admission and the look before every run of a promotion.

use jiff::{SignedDuration, Timestamp};

use crate::model::{AvailabilityStrategy, Freight, FreightRequest, GoDuration, Stage, StageName};

/// Whether, and on what ground, a stage may take a freight.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Availability {
    /// The stage does not request this origin.
    NotRequested,
    /// A person approved it for this stage. Beats everything below.
    Approved,
    /// The stage takes everything of this origin.
    Direct,
    /// It depends on the stages before.
    Upstream {
        /// The answer.
        open: bool,
        /// When time alone will open it.
        opens_at: Option<Timestamp>,
        /// Whether all upstream stages are needed.
        all: bool,
        /// Each of them.
        upstreams: Vec<Upstream>,
    },
}

impl Availability {
    /// The answer.
    pub fn is_open(&self) -> bool {
        match self {
            Self::NotRequested => false,
            Self::Approved | Self::Direct => true,
            Self::Upstream { open, .. } => *open,
        }
    }
}

/// How a freight stands in an upstream stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upstream {
    /// The stage.
    pub stage: StageName,
    /// Whether it was verified there.
    pub verified: bool,
    /// Its longest stay there; zero unless it was verified there.
    pub soaked: GoDuration,
    /// The stay that is required.
    pub required: GoDuration,
    /// When the running stay will be long enough.
    pub opens_at: Option<Timestamp>,
}

impl Upstream {
    /// Whether this stage is content.
    pub fn is_open(&self) -> bool {
        self.verified && self.soaked >= self.required
    }
}

/// Tells whether and why `stage` may take `freight` at `now`.
pub fn availability(stage: &Stage, freight: &Freight, now: Timestamp) -> Availability {
    let Some(request) = stage.spec.requested_freight.iter().find(|request| request.origin == freight.origin) else {
        return Availability::NotRequested;
    };
    if freight.status.approved_for.contains_key(&stage.name()) {
        return Availability::Approved;
    }
    if request.sources.direct {
        return Availability::Direct;
    }
    from_upstreams(request, freight, now)
}

/// The answer alone.
pub fn is_available(stage: &Stage, freight: &Freight, now: Timestamp) -> bool {
    availability(stage, freight, now).is_open()
}

fn from_upstreams(request: &FreightRequest, freight: &Freight, now: Timestamp) -> Availability {
    let required = request.sources.required_soak_time.unwrap_or_default();
    let upstreams: Vec<Upstream> = request.sources.stages.iter().map(|stage| upstream(stage, freight, required, now)).collect();
    let all = request.sources.availability_strategy == AvailabilityStrategy::All;
    // `All` of no stages is true, as in Kargo; `validate` refuses such a definition.
    let open = if all { upstreams.iter().all(Upstream::is_open) } else { upstreams.iter().any(Upstream::is_open) };
    let opens_at = if open {
        None
    } else if all {
        let closed = || upstreams.iter().filter(|upstream| !upstream.is_open());
        if closed().all(|upstream| upstream.opens_at.is_some()) { closed().filter_map(|upstream| upstream.opens_at).max() } else { None }
    } else {
        upstreams.iter().filter_map(|upstream| upstream.opens_at).min()
    };
    Availability::Upstream { open, opens_at, all, upstreams }
}

/// Soak counts from entering the stage, not from verification, but only once the freight is verified there; stays do not add up.
fn upstream(stage: &StageName, freight: &Freight, required: GoDuration, now: Timestamp) -> Upstream {
    let Some(verified) = freight.status.verified_in.get(stage) else {
        return Upstream { stage: stage.clone(), verified: false, soaked: GoDuration::default(), required, opens_at: None };
    };
    let entered = freight.status.currently_in.get(stage).and_then(|current| current.since);
    let running = entered.map_or(SignedDuration::ZERO, |since| now.duration_since(since));
    let soaked = verified.longest_soak.unwrap_or_default().max(GoDuration(running));
    let opens_at = entered.filter(|_| soaked < required).and_then(|since| since.checked_add(required.signed()).ok());
    Upstream { stage: stage.clone(), verified: true, soaked, required, opens_at }
}
