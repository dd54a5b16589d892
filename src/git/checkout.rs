//! Finding the user's own checkout of a repository.

use std::path::{Path, PathBuf};

use super::command::Git;
use crate::diagnostic::Failure;

/// A checkout on the user's disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserCheckout {
    /// Root of the working tree.
    pub folder: PathBuf,
    /// URL of the remote `origin`, or of the only remote.
    pub url: Option<String>,
}

/// The checkout that a folder belongs to; None: it is in no repository.
///
/// # Errors
/// Tool, if the repository cannot be read.
pub async fn checkout(_git: &Git, folder: &Path) -> Result<Option<UserCheckout>, Failure> {
    let Ok(repository) = gix::discover(folder) else { return Ok(None) };
    let Some(root) = repository.workdir() else { return Ok(None) };
    let remote = |name: &str| {
        let remote = repository.find_remote(name).ok()?;
        let url = remote.url(gix::remote::Direction::Fetch)?;
        Some(url.to_bstring().to_string())
    };
    let names = repository.remote_names();
    let only = if names.len() == 1 { names.iter().next().map(|name| name.to_string()) } else { None };
    let url = remote("origin").or_else(|| remote(&only?));
    Ok(Some(UserCheckout { folder: root.canonicalize().unwrap_or_else(|_| root.to_owned()), url }))
}
