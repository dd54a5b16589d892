//! Pull requests on the test GitHub.

use std::collections::BTreeMap;
use std::sync::Arc;

use consign::diagnostic::{Failure, FailureKind};
use consign::forge::plain::{Book, Committer, PlainForges};
use consign::forge::{Describe, Directory, Forge, Merge, NewPullRequest, Opening, PullRequest, Rule, RuleKind};
use consign::git::{Credential, CredentialLookup, Secret, Settings, Stores};

use crate::support::git_server::{GitServer, Repository};
use crate::support::github::{Fault, GitHub, MergeMethod, TOKEN};

const NAME: &str = "acme/app";
const SOURCE: &str = "kargo/promotion/p1";
const TARGET: &str = "env/prod";

/// Says something of its own below what a step says.
struct AddsALine;

#[async_trait::async_trait]
impl Describe for AddsALine {
    async fn describe(&self, repo_url: &str, new: &NewPullRequest) -> Result<String, Failure> {
        match new.title.as_str() {
            "broken" => Err(Failure::new(FailureKind::Remote, "no blobs")),
            _ => Ok(format!("{}\n\n{} into {}", new.description, repo_url.rsplit('/').next().unwrap(), new.target_branch)),
        }
    }
}

struct World {
    github: GitHub,
    _git: GitServer,
    repository: Repository,
    cache: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        let git = GitServer::start();
        let repository = git.repository(NAME);
        repository.commit(TARGET, "start", &[("app.yaml", Some("image: v1\n"))]);
        let base = repository.tip(&format!("refs/heads/{TARGET}")).unwrap();
        repository.git(&["update-ref", &format!("refs/heads/{SOURCE}"), &base]);
        repository.commit(SOURCE, "Bump to v2", &[("app.yaml", Some("image: v2\n"))]);
        let github = GitHub::start();
        github.host(NAME, &repository);
        Self { github, _git: git, repository, cache: tempfile::tempdir().unwrap() }
    }

    fn head(&self) -> String {
        self.repository.tip(&format!("refs/heads/{SOURCE}")).unwrap()
    }

    /// The forge as a new tick finds it.
    fn forge(&self) -> Arc<dyn Forge> {
        self.forge_as(Some(TOKEN)).unwrap()
    }

    fn forge_as(&self, token: Option<&str>) -> Result<Arc<dyn Forge>, Failure> {
        let api = self.github.api();
        let rules = Arc::new(move |_: &str| Some(Rule { kind: RuleKind::GitHub, api: api.clone() }));
        let credential = token.map(|token| Credential { username: "x".into(), password: Secret::new(token) });
        let credentials: CredentialLookup = Arc::new(move |_| credential.clone());
        let directory = Arc::new(Directory::new(rules, credentials, &BTreeMap::new()));
        let committer = Committer { name: "consign".into(), email: "consign@example.com".into(), at: jiff::Timestamp::UNIX_EPOCH, signer: None };
        let stores = Stores::without_credentials(Settings { user_config: false, ..Settings::new(self.cache.path()) });
        let plain = PlainForges { stores, book: Book::default(), committer, local: false };
        let forges = directory.for_promotion(plain, Some(Arc::new(AddsALine)));
        assert!(!forges.is_plain(self.repository.url(), None));
        forges.forge(self.repository.url(), None)
    }

    fn request(&self) -> NewPullRequest {
        NewPullRequest {
            source_branch: SOURCE.into(),
            head: self.head(),
            target_branch: TARGET.into(),
            base: String::new(),
            title: "Bump to v2".into(),
            description: "All of it.".into(),
            labels: vec!["release".into(), "prod".into()],
            is_described: false,
            promotion: "p1".into(),
        }
    }

    /// Methods and paths of the requests since the last call, without the repository.
    fn requests(&self) -> Vec<String> {
        let all = self.github.take_requests();
        all.iter().map(|one| format!("{} {}", one.request.replace("/api/v3/repos/acme/app/", ""), one.status)).collect()
    }
}

fn opened(opening: Opening) -> PullRequest {
    match opening {
        Opening::Opened(request) => request,
        Opening::Impossible(why) => panic!("not opened: {why}"),
    }
}

