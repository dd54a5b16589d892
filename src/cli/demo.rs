//! `demo`: the shipped example, played in a folder of its own with nothing but bare repositories.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};

use super::session::{Session, Stopped};
use super::{Format, print, status};
use crate::diagnostic::{Failure, FailureKind};
use crate::git::fresh::{self, FreshCommit};
use crate::git::{Git, Settings};
use crate::model::{Promotion, Proposal};
use crate::report;
use crate::tick::World;
use crate::tick::outcome::Outcome;
use crate::tick::round::Limits;
use crate::tick::view::View;

/// Builds two repositories from the shipped example and brings a release through `test` and `uat` to a gated `prod`. Nothing leaves this machine.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// A folder that is empty or not there yet
    #[arg(default_value = "consign-demo")]
    pub dir: PathBuf,
    /// How to say what happened
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// The config repository of the example, path by path.
pub const CONFIG_FILES: &[(&str, &str)] = &[
    (".consign/project.yaml", include_str!("../../examples/template-only/.consign/project.yaml")),
    (".consign/stages.yaml", include_str!("../../examples/template-only/.consign/stages.yaml")),
    ("README.md", include_str!("../../examples/template-only/README.md")),
    ("consign.yaml", include_str!("../../examples/template-only/consign.yaml")),
    ("env/prod/values.yaml", include_str!("../../examples/template-only/env/prod/values.yaml")),
    ("env/test/values.yaml", include_str!("../../examples/template-only/env/test/values.yaml")),
    ("env/uat/values.yaml", include_str!("../../examples/template-only/env/uat/values.yaml")),
    ("templates/web/deployment.yaml.j2", include_str!("../../examples/template-only/templates/web/deployment.yaml.j2")),
    ("templates/web/service.yaml", include_str!("../../examples/template-only/templates/web/service.yaml")),
];

/// The application's repository of the example.
pub const APP_FILES: &[(&str, &str)] = &[("README.md", include_str!("../../examples/template-only/app/README.md"))];

/// Where the example's definitions say that its repositories are; the demo leads git to the folder instead.
const HOST: &str = "https://git.example.com/acme/";
const AUTHOR: &str = "Ada <ada@example.com>";

/// Runs the verb; gives the exit code.
///
/// # Errors
/// Usage, for a folder that is not empty; what a tick says.
pub async fn run(session: &Session, args: &Args) -> Result<u8, Stopped> {
    let folder = prepare(&args.dir)?;
    let mut settings = Settings::new(session.cache()?);
    settings.local = true;
    settings.user_config = false;
    let git = Git::new(settings);
    let stage = Scene { git, checkout: folder.join("gitops"), app: folder.join("app.git"), gitops: folder.join("gitops.git"), folder };
    stage.build(session.now).await?;

    // The first release goes all the way: somebody has merged its proposal.
    let (_, proposals) = tick(session, &stage).await?;
    for proposal in &proposals {
        fresh::move_branch(&stage.git, &stage.gitops, &proposal.target_branch, &proposal.source_branch).await?;
    }
    tick(session, &stage).await?;
    // The second one is left to the reader.
    stage.release(session.now, "v1.1.0", "Greet in a warmer voice", true).await?;
    let (outcome, proposals) = tick(session, &stage).await?;
    let stands = status::Args { stage: None, format: args.format };
    if args.format == Format::Text {
        print(Format::Text, &(), || told(&stage, &outcome));
        status::run(&here(session, &stage), &stands).await?;
        print(Format::Text, &(), || next(&stage, &proposals));
        return Ok(0);
    }
    status::run(&here(session, &stage), &stands).await
}

/// Makes the folder, and refuses one that holds something.
fn prepare(dir: &Path) -> Result<PathBuf, Failure> {
    let cannot = |error: std::io::Error| {
        Failure::new(FailureKind::Usage, format!("cannot use the folder `{}`: {error}", dir.display())).hint("name another one: `consign demo DIR`")
    };
    std::fs::create_dir_all(dir).map_err(cannot)?;
    if std::fs::read_dir(dir).map_err(cannot)?.next().is_some() {
        return Err(Failure::new(FailureKind::Usage, format!("the folder `{}` is not empty", dir.display()))
            .hint("remove it, or name another one: `consign demo DIR`"));
    }
    dir.canonicalize().map_err(cannot)
}

/// The demo's repositories.
struct Scene {
    git: Git,
    folder: PathBuf,
    checkout: PathBuf,
    app: PathBuf,
    gitops: PathBuf,
}

