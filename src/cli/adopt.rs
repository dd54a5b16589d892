//! `adopt`: what somebody else did to a stage's files is as it should be.
//!
//! It is written down as a promotion of its own, without steps, that ended at once (trigger `adopt`): it holds what the stage holds, and its
//! written trees are the branches' present tips under the paths that promotions of the stage own. So nothing that is on record changes, the
//! newest record says what is desired, a later rollback restores what was adopted, and what is there now is verified like anything new.

use super::ground::{Ground, record};
use super::restore::{Written, tip};
use super::rollback::{Note, by_hand, land, refuse_while_under_way};
use super::session::{Session, Stopped};
use super::{Format, print};
use crate::diagnostic::{Failure, FailureKind};
use crate::git::{Oid, Store};
use crate::model::{Promotion, PromotionPhase, WrittenTree};
use crate::report::verbs;

/// Adoptions that were overtaken by others before the race counts as lost.
const ATTEMPTS: u32 = 10;

/// Accepts the present state of the stage's branches as desired, whoever made it.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The stage
    pub stage: String,
    /// Why
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub reason: String,
    /// How to say what was done
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// Adopts; gives the exit code.
///
/// # Errors
/// Usage, for a stage that there is not; Refused, if nothing was ever promoted there; what ledger and remotes say.
pub async fn run(session: &Session, args: &Args) -> Result<u8, Stopped> {
    let world = session.open(false).await?;
    for _ in 0..ATTEMPTS {
        let ground = Ground::of_stage(&world, &args.stage).await?;
        let stage = ground.stage(&args.stage)?;
        let name = stage.name();
        refuse_while_under_way(&ground, &name, "adopted")?;
        let promotions = ground.promotions(&name).await?;
        let succeeded = promotions.iter().filter(|promotion| promotion.status.phase == PromotionPhase::Succeeded);
        let newest: Option<&Promotion> = succeeded.max_by(|one, other| one.metadata.name.cmp(&other.metadata.name));
        let sites = Written::read(&ground, &name, &promotions).newest();
        let Some(newest) = newest.filter(|_| !sites.is_empty()) else {
            return Err(Failure::new(
                FailureKind::Refused,
                format!("no promotion to `{name}` has written anything yet: there is nothing to compare with"),
            )
            .hint(format!("`consign promote {name}` makes a beginning"))
            .into());
        };
        let mut changed = Vec::new();
        let mut written = Vec::new();
        for site in &sites {
            let (store, tip) = tip(&ground, site).await?;
            let tree = store.commit(tip).map_err(Failure::from)?.tree;
            if differs(&store, &site.commit, tree, site.paths.iter()).await? {
                changed.push(site.branch.as_str());
            }
            written.push(WrittenTree {
                repo_url: site.repo_url.clone(),
                branch: site.branch.clone(),
                commit: tip.to_string(),
                tree: tree.to_string(),
                paths: site.paths.iter().cloned().collect(),
            });
        }
        if changed.is_empty() {
            print(args.format, &record("Promotion", newest), || verbs::nothing_to_adopt(&name));
            return Ok(0);
        }
        let mut promotion = by_hand(&ground, stage, newest, "adopt");
        promotion.status.message = verbs::adopted_message(&changed, &args.reason);
        promotion.status.consign.written = written;
        let note = Note { sentence: verbs::adopted_sentence(&name, &changed, &args.reason), hold: None };
        if let Some(landed) = land(&ground, stage, promotion, Vec::new(), note).await? {
            print(args.format, &record("Promotion", &landed), || verbs::adopted(&name, &changed));
            return Ok(0);
        }
        world.refetch(&world.ledger_store).await?;
    }
    Err(Failure::new(FailureKind::Conflict, format!("others kept writing about `{}`, and the adoption never got its turn", args.stage))
        .hint("nothing has changed; run it again")
        .into())
}

/// Whether some paths of a tree are not as a commit has them.
async fn differs(store: &Store, commit: &str, tree: Oid, paths: impl Iterator<Item = &String>) -> Result<bool, Failure> {
    let Ok(recorded) = commit.parse::<Oid>() else { return Ok(true) };
    if !store.has(recorded) && store.ensure_commit(recorded).await.is_err() {
        return Ok(true); // Somebody rewrote the branch.
    }
    let recorded = store.commit(recorded)?.tree;
    for path in paths {
        let path = path.trim_end_matches('/');
        let entry = |tree| store.entry(tree, path).map(|entry| entry.map(|entry| (entry.kind, entry.oid)));
        if entry(recorded)? != entry(tree)? {
            return Ok(true);
        }
    }
    Ok(false)
}