#[tokio::test]
async fn a_pull_request_is_opened_found_and_waited_for() {
    let world = World::new();
    let forge = world.forge();
    assert!(forge.find(SOURCE, TARGET).await.unwrap().is_empty());
    let request = opened(forge.open(&world.request()).await.unwrap());
    assert_eq!(world.requests(), ["GET pulls 200", "POST pulls 201", "POST issues/1/labels 200"], "three requests, no more");
    assert_eq!((request.number, request.open, request.merged, request.head), (1, true, false, world.head()));
    assert_eq!(request.url, "https://github.test/acme/app/pull/1");
    assert_eq!(request.merge_commit, "", "what GitHub shows of an open one is only a trial");
    world.github.with(NAME, |pulls| {
        let pull = pulls.pull(1);
        assert_eq!(
            (pull.title.as_str(), pull.body.as_str(), pull.labels.join(",")),
            ("Bump to v2", "All of it.\n\napp.git into env/prod", "release,prod".into())
        );
    });

    let forge = world.forge();
    assert!(forge.get(1).await.unwrap().unwrap().open);
    assert!(forge.get(1).await.unwrap().unwrap().open);
    assert_eq!(world.requests(), ["GET pulls 200"], "one listing answers for all who wait");
    assert!(forge.get(9).await.unwrap().is_none());

    for method in [MergeMethod::Merge, MergeMethod::Squash, MergeMethod::Rebase] {
        let world = World::new();
        opened(world.forge().open(&world.request()).await.unwrap());
        let commit = world.github.with(NAME, |pulls| pulls.merge(1, method));
        let request = world.forge().get(1).await.unwrap().unwrap();
        assert_eq!((request.open, request.merged, &request.merge_commit), (false, true, &commit), "{method:?}");
        assert_eq!(world.repository.tip(&format!("refs/heads/{TARGET}")).as_ref(), Some(&commit));
        let found = world.forge().find(SOURCE, TARGET).await.unwrap();
        assert_eq!(found.iter().map(|one| (one.number, one.merged)).collect::<Vec<_>>(), [(1, true)], "merged ones are found too");
    }
}

#[tokio::test]
async fn one_closed_unmerged_is_neither_open_nor_merged() {
    let world = World::new();
    opened(world.forge().open(&world.request()).await.unwrap());
    world.github.with(NAME, |pulls| pulls.close(1));
    let request = world.forge().get(1).await.unwrap().unwrap();
    assert_eq!((request.open, request.merged, request.merge_commit.as_str()), (false, false, ""));
    let again = opened(world.forge().open(&world.request()).await.unwrap());
    assert_eq!(again.number, 2, "a new one may be opened");
    let found = world.forge().find(SOURCE, TARGET).await.unwrap();
    assert_eq!(found.iter().map(|one| (one.number, one.open)).collect::<Vec<_>>(), [(2, true), (1, false)]);
}

#[tokio::test]
async fn two_openers_at_once_have_one_pull_request() {
    let world = World::new();
    let (one, two) = (world.forge(), world.forge());
    let (first, second) = (world.request(), world.request());
    let (one, two) = tokio::join!(one.open(&first), two.open(&second));
    assert_eq!(opened(one.unwrap()).number, 1);
    assert_eq!(opened(two.unwrap()).number, 1);
    assert_eq!(world.github.with(NAME, |pulls| pulls.all.len()), 1);
}

#[tokio::test]
async fn a_lost_answer_opens_nothing_twice() {
    let world = World::new();
    world.github.inject("POST", "/pulls", Fault::LoseAnswer);
    let request = opened(world.forge().open(&world.request()).await.unwrap());
    assert_eq!(request.number, 1);
    assert_eq!(world.requests(), ["POST pulls 201", "GET pulls 200", "POST issues/1/labels 200"], "looked before trying again");

    // Nothing had been done: it is tried again.
    let world = World::new();
    world.github.inject("POST", "/pulls", Fault::Status(502));
    assert_eq!(opened(world.forge().open(&world.request()).await.unwrap()).number, 1);
    assert_eq!(world.requests(), ["POST pulls 502", "GET pulls 200", "POST pulls 201", "POST issues/1/labels 200"]);
    assert_eq!(world.github.with(NAME, |pulls| pulls.all.len()), 1);
}

#[tokio::test]
async fn reads_are_repeated_while_the_server_is_unwell() {
    let world = World::new();
    world.github.inject("GET", "/pulls", Fault::Status(502));
    world.github.inject("GET", "/pulls", Fault::LoseAnswer);
    assert!(world.forge().find(SOURCE, TARGET).await.unwrap().is_empty());
    assert_eq!(world.requests(), ["GET pulls 502", "GET pulls 200", "GET pulls 200"]);

    for _ in 0..8 {
        world.github.inject("GET", "/pulls", Fault::Status(503));
    }
    let failure = world.forge().find(SOURCE, TARGET).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Remote);
    assert_eq!(failure.message, "cannot list the pull requests of `acme/app`: the server answers with status 503");

    let world = World::new();
    for _ in 0..4 {
        world.github.inject("GET", "/pulls", Fault::Status(503));
    }
    let forge = world.forge();
    assert_eq!(forge.get(1).await.unwrap_err().kind, FailureKind::Remote);
    assert_eq!(forge.get(2).await.unwrap_err().kind, FailureKind::Remote);
    assert_eq!(world.requests().len(), 4, "the second who waits does not wait for the same answer again");
}

