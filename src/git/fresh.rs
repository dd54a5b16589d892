//! Making repositories from nothing, on this machine: what `demo` plays with.

use std::fmt::Write as _;
use std::path::Path;

use jiff::Timestamp;

use super::command::Git;
use crate::diagnostic::{Failure, FailureKind};

/// A commit to make on the branch `main`.
#[derive(Clone, Debug)]
pub struct FreshCommit<'a> {
    /// Its message.
    pub message: &'a str,
    /// When.
    pub at: Timestamp,
    /// Files it adds or replaces: path and text.
    pub files: Vec<(&'a str, &'a str)>,
    /// Name of a tag that points to it.
    pub tag: Option<&'a str>,
}

/// Makes an empty bare repository with the branch `main`, which lets others leave out file contents when they fetch.
///
/// # Errors
/// Tool, if the folder cannot be written.
pub async fn create_bare(git: &Git, folder: &Path) -> Result<(), Failure> {
    std::fs::create_dir_all(folder)
        .map_err(|error| Failure::new(FailureKind::Tool, format!("cannot make the folder `{}`: {error}", folder.display())))?;
    let doing = format!("make the repository `{}`", folder.display());
    git.invoke("init").folder(folder).args(["init", "--quiet", "--bare", "--initial-branch=main", "--template=", "."]).succeed(&doing).await?;
    for (name, value) in [("uploadpack.allowFilter", "true"), ("uploadpack.allowAnySHA1InWant", "true")] {
        git.invoke("config").git_dir(folder).args(["config", name, value]).succeed(&doing).await?;
    }
    Ok(())
}

/// Adds commits to the branch `main` of a bare repository; `continues` says whether the branch has commits already.
///
/// # Errors
/// Tool, if git fails.
pub async fn add_commits(git: &Git, folder: &Path, author: &str, commits: &[FreshCommit<'_>], continues: bool) -> Result<(), Failure> {
    let mut stream = String::new();
    for (index, commit) in commits.iter().enumerate() {
        let _ = writeln!(
            stream,
            "commit refs/heads/main\ncommitter {author} {} +0000\ndata {}\n{}",
            commit.at.as_second(),
            commit.message.len(),
            commit.message
        );
        if continues && index == 0 {
            stream.push_str("from refs/heads/main^0\n");
        }
        for (path, text) in &commit.files {
            let _ = writeln!(stream, "M 100644 inline {path}\ndata {}\n{text}", text.len());
        }
        if let Some(tag) = commit.tag {
            let _ = writeln!(stream, "reset refs/tags/{tag}\nfrom refs/heads/main\n");
        }
    }
    let doing = format!("fill the repository `{}`", folder.display());
    git.invoke("fast-import").git_dir(folder).args(["fast-import", "--quiet"]).stdin(stream.into_bytes()).succeed(&doing).await.map(drop)
}

/// Moves a branch of a bare repository forward to another one.
///
/// # Errors
/// Tool, if git fails.
pub async fn move_branch(git: &Git, folder: &Path, branch: &str, to: &str) -> Result<(), Failure> {
    let (branch, to) = (format!("refs/heads/{branch}"), format!("refs/heads/{to}"));
    git.invoke("update-ref").git_dir(folder).args(["update-ref", branch.as_str(), to.as_str()]).succeed(&format!("move `{branch}`")).await.map(drop)
}

/// Clones a repository of this machine into a folder; `settings` stay in the clone.
///
/// # Errors
/// Tool or Remote, if git fails.
pub async fn clone_into(git: &Git, url: &str, folder: &Path, settings: &[(String, String)]) -> Result<(), Failure> {
    let mut clone = git.invoke("clone").network().args(["clone", "--quiet"]);
    for (name, value) in settings {
        clone = clone.args(["--config", &format!("{name}={value}")]);
    }
    clone.args(["--", url]).arg(folder).succeed(&format!("clone `{url}`")).await.map(drop)
}
