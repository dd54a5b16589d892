//! Which commits of a Git repository a subscription finds.
//!
//! Works on a store whose refs, commits and trees have been fetched; file contents are not needed. What subscriptions of one repository have in
//! common (history, tags, changed paths) is read once by their [`History`].

use std::cell::{OnceCell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use gix::ObjectId;
use gix::bstr::{BStr, ByteSlice as _};
use gix::objs::{CommitRef, Kind, TagRef};
use jiff::Timestamp;
use regex::Regex;

use super::DiscoveryError;
use super::filter::{Candidate, Date, Filter, TagCandidate};
use super::message::{cut, first_paragraph, identity};
use super::paths::PathFilter;
use crate::config::admission::go_regex;
use crate::expr::Site;
use crate::freight::semver::{Constraint, Version};
use crate::git::Oid;
use crate::model::{CommitSelectionStrategy, DiscoveredCommit, GitSubscription};

/// Results where a subscription does not say how many.
const DEFAULT_LIMIT: u32 = 20;
/// A walk with `since` ends after this many older commits in a row: then it is history, not a clock that was slow.
const OLDER_IN_A_ROW: usize = 256;

/// A subscription with its filters compiled.
pub struct GitQuery {
    repo_url: String,
    strategy: Strategy,
    paths: PathFilter,
    expression: Option<Filter>,
    limit: usize,
}

enum Strategy {
    Branch { name: Option<String>, since: Option<Timestamp> },
    Tags { ignore: Vec<Regex>, allow: Vec<Regex>, order: TagOrder },
}

enum TagOrder {
    Lexical,
    Newest,
    SemVer { strict: bool, constraint: Option<Constraint> },
}

impl GitQuery {
    /// Compiles a subscription whose defaults have been applied. `now` is what `now()` in its filter expression gives.
    ///
    /// # Errors
    /// What does not compile, and fields that were removed from Kargo, if the strategy reads them.
    pub fn new(subscription: &GitSubscription, now: Timestamp) -> Result<Self, DiscoveryError> {
        let strategy = match subscription.commit_selection_strategy {
            CommitSelectionStrategy::NewestFromBranch => {
                let name = Some(subscription.branch.clone()).filter(|branch| !branch.is_empty());
                Strategy::Branch { name, since: subscription.since }
            }
            CommitSelectionStrategy::Lexical => tags(subscription, TagOrder::Lexical)?,
            CommitSelectionStrategy::NewestTag => tags(subscription, TagOrder::Newest)?,
            CommitSelectionStrategy::SemVer => {
                let text = &subscription.semver_constraint;
                let constraint = if text.is_empty() { None } else { Some(text.parse().map_err(|error| bad("semverConstraint", text, &error))?) };
                tags(subscription, TagOrder::SemVer { strict: subscription.strict_semvers, constraint })?
            }
        };
        let site = if matches!(strategy, Strategy::Branch { .. }) { Site::CommitFilter } else { Site::TagFilter };
        let limit = if subscription.discovery_limit == 0 { DEFAULT_LIMIT } else { subscription.discovery_limit };
        Ok(Self {
            repo_url: subscription.repo_url.clone(),
            strategy,
            paths: PathFilter::new(subscription)?,
            expression: Filter::new(site, &subscription.expression_filter, now)?,
            limit: usize::try_from(limit).unwrap_or(usize::MAX),
        })
    }

    /// The refs that have to be fetched for it: a full name, `refs/tags/*`, or `HEAD`.
    pub fn refs(&self) -> String {
        match &self.strategy {
            Strategy::Branch { name: Some(branch), .. } => format!("refs/heads/{branch}"),
            Strategy::Branch { name: None, .. } => "HEAD".to_owned(),
            Strategy::Tags { .. } => "refs/tags/*".to_owned(),
        }
    }

    fn keeps(&self, candidate: &Candidate<'_>) -> Result<bool, DiscoveryError> {
        self.expression.as_ref().map_or(Ok(true), |expression| expression.keeps(candidate))
    }
}

fn tags(subscription: &GitSubscription, order: TagOrder) -> Result<Strategy, DiscoveryError> {
    if !subscription.allow_tags.is_empty() {
        return Err(DiscoveryError::RemovedField { field: "allowTags", instead: "allowTagsRegexes" });
    }
    if !subscription.ignore_tags.is_empty() {
        return Err(DiscoveryError::RemovedField { field: "ignoreTags", instead: "ignoreTagsRegexes" });
    }
    Ok(Strategy::Tags {
        ignore: regexes("ignoreTagsRegexes", &subscription.ignore_tags_regexes)?,
        allow: regexes("allowTagsRegexes", &subscription.allow_tags_regexes)?,
        order,
    })
}

fn regexes(field: &'static str, patterns: &[String]) -> Result<Vec<Regex>, DiscoveryError> {
    patterns.iter().map(|pattern| go_regex(pattern).map_err(|problem| bad(field, pattern, &problem))).collect()
}

fn bad(field: &'static str, pattern: &str, error: &dyn std::fmt::Display) -> DiscoveryError {
    DiscoveryError::BadPattern { field, pattern: pattern.to_owned(), problem: error.to_string() }
}

/// What a query found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GitFinding {
    /// Commits, best first.
    pub commits: Vec<DiscoveredCommit>,
    /// Tags that were left out because they name no commit, a sentence each.
    pub warnings: Vec<String>,
}

