//! `expressionFilter`: a bare expression about each candidate.

use jiff::Timestamp;
use jiff::tz::{Offset, TimeZone};

use super::DiscoveryError;
use crate::expr::{self, Context, Program, Site, Value};

/// A moment with the zone it was written in, as commits and tags record it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Date {
    /// The moment.
    pub timestamp: Timestamp,
    /// Seconds east of UTC.
    pub offset: i32,
}

/// What a filter sees of a commit or tag. Texts are whole, not cut as in freight.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Candidate<'c> {
    pub id: String,
    /// None on branches.
    pub tag: Option<TagCandidate<'c>>,
    /// The commit's date on branches, the creator date of tags.
    pub date: Date,
    pub author: &'c str,
    pub committer: &'c str,
    pub subject: &'c str,
}

/// What a filter sees of a tag itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct TagCandidate<'c> {
    pub name: &'c str,
    /// Empty if the tag is not annotated.
    pub tagger: &'c str,
    /// Empty if the tag is not annotated.
    pub annotation: &'c str,
}

/// A compiled filter.
pub(super) struct Filter {
    program: Program,
    context: Context,
}

impl Filter {
    /// Compiles a filter for branches or for tags. A filter of blanks is a mistake, as in Kargo; an empty one is none.
    pub fn new(site: Site, expression: &str, now: Timestamp) -> Result<Option<Self>, DiscoveryError> {
        if expression.is_empty() {
            return Ok(None);
        }
        let program = Program::compile(site, expression).map_err(|error| DiscoveryError::BadExpression { problem: error.to_string() })?;
        let mut context = Context::default();
        context.now = now;
        Ok(Some(Self { program, context }))
    }

    /// Whether the filter keeps a candidate.
    pub fn keeps(&self, candidate: &Candidate<'_>) -> Result<bool, DiscoveryError> {
        let failed = |problem: String| {
            let name = match &candidate.tag {
                Some(tag) => format!("tag `{}`", tag.name),
                None => format!("commit `{}`", candidate.id),
            };
            DiscoveryError::Expression { candidate: name, problem }
        };
        let date = candidate.date.value().map_err(failed)?;
        let mut names = vec![
            ("id", Value::text(candidate.id.as_str())),
            ("author", Value::text(candidate.author)),
            ("committer", Value::text(candidate.committer)),
            ("subject", Value::text(candidate.subject)),
        ];
        match &candidate.tag {
            None => names.push(("commitDate", date)),
            Some(tag) => names.extend([
                ("creatorDate", date),
                ("tag", Value::text(tag.name)),
                ("tagger", Value::text(tag.tagger)),
                ("annotation", Value::text(tag.annotation)),
            ]),
        }
        self.program.keeps(&names, &self.context).map_err(|error| failed(error.to_string()))
    }
}

impl Date {
    /// The date as expressions know it, in its own zone.
    fn value(self) -> Result<Value, String> {
        let offset = Offset::from_seconds(self.offset).unwrap_or(Offset::UTC);
        expr::date(&self.timestamp.to_zoned(TimeZone::fixed(offset)).strftime("%Y-%m-%dT%H:%M:%S%:z").to_string())
    }
}
