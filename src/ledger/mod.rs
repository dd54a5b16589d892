//! The ledger: records on a branch, transactions by compare-and-swap, fsck.
//!
//! Everything consign remembers is on one branch of one Git repository, one record per file. The room is read in this order:
//!
//! * [`records`]: what the files are, where they live, how they are written and read back;
//! * [`state`]: the branch at one commit, read lazily and cached by blob;
//! * [`draft`]: what a transaction may do to a state; names and times are given here;
//! * [`transaction`]: a chain of transitions, committed on the tip it read, pushed with a lease, run again when the push loses;
//! * [`opening`]: finding, creating and trusting the branch;
//! * [`legal`]: which changes of a record are legal, as pure functions;
//! * [`retention`]: what may be forgotten;
//! * [`fsck`]: the whole history, held against those rules.
//!
//! [`branch`] is the doorway to Git, [`stored_branch`] the branch behind it.

pub mod branch;
mod cache;
mod claims;
pub mod draft;
pub mod fsck;
pub mod legal;
pub mod opening;
pub mod records;
pub mod retention;
pub mod state;
pub mod stored_branch;
pub mod transaction;
mod yaml;

#[cfg(test)]
pub(crate) mod memory;

pub use branch::{Branch, BranchCommit, Pushed, TreeEntry};
pub use draft::{Draft, NewPromotion, Stop};
pub use opening::{Ledger, Pins};
pub use records::{LedgerRecord, Record, RecordPath, StageRecord, Stored, WarehouseRecord};
pub use retention::Retention;
pub use state::{Scope, State};
pub use stored_branch::{Author, StoredBranch};
pub use transaction::{Chain, Committed, Occasion, Transition};
