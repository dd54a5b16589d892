//! Semantic versions and constraints by the rules of Masterminds/semver v3, which Kargo uses.
//!
//! No Rust crate has these rules (a bare `1.2.3` is exact, `||`, commas and blanks, hyphen ranges, prereleases admitted per group of comparisons),
//! so the rules are here and the numbers, prereleases and their order are the `semver` crate's.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use semver::{BuildMetadata, Prerelease};

/// The longest version text that is read, in bytes.
const MAX_VERSION: usize = 256;
/// The longest constraint text that is read, in bytes.
const MAX_CONSTRAINT: usize = 512;
/// The most alternatives (`||`) a constraint may have.
const MAX_ALTERNATIVES: usize = 32;

/// A version, together with the text it was read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    number: semver::Version,
    original: String,
}

impl Version {
    /// Reads a version leniently: one leading `v` is dropped, missing parts are 0, leading zeros are allowed.
    ///
    /// # Errors
    /// [`InvalidVersion`] for any other text.
    pub fn parse(text: &str) -> Result<Self, InvalidVersion> {
        let invalid = || InvalidVersion { text: text.to_owned() };
        if text.len() > MAX_VERSION {
            return Err(invalid());
        }
        let number = lenient(text.strip_prefix('v').unwrap_or(text)).ok_or_else(invalid)?;
        Ok(Self { number, original: text.to_owned() })
    }

    /// Reads a version strictly: after one leading `v` it is a full `x.y.z` without leading zeros.
    ///
    /// # Errors
    /// [`InvalidVersion`] for any other text.
    pub fn parse_strict(text: &str) -> Result<Self, InvalidVersion> {
        let version = Self::parse(text)?;
        match semver::Version::parse(text.strip_prefix('v').unwrap_or(text)) {
            Ok(_) => Ok(version),
            Err(_) => Err(InvalidVersion { text: text.to_owned() }),
        }
    }

    /// The parts of the version.
    pub fn number(&self) -> &semver::Version {
        &self.number
    }

    /// The text it was read from.
    pub fn original(&self) -> &str {
        &self.original
    }

    /// Whether it is a prerelease.
    pub fn is_prerelease(&self) -> bool {
        !self.number.pre.is_empty()
    }

    /// Order of precedence: build metadata does not count.
    pub fn precedence(&self, other: &Self) -> Ordering {
        self.number.cmp_precedence(&other.number)
    }

    /// The order in which Kargo lists what it found, newest first: descending precedence; equal versions by descending text
    /// (`v1.0.0`, `1.0.0`, `1.0`).
    pub fn newest_first(&self, other: &Self) -> Ordering {
        other.precedence(self).then_with(|| other.original.cmp(&self.original))
    }
}

impl fmt::Display for Version {
    /// The canonical form: `1.2` prints as `1.2.0`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.number.fmt(f)
    }
}

/// A text that is no version.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a semantic version")]
pub struct InvalidVersion {
    text: String,
}

fn lenient(text: &str) -> Option<semver::Version> {
    let (rest, build) = text.split_once('+').map_or((text, None), |(rest, build)| (rest, Some(build)));
    let (numbers, pre) = rest.split_once('-').map_or((rest, None), |(numbers, pre)| (numbers, Some(pre)));
    let mut parts = [0; 3];
    for (index, part) in numbers.split('.').enumerate() {
        *parts.get_mut(index)? = digits(part)?;
    }
    let [major, minor, patch] = parts;
    Some(semver::Version { major, minor, patch, pre: identifiers(pre, Prerelease::new)?, build: identifiers(build, BuildMetadata::new)? })
}

fn digits(part: &str) -> Option<u64> {
    if part.bytes().all(|byte| byte.is_ascii_digit()) { part.parse().ok() } else { None }
}

/// What follows `-` or `+`; if the sign is there, something must follow.
fn identifiers<T: Default>(text: Option<&str>, read: impl Fn(&str) -> Result<T, semver::Error>) -> Option<T> {
    match text {
        None => Some(T::default()),
        Some("") => None,
        Some(text) => read(text).ok(),
    }
}

/// The most significant part in which two versions differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Difference {
    /// The first number.
    Major,
    /// The second number.
    Minor,
    /// The third number.
    Patch,
    /// Only build metadata.
    Metadata,
    /// Nothing, or only the prerelease.
    None,
    /// One of them is no version.
    Incomparable,
}

impl fmt::Display for Difference {
    /// As the expression function `semverDiff` prints it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Major => "Major",
            Self::Minor => "Minor",
            Self::Patch => "Patch",
            Self::Metadata => "Metadata",
            Self::None => "None",
            Self::Incomparable => "Incomparable",
        })
    }
}

/// Compares two version texts, read leniently. Prereleases do not count (measured).
pub fn difference(a: &str, b: &str) -> Difference {
    let (Ok(a), Ok(b)) = (Version::parse(a), Version::parse(b)) else { return Difference::Incomparable };
    let (a, b) = (a.number, b.number);
    match () {
        () if a.major != b.major => Difference::Major,
        () if a.minor != b.minor => Difference::Minor,
        () if a.patch != b.patch => Difference::Patch,
        () if a.build != b.build => Difference::Metadata,
        () => Difference::None,
    }
}

