//! Writing commits and annotated tags. Everything is given, nothing comes from the clock or a configuration file, so that the same
//! input makes the same object again.

use std::path::PathBuf;

use gix::objs::signature::{Format, sign};
use jiff::Timestamp;

use super::objects::{ObjectError, damaged};
use super::oid::Oid;
use super::store::Store;

/// Who and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// Name.
    pub name: String,
    /// Email address.
    pub email: String,
    /// When; git keeps whole seconds.
    pub time: Timestamp,
    /// Distance of the local time from UTC, in seconds.
    pub offset: i32,
}

impl Signature {
    /// A signature in UTC.
    pub fn new(name: impl Into<String>, email: impl Into<String>, time: Timestamp) -> Self {
        Self { name: name.into(), email: email.into(), time, offset: 0 }
    }

    pub(super) fn read(raw: &gix::actor::SignatureRef<'_>) -> Self {
        let time = raw.time().unwrap_or_default();
        Self {
            name: raw.name.to_string(),
            email: raw.email.to_string(),
            time: Timestamp::from_second(time.seconds).unwrap_or(Timestamp::UNIX_EPOCH),
            offset: time.offset,
        }
    }

    fn raw(&self) -> gix::actor::Signature {
        gix::actor::Signature {
            name: without_crud(&self.name).into(),
            email: without_crud(&self.email).into(),
            time: gix::date::Time { seconds: self.time.as_second(), offset: self.offset },
        }
    }
}

/// Makes signatures with the user's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Signer {
    /// With `ssh-keygen`.
    Ssh {
        /// Path of the private key, or the public key itself when an agent holds the private one.
        key: String,
        /// The program; None: `ssh-keygen`.
        program: Option<PathBuf>,
    },
    /// With `gpg`.
    OpenPgp {
        /// Key id or user id.
        key: String,
        /// The program; None: `gpg`.
        program: Option<PathBuf>,
    },
}

impl Signer {
    fn options(&self) -> sign::Options {
        let (format, key, program, usual) = match self {
            Self::Ssh { key, program } => (Format::Ssh, key, program, "ssh-keygen"),
            Self::OpenPgp { key, program } => (Format::OpenPgp, key, program, "gpg"),
        };
        sign::Options {
            format,
            program: program.clone().unwrap_or_else(|| usual.into()).into_os_string(),
            program_arguments: Vec::new(),
            signing_key: key.into(),
            environment: vec![("LC_ALL".into(), "C".into())],
        }
    }
}

/// A commit to be.
#[derive(Clone, Debug)]
pub struct CommitSpec<'a> {
    /// The tree it records.
    pub tree: Oid,
    /// Its parents.
    pub parents: Vec<Oid>,
    /// Who wrote the change.
    pub author: Signature,
    /// Who makes the commit.
    pub committer: Signature,
    /// The message; cleaned as `git commit -m` does.
    pub message: &'a str,
    /// Signs it; None: unsigned.
    pub signer: Option<&'a Signer>,
}

/// An annotated tag to be. The ref that names it is made by a push.
#[derive(Clone, Debug)]
pub struct TagSpec<'a> {
    /// Short name.
    pub name: &'a str,
    /// The commit.
    pub target: Oid,
    /// Who makes it.
    pub tagger: Signature,
    /// The message; cleaned as `git tag -m` does.
    pub message: &'a str,
    /// Signs it; None: unsigned.
    pub signer: Option<&'a Signer>,
}

impl Store {
    /// Writes a commit. Equal specs make equal commits, signed ones too where the key's kind signs deterministically (Ed25519, RSA by SSH).
    ///
    /// # Errors
    /// Signing, when the signer fails; Damaged, when the store cannot be written.
    pub fn write_commit(&self, spec: &CommitSpec<'_>) -> Result<Oid, ObjectError> {
        let mut commit = gix::objs::Commit {
            tree: spec.tree.0,
            parents: spec.parents.iter().map(|oid| oid.0).collect(),
            author: spec.author.raw(),
            committer: spec.committer.raw(),
            encoding: None,
            message: clean_message(spec.message).into(),
            extra_headers: Vec::new(),
        };
        if let Some(signer) = spec.signer {
            commit = commit.sign(signer.options()).map_err(|error| ObjectError::Signing(error.to_string()))?;
        }
        self.write(commit)
    }

    /// Writes an annotated tag object.
    ///
    /// # Errors
    /// Signing, when the signer fails; Damaged, when the store cannot be written.
    pub fn write_tag(&self, spec: &TagSpec<'_>) -> Result<Oid, ObjectError> {
        let mut tag = gix::objs::Tag {
            target: spec.target.0,
            target_kind: gix::objs::Kind::Commit,
            name: spec.name.into(),
            tagger: Some(spec.tagger.raw()),
            message: clean_message(spec.message).into(),
            signature: None,
        };
        if let Some(signer) = spec.signer {
            tag = tag.sign(signer.options()).map_err(|error| ObjectError::Signing(error.to_string()))?;
        }
        self.write(tag)
    }

    fn write(&self, object: impl gix::objs::WriteTo) -> Result<Oid, ObjectError> {
        let oid = self.repository().write_object(object).map(|id| Oid(id.detach())).map_err(damaged)?;
        let mut memory = self.memory();
        memory.wrote = true;
        memory.written.insert(oid);
        Ok(oid)
    }
}

/// git's `whitespace` clean-up: no blanks at line ends, no empty lines around, never two in a row, one newline at the end.
fn clean_message(message: &str) -> String {
    let mut clean = String::with_capacity(message.len() + 1);
    let mut empty = 0;
    for line in message.lines() {
        let line = line.trim_end_matches([' ', '\t', '\r', '\u{b}', '\u{c}']);
        if line.is_empty() {
            empty += 1;
            continue;
        }
        if empty > 0 && !clean.is_empty() {
            clean.push('\n');
        }
        empty = 0;
        clean.push_str(line);
        clean.push('\n');
    }
    clean
}

/// Names as git writes them into an object: without the characters that end a field, and without clutter around.
fn without_crud(text: &str) -> String {
    let crud = |c: char| c <= ' ' || matches!(c, '.' | ',' | ':' | ';' | '<' | '>' | '"' | '\\' | '\'');
    text.trim_matches(crud).chars().filter(|c| !matches!(c, '\n' | '<' | '>' | '\0')).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn messages_are_cleaned_as_git_does() {
        assert_eq!(clean_message("a"), "a\n");
        assert_eq!(clean_message("\n\n a  \n\n\n\nb\t\n\n"), " a\n\nb\n");
        assert_eq!(clean_message("a\r\nb"), "a\nb\n");
        assert_eq!(clean_message("# kept"), "# kept\n");
        assert_eq!(clean_message(" \n"), "");
    }

    #[test]
    fn names_cannot_break_out_of_their_field() {
        assert_eq!(without_crud(" Ada <x>\nLovelace. "), "Ada xLovelace");
        assert_eq!(without_crud("bot[bot]"), "bot[bot]");
    }
}
