//! Requests of many running tasks, served together: when nobody can get on by himself, everything that was asked for is done at once.
//!
//! A task is a member. A member is running, waiting for its request, or outside (in an external process or call). The queue is served when no
//! member is running. Requests that block nobody but their sender may be patient: they wait until nobody is outside either, or until they
//! have waited for a while, so that ten renders that end one after another still share one push.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::oneshot;

/// Serves batches of requests.
#[async_trait::async_trait]
pub trait Server: Send + Sync + 'static {
    /// What members ask for.
    type Request: Send + 'static;
    /// What they get.
    type Reply: Send + 'static;

    /// Whether a request may wait for members that are outside.
    fn patient(&self, request: &Self::Request) -> bool;

    /// Serves a batch, in the order of arrival; gives back one reply for each request, in the same order. Not called again before it ends.
    async fn serve(&self, batch: Vec<Self::Request>) -> Vec<Self::Reply>;
}

/// The members of one piece of work, and their queue.
pub struct Queue<S: Server> {
    shared: Arc<Shared<S>>,
}

impl<S: Server> Clone for Queue<S> {
    fn clone(&self) -> Self {
        Self { shared: self.shared.clone() }
    }
}

impl<S: Server> std::fmt::Debug for Queue<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Queue").finish_non_exhaustive()
    }
}

struct Shared<S: Server> {
    server: S,
    linger: Duration,
    state: Mutex<State<S>>,
    runtime: Handle,
}

struct State<S: Server> {
    running: usize,
    outside: usize,
    next: u64,
    waiting: BTreeMap<u64, Waiting<S>>,
    /// Requests that are being served and whose senders still wait.
    in_flight: BTreeSet<u64>,
    serving: bool,
    /// A timer runs for patient requests.
    lingering: bool,
}

struct Waiting<S: Server> {
    request: S::Request,
    patient: bool,
    /// Its patience has ended.
    overdue: bool,
    reply: oneshot::Sender<S::Reply>,
}

/// One running task. Dropping it leaves; a request of it that is not served yet is withdrawn.
pub struct Place<S: Server> {
    shared: Arc<Shared<S>>,
}

impl<S: Server> std::fmt::Debug for Place<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Place").finish_non_exhaustive()
    }
}

/// The queue ended before it replied: the server broke its promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the request was not served")]
pub struct NotServed;

impl<S: Server> Queue<S> {
    /// A queue without members; patient requests wait for members outside for at most `linger`. It serves on the runtime it was made in.
    pub fn new(server: S, linger: Duration) -> Self {
        let state = State { running: 0, outside: 0, next: 0, waiting: BTreeMap::new(), in_flight: BTreeSet::new(), serving: false, lingering: false };
        Self { shared: Arc::new(Shared { server, linger, state: Mutex::new(state), runtime: Handle::current() }) }
    }

    /// Joins as a running member. Let all members join before the first one starts, so that nobody is served early.
    pub fn join(&self) -> Place<S> {
        self.shared.state().running += 1;
        Place { shared: self.shared.clone() }
    }
}

impl<S: Server> Place<S> {
    /// Asks for something and waits until it is served. One request at a time.
    ///
    /// # Errors
    /// [`NotServed`], when the server gave no reply.
    pub async fn ask(&self, request: S::Request) -> Result<S::Reply, NotServed> {
        let patient = self.shared.server.patient(&request);
        let (reply, answer) = oneshot::channel();
        let number = {
            let mut state = self.shared.state();
            let number = state.next;
            state.next += 1;
            state.waiting.insert(number, Waiting { request, patient, overdue: false, reply });
            state.running -= 1;
            number
        };
        // When this future is dropped before the reply, the request is withdrawn and the member runs again.
        let _asking = Asking { shared: &self.shared, number };
        self.shared.look();
        answer.await.map_err(|_| NotServed)
    }

