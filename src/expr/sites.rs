//! The places where an expression may stand, and what can be seen from each.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use jiff::Timestamp;

use super::context::Context;
use super::error::suggestion;
use super::functions::{CRITERIA, DATA, HELPERS, HostFunction, MEASUREMENT, STATUS};
use super::nature::Nature;
use super::value::Value;
use super::{builtins, gotime};

/// Where an expression stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Site {
    /// A value of a step's config: a template.
    Config,
    /// `if` of a step: a template that gives a boolean.
    If,
    /// A variable of a step, or a default of a task: a template.
    StepVar,
    /// A variable of a Stage or a promotion template: a template.
    PromotionVar,
    /// An argument of a verification, and Stage variables for it: a template that gives text.
    VerificationArgs,
    /// `expressionFilter` of a branch: a bare expression.
    CommitFilter,
    /// `expressionFilter` of tags: a bare expression.
    TagFilter,
    /// `freightCreationCriteria.expression`: a bare expression.
    FreightCreation,
    /// `fromExpression` of the parse steps: a bare expression, the document is the environment.
    Parse,
    /// Expressions of the `http` step: bare, about `response`.
    Http,
    /// Conditions of an AnalysisTemplate: bare, about `result`.
    Measurement,
}

/// What is known at a site when an expression is compiled.
pub(super) struct Types {
    functions: Vec<&'static HostFunction>,
    /// Names whose type is known.
    pub(super) names: BTreeMap<&'static str, Nature>,
    /// Names that exist, for suggestions.
    known: &'static [&'static str],
    /// Whether other names are mistakes.
    pub(super) strict: bool,
}

impl Types {
    /// Kargo's function of that name.
    pub(super) fn function(&self, name: &str) -> Option<&'static HostFunction> {
        self.functions.iter().find(|function| function.name == name).copied()
    }

    /// The same with the type of a name.
    pub(super) fn with_name(&self, name: &'static str, nature: Nature) -> Self {
        let mut names = self.names.clone();
        names.insert(name, nature);
        Self { functions: self.functions.clone(), names, known: self.known, strict: self.strict }
    }

    /// The nearest name that exists.
    pub(super) fn suggestion(&self, name: &str) -> String {
        let functions = self.functions.iter().map(|function| function.name);
        let builtins = builtins::all().map(|builtin| builtin.name);
        suggestion(name, self.known.iter().copied().chain(functions).chain(builtins))
    }
}

impl Site {
    /// All sites.
    pub const ALL: [Self; 11] = [
        Self::Config,
        Self::If,
        Self::StepVar,
        Self::PromotionVar,
        Self::VerificationArgs,
        Self::CommitFilter,
        Self::TagFilter,
        Self::FreightCreation,
        Self::Parse,
        Self::Http,
        Self::Measurement,
    ];

    /// The name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Config => "promotion",
            Self::If => "if",
            Self::StepVar => "stepVar",
            Self::PromotionVar => "promotionVar",
            Self::VerificationArgs => "verificationArgs",
            Self::CommitFilter => "commitFilter",
            Self::TagFilter => "tagFilter",
            Self::FreightCreation => "freightCreation",
            Self::Parse => "parse",
            Self::Http => "http",
            Self::Measurement => "measurement",
        }
    }

    /// The site of that name.
    pub fn find(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|site| site.name() == name)
    }

    /// Whether expressions stand here without delimiters.
    pub const fn is_bare(self) -> bool {
        !matches!(self, Self::Config | Self::If | Self::StepVar | Self::PromotionVar | Self::VerificationArgs)
    }

    pub(super) fn types(self) -> &'static Types {
        static TYPES: LazyLock<BTreeMap<Site, Types>> = LazyLock::new(|| {
            Site::ALL
                .into_iter()
                .map(|site| {
                    let groups: &[&'static [HostFunction]] = match site {
                        Site::Config | Site::If => &[HELPERS, DATA, STATUS],
                        Site::StepVar | Site::PromotionVar | Site::VerificationArgs => &[HELPERS, DATA],
                        Site::FreightCreation => &[CRITERIA],
                        Site::Measurement => &[MEASUREMENT],
                        Site::CommitFilter | Site::TagFilter | Site::Parse | Site::Http => &[],
                    };
                    let known: &'static [&'static str] = match site {
                        Site::Config | Site::If | Site::StepVar => &["ctx", "vars", "outputs", "stepMetas", "task", "target"],
                        Site::PromotionVar => &["ctx", "vars", "target"],
                        Site::VerificationArgs => &["ctx", "vars"],
                        Site::CommitFilter => &["id", "commitDate", "author", "committer", "subject"],
                        Site::TagFilter => &["tag", "id", "creatorDate", "author", "committer", "subject", "tagger", "annotation"],
                        Site::Http => &["response"],
                        Site::Measurement => &["result"],
                        Site::FreightCreation | Site::Parse => &[],
                    };
                    let names = match site {
                        Site::Measurement => BTreeMap::from([("result", Nature::Unknown)]),
                        _ => BTreeMap::new(),
                    };
                    let functions = groups.iter().flat_map(|group| group.iter()).collect();
                    (site, Types { functions, names, known, strict: site == Site::Measurement })
                })
                .collect()
        });
        &TYPES[&self]
    }
}