/// The history of one repository, read as far as queries need it.
pub struct History<'r> {
    repository: &'r gix::Repository,
    tips: &'r BTreeMap<String, Oid>,
    commits: RefCell<HashMap<ObjectId, Rc<CommitInfo>>>,
    changes: RefCell<HashMap<ObjectId, Rc<Vec<String>>>>,
    tags: OnceCell<Vec<Tag>>,
}

struct CommitInfo {
    id: ObjectId,
    tree: ObjectId,
    parent: Option<ObjectId>,
    date: Date,
    author: String,
    committer: String,
    subject: String,
}

struct Tag {
    name: String,
    /// The commit, or why there is none.
    commit: Result<Rc<CommitInfo>, NotACommit>,
    created: Date,
    tagger: String,
    annotation: String,
}

/// Kind of the object that a tag names instead of a commit.
struct NotACommit(Kind);

impl<'r> History<'r> {
    /// The history of a repository. `tips` are the remote's refs by full name, and `HEAD`, as they were fetched.
    pub fn new(repository: &'r gix::Repository, tips: &'r BTreeMap<String, Oid>) -> Self {
        Self { repository, tips, commits: RefCell::default(), changes: RefCell::default(), tags: OnceCell::new() }
    }

    /// Answers a query.
    ///
    /// # Errors
    /// A branch that is not there, a filter expression that fails, or history that is not here.
    pub fn discover(&self, query: &GitQuery) -> Result<GitFinding, DiscoveryError> {
        match &query.strategy {
            Strategy::Branch { name, since } => self.branch(query, name.as_deref(), *since),
            Strategy::Tags { ignore, allow, order } => self.tagged(query, ignore, allow, order),
        }
    }

    /// Follows first parents: a merge counts, what was merged does not.
    fn branch(&self, query: &GitQuery, branch: Option<&str>, since: Option<Timestamp>) -> Result<GitFinding, DiscoveryError> {
        let tip = match branch {
            Some(branch) => self
                .tips
                .get(&format!("refs/heads/{branch}"))
                .ok_or_else(|| DiscoveryError::NoBranch { repo_url: query.repo_url.clone(), branch: branch.to_owned() })?,
            None => self.tips.get("HEAD").ok_or_else(|| DiscoveryError::NoDefaultBranch { repo_url: query.repo_url.clone() })?,
        };
        let mut finding = GitFinding::default();
        let mut next = Some(ObjectId::from(*tip));
        let mut older = 0;
        while let Some(id) = next.filter(|_| finding.commits.len() < query.limit && older < OLDER_IN_A_ROW) {
            let commit = self.commit(id)?;
            next = commit.parent;
            // git stops at the first older commit; a clock that was slow for one commit must not hide those before it.
            if since.is_some_and(|since| commit.date.timestamp < since) {
                older += 1;
                continue;
            }
            older = 0;
            if query.keeps(&commit.candidate())? && self.touches(&commit, &query.paths)? {
                finding.commits.push(DiscoveredCommit { branch: branch.unwrap_or_default().to_owned(), ..commit.discovered(commit.date) });
            }
        }
        Ok(finding)
    }

