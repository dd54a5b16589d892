//! Proposals over a real bare repository: people merge them with git as they like.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use consign::forge::plain::{Book, Committer, PlainForges, merge_commands};
use consign::forge::{Forge, Merge, NewPullRequest, Opening, PullRequest};
use consign::git::{Settings, Stores};
use consign::model::Proposal;

use crate::support::git_server::{GitServer, Repository, sealed};

/// A repository with a target branch, and the stores of one tick after the other.
struct World {
    _server: GitServer,
    repository: Repository,
    cache: tempfile::TempDir,
    book: Book,
}

const SOURCE: &str = "kargo/promotion/p1";
const TARGET: &str = "env/prod";

impl World {
    fn new() -> Self {
        let server = GitServer::start();
        let repository = server.repository("app");
        repository.commit(TARGET, "start", &[("app.yaml", Some("image: v1\n")), ("other.yaml", Some("a: 1\n"))]);
        let book = Book { last_number: Arc::new(AtomicU64::new(6)), ..Book::default() };
        Self { _server: server, repository, cache: tempfile::tempdir().unwrap(), book }
    }

    /// A branch with a new version, made by somebody on the target as it stands.
    fn push_source(&self) -> String {
        let base = self.repository.tip(&format!("refs/heads/{TARGET}")).unwrap();
        self.repository.git(&["update-ref", &format!("refs/heads/{SOURCE}"), &base]);
        self.repository.commit(SOURCE, "Bump to v2", &[("app.yaml", Some("image: v2\n")), ("new.yaml", Some("b: 2\n"))])
    }

    /// The forge as the next tick has it: what was opened so far is in the ledger now.
    fn next_tick(&mut self) -> impl Forge + use<> {
        let mut known = (*self.book.known).clone();
        known.extend(self.book.take_opened());
        self.book.known = Arc::new(known);
        self.forge()
    }

    fn forge(&self) -> impl Forge + use<> {
        let stores = Stores::without_credentials(Settings { user_config: false, ..Settings::new(self.cache.path()) });
        let at = "2026-01-02T03:04:05Z".parse().unwrap();
        let committer = Committer { name: "consign".into(), email: "consign@example.com".into(), at, signer: None };
        PlainForges { stores, book: self.book.clone(), committer, local: false }.of(self.repository.url()).unwrap()
    }

    async fn open(&mut self, head: &str) -> PullRequest {
        opened(self.forge().open(&new_request(head)).await.unwrap())
    }

    fn in_clone(&self, commands: &[String]) {
        let folder = tempfile::tempdir().unwrap();
        let run = |line: &str| {
            let sealed = sealed(folder.path());
            let path = std::env::var("PATH").unwrap();
            let git = sealed.get_envs().map(|(key, value)| (key.to_owned(), value.map(ToOwned::to_owned))).collect::<Vec<_>>();
            let mut shell = std::process::Command::new("sh");
            shell.arg("-ec").arg(line).current_dir(folder.path()).env("PATH", path);
            for (key, value) in git {
                match value {
                    Some(value) => shell.env(key, value),
                    None => shell.env_remove(key),
                };
            }
            let output = shell.output().unwrap();
            assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
        };
        run("git init -q -b main . && git commit -q --allow-empty -m unrelated");
        for command in commands {
            run(command);
        }
    }

    fn tip(&self, branch: &str) -> String {
        self.repository.tip(&format!("refs/heads/{branch}")).unwrap()
    }
}

fn new_request(head: &str) -> NewPullRequest {
    NewPullRequest {
        source_branch: SOURCE.into(),
        head: head.into(),
        target_branch: TARGET.into(),
        title: "Bump to v2".into(),
        promotion: "p1".into(),
        ..NewPullRequest::default()
    }
}

fn opened(opening: Opening) -> PullRequest {
    match opening {
        Opening::Opened(request) => request,
        Opening::Impossible(why) => panic!("not opened: {why}"),
    }
}

async fn state(forge: &impl Forge, number: u64) -> (bool, bool, String) {
    let request = forge.get(number).await.unwrap().unwrap();
    (request.open, request.merged, request.merge_commit)
}

#[tokio::test]
async fn a_proposal_is_open_until_the_target_has_it() {
    let mut world = World::new();
    let head = world.push_source();
    let request = world.open(&head).await;
    assert_eq!((request.number, request.open, request.merged), (7, true, false));
    assert_eq!(request.url, "proposal 7: kargo/promotion/p1 -> env/prod");
    assert_eq!(world.book.last_number.load(Ordering::SeqCst), 7);

    let forge = world.next_tick();
    assert_eq!(state(&forge, 7).await, (true, false, String::new()));
    let found = forge.find(SOURCE, TARGET).await.unwrap();
    assert_eq!(found.iter().map(|found| (found.number, found.head.as_str())).collect::<Vec<_>>(), [(7, head.as_str())], "a second opener adopts it");
    assert!(forge.get(8).await.unwrap().is_none());
    drop(forge);

    let proposal = world.book.known[0].clone();
    world.in_clone(&merge_commands(&proposal, world.repository.url()));
    let merged_at = world.tip(TARGET);
    world.repository.commit(TARGET, "later", &[("app.yaml", Some("image: v3\n"))]);
    let forge = world.next_tick();
    assert_eq!(state(&forge, 7).await, (false, true, merged_at), "the merge commit is told, whatever came after it");
}

