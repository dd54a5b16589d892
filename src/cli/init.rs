//! `init`: a first project, written into the user's repository. What is there already is kept.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;

use serde::Serialize;

use super::session::{Session, Stopped};
use super::{Format, print};
use crate::diagnostic::{Failure, FailureKind};

/// Writes a starter project, settings and a workflow. Never overwrites: what is there is kept and named.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The branch that holds the definitions
    #[arg(long, value_name = "NAME", default_value = "main")]
    pub branch: String,
    /// How to say what was written
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// Path in the repository, and text with `PROJECT`, `REPO_URL` and `BRANCH` to be filled in.
const FILES: &[(&str, &str)] = &[
    (".consign/project.yaml", include_str!("../../templates/init/project.yaml")),
    (".consign/stages.yaml", include_str!("../../templates/init/stages.yaml")),
    (".github/workflows/consign.yaml", include_str!("../../templates/init/workflow.yaml")),
    ("app/config.yaml.j2", include_str!("../../templates/init/app.yaml.j2")),
    ("consign.yaml", include_str!("../../templates/init/consign.yaml")),
    ("env/prod/values.yaml", include_str!("../../templates/init/env/prod.yaml")),
    ("env/test/values.yaml", include_str!("../../templates/init/env/test.yaml")),
];

/// What became of the files.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Written {
    /// Files that were written.
    pub files: Vec<String>,
    /// Files that were there already and were left alone.
    pub kept: Vec<String>,
}

/// Runs the verb; gives the exit code.
///
/// # Errors
/// Usage, outside of a repository, or in one without a remote.
pub async fn run(session: &Session, args: &Args) -> Result<u8, Stopped> {
    let place = session.place().await?;
    let Some(root) = place.folder else {
        return Err(Failure::new(FailureKind::Usage, format!("`{}` is no checkout", place.url))
            .hint("clone it, and run `consign init` inside")
            .into());
    };
    let project = project_name(&place.url);
    let mut written = Written::default();
    for (path, text) in FILES {
        let text = text.replace("PROJECT", &project).replace("REPO_URL", &place.url).replace("BRANCH", &args.branch);
        if write_new(&root.join(path), &text)? {
            written.files.push((*path).to_owned());
        } else {
            written.kept.push((*path).to_owned());
        }
    }
    print(args.format, &written, || told(&written));
    Ok(0)
}

/// Writes a file that is not there yet; false: something is.
fn write_new(path: &Path, text: &str) -> Result<bool, Failure> {
    let cannot = |error: std::io::Error| {
        Failure::new(FailureKind::Usage, format!("cannot write `{}`: {error}", path.display())).hint("make the folder writable")
    };
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(cannot)?;
    }
    match std::fs::OpenOptions::new().write(true).create_new(true).open(path) {
        Ok(mut file) => file.write_all(text.as_bytes()).map(|()| true).map_err(cannot),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(cannot(error)),
    }
}

/// A project's name from the last part of a URL: lower-case letters, digits and dashes.
fn project_name(url: &str) -> String {
    let last = url.trim_end_matches('/').trim_end_matches(".git").rsplit(['/', ':']).next().unwrap_or_default();
    let name: String = last.to_ascii_lowercase().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(63).collect();
    let name = name.trim_matches('-');
    if name.is_empty() { "app".to_owned() } else { name.to_owned() }
}

fn told(written: &Written) -> String {
    let mut text = String::new();
    for path in &written.files {
        let _ = writeln!(text, "wrote  {path}");
    }
    for path in &written.kept {
        let _ = writeln!(text, "kept   {path}");
    }
    text.push_str("\nNext: `consign validate`, then commit and push; the workflow runs the first tick. `consign run` does the same from here.\n");
    text
}

#[cfg(test)]
mod tests {
    use super::project_name;

    #[test]
    fn projects_are_called_like_their_repository() {
        assert_eq!(project_name("https://github.com/acme/Shop_Config.git"), "shop-config");
        assert_eq!(project_name("git@github.com:acme/gitops.git"), "gitops");
        assert_eq!(project_name("https://example.com/___.git/"), "app");
    }
}