#[tokio::test]
async fn a_rate_limit_says_when_to_come_back() {
    let world = World::new();
    world.github.inject("POST", "/pulls", Fault::RateLimit(1));
    assert_eq!(opened(world.forge().open(&world.request()).await.unwrap()).number, 1, "a short wait is waited");

    world.github.inject("GET", "/pulls", Fault::RateLimit(90));
    let failure = world.forge().find(SOURCE, TARGET).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Remote);
    assert!(failure.message.contains("secondary rate limit"), "{}", failure.message);
    assert_eq!(failure.hints, ["GitHub's rate limit is used up; run again in 90 s"]);

    world.github.inject("GET", "/pulls", Fault::UsedUp(1800));
    let failure = world.forge().find(SOURCE, TARGET).await.unwrap_err();
    let seconds: u64 = failure.hints[0].split(' ').rev().nth(1).unwrap().parse().unwrap();
    assert!((1700..=1900).contains(&seconds), "{:?}", failure.hints);
}

#[tokio::test]
async fn a_wrong_token_is_refused_with_the_way_out_and_never_shown() {
    let world = World::new();
    let failure = world.forge_as(Some("ghp_wrong")).unwrap().find(SOURCE, TARGET).await.unwrap_err();
    assert_eq!((failure.kind, failure.message.as_str()), (FailureKind::Refused, "cannot list the pull requests of `acme/app`: Bad credentials"));
    assert!(failure.hints[0].contains("wrong or expired"), "{:?}", failure.hints);
    assert!(!format!("{failure:?}").contains("ghp_wrong"));
    assert_eq!(world.requests().len(), 1, "asked once");

    world.github.inject("POST", "/pulls", Fault::Status(403));
    let failure = world.forge().open(&world.request()).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Refused);
    assert!(failure.hints[0].contains("pull-requests: write"), "{:?}", failure.hints);

    let Err(failure) = world.forge_as(None) else { panic!("a forge without a token") };
    assert_eq!(failure.kind, FailureKind::Refused);
    assert!(failure.hints[0].contains("under `credentials` in `consign.yaml`"), "{:?}", failure.hints);
}

#[tokio::test]
async fn what_github_does_not_take_is_an_answer() {
    let world = World::new();
    let forge = world.forge();
    let reason = |opening: Opening| match opening {
        Opening::Impossible(why) => why,
        Opening::Opened(request) => panic!("opened {}", request.number),
    };
    let missing = NewPullRequest { source_branch: "gone".into(), ..world.request() };
    assert_eq!(reason(forge.open(&missing).await.unwrap()), "Validation Failed: `head`: invalid");
    let tip = world.repository.tip(&format!("refs/heads/{TARGET}")).unwrap();
    world.repository.git(&["update-ref", &format!("refs/heads/{SOURCE}"), &tip]);
    assert_eq!(reason(forge.open(&world.request()).await.unwrap()), format!("Validation Failed: No commits between {TARGET} and {SOURCE}"));
}

#[tokio::test]
async fn long_texts_are_cut_to_what_github_takes() {
    let world = World::new();
    let long = NewPullRequest { title: "t".repeat(300), description: "ä".repeat(70_000), ..world.request() };
    opened(world.forge().open(&long).await.unwrap());
    world.github.with(NAME, |pulls| {
        let pull = pulls.pull(1);
        assert_eq!((pull.title.chars().count(), pull.body.chars().count()), (256, 65_536));
        assert!(pull.body.ends_with("The rest does not fit here.*"));
    });
}

#[tokio::test]
async fn a_users_own_description_is_left_alone_and_a_missing_one_stops_nothing() {
    for changed in
        [NewPullRequest { is_described: true, ..World::new().request() }, NewPullRequest { title: "broken".into(), ..World::new().request() }]
    {
        let world = World::new();
        let request = NewPullRequest { head: world.head(), ..changed };
        opened(world.forge().open(&request).await.unwrap());
        assert_eq!(world.github.with(NAME, |pulls| pulls.pull(1).body.clone()), "All of it.");
    }
}

