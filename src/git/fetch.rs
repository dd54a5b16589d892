//! What comes from the remote: refs with their history, and exactly the file contents that are about to be read.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::oid::Oid;
use super::store::{Store, local_name};
use super::url::check_ref_name;
use super::words::{Attempts, failure};
use crate::diagnostic::{Failure, FailureKind};

/// Files up to this size come along when they have changed since the last fetch.
const SMALL_FILE: &str = "32k";

/// Refs of a remote: a full name, a full name with one `*` in it, or `HEAD`. A ref that does not exist is no error.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RefPattern(String);

impl RefPattern {
    /// A pattern by its text.
    ///
    /// # Errors
    /// Config, when it is no valid ref name with at most one `*`.
    pub fn new(text: impl Into<String>) -> Result<Self, Failure> {
        let text = text.into();
        if text != "HEAD" {
            check_ref_name(&text.replacen('*', "x", 1))?;
        }
        Ok(Self(text))
    }

    /// One branch.
    ///
    /// # Errors
    /// Config, when it is no valid branch name.
    pub fn branch(name: &str) -> Result<Self, Failure> {
        Self::new(format!("refs/heads/{name}"))
    }

    /// One tag.
    ///
    /// # Errors
    /// Config, when it is no valid tag name.
    pub fn tag(name: &str) -> Result<Self, Failure> {
        Self::new(format!("refs/tags/{name}"))
    }

    /// All branches.
    pub fn branches() -> Self {
        Self("refs/heads/*".to_owned())
    }

    /// All tags.
    pub fn tags() -> Self {
        Self("refs/tags/*".to_owned())
    }

    /// The remote's HEAD: the tip of its default branch, whatever its name.
    pub fn head() -> Self {
        Self("HEAD".to_owned())
    }

    /// The pattern as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether every ref that `other` means is meant by this one too.
    pub fn covers(&self, other: &Self) -> bool {
        match self.0.split_once('*') {
            None => self == other,
            Some((start, end)) => other.0.len() >= start.len() + end.len() && other.0.starts_with(start) && other.0.ends_with(end),
        }
    }

    /// As a refspec into our mirror. A plain name that does not exist fails the whole fetch, a pattern never does; so a name we have not
    /// seen yet is asked for as the beginning of names.
    fn refspec(&self, known: bool) -> String {
        let local = local_name(&self.0);
        if known || self.0.contains('*') { format!("+{}:{local}", self.0) } else { format!("+{}*:{local}*", self.0) }
    }
}

impl fmt::Display for RefPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a fetch found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fetched {
    /// Refs that moved: full name, before, after. Empty: nothing is new.
    pub moved: Vec<(String, Option<Oid>, Option<Oid>)>,
    /// Whether the remote was asked; not when everything had been fetched by this process before.
    pub asked: bool,
}

impl Store {
    /// Makes sure that refs were fetched by this process. The first time it also fetches what earlier processes wanted of this remote, so
    /// that a later call usually finds its refs here and asks nobody.
    ///
    /// # Errors
    /// Remote, Refused or Tool, when the remote cannot be asked.
    pub async fn ensure(&self, patterns: &[RefPattern]) -> Result<Fetched, Failure> {
        let news = {
            let mut memory = self.memory();
            let before = memory.asked.len();
            memory.asked.extend(patterns.iter().cloned());
            memory.asked.len() > before
        };
        let fetched = self.memory().fetched.clone();
        if patterns.iter().all(|pattern| fetched.iter().any(|fetched| fetched.covers(pattern))) {
            if news {
                self.remember();
            }
            return Ok(Fetched::default());
        }
        self.fetch(patterns).await
    }