/// A constraint: alternatives separated by `||`, each a list of comparisons that must all hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Constraint {
    alternatives: Vec<Vec<Comparison>>,
}

impl Constraint {
    /// Whether the version satisfies the constraint. A prerelease satisfies an alternative only if one of its comparisons names a
    /// prerelease itself (`>=1.0.0-0` is the idiom).
    pub fn matches(&self, version: &Version) -> bool {
        self.alternatives.iter().any(|comparisons| {
            let prereleases = comparisons.iter().any(|comparison| !comparison.bound.pre.is_empty());
            (prereleases || !version.is_prerelease()) && comparisons.iter().all(|comparison| comparison.holds(&version.number))
        })
    }
}

/// A text that is no constraint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a version constraint: {problem}; expected a form such as `^1.2.0`, `>=1.2 <2` or `1.x || 2.x`")]
pub struct InvalidConstraint {
    text: String,
    problem: &'static str,
}

impl FromStr for Constraint {
    type Err = InvalidConstraint;

    fn from_str(text: &str) -> Result<Self, InvalidConstraint> {
        let invalid = |problem| InvalidConstraint { text: text.to_owned(), problem };
        if text.len() > MAX_CONSTRAINT {
            return Err(InvalidConstraint {
                text: format!("{}...", text.chars().take(40).collect::<String>()),
                problem: "it is longer than 512 bytes",
            });
        }
        let groups: Vec<&str> = text.split("||").collect();
        if groups.len() > MAX_ALTERNATIVES {
            return Err(invalid("it has more than 32 alternatives"));
        }
        let alternatives = groups.into_iter().map(|group| Reader { rest: group }.group()).collect::<Result<_, _>>().map_err(invalid)?;
        Ok(Self { alternatives })
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Comparison {
    operator: Operator,
    bound: semver::Version,
    precision: Precision,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Equal,
    NotEqual,
    Greater,
    Less,
    GreaterEqual,
    LessEqual,
    Tilde,
    Caret,
}

/// How much of the bound was written: `1.2.3`, `1.2`, `1` or `*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Precision {
    Full,
    Minor,
    Major,
    Any,
}

impl Comparison {
    fn holds(&self, version: &semver::Version) -> bool {
        let bound = &self.bound;
        let order = version.cmp_precedence(bound);
        match (self.operator, self.precision) {
            (Operator::Equal, Precision::Full) => order.is_eq(),
            (Operator::Equal | Operator::Tilde, _) => self.within_tilde(version),
            (Operator::Caret, _) => self.within_caret(version),
            (Operator::NotEqual, Precision::Full | Precision::Any) => order.is_ne(),
            (Operator::NotEqual, Precision::Major) => version.major != bound.major,
            (Operator::NotEqual, Precision::Minor) => {
                (version.major, version.minor) != (bound.major, bound.minor)
                    || (!(version.pre.is_empty() && bound.pre.is_empty()) && version.pre != bound.pre)
            }
            (Operator::Greater, Precision::Full | Precision::Any) => order.is_gt(),
            (Operator::Greater, Precision::Major) => version.major > bound.major,
            (Operator::Greater, Precision::Minor) => (version.major, version.minor) > (bound.major, bound.minor),
            (Operator::Less, _) => order.is_lt(),
            (Operator::GreaterEqual, _) => order.is_ge(),
            (Operator::LessEqual, Precision::Full) => order.is_le(),
            (Operator::LessEqual, Precision::Major) => version.major <= bound.major,
            (Operator::LessEqual, Precision::Minor | Precision::Any) => (version.major, version.minor) <= (bound.major, bound.minor),
        }
    }

    fn within_tilde(&self, version: &semver::Version) -> bool {
        let bound = &self.bound;
        if version.cmp_precedence(bound).is_lt() {
            return false;
        }
        // The library reads `~0.0.0` as "any", which `~*` and a bare `*` rely on.
        let zero = (bound.major, bound.minor, bound.patch) == (0, 0, 0);
        if zero && matches!(self.precision, Precision::Full | Precision::Any) {
            return true;
        }
        version.major == bound.major && (version.minor == bound.minor || self.precision == Precision::Major)
    }

    fn within_caret(&self, version: &semver::Version) -> bool {
        let bound = &self.bound;
        if version.cmp_precedence(bound).is_lt() || version.major != bound.major {
            return false;
        }
        if bound.major > 0 || self.precision == Precision::Major {
            return true;
        }
        version.minor == bound.minor && (bound.minor > 0 || self.precision == Precision::Minor || version.patch == bound.patch)
    }
}

/// Reads one group of comparisons from left to right.
struct Reader<'a> {
    rest: &'a str,
}

