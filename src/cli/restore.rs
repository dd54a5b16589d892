//! What promotions of a stage have written, and how a stage's files are brought back to what one of them wrote.
//!
//! Only Git is needed: trees are put together by the names of their entries, on top of each branch as it is now.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::ground::Ground;
use crate::diagnostic::{Failure, FailureKind};
use crate::freight::url;
use crate::git::{CommitSpec, EntryKind, Oid, RefPattern, RefUpdate, Signature, Store, TreeEdit};
use crate::model::{FreightReference, Project, Promotion, PromotionPhase, StageName, WrittenTree};
use crate::promote::engine::{Expressions as _, Scope};
use crate::tick::scope::Shared;

/// A branch of a repository, by the repository's normal form.
type BranchKey = (String, String);

/// What is to be brought back on one branch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Site {
    /// Repository as the step spelled it.
    pub repo_url: String,
    /// Branch.
    pub branch: String,
    /// The commit that has the contents.
    pub commit: String,
    /// Paths to bring back; folders end in `/`, `/` is everything.
    pub paths: BTreeSet<String>,
}

/// Successful promotions of a stage, oldest first, with what each of them brought to which branch.
pub(super) struct Written<'p> {
    promotions: Vec<(&'p Promotion, BTreeMap<BranchKey, Site>)>,
    /// Whether any of them went through a proposal.
    pub is_gated: bool,
}

impl<'p> Written<'p> {
    /// Reads what promotions wrote. What went through a proposal counts as written to the branch that it was proposed to.
    pub fn read(ground: &Ground<'_>, stage: &StageName, promotions: &'p [Promotion]) -> Self {
        let world = ground.world;
        let shared = Shared::new(ground.project, &ground.view, &world.secrets, &world.shared_secrets, "", world.occasion.now);
        let mut found: Vec<(&Promotion, BTreeMap<BranchKey, Site>)> = Vec::new();
        let mut is_gated = false;
        let succeeded = promotions.iter().filter(|promotion| promotion.spec.stage == *stage && promotion.status.phase == PromotionPhase::Succeeded);
        for promotion in succeeded {
            let proposed = proposed(&shared, ground.project, promotion);
            is_gated |= !proposed.is_empty();
            let mut sites: BTreeMap<BranchKey, Site> = BTreeMap::new();
            for written in &promotion.status.consign.written {
                let repository = url::git(&written.repo_url);
                let branch = proposed.get(&(repository.clone(), written.branch.clone())).unwrap_or(&written.branch);
                let site = sites.entry((repository, branch.clone())).or_insert_with(|| Site {
                    repo_url: written.repo_url.clone(),
                    branch: branch.clone(),
                    commit: String::new(),
                    paths: BTreeSet::new(),
                });
                site.commit.clone_from(&written.commit);
                site.paths.extend(written.paths.iter().cloned());
            }
            found.push((promotion, sites));
        }
        found.sort_by(|(one, _), (other, _)| one.metadata.name.cmp(&other.metadata.name));
        Self { promotions: found, is_gated }
    }

    /// What to bring back so that the stage is as `target` left it: on each branch that it or a later promotion wrote, the paths that any of
    /// them wrote, as the newest promotion up to `target` had them. Branches that nothing up to `target` wrote are named apart: what was there
    /// before is not recorded.
    pub fn as_of(&self, target: &Promotion) -> (Vec<Site>, Vec<String>) {
        let (upto, after): (Vec<_>, Vec<_>) = self.promotions.iter().partition(|(promotion, _)| promotion.metadata.name <= target.metadata.name);
        let of_target = upto.iter().filter(|(promotion, _)| promotion.metadata.name == target.metadata.name);
        let keys: BTreeSet<&BranchKey> = of_target.chain(&after).flat_map(|(_, sites)| sites.keys()).collect();
        let (mut sites, mut unknown) = (Vec::new(), Vec::new());
        for key in keys {
            match upto.iter().rev().find_map(|(_, sites)| sites.get(key)) {
                Some(base) => {
                    let mut site = base.clone();
                    site.paths.extend(after.iter().filter_map(|(_, sites)| sites.get(key)).flat_map(|later| later.paths.iter().cloned()));
                    sites.push(site);
                }
                None => unknown.push(key.1.clone()),
            }
        }
        (sites, unknown)
    }

    /// What the stage's branches hold by the records: for each branch the newest promotion that wrote it, with all paths that any wrote.
    pub fn newest(&self) -> Vec<Site> {
        let mut sites: BTreeMap<&BranchKey, Site> = BTreeMap::new();
        for (key, site) in self.promotions.iter().flat_map(|(_, sites)| sites) {
            let known = sites.entry(key).or_insert_with(|| site.clone());
            known.commit.clone_from(&site.commit);
            known.paths.extend(site.paths.iter().cloned());
        }
        sites.into_values().collect()
    }
}

/// Which branch each proposed branch of a promotion was proposed to.
fn proposed(shared: &Shared, project: &Project, promotion: &Promotion) -> BTreeMap<BranchKey, String> {
    let status = &promotion.status;
    let freight: Vec<FreightReference> = match &status.freight_collection {
        Some(collection) => collection.items.values().cloned().collect(),
        None => status.freight.iter().cloned().collect(),
    };
    let opening = promotion.spec.steps.iter().filter(|step| step.uses == "git-open-pr");
    opening
        .filter_map(|step| {
            let (metadata, warehouses) = (&status.step_execution_metadata, BTreeMap::new());
            let scope =
                Scope { promotion, step, outputs: &status.state, metadata, freight: &freight, warehouses: &warehouses, records: &(), changes: &[] };
            let config = shared.evaluator(project, promotion).config(scope, step.config.as_ref()?).ok()?;
            let text = |key: &str| Some(config.get(key)?.as_str()?.to_owned());
            Some(((url::git(&text("repoURL")?), text("sourceBranch")?), text("targetBranch")?))
        })
        .collect()
}

