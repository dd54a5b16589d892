//! Path patterns of a subscription: which changed files make a commit count.

use globset::{GlobBuilder, GlobMatcher};
use regex::Regex;

use super::DiscoveryError;
use crate::config::admission::go_regex;
use crate::model::GitSubscription;

/// `includePaths` and `excludePaths`, compiled.
#[derive(Debug, Default)]
pub struct PathFilter {
    include: Vec<PathPattern>,
    exclude: Vec<PathPattern>,
}

impl PathFilter {
    /// Compiles the patterns of a subscription.
    ///
    /// # Errors
    /// `BadPattern` for a glob or regular expression that does not compile.
    pub fn new(subscription: &GitSubscription) -> Result<Self, DiscoveryError> {
        let compile = |field, patterns: &[String]| patterns.iter().map(|pattern| PathPattern::new(field, pattern)).collect::<Result<_, _>>();
        Ok(Self { include: compile("includePaths", &subscription.include_paths)?, exclude: compile("excludePaths", &subscription.exclude_paths)? })
    }

    /// Whether every commit counts, also one that changes nothing.
    pub fn is_empty(&self) -> bool {
        self.include.is_empty() && self.exclude.is_empty()
    }

    /// Whether a changed file makes its commit count.
    pub fn selects(&self, path: &str) -> bool {
        let matches = |patterns: &[PathPattern]| patterns.iter().any(|pattern| pattern.matches(path));
        (self.include.is_empty() || matches(&self.include)) && !matches(&self.exclude)
    }
}

/// One pattern: `glob:`, `regex:` or `regexp:` and a pattern, or a file or folder.
#[derive(Debug)]
pub enum PathPattern {
    /// A file or folder in clean form; empty: everything.
    Base(String),
    /// Matches the whole path; `*` stays within a folder, `**` does not.
    Glob(Vec<GlobMatcher>),
    /// Found anywhere in the path.
    Regex(Regex),
    /// A path outside of the repository.
    Nothing,
}

impl PathPattern {
    /// Compiles a pattern of the named field.
    ///
    /// # Errors
    /// `BadPattern` if it does not compile.
    pub fn new(field: &'static str, pattern: &str) -> Result<Self, DiscoveryError> {
        let bad = |problem: String| DiscoveryError::BadPattern { field, pattern: pattern.to_owned(), problem };
        if let Some(glob) = pattern.strip_prefix("glob:") {
            // `a/**` also means `a` itself, as in the doublestar patterns that Kargo uses.
            let itself = glob.strip_suffix("/**").filter(|base| !base.is_empty());
            let compile =
                |glob: &str| GlobBuilder::new(glob).literal_separator(true).empty_alternates(true).build().map(|glob| glob.compile_matcher());
            let globs = std::iter::once(glob).chain(itself).map(compile).collect::<Result<_, _>>();
            return globs.map(Self::Glob).map_err(|error| bad(error.kind().to_string()));
        }
        if let Some(regex) = pattern.strip_prefix("regex:").or_else(|| pattern.strip_prefix("regexp:")) {
            return go_regex(regex).map(Self::Regex).map_err(bad);
        }
        Ok(clean(pattern).map_or(Self::Nothing, Self::Base))
    }

    /// Whether it matches a path.
    pub fn matches(&self, path: &str) -> bool {
        match self {
            Self::Base(base) => base.is_empty() || path.strip_prefix(base.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')),
            Self::Glob(globs) => globs.iter().any(|glob| glob.is_match(path)),
            Self::Regex(regex) => regex.is_match(path),
            Self::Nothing => false,
        }
    }
}

/// A path without `.`, `..` and doubled slashes; None if it is absolute or climbs out.
fn clean(path: &str) -> Option<String> {
    let mut parts = Vec::new();
    if path.starts_with('/') {
        return None;
    }
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn patterns_match_as_documented() {
        for (pattern, path, matches) in [
            ("apps/guestbook", "apps/guestbook/a.yaml", true),
            ("apps/guestbook", "apps/guestbook", true),
            ("apps/guestbook", "apps/guestbook2/a.yaml", false),
            ("./apps/guestbook/", "apps/guestbook/a.yaml", true),
            (".", "anything/at/all", true),
            ("../apps", "apps/a", false),
            ("/apps", "apps/a", false),
            ("apps", "apps/a..b.yaml", true),
            ("glob:apps/*", "apps/a.yaml", true),
            ("glob:apps/*", "apps/x/a.yaml", false),
            ("glob:apps/**", "apps/x/y/a.yaml", true),
            ("glob:apps/**", "apps", true),
            ("glob:**/*.yaml", "a.yaml", true),
            ("glob:apps/**.yaml", "apps/x/a.yaml", false),
            ("glob:{a,}b", "b", true),
            ("regex:values", "charts/values/prod.yaml", true),
            ("regexp:^docs/", "x/docs/a", false),
        ] {
            assert_eq!(PathPattern::new("includePaths", pattern).unwrap().matches(path), matches, "{pattern} {path}");
        }
        for pattern in ["glob:{a,b", "glob:[a", "regex:(", "regexp:^(?!x)"] {
            assert!(PathPattern::new("includePaths", pattern).is_err(), "{pattern}");
        }
    }
}
