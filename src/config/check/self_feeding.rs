//! A stage that writes where a warehouse feeding it watches: every promotion makes new freight, for ever.

use serde_json::Value;

use super::Context;
use crate::config::RepositoryKind;
use crate::config::admission::{go_regex, items};
use crate::config::document::Document;
use crate::config::yaml::FieldPath;
use crate::diagnostic::Diagnostic;
use crate::model::{CommitSelectionStrategy, GitSubscription, Project, PromotionStep, Source, Stage, Variable};

pub(super) fn check(context: &Context<'_>, found: &mut Vec<Diagnostic>) {
    for project in context.projects {
        for stage in project.stages.values() {
            let Some(document) = context.find("Stage", project.name.as_str(), &stage.metadata.name) else { continue };
            for write in writes_of(project, stage) {
                for request in &stage.spec.requested_freight {
                    let Some(warehouse) = project.warehouses.get(&request.origin.name) else { continue };
                    for (at, subscription) in warehouse.spec.subscriptions.iter().enumerate() {
                        let Source::Git(git) = &subscription.source else { continue };
                        if feeds(context, git, &write) {
                            tell(context, project, document, warehouse.metadata.name.as_str(), at, git, &write, found);
                        }
                    }
                }
            }
        }
    }
}

/// A push of a stage, as far as its configuration says without being run.
struct Write {
    /// Path of the template's step that does it.
    step: usize,
    repository: String,
    branch: String,
    /// Paths it edits, relative to the repository; empty: anything.
    paths: Vec<String>,
}

/// Follows the checkouts of a stage's steps to their pushes.
fn writes_of(project: &Project, stage: &Stage) -> Vec<Write> {
    let Some(template) = &stage.spec.promotion_template else { return Vec::new() };
    let mut checkouts: Vec<(String, String, String)> = Vec::new();
    let mut edited: Vec<String> = Vec::new();
    let mut writes = Vec::new();
    let promotion: Vec<&Variable> = stage.spec.vars.iter().chain(&template.spec.vars).collect();
    for (at, step) in template.spec.steps.iter().enumerate() {
        let task = step.task.as_ref().and_then(|task| project.tasks.get(&(task.kind, task.name.clone())));
        let inflated: Vec<&PromotionStep> = task.map_or_else(|| vec![step], |task| task.spec.steps.iter().collect());
        for inner in inflated {
            let mut scope: Vec<&Variable> = Vec::new();
            if let Some(task) = task {
                scope.extend(task.spec.vars.iter().filter(|var| !var.value.is_empty()));
            }
            scope.extend(promotion.iter().filter(|var| !var.value.is_empty()));
            scope.extend(&step.vars);
            scope.extend(&inner.vars);
            let value = |text: &str| substitute(text, stage, project, &scope);
            let config = inner.config.as_ref().unwrap_or(&Value::Null);
            let field = |name: &str| config.get(name).and_then(Value::as_str).map(value);
            match inner.uses.as_str() {
                "git-clone" => {
                    let Some(Some(repository)) = field("repoURL") else { continue };
                    for checkout in items(config, "/checkout") {
                        let text = |name: &str| checkout.get(name).and_then(Value::as_str).and_then(value);
                        if let (Some(path), Some(branch)) = (text("path"), text("branch").filter(|branch| !branch.is_empty())) {
                            checkouts.push((clean(&path), repository.clone(), branch));
                        }
                    }
                }
                "git-push" | "github-push" => {
                    // A generated branch waits for its pull request, whose merge feeds just as well; the target is that of the checkout.
                    let Some(Some(path)) = field("path") else { continue };
                    let path = clean(&path);
                    let Some((root, repository, branch)) =
                        checkouts.iter().find(|(root, _, _)| *root == path || path.starts_with(&format!("{root}/")))
                    else {
                        continue;
                    };
                    let branch = match config.get("targetBranch") {
                        None => branch.clone(),
                        Some(_) => match field("targetBranch") {
                            Some(Some(branch)) if !branch.is_empty() => branch,
                            _ => continue,
                        },
                    };
                    let paths = edited.iter().filter_map(|path| path.strip_prefix(&format!("{root}/")).map(str::to_owned)).collect();
                    writes.push(Write { step: at, repository: repository.clone(), branch, paths });
                }
                "yaml-update" | "json-update" | "toml-update" | "kustomize-set-image" | "helm-update-chart" => {
                    edited.extend(field("path").flatten().map(|path| clean(&path)))
                }
                "kustomize-build" | "helm-template" | "copy" | "file-write" | "template" | "yaml-merge" => {
                    let target = field("outPath").or_else(|| field("path")).flatten();
                    edited.extend(target.map(|path| clean(&path)));
                }
                _ => {}
            }
        }
    }
    writes.dedup_by(|a, b| a.repository == b.repository && a.branch == b.branch && a.paths == b.paths);
    writes
}

