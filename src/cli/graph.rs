//! `graph`: the pipeline as a drawing.

use super::session::{Session, Stopped};
use crate::diagnostic::{Failure, FailureKind, Severity};
use crate::model::Project;
use crate::report::graph;
use crate::tick::occasion;
use crate::tick::open::{Unusable, files_on_disk, load_definitions};

/// The pipeline as a drawing.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Args {
    /// In which form
    #[arg(long, value_enum, default_value_t)]
    pub format: Form,
}

/// Forms of a drawing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Form {
    /// A tree for a terminal.
    #[default]
    Text,
    /// Mermaid, as GitHub draws it.
    Mermaid,
}

/// Runs the verb; gives the exit code.
///
/// # Errors
/// What is wrong with the definitions; Usage, for an unknown project.
pub async fn run(session: &Session, args: &Args) -> Result<u8, Stopped> {
    // A drawing needs no remote: only when there is no folder are definitions read from one, and to say how they differ it is asked if it can be.
    let projects = match session.open(true).await {
        Ok(world) => world.projects,
        Err(Stopped::Failed(failure)) if matches!(failure.kind, FailureKind::Remote | FailureKind::Usage) && session.root().await.is_ok() => {
            from_disk(session).await?
        }
        Err(stopped) => return Err(stopped),
    };
    let wanted: Vec<&Project> =
        projects.iter().filter(|project| session.global.project.as_ref().is_none_or(|only| project.name == only.as_str())).collect();
    if let (Some(only), true) = (&session.global.project, wanted.is_empty()) {
        return Err(Failure::new(FailureKind::Usage, format!("there is no project `{only}`")).into());
    }
    let draw = match args.format {
        Form::Text => graph::text,
        Form::Mermaid => graph::mermaid,
    };
    let drawings: Vec<String> = wanted.into_iter().map(draw).collect();
    super::print(super::Format::Text, &(), || drawings.join("\n"));
    Ok(0)
}

async fn from_disk(session: &Session) -> Result<Vec<Project>, Stopped> {
    let root = session.root().await?;
    let settings = session.settings(&root)?;
    let files = files_on_disk(&root, &settings, &session.global.definitions)?;
    let mut loaded = load_definitions(&files, session.global.local, &occasion(session.now, session.actor()));
    if loaded.diagnostics.iter().any(|diagnostic| diagnostic.severity == Severity::Error) {
        let diagnostics = std::mem::take(&mut loaded.diagnostics);
        return Err(Stopped::Files(Box::new(Unusable { diagnostics, sources: std::mem::take(&mut loaded.sources) })));
    }
    Ok(loaded.projects)
}