#[tokio::test]
async fn a_fast_forward_and_a_squash_and_a_rebase_are_merges_too() {
    // Fast-forward, the branch deleted at once.
    let mut world = World::new();
    let head = world.push_source();
    world.open(&head).await;
    world.repository.git(&["update-ref", &format!("refs/heads/{TARGET}"), &head]);
    world.repository.git(&["update-ref", "-d", &format!("refs/heads/{SOURCE}")]);
    assert_eq!(state(&world.next_tick(), 7).await, (false, true, head));

    // Squash onto a target that has moved on; later the same file is changed again. The runner has an empty cache by then.
    let mut world = World::new();
    let head = world.push_source();
    world.open(&head).await;
    world.repository.commit(TARGET, "meanwhile", &[("other.yaml", Some("a: 2\n"))]);
    let squash = world.repository.commit(TARGET, "Bump (#7)", &[("app.yaml", Some("image: v2\n")), ("new.yaml", Some("b: 2\n"))]);
    world.repository.commit(TARGET, "later", &[("app.yaml", Some("image: v3\n"))]);
    world.repository.git(&["update-ref", "-d", &format!("refs/heads/{SOURCE}")]);
    let forge = world.next_tick();
    world.cache = tempfile::tempdir().unwrap();
    drop(forge);
    assert_eq!(state(&world.next_tick(), 7).await, (false, true, squash));
}

#[tokio::test]
async fn a_squashed_proposal_whose_commits_are_gone_is_known_by_its_tree() {
    let mut world = World::new();
    let head = world.push_source();
    world.open(&head).await;
    let squash = world.repository.commit(TARGET, "Bump (#7)", &[("app.yaml", Some("image: v2\n")), ("new.yaml", Some("b: 2\n"))]);
    world.repository.git(&["update-ref", "-d", &format!("refs/heads/{SOURCE}")]);
    world.repository.git(&["reflog", "expire", "--expire=now", "--all"]);
    world.repository.git(&["gc", "-q", "--prune=now"]);
    world.cache = tempfile::tempdir().unwrap();
    assert_eq!(state(&world.next_tick(), 7).await, (false, true, squash));
}

#[tokio::test]
async fn a_branch_that_is_gone_unmerged_closes_its_proposal() {
    let mut world = World::new();
    let head = world.push_source();
    world.open(&head).await;
    // Half of it is not it.
    world.repository.commit(TARGET, "half", &[("app.yaml", Some("image: v2\n"))]);
    assert_eq!(state(&world.next_tick(), 7).await, (true, false, String::new()));
    world.repository.git(&["update-ref", "-d", &format!("refs/heads/{SOURCE}")]);
    let forge = world.next_tick();
    assert_eq!(state(&forge, 7).await, (false, false, String::new()));
    assert_eq!(forge.merge(7, None).await.unwrap(), Merge::Impossible("proposal 7 is closed".into()));
}

#[tokio::test]
async fn a_branch_set_back_to_its_target_proposes_nothing() {
    let mut world = World::new();
    let before = world.tip(TARGET);
    let head = world.push_source();
    world.open(&head).await;
    world.repository.git(&["update-ref", &format!("refs/heads/{SOURCE}"), &before]);
    assert_eq!(state(&world.next_tick(), 7).await, (false, false, String::new()), "that its head is in the target makes it no merge");
}

#[tokio::test]
async fn a_person_may_add_commits_to_a_proposal() {
    let mut world = World::new();
    let head = world.push_source();
    world.open(&head).await;
    let amended = world.repository.commit(SOURCE, "fix a typo", &[("new.yaml", Some("b: 3\n"))]);
    let forge = world.next_tick();
    assert_eq!(forge.get(7).await.unwrap().unwrap().head, amended);
    drop(forge);
    let squash = world.repository.commit(TARGET, "Bump (#7)", &[("app.yaml", Some("image: v2\n")), ("new.yaml", Some("b: 3\n"))]);
    assert_eq!(state(&world.next_tick(), 7).await, (false, true, squash), "what was promoted is what was merged");
}

