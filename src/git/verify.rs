//! Checking the SSH signatures of commits. git does it, with `ssh-keygen`.

use std::io::Write as _;

use super::oid::Oid;
use super::store::Store;
use crate::diagnostic::{Failure, FailureKind};

/// Commits handed to one `git verify-commit`.
const BATCH: usize = 200;

impl Store {
    /// Of these commits the first, in their order, that none of these SSH public keys (`ssh-ed25519 AAAA...`) has signed. None: all are signed.
    ///
    /// # Errors
    /// Config, for a key that is none; Tool, when git or `ssh-keygen` cannot be started.
    pub async fn first_unsigned(&self, commits: &[Oid], keys: &[String]) -> Result<Option<Oid>, Failure> {
        let mut signers = tempfile::NamedTempFile::new().map_err(|error| cannot_write(error.to_string()))?;
        for key in keys {
            let mut words = key.split_whitespace();
            let (Some(kind), Some(body)) = (words.next(), words.next()) else {
                return Err(Failure::new(FailureKind::Config, format!("`{key}` is not an SSH public key"))
                    .hint("write the key as in a `.pub` file: `ssh-ed25519 AAAA...`"));
            };
            writeln!(signers, "* namespaces=\"git\" {kind} {body}").map_err(|error| cannot_write(error.to_string()))?;
        }
        signers.flush().map_err(|error| cannot_write(error.to_string()))?;
        let allowed = signers.path().to_string_lossy().into_owned();
        for batch in commits.chunks(BATCH) {
            if self.all_signed(batch, &allowed).await? {
                continue;
            }
            // git does not say which one it was: find the first by halves. `good` commits at the beginning are signed, `bad` are not all.
            let (mut good, mut bad) = (0, batch.len());
            while bad - good > 1 {
                let middle = good + (bad - good) / 2;
                if self.all_signed(&batch[good..middle], &allowed).await? {
                    good = middle;
                } else {
                    bad = middle;
                }
            }
            return Ok(Some(batch[good]));
        }
        Ok(None)
    }

    async fn all_signed(&self, commits: &[Oid], allowed: &str) -> Result<bool, Failure> {
        let output = self
            .invoke("verify-commit")
            // A commit signed with anything but SSH is signed by none of the keys, whatever keyring this machine has.
            .config("gpg.program", "false")
            .config("gpg.x509.program", "false")
            .config("gpg.ssh.allowedSignersFile", allowed)
            .args(["verify-commit", "--"])
            .args(commits.iter().map(ToString::to_string))
            .run()
            .await?;
        if !output.success() && output.stderr.contains("ssh-keygen") && output.stderr.contains("cannot run") {
            return Err(Failure::new(FailureKind::Tool, "cannot check signatures: `ssh-keygen` is missing").hint("install OpenSSH"));
        }
        Ok(output.success())
    }
}

fn cannot_write(error: String) -> Failure {
    Failure::new(FailureKind::Tool, "cannot write the list of trusted keys to a temporary file").caused_by(error)
}