    /// Asks the remote for refs and fetches what is new, without file contents. One git process tree; when nothing is new, the cheapest
    /// look at a remote there is.
    ///
    /// # Errors
    /// Remote, Refused or Tool, when the remote cannot be asked.
    pub async fn fetch(&self, patterns: &[RefPattern]) -> Result<Fetched, Failure> {
        let _turn = self.network.lock().await;
        let mut wanted: BTreeSet<RefPattern> = patterns.iter().cloned().collect();
        {
            let mut memory = self.memory();
            memory.asked.extend(patterns.iter().cloned());
            if memory.fetched.is_empty() {
                wanted.extend(memory.state.interests.iter().cloned());
            }
        }
        let before = self.tips();
        let depth = if before.is_empty() { self.git.settings().depth } else { None };
        let options: Vec<String> = depth.map(|depth| format!("--depth={depth}")).into_iter().collect();
        let first = self.fetch_refs(&wanted, &options).await;
        let broken = matches!(&first, Err(failure) if failure.kind == FailureKind::Tool) && !self.memory().wrote;
        if broken {
            // A store is a cache: whatever git dislikes about it, a new one is cheaper than an inquiry.
            tracing::info!(target: "consign::git", url = %self.url(), "starting the store anew");
            self.recreate()?;
            self.fetch_refs(&wanted, &options).await?;
        } else {
            first.map_err(|failure| match failure.kind {
                FailureKind::Tool => failure.hint(format!("if it happens again, delete `{}`; it is only a cache", self.folder().display())),
                _ => failure,
            })?;
        }
        self.memory().fetched.extend(wanted);
        self.reload()?;
        self.recheck_default_branch();
        self.remember();
        let after = self.tips();
        let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
        let moved = names
            .into_iter()
            .map(|name| (name.clone(), before.get(name).copied(), after.get(name).copied()))
            .filter(|(_, before, after)| before != after)
            .collect();
        Ok(Fetched { moved, asked: true })
    }

    /// Fetches more history of refs in a store that was started with a limited depth; None: all of it.
    ///
    /// # Errors
    /// Remote, Refused or Tool, when the remote cannot be asked.
    pub async fn deepen(&self, patterns: &[RefPattern], depth: Option<u32>) -> Result<(), Failure> {
        let _turn = self.network.lock().await;
        if !self.folder().join("shallow").exists() {
            return Ok(());
        }
        let option = depth.map_or_else(|| "--unshallow".to_owned(), |depth| format!("--depth={depth}"));
        self.fetch_refs(&patterns.iter().cloned().collect(), &[option]).await?;
        self.reload()
    }

    /// Fetches a commit by its id, with its history, unless it is here. Servers let anyone ask for commits that a ref reaches.
    ///
    /// # Errors
    /// Remote, Refused or Tool, when the remote cannot be asked or does not have it.
    pub async fn ensure_commit(&self, commit: Oid) -> Result<(), Failure> {
        let _turn = self.network.lock().await;
        if self.has(commit) {
            return Ok(());
        }
        let doing = format!("fetch commit `{commit}` from `{}`", self.url());
        self.fetch_objects("fetch", &format!("{commit}\n"), &doing).await?;
        self.reload()
    }

    /// Fetches the file contents (or other objects) that are not here, all in one request; nothing missing: no process. Gives back how many
    /// were missing.
    ///
    /// # Errors
    /// Remote, Refused or Tool, when the remote cannot be asked or does not have one of them.
    pub async fn prefetch(&self, oids: &[Oid]) -> Result<usize, Failure> {
        let _turn = self.network.lock().await;
        let missing = self.missing(oids);
        if missing.is_empty() {
            return Ok(0);
        }
        let doing = format!("fetch {} file contents from `{}`", missing.len(), self.url());
        let list: String = missing.iter().map(|oid| format!("{oid}\n")).collect();
        let fetched = self.fetch_objects("prefetch", &list, &doing).await;
        if let Err(error) = fetched {
            if !error.message.contains("unadvertised object") {
                return Err(error);
            }
            // A server that filters but does not give single objects (protocol 0): everything, then.
            self.note_unfiltered("does not give out single files");
            let wanted = self.memory().fetched.clone();
            self.fetch_refs(&wanted, &["--refetch".to_owned()]).await?;
            self.remember();
        }
        self.reload()?;
        match self.missing(&missing).first() {
            None => Ok(missing.len()),
            Some(oid) => Err(Failure::new(FailureKind::Remote, format!("cannot {doing}: the remote did not send `{oid}`"))
                .hint("the history of the remote may have been rewritten while it was read; the next run looks again")),
        }
    }