    /// Runs something that does not need the queue, such as an external process or an HTTP call; the others need not wait for it. Work that
    /// waits for a free slot first is better kept inside: patient requests wait for all of it.
    pub async fn outside<F: Future>(&self, work: F) -> F::Output {
        {
            let mut state = self.shared.state();
            state.running -= 1;
            state.outside += 1;
        }
        let _out = Out { shared: &self.shared };
        self.shared.look();
        work.await
    }
}

impl<S: Server> Drop for Place<S> {
    fn drop(&mut self) {
        self.shared.state().running -= 1;
        self.shared.look();
    }
}

struct Asking<'a, S: Server> {
    shared: &'a Arc<Shared<S>>,
    number: u64,
}

impl<S: Server> Drop for Asking<'_, S> {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        if state.waiting.remove(&self.number).is_some() || state.in_flight.remove(&self.number) {
            state.running += 1;
        }
    }
}

struct Out<'a, S: Server> {
    shared: &'a Arc<Shared<S>>,
}

impl<S: Server> Drop for Out<'_, S> {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        state.outside -= 1;
        state.running += 1;
    }
}

impl<S: Server> Shared<S> {
    fn state(&self) -> MutexGuard<'_, State<S>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Serves if the time has come. Serving is a task of its own: it goes on when the member that set it off is cancelled.
    fn look(self: &Arc<Self>) {
        let mut state = self.state();
        if state.serving || state.running > 0 || state.waiting.is_empty() {
            return;
        }
        let alone = state.outside == 0;
        let due = |waiting: &Waiting<S>| alone || !waiting.patient || waiting.overdue;
        if !state.waiting.values().any(due) {
            if !state.lingering {
                state.lingering = true;
                let shared = self.clone();
                drop(state);
                self.runtime.spawn(async move { shared.linger().await });
            }
            return;
        }
        let numbers: Vec<u64> = state.waiting.iter().filter(|(_, waiting)| due(waiting)).map(|(number, _)| *number).collect();
        let batch: Vec<(u64, Waiting<S>)> =
            numbers.into_iter().filter_map(|number| state.waiting.remove(&number).map(|waiting| (number, waiting))).collect();
        state.in_flight.extend(batch.iter().map(|(number, _)| *number));
        state.serving = true;
        drop(state);
        let shared = self.clone();
        self.runtime.spawn(async move { shared.serve(batch).await });
    }

    async fn serve(self: Arc<Self>, batch: Vec<(u64, Waiting<S>)>) {
        // Also when the server panics the queue must go on: then the replies are dropped, and their members told so.
        let _end = Served { shared: &self };
        let mut requests = Vec::with_capacity(batch.len());
        let mut replies = Vec::with_capacity(batch.len());
        for (number, waiting) in batch {
            requests.push(waiting.request);
            replies.push((number, waiting.reply));
        }
        let answers = self.server.serve(requests).await;
        let mut state = self.state();
        for ((number, reply), answer) in replies.into_iter().zip(answers) {
            // A member with a reply runs from now on, not from when it notices: else the first to notice could be served alone.
            if state.in_flight.remove(&number) {
                state.running += 1;
                let _ = reply.send(answer);
            }
        }
    }

    /// Lets patient requests wait for a while.
    async fn linger(self: Arc<Self>) {
        tokio::time::sleep(self.linger).await;
        {
            let mut state = self.state();
            state.lingering = false;
            state.waiting.values_mut().for_each(|waiting| waiting.overdue = true);
        }
        self.look();
    }
}

struct Served<'a, S: Server> {
    shared: &'a Arc<Shared<S>>,
}