#[tokio::test]
async fn a_listing_goes_on_over_pages() {
    let world = World::new();
    world.github.with(NAME, |pulls| {
        pulls.add(SOURCE, TARGET);
        for _ in 0..100 {
            pulls.add(TARGET, SOURCE);
        }
    });
    let forge = world.forge();
    assert_eq!(forge.get(1).await.unwrap().unwrap().source_branch, SOURCE, "the oldest is on the last page");
    assert_eq!(world.requests(), ["GET pulls 200", "GET pulls 200"]);
}

#[tokio::test]
async fn we_merge_what_can_be_merged() {
    for (method, parents) in [(None, 2), (Some("merge"), 2), (Some("squash"), 1), (Some("rebase"), 1)] {
        let world = World::new();
        let forge = world.forge();
        opened(forge.open(&world.request()).await.unwrap());
        world.github.with(NAME, |pulls| pulls.unknown_for = 1);
        let Merge::Merged(request) = forge.merge(1, method).await.unwrap() else { panic!("{method:?}: not merged") };
        assert_eq!(world.repository.tip(&format!("refs/heads/{TARGET}")).as_ref(), Some(&request.merge_commit), "{method:?}");
        let line = world.repository.git(&["rev-list", "--parents", "-1", &request.merge_commit]);
        assert_eq!(line.split(' ').count(), parents + 1, "{method:?}");
        assert_eq!(forge.merge(1, method).await.unwrap(), Merge::Merged(PullRequest { open: false, merged: true, ..request.clone() }), "again");
    }

    // The answer to the merge is lost: it is looked up, not done twice.
    let world = World::new();
    let forge = world.forge();
    opened(forge.open(&world.request()).await.unwrap());
    world.requests();
    world.github.inject("PUT", "/merge", Fault::LoseAnswer);
    assert!(matches!(forge.merge(1, None).await.unwrap(), Merge::Merged(request) if !request.merge_commit.is_empty()));
    assert_eq!(world.requests(), ["GET pulls/1 200", "PUT pulls/1/merge 200", "GET pulls/1 200"]);
}

#[tokio::test]
async fn what_cannot_be_merged_says_why_and_whether_waiting_helps() {
    let not_ready = |merge: Merge| matches!(&merge, Merge::NotReady(_)).then_some(merge.clone()).unwrap_or_else(|| panic!("{merge:?}"));
    let impossible = |merge: Merge| matches!(&merge, Merge::Impossible(_)).then_some(merge.clone()).unwrap_or_else(|| panic!("{merge:?}"));
    let world = World::new();
    let forge = world.forge();
    opened(forge.open(&world.request()).await.unwrap());
    world.github.with(NAME, |pulls| pulls.blocked = Some("At least 1 approving review is required by reviewers with write access.".into()));
    assert_eq!(
        not_ready(forge.merge(1, None).await.unwrap()),
        Merge::NotReady("At least 1 approving review is required by reviewers with write access.".into())
    );
    world.github.with(NAME, |pulls| (pulls.blocked, pulls.pull(1).draft) = (None, true));
    not_ready(forge.merge(1, None).await.unwrap());
    world.github.with(NAME, |pulls| (pulls.pull(1).draft, pulls.forbidden_methods) = (false, vec!["squash".into()]));
    assert_eq!(
        impossible(forge.merge(1, Some("squash")).await.unwrap()),
        Merge::Impossible("Squash merges are not allowed on this repository.".into())
    );
    impossible(forge.merge(1, Some("octopus")).await.unwrap());
    impossible(forge.merge(7, None).await.unwrap());
    world.github.with(NAME, |pulls| pulls.unknown_for = 100);
    not_ready(forge.merge(1, None).await.unwrap());
    world.github.with(NAME, |pulls| pulls.unknown_for = 0);

    // Somebody pushes between our look and our merge: what was looked at is not what would be merged.
    let repository = world.repository.clone();
    let push = move || drop(repository.commit(SOURCE, "one more", &[("more.yaml", Some("a: 1\n"))]));
    world.github.inject("PUT", "/merge", Fault::Before(Arc::new(push)));
    let before = world.repository.tip(&format!("refs/heads/{TARGET}"));
    assert_eq!(not_ready(forge.merge(1, None).await.unwrap()), Merge::NotReady("Head branch was modified. Review and try the merge again.".into()));
    assert_eq!(world.repository.tip(&format!("refs/heads/{TARGET}")), before);

    world.repository.commit(TARGET, "conflict", &[("app.yaml", Some("image: v9\n"))]);
    impossible(forge.merge(1, None).await.unwrap());
    world.github.with(NAME, |pulls| pulls.close(1));
    impossible(forge.merge(1, None).await.unwrap());
}