/// A template with the names we know without running anything; None where something else stands in it.
fn substitute(text: &str, stage: &Stage, project: &Project, scope: &[&Variable]) -> Option<String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some(start) = rest.find("${{") {
        out.push_str(&rest[..start]);
        let end = rest[start..].find("}}")? + start;
        let expression = rest[start + 3..end].trim();
        let known = match expression {
            "ctx.stage" => stage.metadata.name.clone(),
            "ctx.project" => project.name.to_string(),
            _ => {
                let name = expression.strip_prefix("vars.")?;
                let at = scope.iter().rposition(|var| var.name == name)?;
                substitute(&scope[at].value, stage, project, &scope[..at])?
            }
        };
        out.push_str(&known);
        rest = &rest[end + 2..];
    }
    out.push_str(rest);
    (!out.contains("${%")).then_some(out)
}

fn clean(path: &str) -> String {
    path.split('/').filter(|part| !part.is_empty() && *part != ".").collect::<Vec<_>>().join("/")
}

fn feeds(context: &Context<'_>, git: &GitSubscription, write: &Write) -> bool {
    let same = |a: &str, b: &str| (context.knowledge.normalize)(RepositoryKind::Git, a) == (context.knowledge.normalize)(RepositoryKind::Git, b);
    if git.commit_selection_strategy != CommitSelectionStrategy::NewestFromBranch || !same(&git.repo_url, &write.repository) {
        return false;
    }
    let watched = if git.branch.is_empty() { matches!(write.branch.as_str(), "main" | "master") } else { git.branch == write.branch };
    if !watched {
        return false;
    }
    let counts = |path: &str| {
        (git.include_paths.is_empty() || git.include_paths.iter().any(|pattern| matches(pattern, path)))
            && !git.exclude_paths.iter().any(|pattern| matches(pattern, path))
    };
    if write.paths.is_empty() { git.include_paths.is_empty() && git.exclude_paths.is_empty() } else { write.paths.iter().any(|path| counts(path)) }
}

/// Whether a path pattern of a subscription meets a file or folder that a step writes.
fn matches(pattern: &str, path: &str) -> bool {
    match pattern.split_once(':') {
        Some(("glob", glob)) => globset::GlobBuilder::new(glob).literal_separator(true).build().is_ok_and(|glob| {
            let matcher = glob.compile_matcher();
            matcher.is_match(path) || matcher.is_match(format!("{path}/x"))
        }),
        Some(("regex" | "regexp", regex)) => go_regex(regex).is_ok_and(|regex| regex.is_match(path)),
        _ => {
            let base = clean(pattern);
            base.is_empty() || path == base || path.starts_with(&format!("{base}/"))
        }
    }
}

#[allow(clippy::too_many_arguments, reason = "one sentence is made of all of them")]
fn tell(
    context: &Context<'_>,
    project: &Project,
    stage: &Document,
    warehouse_name: &str,
    at: usize,
    git: &GitSubscription,
    write: &Write,
    found: &mut Vec<Diagnostic>,
) {
    let step = FieldPath::root().fields("spec.promotionTemplate.spec.steps").index(write.step);
    let what = if stage.node.find(&step.field("task")).is_some() { step.fields("task.name") } else { step.field("uses") };
    let excluded = if write.paths.is_empty() { vec!["env".to_owned()] } else { write.paths.clone() };
    let mut diagnostic = Diagnostic::warning(
        "config/self-feeding",
        format!(
            "the stage `{}` writes to `{}`, which the warehouse `{warehouse_name}` that feeds it watches: each promotion makes new freight",
            stage.name, write.branch
        ),
    )
    .at(stage.place(&what), "writes here")
    .help(format!(
        "let the subscription overlook what the stage writes:\nexcludePaths: [{}]",
        excluded.iter().map(|path| format!("{path:?}")).collect::<Vec<_>>().join(", ")
    ));
    if let Some(warehouse) = context.find("Warehouse", project.name.as_str(), warehouse_name) {
        let path = FieldPath::root().fields("spec.subscriptions").index(at).field("git");
        let field = if git.include_paths.is_empty() { "repoURL" } else { "includePaths" };
        diagnostic = diagnostic.related(warehouse.place(&path.field(field)), "watched here");
    }
    found.push(diagnostic);
}
