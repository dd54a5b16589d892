//! The running promotions of a tick, and the stores they share: one fetch, one prefetch and one push for all of them, without their
//! knowing of each other.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;

use super::fetch::RefPattern;
use super::group::{GroupOutcome, PushUnit, UnitOutcome};
use super::oid::Oid;
use super::queue::{NotServed, Place, Queue, Server};
use super::store::Store;
use crate::diagnostic::{Failure, FailureKind};

/// How long a push waits for promotions that are inside an external process.
const LINGER: Duration = Duration::from_millis(400);

/// How the pushes of a tick leave: the conductor adds the ledger's ref here.
#[async_trait::async_trait]
pub trait Flush: Send + Sync + 'static {
    /// Pushes what the promotions of one remote want to push. Every unit must be in the outcome.
    async fn push(&self, store: &Arc<Store>, units: Vec<PushUnit>) -> Result<GroupOutcome, Failure>;
}

/// Pushes units as they are.
#[derive(Clone, Copy, Debug, Default)]
pub struct PlainFlush;

#[async_trait::async_trait]
impl Flush for PlainFlush {
    async fn push(&self, store: &Arc<Store>, units: Vec<PushUnit>) -> Result<GroupOutcome, Failure> {
        store.push_group(units, &mut ()).await
    }
}

/// The promotions that run at once.
#[derive(Clone, Debug)]
pub struct Crew {
    queue: Queue<Stewards>,
}

/// One running promotion. Dropping it leaves the crew.
#[derive(Debug)]
pub struct Member {
    place: Place<Stewards>,
}

impl Crew {
    /// A crew without members; call it within a tokio runtime.
    pub fn new(flush: impl Flush) -> Self {
        Self { queue: Queue::new(Stewards { flush: Box::new(flush) }, LINGER) }
    }

    /// Joins. Let all promotions join before the first one starts, so that they share from the beginning.
    pub fn join(&self) -> Member {
        Member { place: self.queue.join() }
    }
}

impl Member {
    /// Runs an external process or call; the others need not wait for it.
    pub async fn outside<F: Future>(&self, work: F) -> F::Output {
        self.place.outside(work).await
    }

    /// [`Store::ensure`], together with what the others ask for.
    ///
    /// # Errors
    /// As there.
    pub async fn ensure(&self, store: &Arc<Store>, patterns: Vec<RefPattern>) -> Result<(), Failure> {
        self.ask(store, Wish::Refs { patterns, again: false }).await.map(drop)
    }

    /// [`Store::fetch`], together with what the others ask for.
    ///
    /// # Errors
    /// As there.
    pub async fn fetch(&self, store: &Arc<Store>, patterns: Vec<RefPattern>) -> Result<(), Failure> {
        self.ask(store, Wish::Refs { patterns, again: true }).await.map(drop)
    }

    /// [`Store::prefetch`], together with what the others ask for; waits for nobody when everything is here.
    ///
    /// # Errors
    /// As there.
    pub async fn prefetch(&self, store: &Arc<Store>, oids: Vec<Oid>) -> Result<(), Failure> {
        let missing = store.missing(&oids);
        if missing.is_empty() { Ok(()) } else { self.ask(store, Wish::Blobs { oids: missing }).await.map(drop) }
    }

    /// Pushes a unit together with what the others push, and tells what became of it.
    ///
    /// # Errors
    /// As [`Store::push_group`].
    pub async fn push(&self, store: &Arc<Store>, unit: PushUnit) -> Result<UnitOutcome, Failure> {
        match self.ask(store, Wish::Push { unit }).await? {
            Got::Pushed(outcome) => Ok(outcome),
            Got::Done => Err(Failure::new(FailureKind::Internal, "a push got no outcome")),
        }
    }

    async fn ask(&self, store: &Arc<Store>, wish: Wish) -> Result<Got, Failure> {
        match self.place.ask((store.clone(), wish)).await {
            Ok(reply) => reply,
            Err(NotServed) => Err(Failure::new(FailureKind::Internal, "the shared queue of the stores ended early")),
        }
    }
}

enum Wish {
    Refs { patterns: Vec<RefPattern>, again: bool },
    Blobs { oids: Vec<Oid> },
    Push { unit: PushUnit },
}