/// What one evaluation sees.
pub(super) struct Scope<'a> {
    pub(super) site: Site,
    pub(super) context: &'a Context,
    /// The names of a bare site.
    pub(super) names: Option<&'a [(&'a str, Value)]>,
}

impl Scope<'_> {
    pub(super) fn now(&self) -> Timestamp {
        self.context.now
    }

    /// The value of a name; unknown ones are nil, at the strict sites an error.
    pub(super) fn name(&self, name: &str) -> Result<Value, String> {
        if let Some(names) = self.names {
            return Ok(names.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone()).unwrap_or_default());
        }
        let context = self.context;
        Ok(match self.site {
            Site::Config | Site::If | Site::StepVar => match name {
                "ctx" => context.ctx.clone(),
                "vars" => context.vars.clone().into_value(),
                "outputs" => context.outputs.clone(),
                "stepMetas" => context.step_metas_value(),
                "task" => context.task_value(),
                "target" => context.target.clone(),
                _ => Value::Nil,
            },
            Site::PromotionVar => match name {
                "ctx" => context.ctx.clone(),
                "vars" => context.vars.clone().into_value(),
                "target" => context.target.clone(),
                _ => Value::Nil,
            },
            Site::VerificationArgs => match name {
                "ctx" => context.ctx.clone(),
                // a Stage without variables has no `vars` at all
                "vars" if !context.vars.is_empty() => context.vars.clone().into_value(),
                _ => Value::Nil,
            },
            Site::FreightCreation => {
                let hint = "; criteria see only `commitFrom()`, `imageFrom()`, `chartFrom()` and `artifactFrom()`";
                return Err(format!("cannot fetch {name} from nil{hint}"));
            }
            Site::Parse => match &context.document {
                Value::Map(map) => map.entries.get(name).cloned().unwrap_or_default(),
                other => {
                    return Err(format!("cannot fetch {name} from the document, which is {}; the whole document is `$env`", other.type_name()));
                }
            },
            Site::Http => match name {
                "response" => context.response.clone(),
                _ => Value::Nil,
            },
            Site::Measurement => match name {
                "result" => context.result.clone(),
                _ => Value::Nil,
            },
            Site::CommitFilter | Site::TagFilter => context.env.get(name).cloned().unwrap_or_default(),
        })
    }

    /// `$env`.
    pub(super) fn whole(&self) -> Value {
        if self.site == Site::Parse {
            return self.context.document.clone();
        }
        let entries: BTreeMap<std::sync::Arc<str>, Value> = match self.names {
            Some(names) => names.iter().map(|(name, value)| ((*name).into(), value.clone())).collect(),
            None if self.site == Site::FreightCreation => return Value::Nil,
            None => self
                .site
                .types()
                .known
                .iter()
                .filter_map(|name| Some(((*name).into(), self.name(name).ok().filter(|value| !value.is_nil())?)))
                .collect(),
        };
        Value::map(entries)
    }
}

/// A date of a filter: RFC 3339 with the commit's own offset.
///
/// # Errors
/// Text of another form.
pub fn date(text: &str) -> Result<Value, String> {
    gotime::Time::from_rfc3339(text).map(Value::Time)
}
