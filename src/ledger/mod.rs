//! The ledger: records on a branch, transactions by compare-and-swap, fsck.
