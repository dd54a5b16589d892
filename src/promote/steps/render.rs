//! What the kustomize and helm steps share: paths of their configurations, bringing a closure onto disk, keeping tools inside.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::diagnostic::{Failure, FailureKind};
use crate::promote::closure::{self, Closure, Look};
use crate::promote::tools::ToolOutput;
use crate::promote::workspace::{EntryKind, Need, Workspace};

/// A path below the root, relative to it.
pub(super) fn relative(workspace: &Workspace, path: &Path) -> PathBuf {
    path.strip_prefix(workspace.root()).unwrap_or(path).to_owned()
}

/// Whether an output path means a file; else it is a folder.
pub(super) fn is_file_path(path: &str) -> bool {
    path.ends_with(".yaml") || path.ends_with(".yml")
}

/// Looks at a path of the workspace for a closure.
pub(super) fn look(workspace: &Workspace, relative: &Path) -> Look {
    let path = workspace.root().join(relative);
    if path.is_dir() {
        let inside = |real: PathBuf| Some(real.strip_prefix(workspace.root().canonicalize().ok()?).ok()?.to_owned());
        return Look::Folder(path.canonicalize().ok().and_then(inside));
    }
    if let Ok(bytes) = std::fs::read(&path) {
        return Look::File(String::from_utf8_lossy(&bytes).into_owned());
    }
    // Not on disk, but perhaps in a checkout. What cannot be told now is asked for, and then the reason comes up.
    match workspace.entry(&path) {
        Ok(None) => Look::Missing,
        Ok(Some(EntryKind::Folder)) => Look::Folder(Some(relative.to_owned())),
        Ok(Some(EntryKind::File | EntryKind::Link)) | Err(_) if path.symlink_metadata().is_err() => Look::Unread,
        // There, and still not to be read: a link to nowhere.
        Ok(Some(_)) | Err(_) => Look::Missing,
    }
}

/// Brings a closure onto disk, following it as deep as it goes.
///
/// # Errors
/// As [`Workspace::need`].
pub(super) async fn bring(workspace: &mut Workspace, start: &[Need], closure: impl Fn(&Workspace) -> Closure) -> Result<Closure, Failure> {
    workspace.need(start).await?;
    let mut known = BTreeSet::new();
    loop {
        let closure = closure(workspace);
        let paths = |set: &BTreeSet<PathBuf>| set.iter().map(|path| workspace.root().join(path)).collect::<Vec<_>>();
        let files = paths(&closure.files).into_iter().chain(paths(&closure.unread)).map(Need::File);
        let needs: Vec<Need> = files.chain(paths(&closure.trees).into_iter().map(Need::Tree)).collect();
        let count = known.len();
        known.extend(closure.files.iter().chain(&closure.trees).chain(&closure.unread).cloned());
        workspace.need(&needs).await?;
        // Each round reveals what the files of the last one refer to; nothing new means that the end is reached.
        if known.len() == count {
            return Ok(closure);
        }
    }
}

/// Kustomizations that one in `folder` is likely to build on, by the usual arrangement of bases and overlays: asked for with the first round,
/// they spare a round for each level of bases.
pub(super) fn likely_bases(workspace: &Workspace, folder: &Path) -> Result<Vec<Need>, Failure> {
    const MOST: usize = 256;
    let own = closure::KUSTOMIZATION_FILES.map(|name| folder.join(name));
    let above = folder.parent().and_then(Path::parent).filter(|above| *above != workspace.root() && above.starts_with(workspace.root()));
    let around = above.map(|above| workspace.list(above)).transpose()?.unwrap_or_default();
    let is_kustomization = |path: &PathBuf| path.file_name().is_some_and(|name| closure::KUSTOMIZATION_FILES.iter().any(|known| name == *known));
    Ok(own.into_iter().chain(around.into_iter().filter(is_kustomization).take(MOST)).map(Need::File).collect())
}

/// A file or link of a closure that leads out of the working directory through a symbolic link, as users read it.
pub(super) fn link_outside(workspace: &Workspace, closure: &Closure) -> Option<String> {
    let leads_out = |path: &Path| path.canonicalize().is_ok_and(|real| !is_inside(workspace, &real));
    let file = closure.files.iter().map(|path| workspace.root().join(path)).find(|path| leads_out(path));
    let tree = || closure.trees.iter().find_map(|tree| escaping_link(workspace, &workspace.root().join(tree)));
    file.or_else(tree).map(|path| workspace.display(&path))
}

/// The first symbolic link in a folder that leads out of the working directory; links that stay inside are followed, as tools do.
pub(super) fn escaping_link(workspace: &Workspace, folder: &Path) -> Option<PathBuf> {
    let (mut open, mut seen) = (vec![folder.to_owned()], BTreeSet::new());
    while let Some(path) = open.pop() {
        // What does not resolve leads nowhere.
        let Ok(real) = path.canonicalize() else { continue };
        if !is_inside(workspace, &real) {
            return Some(path);
        }
        if real.is_dir() && seen.insert(real) {
            let mut entries: Vec<PathBuf> = std::fs::read_dir(&path).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
            entries.sort();
            open.extend(entries.into_iter().rev().filter(|entry| entry.is_symlink() || entry.is_dir()));
        }
    }
    None
}

fn is_inside(workspace: &Workspace, real: &Path) -> bool {
    workspace.root().canonicalize().is_ok_and(|root| real.starts_with(root))
}

/// The environment's part in a tool's failure: a remote that cannot be reached or refuses our credentials. None: the step's own doing.
pub(super) fn remote_failure(tool: &str, output: &ToolOutput) -> Option<Failure> {
    const REFUSED: [&str; 5] = ["401 unauthorized", "403 forbidden", "basic credential not found", "unauthorized:", "denied:"];
    const UNREACHABLE: [&str; 8] =
        ["dial tcp", "no such host", "i/o timeout", "connection reset", "tls handshake", "tls: ", "502 bad gateway", "503 service unavailable"];
    let line = |signs: &[&str]| {
        let said = |line: &&str| signs.iter().any(|sign| line.to_lowercase().contains(sign));
        output.stderr.lines().find(said).map(|line| line.trim().trim_start_matches("Error: ").to_owned())
    };
    let (kind, line, hint) = match (line(&REFUSED), line(&UNREACHABLE)) {
        (Some(line), _) => (FailureKind::Refused, line, "add a rule for it to `credentials` in `consign.yaml`, or check the one that is there"),
        (None, Some(line)) => (FailureKind::Remote, line, "the next tick tries again; if it stays so, check the URL and the network"),
        (None, None) => return None,
    };
    Some(Failure::new(kind, format!("{tool} could not fetch from a remote: {line}")).hint(hint))
}
