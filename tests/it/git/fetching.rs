//! What comes over the network, and how often.

use consign::diagnostic::FailureKind;
use consign::git::{Credential, ObjectError, RefPattern, Secret, Stores};
use std::sync::Arc;

use super::{World, write};
use crate::support::git_server::{Fault, GitServer};

#[tokio::test]
async fn a_fetch_brings_history_without_file_contents() {
    let world = World::new();
    world.repository.commit("main", "one", &[("apps/web.yaml", Some("tag: 1\n")), ("README.md", Some("hello\n"))]);
    let store = world.store();
    let fetched = store.fetch(&[RefPattern::branch("main").unwrap()]).await.unwrap();
    assert_eq!(fetched.moved.len(), 1);
    let tip = store.resolve("main").unwrap().unwrap();
    assert_eq!(tip.to_string(), world.repository.tip("main").unwrap());
    let commit = store.commit(tip).unwrap();
    assert_eq!((commit.subject(), commit.author.name.as_str()), ("one", "Ada"));
    let entry = store.entry(commit.tree, "apps/web.yaml").unwrap().unwrap();
    assert_eq!(store.blob(entry.oid), Err(ObjectError::Missing(entry.oid)), "the blob must not have come along");
    assert_eq!(store.list(commit.tree, "").unwrap().len(), 2);

    world.server.take_requests();
    assert_eq!(store.prefetch(&[entry.oid, entry.oid]).await.unwrap(), 1);
    assert_eq!(store.blob(entry.oid).unwrap(), b"tag: 1\n");
    assert_eq!(world.server.take_requests().len(), 2);
    world.take_processes();
    assert_eq!(store.prefetch(&[entry.oid]).await.unwrap(), 0);
    assert!(world.take_processes().is_empty() && world.server.take_requests().is_empty(), "nothing missing, nothing done");
    let other = store.entry(commit.tree, "README.md").unwrap().unwrap();
    assert!(!store.has(other.oid), "only what was asked for");
}

#[tokio::test]
async fn nothing_new_is_two_small_requests() {
    let world = World::new();
    for n in 0..100 {
        world.repository.commit(&format!("env/stage-{n:03}"), "x", &[("a", Some("b"))]);
    }
    let patterns = [RefPattern::new("refs/heads/env/*").unwrap(), RefPattern::head()];
    world.repository.commit("main", "x", &[("a", Some("b"))]);
    world.store().fetch(&patterns).await.unwrap();
    world.take_processes();
    world.server.take_requests();

    let store = world.store();
    let fetched = store.ensure(&patterns).await.unwrap();
    assert!(fetched.asked && fetched.moved.is_empty());
    assert_eq!(store.default_branch().await.unwrap().as_deref(), Some("refs/heads/main"));
    let requests = world.server.take_requests();
    assert_eq!(requests.len(), 2, "{requests:?}");
    assert!(requests.iter().map(|request| request.sent).sum::<u64>() < 20_000);
    let processes = world.take_processes();
    assert!(processes.len() <= 3, "{processes:?}");
}

#[tokio::test]
async fn one_fetch_suffices_in_a_warm_tick() {
    let world = World::new();
    world.repository.commit("main", "x", &[("a", Some("b"))]);
    world.repository.commit("env/test", "x", &[("a", Some("b"))]);
    let (first, second) = ([RefPattern::head()], [RefPattern::branch("env/test").unwrap(), RefPattern::branch("env/none").unwrap()]);
    let store = world.store();
    store.ensure(&first).await.unwrap();
    assert!(store.ensure(&second).await.unwrap().asked);
    drop(store);
    let store = world.store();
    assert!(store.ensure(&first).await.unwrap().asked);
    assert!(!store.ensure(&second).await.unwrap().asked, "the first fetch already brought what the last run wanted");
    assert_eq!(store.tip("refs/heads/env/none"), None);
}