enum Got {
    Done,
    Pushed(UnitOutcome),
}

/// Serves all stores.
struct Stewards {
    flush: Box<dyn Flush>,
}

#[async_trait::async_trait]
impl Server for Stewards {
    type Request = (Arc<Store>, Wish);
    type Reply = Result<Got, Failure>;

    fn patient(&self, (_, wish): &Self::Request) -> bool {
        matches!(wish, Wish::Push { .. })
    }

    async fn serve(&self, batch: Vec<Self::Request>) -> Vec<Self::Reply> {
        let mut by_store: BTreeMap<String, (Arc<Store>, Vec<(usize, Wish)>)> = BTreeMap::new();
        let total = batch.len();
        for (at, (store, wish)) in batch.into_iter().enumerate() {
            by_store.entry(store.url().key().to_owned()).or_insert_with(|| (store, Vec::new())).1.push((at, wish));
        }
        let served = join_all(by_store.into_values().map(|(store, wishes)| self.serve_store(store, wishes))).await;
        let mut replies: Vec<Option<Self::Reply>> = (0..total).map(|_| None).collect();
        for (at, reply) in served.into_iter().flatten() {
            replies[at] = Some(reply);
        }
        replies
            .into_iter()
            .map(|reply| reply.unwrap_or_else(|| Err(Failure::new(FailureKind::Internal, "a request to a store was forgotten"))))
            .collect()
    }
}

impl Stewards {
    async fn serve_store(&self, store: Arc<Store>, wishes: Vec<(usize, Wish)>) -> Vec<(usize, Result<Got, Failure>)> {
        let (mut refs, mut blobs, mut pushes) = (Vec::new(), Vec::new(), Vec::new());
        let mut patterns = BTreeSet::new();
        let mut must_ask = false;
        for (at, wish) in wishes {
            match wish {
                Wish::Refs { patterns: wanted, again } => {
                    patterns.extend(wanted);
                    must_ask |= again;
                    refs.push(at);
                }
                Wish::Blobs { oids } => blobs.push((at, oids)),
                Wish::Push { unit } => pushes.push((at, unit)),
            }
        }
        let mut replies = Vec::new();
        if !refs.is_empty() {
            let patterns: Vec<RefPattern> = patterns.into_iter().collect();
            let fetched = if must_ask { store.fetch(&patterns).await } else { store.ensure(&patterns).await };
            replies.extend(refs.into_iter().map(|at| (at, share(&fetched).map(|()| Got::Done))));
        }
        if !blobs.is_empty() {
            let all: Vec<Oid> = blobs.iter().flat_map(|(_, oids)| oids.iter().copied()).collect();
            let fetched = store.prefetch(&all).await;
            let one_of_many = matches!(&fetched, Err(failure) if blobs.len() > 1 && failure.kind == FailureKind::Remote);
            for (at, oids) in blobs {
                // One object that the remote does not have must not fail the others' requests.
                let reply = if one_of_many && store.missing(&oids).is_empty() {
                    Ok(())
                } else if one_of_many {
                    store.prefetch(&oids).await.map(drop)
                } else {
                    share(&fetched)
                };
                replies.push((at, reply.map(|()| Got::Done)));
            }
        }
        if !pushes.is_empty() {
            let (places, units): (Vec<(usize, String)>, Vec<PushUnit>) = pushes.into_iter().map(|(at, unit)| ((at, unit.key.clone()), unit)).unzip();
            let pushed = self.flush.push(&store, units).await;
            for (at, key) in places {
                let reply = match &pushed {
                    Ok(outcome) => match outcome.units.get(&key) {
                        Some(outcome) => Ok(Got::Pushed(outcome.clone())),
                        None => Err(Failure::new(FailureKind::Internal, format!("the push of `{key}` got no outcome"))),
                    },
                    Err(failure) => Err(copy(failure)),
                };
                replies.push((at, reply));
            }
        }
        replies
    }
}

fn share<T>(result: &Result<T, Failure>) -> Result<(), Failure> {
    result.as_ref().map(drop).map_err(copy)
}

/// The same failure for each of several who asked; its cause stays with the first.
fn copy(failure: &Failure) -> Failure {
    Failure { kind: failure.kind, message: failure.message.clone(), hints: failure.hints.clone(), source: None }
}
