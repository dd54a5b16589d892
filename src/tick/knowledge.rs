//! What the rooms know, handed to `config`: it comes first in the house and cannot ask them itself.

use std::sync::LazyLock;

use crate::config::{Knowledge, RepositoryKind};
use crate::freight::semver::Constraint;
use crate::freight::{alias, assemble, url};
use crate::promote::steps::config as steps;

/// The step kinds there are: those of the catalogue.
static STEP_KINDS: LazyLock<Vec<String>> = LazyLock::new(|| steps::kinds().map(str::to_owned).collect());

/// Everything the product knows. `local` lets `file://` addresses and paths stand where a Git repository is asked for.
pub fn knowledge(local: bool) -> Knowledge<'static> {
    Knowledge {
        step_kinds: &STEP_KINDS,
        step_schema: &steps::schema_of,
        constraint: &|text| text.parse::<Constraint>().map(|_| ()).map_err(|error| error.to_string()),
        normalize: &|kind, address| match kind {
            RepositoryKind::Git => url::git(address),
            RepositoryKind::Image => url::image(address),
            RepositoryKind::Chart => url::chart(address),
        },
        freight_by_hand: &|warehouse, freight, taken| {
            assemble::by_hand(warehouse, freight, taken)
                .map_err(|violations| violations.into_iter().map(|violation| (violation.field.to_owned(), violation.to_string())).collect())
        },
        freight_alias: &|name| alias::alias_of(name, |_| false),
        local_url: if local { &|address| address.starts_with("file://") || address.starts_with('/') } else { &|_| false },
    }
}
