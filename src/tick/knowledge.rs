//! What the checks of definitions may know of other rooms: step kinds, expressions, constraints, addresses.

use crate::config::{ExpressionError, ExpressionSite, Knowledge, RepositoryKind};
use crate::expr::{self, Site};
use crate::freight;
use crate::promote::steps::{Registry, config};

/// Calls with the knowledge of all rooms.
pub fn with<T>(registry: &Registry, local: bool, call: impl FnOnce(Knowledge<'_>) -> T) -> T {
    let kinds: Vec<String> = registry.kinds().map(str::to_owned).collect();
    let schema = |kind: &str| registry.get(kind).map(|step| step.schema()).or_else(|| config::schema_of(kind));
    let expression = |site: ExpressionSite, text: &str| compile(site, text);
    let constraint = |text: &str| freight::semver::Constraint::parse(text).map(drop).map_err(|error| error.to_string());
    let normalize = |kind: RepositoryKind, url: &str| match kind {
        RepositoryKind::Git => freight::url::git(url),
        RepositoryKind::Image => freight::url::image(url),
        RepositoryKind::Chart => freight::url::chart(url),
    };
    let by_hand = |warehouse: &crate::model::Warehouse, made: crate::model::Freight, taken: &dyn Fn(&str) -> bool| {
        freight::assemble::by_hand(warehouse, made, |alias| taken(alias))
            .map_err(|violations| violations.into_iter().map(|violation| (violation.field.to_owned(), violation.problem.to_string())).collect())
    };
    let alias = |name: &crate::model::FreightName| freight::alias::alias_of(name, |_| false);
    let local_url = move |url: &str| local && (url.starts_with("file://") || url.starts_with('/') || url.starts_with("./") || url.starts_with("../"));
    call(Knowledge {
        step_kinds: &kinds,
        step_schema: &schema,
        expression: &expression,
        constraint: &constraint,
        normalize: &normalize,
        freight_by_hand: &by_hand,
        freight_alias: &alias,
        local_url: &local_url,
    })
}

fn compile(site: ExpressionSite, text: &str) -> Result<(), ExpressionError> {
    let site = match site {
        ExpressionSite::StepConfig => Site::Config,
        ExpressionSite::StepIf => Site::If,
        ExpressionSite::Variable => Site::StepVar,
        ExpressionSite::VerificationArgument => Site::VerificationArgs,
        ExpressionSite::CommitFilter => Site::CommitFilter,
        ExpressionSite::TagFilter => Site::TagFilter,
        ExpressionSite::FreightCreation => Site::FreightCreation,
        // Links are not drawn yet; what their conditions may see is not checked.
        ExpressionSite::LinkCondition => return Ok(()),
    };
    expr::check(site, text).map_err(|error| ExpressionError { message: error.to_string(), offset: None })
}
