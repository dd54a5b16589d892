//! Pins and signatures, with real keys.

use std::process::Command;

use consign::git::Signer;
use consign::ledger::{Author, Pins};

use super::branch::{World, author, occasion};

/// A key pair in the world's folder: the path of the private key and the text of the public one.
fn key(world: &World, name: &str) -> (String, String) {
    let path = world.path().join(name);
    let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-C", name, "-f"]).arg(&path).status().unwrap();
    assert!(made.success());
    (path.display().to_string(), std::fs::read_to_string(path.with_extension("pub")).unwrap())
}

fn signing(key: String) -> Author {
    Author { signer: Some(Signer::Ssh { key, program: None }), ..author() }
}

#[tokio::test]
async fn only_commits_of_trusted_keys_are_believed() {
    let world = World::new();
    let (ours, our_public) = key(&world, "ours");
    let (theirs, their_public) = key(&world, "theirs");
    let pins = |keys: &[&str]| Pins { trusted_keys: keys.iter().map(|key| (*key).to_owned()).collect(), ..Pins::default() };
    let writer = world.machine("writer", pins(&[&our_public]), signing(ours));
    writer.ledger.open(&occasion("1")).await.unwrap();
    for number in 0..4 {
        writer.ledger.transact(&occasion(&format!("2-{number}")), |draft| draft.next_proposal()).await.unwrap();
    }
    let reader = world.machine("reader", pins(&[&our_public]), author());
    reader.ledger.read().await.unwrap();

    let stranger = world.machine("stranger", pins(&[&our_public, &their_public]), signing(theirs));
    stranger.ledger.transact(&occasion("3"), |draft| draft.next_proposal()).await.unwrap();
    let foreign = world.git(&["-C", "remote.git", "rev-parse", "consign/state"]);
    writer.ledger.read().await.map(drop).unwrap_err();
    let failure = reader.ledger.read().await.map(drop).unwrap_err();
    assert_eq!(failure.kind.exit_code(), 3);
    assert!(failure.message.contains(&foreign), "{failure}");

    let unsigned = world.machine("unsigned", Pins::default(), author());
    unsigned.ledger.transact(&occasion("4"), |draft| draft.next_proposal()).await.unwrap();
    let both = world.machine("both", pins(&[&our_public, &their_public]), author());
    let failure = both.ledger.read().await.map(drop).unwrap_err();
    let unsigned = world.git(&["-C", "remote.git", "rev-parse", "consign/state"]);
    assert!(failure.message.contains(&unsigned), "only the last is signed by nobody: {failure}");
}

#[tokio::test]
async fn what_was_checked_once_is_not_checked_again_by_a_later_run() {
    let world = World::new();
    let (ours, public) = key(&world, "ours");
    let pins = Pins { trusted_keys: vec![public], ..Pins::default() };
    let writer = world.machine("writer", pins.clone(), signing(ours));
    writer.ledger.open(&occasion("1")).await.unwrap();
    let checks = |machine: &super::branch::Machine| machine.stores.stats().by_verb().get("verify-commit").copied().unwrap_or_default();
    let first = world.machine("reader", pins.clone(), author());
    first.ledger.read().await.unwrap();
    assert_eq!(checks(&first), 1);
    drop(first);
    let second = world.machine("reader", pins, author());
    second.ledger.read().await.unwrap();
    assert_eq!(checks(&second), 0);
}