impl Scene {
    /// Two bare repositories and a checkout, with a first release.
    async fn build(&self, now: Timestamp) -> Result<(), Failure> {
        fresh::create_bare(&self.git, &self.app).await?;
        self.release(now - SignedDuration::from_hours(1), "v1.0.0", "Say hello", false).await?;
        fresh::create_bare(&self.git, &self.gitops).await?;
        let (name, value) = self.redirection();
        let settings = format!(
            "# The definitions speak of {HOST}; git is led to this folder instead.\ngit:\n  config: {{{}: {}}}\n",
            serde_json::Value::from(name.as_str()),
            serde_json::Value::from(value.as_str())
        );
        let files: Vec<(&str, String)> = CONFIG_FILES
            .iter()
            .map(|(path, text)| (*path, if *path == crate::tick::open::SETTINGS { format!("{text}{settings}") } else { (*text).to_owned() }))
            .collect();
        let files = files.iter().map(|(path, text)| (*path, text.as_str())).collect();
        let start = FreshCommit { message: "Describe the pipeline", at: now - SignedDuration::from_hours(1), files, tag: None };
        fresh::add_commits(&self.git, &self.gitops, AUTHOR, &[start], false).await?;
        fresh::clone_into(&self.git, &format!("{HOST}gitops.git"), &self.checkout, &[self.redirection()]).await
    }

    /// A commit and a tag of the application.
    async fn release(&self, at: Timestamp, version: &str, message: &str, continues: bool) -> Result<(), Failure> {
        let mut files = APP_FILES.to_vec();
        let text = format!("{version}\n");
        files.push(("VERSION", &text));
        let commit = FreshCommit { message, at, files, tag: Some(version) };
        fresh::add_commits(&self.git, &self.app, AUTHOR, &[commit], continues).await
    }

    fn redirection(&self) -> (String, String) {
        (format!("url.{}/.insteadOf", self.folder.display()), HOST.to_owned())
    }
}

/// One tick on the demo's checkout; gives what came of it and the proposals that wait.
async fn tick(session: &Session, scene: &Scene) -> Result<(Outcome, Vec<Proposal>), Stopped> {
    let world = here(session, scene).open(false).await?;
    let (outcome, failures) = crate::tick::tick(&world, &Limits::default()).await?;
    if let Some(failure) = failures.into_iter().next() {
        return Err(failure.into());
    }
    let proposals = waiting_proposals(&world).await?;
    Ok((outcome, proposals))
}

/// The session as it is in the demo's checkout, at this instant.
fn here(session: &Session, scene: &Scene) -> Session {
    let mut global = session.global.clone();
    global.repo = Some(scene.checkout.to_string_lossy().into_owned());
    global.local = true;
    global.quiet = true;
    global.definitions.clear();
    global.project = None;
    Session::new(global)
}

async fn waiting_proposals(world: &World) -> Result<Vec<Proposal>, Failure> {
    let state = world.ledger.state_at(world.ledger_tip()).await?;
    let mut proposals = Vec::new();
    for project in world.wanted_projects() {
        let view = View::read(&state, project).await?;
        let waiting = view.promotions.iter().filter(|promotion: &&Promotion| !promotion.status.phase.is_terminal());
        proposals.extend(waiting.filter_map(|promotion| promotion.status.consign.proposals.last().cloned()));
    }
    Ok(proposals)
}

/// What happened.
fn told(scene: &Scene, outcome: &Outcome) -> String {
    let mut text = format!("`{}` holds two repositories, `app.git` and `gitops.git`, and a checkout, `gitops`.\n", scene.folder.display());
    text.push_str("v1.0.0 is in test, uat and prod. Then v1.1.0 was tagged, and `consign run` did this:\n\n");
    let mut shown = outcome.clone();
    shown.notes.clear();
    for line in report::tick::text(&shown).lines() {
        let _ = writeln!(text, "  {line}");
    }
    text.push('\n');
    text
}

/// What to type next.
fn next(scene: &Scene, proposals: &[Proposal]) -> String {
    let binary = std::env::current_exe().map_or_else(|_| "consign".to_owned(), |path| quoted(&path.to_string_lossy()));
    let mut text = format!("\nGo on from here:\n\n  cd {}\n", quoted(&scene.checkout.to_string_lossy()));
    text.push_str(
        "  export CONSIGN_LOCAL=1    # these remotes are folders of this machine\n\n  # Merge the proposal; on a forge it is a pull request.\n",
    );
    for proposal in proposals {
        let (from, into) = (&proposal.source_branch, &proposal.target_branch);
        let _ = writeln!(text, "  git fetch --quiet && git push origin {}", quoted(&format!("origin/{from}:refs/heads/{into}")));
    }
    let _ = writeln!(text, "\n  # Prod is finished; once more, and there is nothing to do.\n  {binary} run\n  {binary} run\n");
    let _ = writeln!(text, "  # The story.\n  {binary} status\n  {binary} history\n  git fetch --quiet && git log origin/consign/state\n");
    let _ = writeln!(text, "  # Back to v1.0.0, and hold prod there.\n  {binary} rollback prod");
    text
}

/// A word for the shell.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:@%,=".contains(c);
    if !word.is_empty() && word.chars().all(plain) { word.to_owned() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}