/// Longer operators first: `>` must not hide `>=`.
const OPERATORS: [(&str, Operator); 11] = [
    ("!=", Operator::NotEqual),
    (">=", Operator::GreaterEqual),
    ("=>", Operator::GreaterEqual),
    ("<=", Operator::LessEqual),
    ("=<", Operator::LessEqual),
    ("~>", Operator::Tilde),
    ("=", Operator::Equal),
    (">", Operator::Greater),
    ("<", Operator::Less),
    ("~", Operator::Tilde),
    ("^", Operator::Caret),
];

impl<'a> Reader<'a> {
    fn group(mut self) -> Result<Vec<Comparison>, &'static str> {
        let mut comparisons = Vec::new();
        let mut blank_before = false;
        self.blanks();
        loop {
            let operator = self.operator();
            self.blanks();
            let (bound, precision) = self.bound()?;
            let had_blank = self.blanks();
            if operator.is_none() && had_blank && self.rest.starts_with('-') {
                // In Kargo a range swallows the blank before it, which leaves it glued to the comparison on its left.
                if blank_before {
                    return Err("a range after another comparison needs a comma before it");
                }
                self.rest = &self.rest[1..];
                if !self.blanks() {
                    return Err("a range needs blanks around its `-`");
                }
                let (upper, upper_precision) = self.bound()?;
                comparisons.push(Comparison { operator: Operator::GreaterEqual, bound, precision });
                comparisons.push(Comparison { operator: Operator::LessEqual, bound: upper, precision: upper_precision });
                self.blanks();
                // The rewritten range ends with a blank of its own, so whatever follows is separated.
                if self.rest.is_empty() {
                    return Ok(comparisons);
                }
                self.comma();
                blank_before = false;
                continue;
            }
            comparisons.push(Comparison { operator: operator.unwrap_or(Operator::Equal), bound, precision });
            if self.rest.is_empty() {
                return Ok(comparisons);
            }
            let comma = self.comma();
            if !comma && !had_blank {
                return Err("two comparisons need a blank or a comma between them");
            }
            blank_before = !comma;
        }
    }

    /// Skips blanks; whether there were any.
    fn blanks(&mut self) -> bool {
        let trimmed = self.rest.trim_start_matches([' ', '\t', '\n', '\r', '\x0c']);
        let any = trimmed.len() < self.rest.len();
        self.rest = trimmed;
        any
    }

    /// Skips a comma and the blanks after it; whether there was one.
    fn comma(&mut self) -> bool {
        let Some(rest) = self.rest.strip_prefix(',') else { return false };
        self.rest = rest;
        self.blanks();
        true
    }

    fn operator(&mut self) -> Option<Operator> {
        let (text, operator) = OPERATORS.iter().find(|(text, _)| self.rest.starts_with(text))?;
        self.rest = &self.rest[text.len()..];
        Some(*operator)
    }

    fn take(&mut self, allowed: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|c| !allowed(c)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        taken
    }

    /// A version whose parts may be missing or wildcards. Whatever follows the first wildcard is ignored, but for a prerelease.
    fn bound(&mut self) -> Result<(semver::Version, Precision), &'static str> {
        const NO_VERSION: &str = "a version is missing or malformed";
        let start = self.rest;
        self.rest = self.rest.strip_prefix('v').unwrap_or(self.rest);
        let part = |c: char| c.is_ascii_digit() || matches!(c, 'x' | 'X' | '*');
        let mut parts = vec![self.take(part)];
        while parts.len() < 3 && self.rest.strip_prefix('.').is_some_and(|rest| rest.starts_with(part)) {
            self.rest = &self.rest[1..];
            parts.push(self.take(part));
        }
        let pre = self.identifiers('-');
        let build = self.identifiers('+');
        if start.len() - self.rest.len() > MAX_VERSION {
            return Err("a version is longer than 256 bytes");
        }
        let mut numbers = [0; 3];
        let mut written = 0;
        for (number, part) in numbers.iter_mut().zip(&parts) {
            if matches!(*part, "x" | "X" | "*") {
                break;
            }
            *number = digits(part).ok_or(NO_VERSION)?;
            written += 1;
        }
        let precision = match written {
            0 => Precision::Any,
            1 => Precision::Major,
            2 => Precision::Minor,
            _ => Precision::Full,
        };
        let [major, minor, patch] = numbers;
        let pre = identifiers(pre, Prerelease::new).ok_or(NO_VERSION)?;
        identifiers(build, BuildMetadata::new).ok_or(NO_VERSION)?;
        Ok((semver::Version { major, minor, patch, pre, build: BuildMetadata::EMPTY }, precision))
    }

    fn identifiers(&mut self, sign: char) -> Option<&'a str> {
        let identifier = |c: char| c.is_ascii_alphanumeric() || c == '-';
        let rest = self.rest.strip_prefix(sign).filter(|rest| rest.starts_with(identifier))?;
        let mut reader = Reader { rest };
        reader.take(identifier);
        while reader.rest.strip_prefix('.').is_some_and(|rest| rest.starts_with(identifier)) {
            reader.rest = &reader.rest[1..];
            reader.take(identifier);
        }
        let taken = &rest[..rest.len() - reader.rest.len()];
        self.rest = reader.rest;
        Some(taken)
    }
}

#[cfg(test)]
#[path = "semver_tests.rs"]
mod tests;