    fn tagged(&self, query: &GitQuery, ignore: &[Regex], allow: &[Regex], order: &TagOrder) -> Result<GitFinding, DiscoveryError> {
        let mut finding = GitFinding::default();
        let mut found: Vec<(&Tag, &Rc<CommitInfo>, Option<Version>)> = Vec::new();
        for tag in self.tags()? {
            let matches = |regexes: &[Regex]| regexes.iter().any(|regex| regex.is_match(&tag.name));
            if matches(ignore) || !(allow.is_empty() || matches(allow)) {
                continue;
            }
            let version = match order {
                TagOrder::SemVer { strict, constraint } => {
                    let version = if *strict { Version::parse_strict(&tag.name) } else { Version::parse(&tag.name) };
                    match version {
                        Ok(version) if constraint.as_ref().is_none_or(|constraint| constraint.matches(&version)) => Some(version),
                        _ => continue,
                    }
                }
                TagOrder::Lexical | TagOrder::Newest => None,
            };
            match &tag.commit {
                Ok(commit) if query.keeps(&tag.candidate(commit))? => found.push((tag, commit, version)),
                Ok(_) => {}
                Err(NotACommit(kind)) => {
                    finding.warnings.push(format!("tag `{}` of `{}` is left out: it names a {kind}, not a commit", tag.name, query.repo_url))
                }
            }
        }
        match order {
            TagOrder::Lexical => found.sort_by(|(a, ..), (b, ..)| b.name.cmp(&a.name)),
            TagOrder::Newest => found.sort_by(|(a, ..), (b, ..)| b.created.timestamp.cmp(&a.created.timestamp).then_with(|| a.name.cmp(&b.name))),
            TagOrder::SemVer { .. } => found.sort_by(|(.., a), (.., b)| match (a, b) {
                (Some(a), Some(b)) => a.newest_first(b),
                _ => std::cmp::Ordering::Equal,
            }),
        }
        for (tag, commit, _) in found {
            if finding.commits.len() == query.limit {
                break;
            }
            if self.touches(commit, &query.paths)? {
                finding.commits.push(DiscoveredCommit { tag: tag.name.clone(), ..commit.discovered(tag.created) });
            }
        }
        Ok(finding)
    }

    /// All tags, by name. A tag of a tag is peeled to the commit.
    fn tags(&self) -> Result<&[Tag], DiscoveryError> {
        if let Some(tags) = self.tags.get() {
            return Ok(tags);
        }
        let mut tags = Vec::new();
        for (name, oid) in self.tips.range("refs/tags/".to_owned()..) {
            let Some(name) = name.strip_prefix("refs/tags/") else { break };
            tags.push(self.tag(name, ObjectId::from(*oid))?);
        }
        Ok(self.tags.get_or_init(|| tags))
    }

    fn tag(&self, name: &str, id: ObjectId) -> Result<Tag, DiscoveryError> {
        let mut tag = Tag {
            name: name.to_owned(),
            commit: Err(NotACommit(Kind::Tag)),
            created: Date::default(),
            tagger: String::new(),
            annotation: String::new(),
        };
        let mut created = None;
        let mut target = id;
        loop {
            let object = self.object(target)?;
            match object.kind {
                Kind::Tag => {
                    let annotated = TagRef::from_bytes(&object.data, gix::hash::Kind::Sha1).map_err(|error| damaged(target, &error))?;
                    if target == id {
                        let tagger = annotated.tagger().map_err(|error| damaged(target, &error))?;
                        tag.tagger = tagger.as_ref().map(identity).unwrap_or_default();
                        tag.annotation = first_paragraph(annotated.message);
                        created = tagger.and_then(|tagger| date(&tagger));
                    }
                    target = annotated.target();
                }
                Kind::Commit => {
                    let commit = self.commit(target)?;
                    tag.created = created.unwrap_or(commit.date);
                    tag.commit = Ok(commit);
                    return Ok(tag);
                }
                kind => {
                    tag.commit = Err(NotACommit(kind));
                    return Ok(tag);
                }
            }
        }
    }

    fn commit(&self, id: ObjectId) -> Result<Rc<CommitInfo>, DiscoveryError> {
        if let Some(known) = self.commits.borrow().get(&id) {
            return Ok(known.clone());
        }
        let object = self.object(id)?;
        let commit = CommitRef::from_bytes(&object.data, gix::hash::Kind::Sha1).map_err(|error| damaged(id, &error))?;
        let author = commit.author().map_err(|error| damaged(id, &error))?;
        let committer = commit.committer().map_err(|error| damaged(id, &error))?;
        let info = Rc::new(CommitInfo {
            id,
            tree: commit.tree(),
            parent: commit.parents().next(),
            date: date(&committer).unwrap_or_default(),
            author: identity(&author),
            committer: identity(&committer),
            subject: first_paragraph(commit.message),
        });
        self.commits.borrow_mut().insert(id, info.clone());
        Ok(info)
    }

    /// Whether the commit changes a file that counts. With any path pattern at all, a commit that changes nothing does not.
    fn touches(&self, commit: &CommitInfo, paths: &PathFilter) -> Result<bool, DiscoveryError> {
        Ok(paths.is_empty() || self.changed_paths(commit)?.iter().any(|path| paths.selects(path)))
    }