#[tokio::test]
async fn refs_that_come_and_go_are_no_errors() {
    let world = World::new();
    let main = world.repository.commit("main", "x", &[("a", Some("b"))]);
    let store = world.store();
    let patterns = [RefPattern::branch("main").unwrap(), RefPattern::branch("gone").unwrap()];
    store.fetch(&patterns).await.unwrap();
    assert_eq!(store.tip("refs/heads/gone"), None);
    world.repository.git(&["update-ref", "refs/heads/gone", &main]);
    store.fetch(&patterns).await.unwrap();
    assert!(store.tip("refs/heads/gone").is_some());
    world.repository.git(&["update-ref", "-d", "refs/heads/gone"]);
    let fetched = store.fetch(&patterns).await.unwrap();
    assert_eq!(store.tip("refs/heads/gone"), None);
    assert_eq!(fetched.moved.len(), 1);
    world.repository.git(&["update-ref", "refs/heads/gone/deeper", &main]);
    store.fetch(&[RefPattern::branches()]).await.unwrap();
    assert!(store.tip("refs/heads/gone/deeper").is_some());
}

#[tokio::test]
async fn an_empty_remote_is_no_error() {
    let world = World::new();
    let store = world.store();
    store.fetch(&[RefPattern::head(), RefPattern::branch("main").unwrap()]).await.unwrap();
    assert!(store.tips().is_empty());
    let commit = write(&store, None, "README.md", "hello\n");
    let push = store.push(&[consign::git::RefUpdate::forward("refs/heads/main", None, commit)]).await.unwrap();
    assert!(push.landed());
    assert_eq!(world.repository.file("main", "README.md").as_deref(), Some("hello\n"));
}

#[tokio::test]
async fn the_default_branch_follows_head() {
    let world = World::new();
    world.repository.commit("main", "x", &[("a", Some("b"))]);
    world.repository.commit("trunk", "y", &[("a", Some("c"))]);
    world.repository.git(&["symbolic-ref", "HEAD", "refs/heads/trunk"]);
    world.server.take_requests();
    let store = world.store();
    assert_eq!(store.default_branch().await.unwrap().as_deref(), Some("refs/heads/trunk"));
    assert_eq!(world.server.take_requests().len(), 3, "info/refs, ls-refs, fetch: no request of its own");
    drop(store);
    world.repository.git(&["symbolic-ref", "HEAD", "refs/heads/main"]);
    let store = world.store();
    store.fetch(&[RefPattern::branches(), RefPattern::head()]).await.unwrap();
    assert_eq!(store.default_branch().await.unwrap().as_deref(), Some("refs/heads/main"));
}

#[tokio::test]
async fn credentials_go_by_header_and_wrong_ones_are_refused() {
    let server = GitServer::with_password("bot", "s3cret");
    let repository = server.repository("acme/private");
    repository.commit("main", "x", &[("a", Some("b"))]);
    let world = World::new();
    let stores = |password: &'static str| {
        Stores::new(world.settings(), Arc::new(move |_| Some(Credential { username: "bot".into(), password: Secret::new(password) })))
    };
    let store = stores("s3cret").get(repository.url()).unwrap();
    store.fetch(&[RefPattern::branches()]).await.unwrap();
    assert!(server.take_requests().iter().all(|request| request.status == 200 && request.authorized), "no round trip for a 401");
    let config = std::fs::read_to_string(store.folder().join("config")).unwrap();
    assert!(!config.contains("s3cret") && !std::fs::read_to_string(world.trace()).unwrap().contains("s3cret"));
    drop(store);
    for stores in [stores("wrong"), world.stores()] {
        let failure = stores.get(repository.url()).unwrap().fetch(&[RefPattern::branches()]).await.unwrap_err();
        assert_eq!(failure.kind, FailureKind::Refused, "{}", failure.message);
    }
}

#[tokio::test]
async fn a_hiccup_is_retried_and_an_outage_is_remote() {
    let world = World::new();
    world.repository.commit("main", "x", &[("a", Some("b"))]);
    let store = world.store();
    world.server.inject("info/refs", Fault::Status(503));
    store.fetch(&[RefPattern::branches()]).await.unwrap();
    let url = world.server.url("acme/gitops");
    let settings = world.settings();
    drop(store);
    drop(world.server);
    let failure = Stores::without_credentials(settings).get(&url).unwrap().fetch(&[RefPattern::branches()]).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Remote, "{}", failure.message);
}

