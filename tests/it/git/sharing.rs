//! Promotions that run at once share what goes over the network.

use std::sync::Arc;

use consign::diagnostic::Failure;
use consign::git::{Closing, Crew, Flush, GroupOutcome, PlainFlush, PushUnit, RefPattern, RefUpdate, Store, UnitOutcome};
use futures::future::join_all;

use super::{World, write};

/// Records what a push carries in a ledger, in the same push.
struct WithLedger;

const LEDGER: &str = "refs/heads/consign/state";

struct Recorded<'a>(&'a Store);

#[async_trait::async_trait]
impl Closing for Recorded<'_> {
    async fn refs(&mut self, keys: &[String]) -> Result<Vec<RefUpdate>, Failure> {
        let tip = self.0.tip(LEDGER);
        Ok(vec![RefUpdate::forward(LEDGER, tip, write(self.0, tip, "log", &keys.join("\n")))])
    }
}

#[async_trait::async_trait]
impl Flush for WithLedger {
    async fn push(&self, store: &Arc<Store>, units: Vec<PushUnit>) -> Result<GroupOutcome, Failure> {
        store.push_group(units, &mut Recorded(store)).await
    }
}

#[tokio::test]
async fn a_hundred_promotions_share_one_prefetch_and_one_push() {
    let world = World::new();
    let names: Vec<String> = (0..100).map(|n| format!("env/s{n:03}")).collect();
    for name in &names {
        world.repository.commit(name, "x", &[("all.yaml", Some(&format!("stage: {name}\n")))]);
    }
    let store = world.store();
    store.fetch(&[RefPattern::branches()]).await.unwrap();
    world.take_processes();
    world.server.take_requests();
    let crew = Crew::new(WithLedger);
    let members: Vec<_> = names.into_iter().map(|name| (crew.join(), name, store.clone())).collect();
    let tasks = members.into_iter().enumerate().map(|(n, (member, name, store))| {
        tokio::spawn(async move {
            let full = format!("refs/heads/{name}");
            member.ensure(&store, vec![RefPattern::new(&*full)?]).await?;
            let tip = store.tip(&full).unwrap();
            let file = store.entry(store.commit(tip)?.tree, "all.yaml")?.unwrap();
            member.prefetch(&store, vec![file.oid]).await?;
            let mut content = store.blob(file.oid)?;
            member.outside(tokio::time::sleep(std::time::Duration::from_millis(n as u64 % 10))).await;
            content.extend_from_slice(b"tag: 2\n");
            let commit = write(&store, Some(tip), "all.yaml", std::str::from_utf8(&content).unwrap());
            member.push(&store, PushUnit { key: name, updates: vec![RefUpdate::forward(full, Some(tip), commit)] }).await
        })
    });
    for result in join_all(tasks).await {
        assert_eq!(result.unwrap().unwrap(), UnitOutcome::Landed);
    }
    let requests = world.server.take_requests();
    assert_eq!(requests.len(), 4, "{requests:#?}");
    assert!(world.take_processes().len() <= 10);
    assert_eq!(world.repository.file("env/s042", "all.yaml").as_deref(), Some("stage: env/s042\ntag: 2\n"));
    assert_eq!(world.repository.file("consign/state", "log").unwrap().lines().count(), 100);
}

#[tokio::test]
async fn one_promotion_that_wants_what_is_not_there_fails_alone() {
    let world = World::new();
    world.repository.commit("main", "x", &[("a", Some("b\n"))]);
    let store = world.store();
    store.fetch(&[RefPattern::branches()]).await.unwrap();
    let file = store.entry(store.commit(store.resolve("main").unwrap().unwrap()).unwrap().tree, "a").unwrap().unwrap();
    let crew = Crew::new(PlainFlush);
    let (good, bad) = (crew.join(), crew.join());
    let (good, bad) =
        tokio::join!(good.prefetch(&store, vec![file.oid]), bad.prefetch(&store, vec!["1234567890123456789012345678901234567890".parse().unwrap()]));
    good.unwrap();
    assert!(bad.is_err());
    assert_eq!(store.blob(file.oid).unwrap(), b"b\n");
}