#[tokio::test]
async fn a_proposal_whose_branch_has_not_left_yet_is_open() {
    let mut world = World::new();
    let head = world.push_source();
    let request = world.open(&head).await;
    // In an optimistic promotion the branch leaves together with the record: the remote does not have it yet.
    world.repository.git(&["update-ref", "-d", &format!("refs/heads/{SOURCE}")]);
    let forge = world.forge();
    assert_eq!(state(&forge, request.number).await, (true, false, String::new()));
    assert!(matches!(forge.merge(7, None).await.unwrap(), Merge::NotReady(why) if why.contains("not on the remote yet")));
}

#[tokio::test]
async fn nothing_to_merge_is_not_opened() {
    let world = World::new();
    let head = world.tip(TARGET);
    world.repository.git(&["update-ref", &format!("refs/heads/{SOURCE}"), &head]);
    let forge = world.forge();
    assert_eq!(forge.open(&new_request(&head)).await.unwrap(), Opening::Impossible(format!("`{SOURCE}` has nothing that `{TARGET}` does not have")));
    assert!(world.book.take_opened().is_empty(), "no number is given for nothing");
    assert_eq!(world.book.last_number.load(Ordering::SeqCst), 6);
}

#[tokio::test]
async fn we_merge_as_we_are_told() {
    for (method, parents) in [(None, 2), (Some("merge"), 2), (Some("squash"), 1)] {
        let mut world = World::new();
        let head = world.push_source();
        world.open(&head).await;
        let target = world.repository.commit(TARGET, "meanwhile", &[("other.yaml", Some("a: 2\n"))]);
        let forge = world.next_tick();
        let Merge::Merged(request) = forge.merge(7, method).await.unwrap() else { panic!("not merged by {method:?}") };
        assert_eq!(world.tip(TARGET), request.merge_commit);
        let line = world.repository.git(&["rev-list", "--parents", "-1", &request.merge_commit]);
        assert_eq!(line.split(' ').count(), parents + 1, "{method:?}");
        assert_eq!(line.split(' ').nth(1), Some(target.as_str()), "the target's line goes on");
        assert_eq!(world.repository.file(TARGET, "other.yaml").as_deref(), Some("a: 2\n"));
        assert_eq!(world.repository.file(TARGET, "app.yaml").as_deref(), Some("image: v2\n"));
        let Merge::Merged(again) = forge.merge(7, method).await.unwrap() else { panic!("not known as merged") };
        assert_eq!(again.merge_commit, request.merge_commit, "merging again does nothing");
    }
    let mut world = World::new();
    let head = world.push_source();
    world.open(&head).await;
    let forge = world.next_tick();
    let Merge::Merged(request) = forge.merge(7, Some("fast-forward-only")).await.unwrap() else { panic!("not forwarded") };
    assert_eq!((request.merge_commit, world.tip(TARGET)), (head.clone(), head));
    assert!(matches!(forge.merge(7, Some("octopus")).await.unwrap(), Merge::Impossible(why) if why.contains("`octopus`")));
}

#[tokio::test]
async fn what_cannot_be_merged_says_why() {
    let mut world = World::new();
    let head = world.push_source();
    world.open(&head).await;
    world.repository.commit(TARGET, "conflict", &[("app.yaml", Some("image: v9\n"))]);
    let forge = world.next_tick();
    let Merge::Impossible(why) = forge.merge(7, None).await.unwrap() else { panic!("a conflict was merged") };
    assert!(why.contains("`app.yaml`: both sides changed the same lines"), "{why}");
    assert!(matches!(forge.merge(7, Some("fast-forward-only")).await.unwrap(), Merge::Impossible(why) if why.contains("moved on")));
    drop(forge);

    let mut world = World::new();
    let head = world.push_source();
    world.open(&head).await;
    world.repository.hook("update", "case \"$1\" in refs/heads/env/*) echo 'prod is frozen' >&2; exit 1;; esac");
    let before = world.tip(TARGET);
    let forge = world.next_tick();
    let Merge::NotReady(why) = forge.merge(7, None).await.unwrap() else { panic!("the hook said no") };
    assert!(why.contains("prod is frozen"), "{why}");
    assert_eq!(world.tip(TARGET), before);
}

#[tokio::test]
async fn promotions_of_a_tick_share_the_numbers_and_nothing_else() {
    let mut world = World::new();
    let head = world.push_source();
    let other = Book { last_number: world.book.last_number.clone(), ..Book::default() };
    let first = world.open(&head).await;
    let book = std::mem::replace(&mut world.book, other);
    let second = world.open(&head).await;
    assert_eq!((first.number, second.number), (7, 8));
    let numbers = |book: &Book| book.take_opened().iter().map(|proposal: &Proposal| proposal.number).collect::<Vec<_>>();
    assert_eq!((numbers(&book), numbers(&world.book)), (vec![7], vec![8]));
}