    /// The files that a commit changes against its first parent; a rename is two of them.
    fn changed_paths(&self, commit: &CommitInfo) -> Result<Rc<Vec<String>>, DiscoveryError> {
        if let Some(known) = self.changes.borrow().get(&commit.id) {
            return Ok(known.clone());
        }
        let before = match commit.parent {
            Some(parent) => self.tree(self.commit(parent)?.tree)?,
            None => Vec::new(),
        };
        let after = self.tree(commit.tree)?;
        let mut recorder = gix::diff::tree::Recorder::default();
        let trees = [&before, &after].map(|tree| gix::objs::TreeRefIter::from_bytes(tree, gix::hash::Kind::Sha1));
        let [before, after] = trees;
        gix::diff::tree(before, after, gix::diff::tree::State::default(), &self.repository.objects, &mut recorder)
            .map_err(|error| DiscoveryError::NotFetched { commit: format!("{} ({error})", commit.id) })?;
        let paths = recorder.records.iter().filter_map(changed_file).map(|path| path.to_str_lossy().into_owned()).collect();
        let paths = Rc::new(paths);
        self.changes.borrow_mut().insert(commit.id, Rc::clone(&paths));
        Ok(paths)
    }

    fn tree(&self, id: ObjectId) -> Result<Vec<u8>, DiscoveryError> {
        Ok(self.object(id)?.detach().data)
    }

    fn object(&self, id: ObjectId) -> Result<gix::Object<'r>, DiscoveryError> {
        match self.repository.try_find_object(id) {
            Ok(Some(object)) => Ok(object),
            Ok(None) => Err(DiscoveryError::NotFetched { commit: id.to_string() }),
            Err(error) => Err(damaged(id, &error)),
        }
    }
}

/// The path of a change that is a file's, link's or submodule's; folders change with what is in them.
fn changed_file(change: &gix::diff::tree::recorder::Change) -> Option<&BStr> {
    use gix::diff::tree::recorder::Change;
    let (path, is_file) = match change {
        Change::Addition { entry_mode, path, .. } | Change::Deletion { entry_mode, path, .. } => (path, !entry_mode.is_tree()),
        Change::Modification { previous_entry_mode, entry_mode, path, .. } => (path, !(previous_entry_mode.is_tree() && entry_mode.is_tree())),
    };
    is_file.then(|| path.as_bstr())
}

impl CommitInfo {
    fn candidate(&self) -> Candidate<'_> {
        Candidate { id: self.id.to_string(), tag: None, date: self.date, author: &self.author, committer: &self.committer, subject: &self.subject }
    }

    fn discovered(&self, created: Date) -> DiscoveredCommit {
        DiscoveredCommit {
            id: self.id.to_string(),
            subject: cut(&self.subject),
            author: self.author.clone(),
            committer: self.committer.clone(),
            creator_date: Some(created.timestamp),
            ..DiscoveredCommit::default()
        }
    }
}

impl Tag {
    fn candidate<'c>(&'c self, commit: &'c CommitInfo) -> Candidate<'c> {
        let tag = TagCandidate { name: &self.name, tagger: &self.tagger, annotation: &self.annotation };
        Candidate { tag: Some(tag), date: self.created, ..commit.candidate() }
    }
}

/// None for a date that no calendar holds.
fn date(signature: &gix::actor::SignatureRef<'_>) -> Option<Date> {
    let time = signature.time().ok()?;
    Some(Date { timestamp: Timestamp::from_second(time.seconds).ok()?, offset: time.offset })
}