    /// Full name of the remote's default branch, in an empty repository the one to make; None: the remote names none. Usually known from a fetch of [`RefPattern::head`].
    ///
    /// # Errors
    /// Remote, Refused or Tool, when the remote cannot be asked.
    pub async fn default_branch(&self) -> Result<Option<String>, Failure> {
        self.ensure(&[RefPattern::head()]).await?;
        if let Some(known) = self.known_default_branch() {
            return Ok(Some(known));
        }
        if self.tip("HEAD").is_none() {
            return Ok(None);
        }
        let _turn = self.network.lock().await;
        let doing = format!("ask `{}` for its default branch", self.url());
        let mut attempts = Attempts::of(self.git.settings().attempts);
        let output = loop {
            match self.invoke_remote("ls-remote").args(["ls-remote", "--symref", "origin", "HEAD"]).succeed(&doing).await {
                Err(failure) if attempts.again(&failure).await => {}
                other => break other?,
            }
        };
        let text = String::from_utf8_lossy(&output.stdout);
        let name = text.lines().find_map(|line| line.strip_prefix("ref: ")?.strip_suffix("\tHEAD")).map(str::to_owned);
        self.memory().state.default_branch.clone_from(&name);
        self.remember();
        Ok(name)
    }

    /// Reads refs again, for one who has the turn at the network already.
    pub(super) async fn fetch_names(&self, names: &BTreeSet<RefPattern>) -> Result<(), Failure> {
        self.fetch_refs(names, &[]).await?;
        self.reload()
    }

    /// Fetches objects by their ids, one per line of `list`.
    async fn fetch_objects(&self, verb: &'static str, list: &str, doing: &str) -> Result<(), Failure> {
        let mut attempts = Attempts::of(self.git.settings().attempts);
        loop {
            let mut git = self.invoke_remote(verb);
            if verb == "prefetch" {
                // What git itself runs for a missing object, but for all of them at once: nothing we have needs to be told.
                git = git.config("fetch.negotiationAlgorithm", "noop");
            }
            let fetched = git
                .args(["fetch", "--filter=blob:none", "--no-tags", "--no-write-fetch-head"])
                .args(["--no-recurse-submodules", "--no-auto-maintenance", "--stdin", "origin"])
                .stdin(list)
                .succeed(doing)
                .await;
            match fetched {
                Err(failure) if attempts.again(&failure).await => {}
                other => return other.map(drop),
            }
        }
    }

    async fn fetch_refs(&self, wanted: &BTreeSet<RefPattern>, options: &[String]) -> Result<(), Failure> {
        let tips = self.tips();
        let mut optional = false;
        let mut attempts = Attempts::of(self.git.settings().attempts);
        loop {
            let specs: String = wanted
                .iter()
                .filter(|pattern| !wanted.iter().any(|other| other != *pattern && other.covers(pattern)))
                .map(|pattern| format!("{}\n", pattern.refspec(!optional && tips.contains_key(pattern.as_str()))))
                .collect();
            match self.fetch_once(&specs, options).await {
                // A ref that was here is gone.
                Err(failure) if !optional && failure.message.contains("couldn't find remote ref") => optional = true,
                Err(failure) if attempts.again(&failure).await => {}
                other => return other,
            }
        }
    }