/// A branch brought back, not pushed yet.
pub(super) struct Restored {
    /// Store of its remote.
    pub store: Arc<Store>,
    /// What is now written there.
    pub written: WrittenTree,
    /// The push; None: the branch is as it should be.
    pub update: Option<RefUpdate>,
}

/// Makes the commit that brings a branch back, on top of what the remote has now.
///
/// # Errors
/// Refused, if the branch or the recorded commit is gone; what the remote says.
pub(super) async fn restore(ground: &Ground<'_>, site: &Site, message: &str) -> Result<Restored, Failure> {
    let (store, tip) = tip(ground, site).await?;
    let recorded: Oid = site.commit.parse().map_err(|_| gone(site, "is no commit id"))?;
    if !store.has(recorded) {
        store.ensure_commit(recorded).await.map_err(|failure| match failure.kind {
            FailureKind::Remote => gone(site, "is no longer on the remote").caused_by(failure),
            _ => failure,
        })?;
    }
    let (before, wanted) = (store.commit(tip)?.tree, store.commit(recorded)?.tree);
    let tree = laid_over(&store, before, wanted, &site.paths)?;
    let full = format!("refs/heads/{}", site.branch);
    let mut written = WrittenTree {
        repo_url: site.repo_url.clone(),
        branch: site.branch.clone(),
        commit: tip.to_string(),
        tree: tree.to_string(),
        paths: site.paths.iter().cloned().collect(),
    };
    if tree == before {
        return Ok(Restored { store, written, update: None });
    }
    // A push packs what the branch's tip does not have; it must find it here.
    let changed = store.diff_trees(before, tree)?.into_iter().filter_map(|change| change.after).filter(|entry| entry.kind.is_blob());
    store.prefetch(&changed.map(|entry| entry.oid).collect::<Vec<_>>()).await?;
    let author = &ground.world.settings.git.author;
    let who = Signature::new(author.name.as_str(), author.email.as_str(), ground.world.occasion.now);
    let spec = CommitSpec { tree, parents: vec![tip], author: who.clone(), committer: who, message, signer: ground.world.signer.as_ref() };
    let commit = store.write_commit(&spec)?;
    written.commit = commit.to_string();
    Ok(Restored { store, written, update: Some(RefUpdate::forward(full, Some(tip), commit)) })
}

/// The present tip of a branch, fetched.
///
/// # Errors
/// Refused, if the branch is gone; what the remote says.
pub(super) async fn tip(ground: &Ground<'_>, site: &Site) -> Result<(Arc<Store>, Oid), Failure> {
    let store = ground.world.stores.get(&site.repo_url)?;
    store.fetch(&[RefPattern::branch(&site.branch)?]).await?;
    let tip = store.tip(&format!("refs/heads/{}", site.branch)).ok_or_else(|| {
        Failure::new(FailureKind::Refused, format!("`{}` has no branch `{}` any more", site.repo_url, site.branch))
            .hint("make the branch again, or promote: its steps may create it")
    })?;
    Ok((store, tip))
}

/// One tree with some paths of another.
fn laid_over(store: &Store, base: Oid, wanted: Oid, paths: &BTreeSet<String>) -> Result<Oid, Failure> {
    if paths.contains("/") {
        return Ok(wanted);
    }
    let mut edits = Vec::new();
    for path in paths {
        let path = path.trim_end_matches('/').to_owned();
        edits.push(match store.entry(wanted, &path)? {
            Some(entry) => TreeEdit::Put { path, kind: entry.kind, oid: entry.oid },
            None => TreeEdit::Remove { path },
        });
    }
    // Folders first: a file that is named as well lies in one of them.
    edits.sort_by_key(|edit| !matches!(edit, TreeEdit::Put { kind: EntryKind::Folder, .. }));
    Ok(store.edit_tree(base, &edits)?)
}

fn gone(site: &Site, what: &str) -> Failure {
    Failure::new(FailureKind::Refused, format!("commit `{}`, which the promotion wrote to `{}`, {what}", site.commit, site.branch))
        .hint("`--rerun` runs the promotion's steps again instead")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn promotion(name: &str) -> Promotion {
        let mut promotion = Promotion::default();
        promotion.metadata.name = name.into();
        promotion
    }

    fn site(branch: &str, commit: &str, paths: &[&str]) -> (BranchKey, Site) {
        let paths = paths.iter().map(|path| (*path).to_owned()).collect();
        (("r".into(), branch.into()), Site { repo_url: "r".into(), branch: branch.into(), commit: commit.into(), paths })
    }

    #[test]
    fn going_back_covers_what_later_promotions_wrote() {
        let [one, two, three] = [promotion("s.1.a"), promotion("s.2.b"), promotion("s.3.c")];
        let written = Written {
            promotions: vec![
                (&one, [site("main", "c1", &["a", "b"])].into()),
                (&two, [site("main", "c2", &["a"])].into()),
                (&three, [site("main", "c3", &["b", "new"]), site("other", "c3", &["x"])].into()),
            ],
            is_gated: false,
        };
        let (sites, unknown) = written.as_of(&two);
        assert_eq!(sites, [site("main", "c2", &["a", "b", "new"]).1]);
        assert_eq!(unknown, ["other"], "nothing is recorded of what was there before");
        let (sites, _) = written.as_of(&one);
        assert_eq!(sites, [site("main", "c1", &["a", "b", "new"]).1]);
        let newest = written.newest();
        assert_eq!(newest, [site("main", "c3", &["a", "b", "new"]).1, site("other", "c3", &["x"]).1]);
    }
}
