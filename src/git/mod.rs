//! The only room that runs `git` or opens a repository.
//!
//! | what | where |
//! | --- | --- |
//! | settings, credentials, the one builder of git processes | `settings`, `url`, `command`, `words` |
//! | one bare partial [`Store`] per remote, found through [`Stores`] | `store`, `stores`, `fetch` |
//! | reading refs, commits, trees and blobs; never over the network | `objects`, `diff` |
//! | writing trees, commits and tags; merging trees; rebase and merge of commits | `edit`, `commit`, `merge`, `integrate` |
//! | checking signatures | `verify` |
//! | moving many refs of a remote at once, all or nothing | `push`, `group` |
//! | one fetch, one prefetch, one push for all promotions of a tick: [`Crew`] | `queue`, `crew` |
//! | real working trees, ignore rules | `worktree`, `ignore` |
//! | repositories made from nothing | [`fresh`] |
//!
//! The network is git's (a filtered `fetch`, an exact-object `fetch --stdin`, one atomic `push`), everything local is gix's.

mod checkout;
mod command;
mod commit;
mod crew;
mod diff;
mod edit;
mod fetch;
pub mod fresh;
mod group;
mod ignore;
mod integrate;
mod merge;
mod objects;
mod oid;
mod push;
mod queue;
mod settings;
mod store;
mod stores;
mod url;
mod verify;
mod words;
mod worktree;

pub use checkout::{UserCheckout, checkout};
pub use command::{Git, Stats};
pub use commit::{CommitSpec, Signature, Signer, TagSpec};
pub use crew::{Crew, Flush, Member, PlainFlush};
pub use diff::{Change, ChangeKind};
pub use edit::TreeEdit;
pub use fetch::{Fetched, RefPattern};
pub use group::{Closing, GroupOutcome, PushUnit, UnitOutcome};
pub use ignore::{NeedsWorktree, PathRules};
pub use integrate::Integration;
pub use merge::{Conflict, TreeMerge};
pub use objects::{Annotation, Commit, Entry, EntryKind, ObjectError};
pub use oid::Oid;
pub use push::{Expected, PushOutcome, RefOutcome, RefUpdate};
pub use settings::{Credential, Secret, Settings};
pub use store::Store;
pub use stores::{CredentialLookup, Stores};
pub use url::RemoteUrl;
pub use worktree::{StatusEntry, Worktree};