fn damaged(object: ObjectId, error: &dyn std::fmt::Display) -> DiscoveryError {
    DiscoveryError::Damaged { object: object.to_string(), problem: error.to_string() }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use gix::objs::Write as _;

    use super::*;

    /// A bare repository whose commits change one file each.
    struct World {
        repository: gix::Repository,
        tips: BTreeMap<String, Oid>,
        _folder: tempfile::TempDir,
    }

    impl World {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            Self { repository: gix::init_bare(folder.path()).unwrap(), tips: BTreeMap::new(), _folder: folder }
        }

        fn write(&self, kind: Kind, bytes: &[u8]) -> ObjectId {
            self.repository.objects.write_buf(kind, bytes).unwrap()
        }

        fn tree(&self, content: &str) -> ObjectId {
            let blob = self.write(Kind::Blob, content.as_bytes());
            self.write(Kind::Tree, &[b"100644 file\0", blob.as_slice()].concat())
        }

        fn commit(&self, parent: Option<ObjectId>, seconds: i64) -> ObjectId {
            let parent = parent.map(|parent| format!("parent {parent}\n")).unwrap_or_default();
            let who = format!("Ines <ines@example.com> {seconds} +0100");
            let text = format!("tree {}\n{parent}author {who}\ncommitter {who}\n\nchange at {seconds}\n", self.tree(&seconds.to_string()));
            self.write(Kind::Commit, text.as_bytes())
        }

        fn set(&mut self, name: &str, id: ObjectId) {
            self.tips.insert(name.to_owned(), id.to_string().parse().unwrap());
        }

        fn find(&self, subscription: &GitSubscription) -> Result<GitFinding, DiscoveryError> {
            let query = GitQuery::new(subscription, Timestamp::UNIX_EPOCH)?;
            History::new(&self.repository, &self.tips).discover(&query)
        }
    }

    fn dates(finding: &GitFinding) -> Vec<i64> {
        finding.commits.iter().map(|commit| commit.creator_date.unwrap().as_second()).collect()
    }

    #[test]
    fn history_that_was_not_fetched_is_asked_for_only_when_it_is_needed() {
        let mut world = World::new();
        let missing = ObjectId::from_hex(&[b'1'; 40]).unwrap();
        let tip = world.commit(Some(missing), 1000);
        world.set("HEAD", tip);
        let one = GitSubscription { discovery_limit: 1, ..GitSubscription::default() };
        assert_eq!(dates(&world.find(&one).unwrap()), [1000]);
        let missing = DiscoveryError::NotFetched { commit: missing.to_string() };
        assert_eq!(world.find(&GitSubscription { discovery_limit: 2, ..one.clone() }), Err(missing.clone()));
        assert_eq!(world.find(&GitSubscription { include_paths: vec!["file".into()], ..one }), Err(missing));
    }

    #[test]
    fn since_looks_past_a_slow_clock_but_not_through_all_of_history() {
        let mut world = World::new();
        let mut tip = None;
        let old = (0..300).map(|index| 1000 + index);
        for seconds in old.chain([5000, 2000, 6000]) {
            tip = Some(world.commit(tip, seconds));
        }
        world.set("HEAD", tip.unwrap());
        let since = |seconds| GitSubscription { since: Some(Timestamp::from_second(seconds).unwrap()), ..GitSubscription::default() };
        assert_eq!(dates(&world.find(&since(5000)).unwrap()), [6000, 5000]);
        let query = GitQuery::new(&since(5000), Timestamp::UNIX_EPOCH).unwrap();
        let history = History::new(&world.repository, &world.tips);
        history.discover(&query).unwrap();
        assert_eq!(history.commits.borrow().len(), 3 + OLDER_IN_A_ROW);
    }

    #[test]
    fn subscriptions_share_what_was_read() {
        let mut world = World::new();
        let first = world.commit(None, 1000);
        let second = world.commit(Some(first), 2000);
        world.set("refs/heads/main", second);
        world.set("refs/tags/v1.0.0", first);
        let history = History::new(&world.repository, &world.tips);
        for strategy in [CommitSelectionStrategy::NewestFromBranch, CommitSelectionStrategy::SemVer] {
            let subscription = GitSubscription {
                branch: "main".into(),
                commit_selection_strategy: strategy,
                include_paths: vec!["glob:f*".into()],
                strict_semvers: true,
                ..GitSubscription::default()
            };
            history.discover(&GitQuery::new(&subscription, Timestamp::UNIX_EPOCH).unwrap()).unwrap();
        }
        assert_eq!((history.commits.borrow().len(), history.changes.borrow().len()), (2, 2));
    }

    #[test]
    fn a_tag_that_names_no_commit_is_left_out_with_a_word() {
        let mut world = World::new();
        let commit = world.commit(None, 1000);
        let tree = world.tree("x");
        world.set("refs/tags/good", commit);
        world.set("refs/tags/tree", tree);
        let lexical = GitSubscription {
            commit_selection_strategy: CommitSelectionStrategy::Lexical,
            repo_url: "https://h/r".into(),
            ..GitSubscription::default()
        };
        let finding = world.find(&lexical).unwrap();
        assert_eq!(finding.commits.iter().map(|commit| commit.tag.as_str()).collect::<Vec<_>>(), ["good"]);
        assert_eq!(finding.warnings, ["tag `tree` of `https://h/r` is left out: it names a tree, not a commit"]);
        let ignoring = GitSubscription { ignore_tags_regexes: vec!["tr".into()], ..lexical };
        assert!(world.find(&ignoring).unwrap().warnings.is_empty());
    }
}
