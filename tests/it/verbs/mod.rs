//! Verbs that change records, by the binary on a real Git server.

mod approve;
mod freight;
mod hold;
mod promote;
mod reject;
mod rollback;