#[tokio::test]
async fn a_damaged_or_interrupted_store_heals() {
    let world = World::new();
    world.repository.commit("main", "x", &[("a", Some("b"))]);
    let store = world.store();
    store.fetch(&[RefPattern::branches()]).await.unwrap();
    let folder = store.folder().to_owned();
    drop(store);
    // A killed git: locks and half a pack.
    std::fs::write(folder.join("refs/remotes/origin/main.lock"), "").unwrap();
    std::fs::write(folder.join("objects/pack/tmp_pack_x"), "half").unwrap();
    std::fs::create_dir_all(folder.join("worktrees/old")).unwrap();
    std::fs::write(folder.join("worktrees/old/locked"), "initializing").unwrap();
    world.repository.commit("main", "y", &[("a", Some("c"))]);
    let store = world.store();
    store.fetch(&[RefPattern::branches()]).await.unwrap();
    assert!(!folder.join("objects/pack/tmp_pack_x").exists() && !folder.join("worktrees").exists());
    drop(store);
    // A cache that was restored badly.
    let pack = std::fs::read_dir(folder.join("objects/pack"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|e| e == "pack"));
    let pack = pack.unwrap();
    let bytes = std::fs::read(&pack).unwrap();
    std::fs::remove_file(&pack).unwrap();
    std::fs::write(&pack, &bytes[..bytes.len() / 2]).unwrap();
    let tip = world.repository.commit("main", "z", &[("a", Some("d"))]);
    let store = world.store();
    store.fetch(&[RefPattern::branches()]).await.unwrap();
    assert_eq!(store.resolve("main").unwrap().unwrap().to_string(), tip);
    drop(store);
    std::fs::write(folder.join("consign-store.json"), "{").unwrap();
    world.store().fetch(&[RefPattern::branches()]).await.unwrap();
}

#[tokio::test]
async fn a_second_process_borrows_the_objects_and_leaves_no_trace() {
    let world = World::new();
    world.repository.commit("main", "x", &[("a", Some("b"))]);
    let first = world.store();
    first.fetch(&[RefPattern::branches()]).await.unwrap();
    // Another registry has its own lock, as another process has.
    let second = world.store();
    assert_ne!(first.folder(), second.folder());
    assert_eq!(second.tip("refs/heads/main"), first.tip("refs/heads/main"));
    world.server.take_requests();
    second.fetch(&[RefPattern::branches()]).await.unwrap();
    assert_eq!(world.server.take_requests().len(), 2, "nothing is fetched twice");
    let commit = write(&second, second.tip("refs/heads/main"), "a", "c");
    let update = consign::git::RefUpdate::forward("refs/heads/main", second.tip("refs/heads/main"), commit);
    assert!(second.push(&[update]).await.unwrap().landed());
    let folder = second.folder().to_owned();
    drop(second);
    assert!(!folder.exists());
}

#[tokio::test]
async fn a_server_that_cannot_filter_is_noted_and_works() {
    let world = World::new();
    world.repository.commit("main", "x", &[("a", Some("b"))]);
    world.repository.git(&["config", "uploadpack.allowFilter", "false"]);
    let stores = world.stores();
    let store = stores.get(world.repository.url()).unwrap();
    store.fetch(&[RefPattern::branches()]).await.unwrap();
    assert_eq!(stores.notes().len(), 1);
    let tree = store.commit(store.resolve("main").unwrap().unwrap()).unwrap().tree;
    assert_eq!(store.file(tree, "a").unwrap().as_deref(), Some(&b"b"[..]));
    store.fetch(&[RefPattern::branches()]).await.unwrap();
}