    async fn fetch_once(&self, specs: &str, options: &[String]) -> Result<(), Failure> {
        // Which branch HEAD names is part of git's conversation with the server, but no command of this git prints it with a fetch. So the
        // first fetch listens in; when the wording ever changes, `default_branch` asks.
        let (unfiltered, known) = {
            let memory = self.memory();
            (memory.state.unfiltered, memory.state.default_branch.is_some())
        };
        // What has changed since the last fetch is most of what will be read next. Where it is small it comes along, which saves the requests
        // of a prefetch; everything older, and everything in a new store, stays on the server until it is asked for.
        let filter = match (unfiltered, self.tips().is_empty()) {
            (true, _) => "--no-filter".to_owned(),
            (false, true) => "--filter=blob:none".to_owned(),
            (false, false) => format!("--filter=blob:limit={SMALL_FILE}"),
        };
        let listen = if known { None } else { tempfile::NamedTempFile::new_in(self.folder()).ok() };
        let mut git = self.invoke_remote("fetch");
        if filter.contains("limit") {
            // A file may come as its difference to an old version that the server thinks is here. git then fetches all such versions with one
            // request, if it may.
            git = git.env("GIT_NO_LAZY_FETCH", "0");
        }
        if let Some(file) = &listen {
            git = git.env("GIT_TRACE_PACKET", file.path());
        }
        let doing = format!("fetch from `{}`", self.url());
        let output = git
            .args(["fetch", &filter, "--no-tags", "--prune", "--no-write-fetch-head"])
            .args(["--no-recurse-submodules", "--no-auto-maintenance", "--no-show-forced-updates", "--no-progress"])
            .args(options)
            .args(["--stdin", "origin"])
            .stdin(specs)
            .run()
            .await?;
        if !output.success() {
            return Err(failure(&doing, &output.stderr));
        }
        if output.stderr.contains("filtering not recognized by server") {
            self.note_unfiltered("cannot filter");
        }
        if let Some(file) = listen
            && let Some(branch) = std::fs::read(file.path()).ok().and_then(|trace| head_in_trace(&String::from_utf8_lossy(&trace)))
        {
            self.memory().state.default_branch = Some(branch);
        }
        Ok(())
    }

    fn note_unfiltered(&self, why: &str) {
        let mut memory = self.memory();
        memory.state.unfiltered = true;
        let note = format!("the server of `{}` {why}, so all file contents are fetched; runs are slower", self.url());
        if !memory.notes.contains(&note) {
            memory.notes.push(note);
        }
    }

    /// After a fetch: a default branch whose tip is no longer HEAD's is not the default branch any more.
    fn recheck_default_branch(&self) {
        let tips = self.tips();
        let Some(head) = tips.get("HEAD") else { return };
        let Some(known) = self.known_default_branch() else { return };
        if tips.get(&known).is_none_or(|tip| tip == head) {
            return;
        }
        let mut same = tips.iter().filter(|(name, tip)| name.starts_with("refs/heads/") && *tip == head).map(|(name, _)| name.clone());
        let only = same.next().filter(|_| same.next().is_none());
        self.memory().state.default_branch = only;
    }
}

/// The branch that HEAD names, out of git's packet trace of an `ls-refs` answer.
fn head_in_trace(trace: &str) -> Option<String> {
    let line = trace.lines().find_map(|line| line.split_once(" HEAD symref-target:"))?.1;
    let name = line.split_whitespace().next()?;
    name.starts_with("refs/heads/").then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn patterns_cover_names_and_narrower_patterns() {
        let pattern = |text: &str| RefPattern::new(text).unwrap();
        assert!(pattern("refs/heads/*").covers(&pattern("refs/heads/env/prod")));
        assert!(pattern("refs/heads/*").covers(&pattern("refs/heads/env/*")));
        assert!(!pattern("refs/heads/env/*").covers(&pattern("refs/heads/*")));
        assert!(!pattern("refs/heads/main").covers(&pattern("refs/heads/main2")));
        assert!(RefPattern::new("main").is_err());
        assert!(RefPattern::new("refs/heads/*/*").is_err());
        assert_eq!(pattern("refs/heads/main").refspec(false), "+refs/heads/main*:refs/remotes/origin/main*");
        assert_eq!(pattern("refs/heads/main").refspec(true), "+refs/heads/main:refs/remotes/origin/main");
        assert_eq!(RefPattern::head().refspec(true), "+HEAD:refs/consign/HEAD");
    }

    #[test]
    fn the_default_branch_is_read_from_a_packet_trace() {
        let trace = "09:36 pkt-line.c:80 packet: fetch> ref-prefix HEAD\n09:36 pkt-line.c:80 packet: fetch< 060d9affa234999c48acdae98f0743aaf091e36d HEAD symref-target:refs/heads/trunk\n";
        assert_eq!(head_in_trace(trace).as_deref(), Some("refs/heads/trunk"));
        assert_eq!(head_in_trace("nothing"), None);
    }
}