impl<S: Server> Drop for Served<'_, S> {
    fn drop(&mut self) {
        {
            let mut state = self.shared.state();
            state.serving = false;
            state.running += state.in_flight.len();
            state.in_flight.clear();
        }
        self.shared.look();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    use futures::FutureExt as _;
    use futures::future::join_all;

    /// Replies with the batch's size; remembers what was asked.
    struct Recorder {
        batches: Arc<Mutex<Vec<Vec<&'static str>>>>,
    }

    #[async_trait::async_trait]
    impl Server for Recorder {
        type Request = &'static str;
        type Reply = usize;

        fn patient(&self, request: &Self::Request) -> bool {
            request.starts_with("push")
        }

        async fn serve(&self, batch: Vec<Self::Request>) -> Vec<Self::Reply> {
            assert!(!batch.contains(&"panic"), "asked for");
            tokio::time::sleep(Duration::from_millis(2)).await;
            let size = batch.len();
            self.batches.lock().unwrap().push(batch);
            vec![size; size]
        }
    }

    type Batches = Arc<Mutex<Vec<Vec<&'static str>>>>;

    const LONG: Duration = Duration::from_secs(3600);

    fn queue(linger: Duration) -> (Queue<Recorder>, Batches) {
        let batches = Batches::default();
        (Queue::new(Recorder { batches: batches.clone() }, linger), batches)
    }

    fn sizes(batches: &Batches) -> Vec<usize> {
        batches.lock().unwrap().iter().map(Vec::len).collect()
    }

    /// Lets all tasks get as far as they can.
    async fn settle() {
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }

    #[tokio::test]
    async fn a_hundred_members_share_each_round() {
        let (queue, batches) = queue(LONG);
        let members: Vec<_> = (0..100).map(|_| queue.join()).collect();
        let tasks = members.into_iter().enumerate().map(|(n, member)| {
            tokio::spawn(async move {
                // Uneven work between the requests.
                tokio::time::sleep(Duration::from_millis(n as u64 % 7)).await;
                assert_eq!(member.ask("blobs").await, Ok(100));
                tokio::time::sleep(Duration::from_millis(n as u64 % 5)).await;
                assert_eq!(member.ask("push").await, Ok(100));
            })
        });
        for result in join_all(tasks).await {
            result.unwrap();
        }
        assert_eq!(sizes(&batches), [100, 100]);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn members_on_many_threads_share_each_round() {
        for _ in 0..60 {
            let (queue, batches) = queue(LONG);
            let members: Vec<_> = (0..8).map(|_| queue.join()).collect();
            let tasks = members.into_iter().map(|member| {
                tokio::spawn(async move {
                    for _ in 0..5 {
                        member.ask("blobs").await.unwrap();
                    }
                })
            });
            join_all(tasks).await;
            assert_eq!(sizes(&batches), [8; 5], "nobody is served before the slowest of the last round has had its turn");
        }
    }

    #[tokio::test]
    async fn a_running_member_holds_the_queue_and_an_outside_one_does_not() {
        let (queue, batches) = queue(LONG);
        let (asking, busy) = (queue.join(), queue.join());
        let ask = tokio::spawn(async move { asking.ask("blobs").await });
        settle().await;
        assert!(sizes(&batches).is_empty(), "the other one may ask too");
        assert_eq!(busy.outside(ask).await.unwrap(), Ok(1));
        assert_eq!(sizes(&batches), [1]);
    }

    #[tokio::test]
    async fn pushes_wait_for_those_outside() {
        let (queue, batches) = queue(LONG);
        let members: Vec<_> = (0..3).map(|_| queue.join()).collect();
        let tasks = members.into_iter().enumerate().map(|(n, member)| {
            tokio::spawn(async move {
                member.outside(tokio::time::sleep(Duration::from_millis(10 * n as u64))).await;
                member.ask("push").await.unwrap()
            })
        });
        let got: Vec<usize> = join_all(tasks).await.into_iter().map(Result::unwrap).collect();
        assert_eq!((got, sizes(&batches)), (vec![3, 3, 3], vec![3]));
    }

    #[tokio::test]
    async fn pushes_do_not_wait_for_ever() {
        let (queue, batches) = queue(Duration::from_millis(20));
        let (slow, one, two) = (queue.join(), queue.join(), queue.join());
        let pushes = tokio::spawn(async move { tokio::join!(one.ask("push"), two.ask("push")) });
        assert_eq!(slow.outside(pushes).await.unwrap(), (Ok(2), Ok(2)), "the one outside ends only after them");
        assert_eq!(slow.ask("push").await, Ok(1));
        assert_eq!(sizes(&batches), [2, 1]);
    }

    #[tokio::test]
    async fn reads_do_not_wait_with_the_pushes() {
        let (queue, batches) = queue(Duration::from_millis(50));
        let (slow, pusher, reader) = (queue.join(), queue.join(), queue.join());
        let pusher = tokio::spawn(async move { pusher.ask("push").await });
        let reader = tokio::spawn(async move {
            reader.ask("blobs").await.unwrap();
            reader.ask("push").await
        });
        slow.outside(async move {
            assert_eq!(reader.await.unwrap(), Ok(2));
            assert_eq!(pusher.await.unwrap(), Ok(2));
        })
        .await;
        assert_eq!(*batches.lock().unwrap(), [vec!["blobs"], vec!["push", "push"]]);
    }

    #[tokio::test]
    async fn a_member_that_ends_or_is_cancelled_blocks_nobody() {
        let (queue, batches) = queue(LONG);
        let (asking, ends, cancelled, withdrawn) = (queue.join(), queue.join(), queue.join(), queue.join());
        let ask = tokio::spawn(async move { asking.ask("blobs").await });
        let cancelled = tokio::spawn(async move {
            let _member = cancelled;
            std::future::pending::<()>().await;
        });
        let withdrawn = tokio::spawn(async move { withdrawn.ask("unwanted").await });
        settle().await;
        withdrawn.abort();
        cancelled.abort();
        settle().await;
        assert!(sizes(&batches).is_empty());
        drop(ends);
        assert_eq!(ask.await.unwrap(), Ok(1));
        assert_eq!(*batches.lock().unwrap(), [vec!["blobs"]]);
    }

    #[tokio::test]
    async fn one_cancelled_while_being_served_does_not_spoil_the_count() {
        let (queue, batches) = queue(LONG);
        let (stays, goes) = (queue.join(), queue.join());
        let stays = tokio::spawn(async move {
            stays.ask("a").await.unwrap();
            stays.ask("b").await.unwrap();
        });
        let goes = tokio::spawn(async move { goes.ask("c").await });
        while queue.shared.state().in_flight.is_empty() {
            tokio::task::yield_now().await;
        }
        goes.abort();
        tokio::time::timeout(Duration::from_secs(20), stays).await.unwrap().unwrap();
        assert_eq!(sizes(&batches), [2, 1]);
        assert_eq!(queue.shared.state().running, 0);
    }

    #[tokio::test]
    async fn a_request_given_up_lets_its_member_go_on() {
        let (queue, batches) = queue(LONG);
        let (member, other) = (queue.join(), queue.join());
        assert!(tokio::time::timeout(Duration::from_millis(5), member.ask("late")).await.is_err());
        drop(other);
        assert_eq!(member.ask("again").await, Ok(1));
        assert_eq!(*batches.lock().unwrap(), [vec!["again"]]);
    }

    #[tokio::test]
    async fn a_server_that_panics_fails_its_batch_only() {
        let (queue, batches) = queue(LONG);
        let member = queue.join();
        assert_eq!(member.ask("panic").await, Err(NotServed));
        assert_eq!(member.ask("blobs").await, Ok(1));
        assert_eq!(sizes(&batches), [1]);
    }

    #[tokio::test]
    async fn one_who_joins_late_is_waited_for() {
        let (queue, batches) = queue(LONG);
        let (first, second) = (queue.join(), queue.join());
        let mut ask = Box::pin(first.ask("blobs"));
        assert!(ask.as_mut().now_or_never().is_none());
        let third = queue.join();
        let others = tokio::spawn(async move { tokio::join!(second.ask("blobs"), third.ask("blobs")) });
        assert_eq!(ask.await, Ok(3));
        assert_eq!(others.await.unwrap(), (Ok(3), Ok(3)));
        assert_eq!(sizes(&batches), [3]);
    }
}