#[tokio::test]
async fn a_commit_by_its_id_is_fetched_once() {
    let world = World::new();
    let old = world.repository.commit("main", "x", &[("a", Some("b"))]);
    world.repository.commit("main", "y", &[("a", Some("c"))]);
    let store = world.store();
    let old = old.parse().unwrap();
    store.ensure_commit(old).await.unwrap();
    assert_eq!(store.commit(old).unwrap().subject(), "x");
    world.server.take_requests();
    store.ensure_commit(old).await.unwrap();
    assert!(world.server.take_requests().is_empty());
    let unknown = "1234567890123456789012345678901234567890".parse().unwrap();
    assert!(store.ensure_commit(unknown).await.is_err());
}

#[tokio::test]
async fn a_cold_start_may_be_shallow_and_deepened_later() {
    let world = World::new();
    let old = world.repository.commit("main", "one", &[("a", Some("1"))]).parse().unwrap();
    world.repository.commit("main", "two", &[("a", Some("2"))]);
    let mut settings = world.settings();
    settings.depth = Some(1);
    let store = Stores::without_credentials(settings).get(world.repository.url()).unwrap();
    let patterns = [RefPattern::branch("main").unwrap()];
    store.fetch(&patterns).await.unwrap();
    let tip = store.resolve("main").unwrap().unwrap();
    assert!(!store.has(old));
    let mut seen = 0;
    store
        .walk(&[tip], &[], |_| {
            seen += 1;
            std::ops::ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(seen, 1);
    let commit = write(&store, Some(tip), "a", "3");
    assert!(store.push(&[consign::git::RefUpdate::forward("refs/heads/main", Some(tip), commit)]).await.unwrap().landed());
    let next = world.repository.commit("main", "four", &[("a", Some("4"))]);
    store.fetch(&patterns).await.unwrap();
    assert_eq!(store.tip("refs/heads/main").unwrap().to_string(), next);
    assert!(store.is_ancestor(commit, next.parse().unwrap()).unwrap() && !store.has(old));
    store.deepen(&patterns, None).await.unwrap();
    assert!(store.is_ancestor(old, next.parse().unwrap()).unwrap());
}

#[tokio::test]
async fn the_users_rewriting_of_urls_is_followed_with_credentials() {
    let server = GitServer::with_password("bot", "s3cret");
    server.repository("acme/private").commit("main", "x", &[("a", Some("b"))]);
    let world = World::new();
    let mut settings = world.settings();
    settings.config = vec![(format!("url.http://{}/.insteadOf", server.host()), "https://git.example.com/".to_owned())];
    let stores = Stores::new(
        settings,
        Arc::new(|url| {
            assert_eq!(url.as_str(), "https://git.example.com/acme/private.git");
            Some(Credential { username: "bot".into(), password: Secret::new("s3cret") })
        }),
    );
    let store = stores.get("https://git.example.com/acme/private.git").unwrap();
    store.fetch(&[RefPattern::branches()]).await.unwrap();
    assert!(store.tip("refs/heads/main").is_some());
    assert!(Arc::ptr_eq(&store, &stores.get("https://GIT.example.com/acme/private").unwrap()), "one store for both spellings");
}

#[tokio::test]
async fn small_files_that_changed_come_along_even_as_differences_to_what_is_not_here() {
    let world = World::new();
    let mut text: String = (0_u64..200).map(|n| format!("{:x}\n", n.wrapping_mul(0x9e37_79b9_7f4a_7c15))).collect();
    let large = "x".repeat(100_000);
    world.repository.commit("main", "one", &[("values.yaml", Some(&text)), ("large", Some(&large))]);
    world.store().fetch(&[RefPattern::branch("main").unwrap()]).await.unwrap();

    text.push_str("tag: 2\n");
    world.repository.commit("main", "two", &[("values.yaml", Some(&text)), ("large", Some(&(large + "y")))]);
    world.repository.git(&["repack", "-adfq"]);
    let store = world.store();
    store.fetch(&[RefPattern::branch("main").unwrap()]).await.unwrap();
    let tree = store.commit(store.resolve("main").unwrap().unwrap()).unwrap().tree;
    assert_eq!(store.file(tree, "values.yaml").unwrap().as_deref(), Some(text.as_bytes()));
    assert!(!store.has(store.entry(tree, "large").unwrap().unwrap().oid), "a large file waits until it is asked for");
}
