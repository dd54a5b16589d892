#![allow(clippy::unwrap_used)]

use super::*;
use crate::ledger::memory::{Memory, Remote, plain_readme};

fn occasion() -> Occasion {
    Occasion { now: "2026-01-02T03:04:05Z".parse().unwrap(), run: "run-1".to_owned(), actor: String::new() }
}

fn ledger(remote: &Arc<Remote>, pins: Pins) -> (Ledger, Arc<Memory>) {
    let memory = Memory::new(remote);
    let branch: Arc<dyn Branch> = memory.clone();
    (Ledger::new(branch, pins, plain_readme), memory)
}

fn pinned(root: impl ToString) -> Pins {
    Pins { root: root.to_string(), ..Pins::default() }
}

#[tokio::test]
async fn a_missing_ledger_is_created_once_and_names_the_root_to_pin() {
    let remote = Arc::new(Remote::default());
    let (ledger, _) = ledger(&remote, Pins::default());
    assert!(ledger.read().await.unwrap().tip().is_none(), "reading creates nothing");
    let opened = ledger.open(&occasion()).await.unwrap();
    let root = opened.created.unwrap();
    assert_eq!(opened.state.tip(), Some(root));
    assert_eq!(ledger.open(&occasion()).await.unwrap().created, None);
    let (again, _) = self::ledger(&remote, pinned(root));
    assert_eq!(again.open(&occasion()).await.unwrap().state.tip(), Some(root));
}

#[tokio::test]
async fn a_pinned_ledger_that_is_missing_or_another_is_refused() {
    let remote = Arc::new(Remote::default());
    let (missing, _) = ledger(&remote, pinned("1".repeat(40)));
    let failure = missing.open(&occasion()).await.map(drop).unwrap_err();
    assert_eq!(failure.kind, FailureKind::Refused);
    assert!(failure.message.contains("does not exist"), "{failure}");

    ledger(&remote, Pins::default()).0.open(&occasion()).await.unwrap();
    let failure = missing.read().await.map(drop).unwrap_err();
    assert_eq!(failure.kind, FailureKind::Refused);
    assert!(failure.message.contains("is another ledger"), "{failure}");
}

#[tokio::test]
async fn a_branch_that_is_no_ledger_is_left_alone() {
    let remote = Arc::new(Remote::default());
    let (ledger, memory) = ledger(&remote, Pins::default());
    let foreign = memory.write_commit(None, &[("main.c".to_owned(), Some(b"int main;".to_vec()))], "begin", occasion().now).unwrap();
    memory.push(foreign, None).await.unwrap();
    let failure = ledger.open(&occasion()).await.map(drop).unwrap_err();
    assert_eq!(failure.kind, FailureKind::Refused);
    assert!(failure.message.contains("is not a ledger"), "{failure}");
    assert_eq!(*remote.tip.lock().unwrap(), Some(foreign));
}

#[tokio::test]
async fn signatures_are_demanded_and_each_commit_is_checked_once() {
    let remote = Arc::new(Remote::default());
    let pins = Pins { trusted_keys: vec!["ssh-ed25519 AAAA".to_owned()], ..Pins::default() };
    let (writer, _) = ledger(&remote, Pins::default());
    let (reader, memory) = ledger(&remote, pins);
    writer.open(&occasion()).await.unwrap();
    for _ in 0..5 {
        writer.transact(&occasion(), |draft| draft.next_proposal()).await.unwrap();
    }
    reader.read().await.unwrap();
    reader.read().await.unwrap();
    assert_eq!(*memory.checked.lock().unwrap(), 6);
    writer.transact(&occasion(), |draft| draft.next_proposal()).await.unwrap();
    let tip = remote.tip.lock().unwrap().unwrap();
    memory.unsigned.lock().unwrap().insert(tip);
    let failure = reader.read().await.map(drop).unwrap_err();
    assert_eq!(failure.kind, FailureKind::Refused);
    assert!(failure.message.contains(&tip.to_string()), "{failure}");
    assert_eq!(*memory.checked.lock().unwrap(), 7, "only the new commit was looked at");
}

#[tokio::test]
async fn a_ledger_of_a_newer_consign_is_refused_kindly() {
    let remote = Arc::new(Remote::default());
    let (ledger, memory) = ledger(&remote, Pins::default());
    let root = ledger.open(&occasion()).await.unwrap().created.unwrap();
    let newer =
        "apiVersion: consign.dev/v1alpha1\nkind: Ledger\nmetadata:\n  name: consign\n  annotations:\n    consign.dev/schema: \"99\"\nstatus: {}\n";
    let tip = memory.write_commit(Some(root), &[("ledger.yaml".to_owned(), Some(newer.into()))], "from the future", occasion().now).unwrap();
    memory.push(tip, Some(root)).await.unwrap();
    let failure = ledger.open(&occasion()).await.map(drop).unwrap_err();
    assert_eq!(failure.kind, FailureKind::Refused);
    assert!(failure.hints[0].contains("update this one"), "{failure}");
}

#[tokio::test]
async fn migration_writes_again_what_would_be_written_differently_and_nothing_else() {
    let remote = Arc::new(Remote::default());
    let (ledger, memory) = ledger(&remote, Pins::default());
    let root = ledger.open(&occasion()).await.unwrap().created.unwrap();
    let old = "kind: Stage\nmetadata: {namespace: shop, name: prod}\nstatus: {}\n";
    let tip = memory.write_commit(Some(root), &[("shop/stages/prod.yaml".to_owned(), Some(old.into()))], "by hand", occasion().now).unwrap();
    memory.push(tip, Some(root)).await.unwrap();
    let edits = rewritten(&ledger.read().await.unwrap()).await.unwrap();
    assert_eq!(edits.len(), 1);
    assert_eq!(edits[0].0, "shop/stages/prod.yaml");
    let text = String::from_utf8(edits[0].1.clone().unwrap()).unwrap();
    assert!(text.starts_with("apiVersion: kargo.akuity.io/v1alpha1\nkind: Stage\n") && text.contains("consign.dev/schema: \"1\""), "{text}");
}
