//! Versions as Masterminds' Go library reads them: an optional `v`, missing parts are 0.

use std::cmp::Ordering;
use std::fmt;

use semver::{BuildMetadata, Prerelease};

/// A lenient semantic version. Equality is of the text as written too; [`Version::compare`] is the order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    version: semver::Version,
    original: String,
}

impl Version {
    /// Reads a version: `v1.2`, `1.2.3-rc.1+build`.
    ///
    /// # Errors
    /// Text that is no version.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("invalid semantic version `{text}`");
        if text.len() > 256 {
            return Err(wrong());
        }
        let rest = text.strip_prefix('v').unwrap_or(text);
        let (rest, build) = rest.split_once('+').map_or((rest, None), |(rest, build)| (rest, Some(build)));
        let (numbers, pre) = rest.split_once('-').map_or((rest, None), |(numbers, pre)| (numbers, Some(pre)));
        let mut parts = [0_u64; 3];
        let mut count = 0;
        for (index, part) in numbers.split('.').enumerate() {
            if index > 2 || part.is_empty() || !part.bytes().all(|digit| digit.is_ascii_digit()) {
                return Err(wrong());
            }
            parts[index] = part.parse().map_err(|_| wrong())?;
            count += 1;
        }
        if count == 0 {
            return Err(wrong());
        }
        Ok(Self {
            version: semver::Version {
                major: parts[0],
                minor: parts[1],
                patch: parts[2],
                pre: match pre {
                    None => Prerelease::EMPTY,
                    Some("") => return Err(wrong()),
                    Some(pre) => Prerelease::new(pre).map_err(|_| wrong())?,
                },
                build: match build {
                    None => BuildMetadata::EMPTY,
                    Some("") => return Err(wrong()),
                    Some(build) => BuildMetadata::new(build).map_err(|_| wrong())?,
                },
            },
            original: text.to_owned(),
        })
    }

    fn part(number: u64) -> i64 {
        i64::try_from(number).unwrap_or(i64::MAX)
    }

    /// The first number.
    pub fn major(&self) -> i64 {
        Self::part(self.version.major)
    }

    /// The second number.
    pub fn minor(&self) -> i64 {
        Self::part(self.version.minor)
    }

    /// The third number.
    pub fn patch(&self) -> i64 {
        Self::part(self.version.patch)
    }

    /// What stands after `-`.
    pub fn prerelease(&self) -> &str {
        self.version.pre.as_str()
    }

    /// What stands after `+`.
    pub fn metadata(&self) -> &str {
        self.version.build.as_str()
    }

    /// The text as it was written.
    pub fn original(&self) -> &str {
        &self.original
    }

    /// The order of versions; metadata does not count.
    pub fn compare(&self, other: &Self) -> Ordering {
        self.version.cmp_precedence(&other.version)
    }

    fn made(&self, version: semver::Version) -> Self {
        let prefix = if self.original.starts_with('v') { "v" } else { "" };
        Self { original: format!("{prefix}{version}"), version }
    }

    /// The next major version.
    ///
    /// # Errors
    /// The number is the largest there is.
    pub fn next_major(&self) -> Result<Self, String> {
        Ok(self.made(semver::Version::new(next(self.version.major)?, 0, 0)))
    }

    /// The next minor version.
    ///
    /// # Errors
    /// The number is the largest there is.
    pub fn next_minor(&self) -> Result<Self, String> {
        Ok(self.made(semver::Version::new(self.version.major, next(self.version.minor)?, 0)))
    }

    /// The next patch version; of a prerelease the release itself.
    ///
    /// # Errors
    /// The number is the largest there is.
    pub fn next_patch(&self) -> Result<Self, String> {
        let patch = if self.version.pre.is_empty() { next(self.version.patch)? } else { self.version.patch };
        Ok(self.made(semver::Version::new(self.version.major, self.version.minor, patch)))
    }

    /// The version with another prerelease; empty: without.
    ///
    /// # Errors
    /// Text that is no prerelease.
    pub fn with_prerelease(&self, pre: &str) -> Result<Self, String> {
        let pre = Prerelease::new(pre).map_err(|_| format!("`{pre}` is not a prerelease"))?;
        Ok(self.made(semver::Version { pre, ..self.version.clone() }))
    }

    /// The version with other metadata; empty: without.
    ///
    /// # Errors
    /// Text that is no metadata.
    pub fn with_metadata(&self, build: &str) -> Result<Self, String> {
        let build = BuildMetadata::new(build).map_err(|_| format!("`{build}` is not build metadata"))?;
        Ok(self.made(semver::Version { build, ..self.version.clone() }))
    }
}

impl fmt::Display for Version {
    /// Without the `v`, with all three numbers.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.version.fmt(f)
    }
}

fn next(number: u64) -> Result<u64, String> {
    number.checked_add(1).ok_or_else(|| "the number of the version is the largest there is".into())
}

/// The first part in which two versions differ: `Major`, `Minor`, `Patch`, `Metadata`, `None`; `Incomparable` if one is no version.
/// A difference in the prerelease does not count.
pub fn difference(left: &str, right: &str) -> &'static str {
    let (Ok(left), Ok(right)) = (Version::parse(left), Version::parse(right)) else { return "Incomparable" };
    let (left, right) = (left.version, right.version);
    if left.major != right.major {
        "Major"
    } else if left.minor != right.minor {
        "Minor"
    } else if left.patch != right.patch {
        "Patch"
    } else if left.build != right.build {
        "Metadata"
    } else {
        "None"
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn versions_are_read_leniently() {
        for (text, normal) in [("v1.2.3", "1.2.3"), ("1", "1.0.0"), ("01.02.03", "1.2.3"), ("1.2-rc.1+b.5", "1.2.0-rc.1+b.5")] {
            let version = Version::parse(text).unwrap();
            assert_eq!(version.to_string(), normal);
            assert_eq!(version.original(), text);
        }
        for text in ["", "latest", "1.2.3.4", "V1.0.0", "1.", ".1", "1.2.3-", "1.2.3+", "1.2.3-a..b", "99999999999999999999", "-1"] {
            assert!(Version::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_first_difference_counts() {
        for (left, right, expected) in [
            ("1.2.3", "2.2.3", "Major"),
            ("1.2.3", "1.10.3", "Minor"),
            ("v1.2.3+a", "v1.2.4+b", "Patch"),
            ("1.2.3+a", "1.2.3+b", "Metadata"),
            ("1.2.3-rc.1", "1.2.3", "None"),
            ("1.0.0", "", "Incomparable"),
        ] {
            assert_eq!(difference(left, right), expected, "{left} {right}");
        }
    }
}
