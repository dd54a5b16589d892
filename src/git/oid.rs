//! Object names.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Name of a commit, tree, blob or tag: 40 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Oid(pub(super) gix::ObjectId);

/// A text that is no full object name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a full commit or object id (40 hexadecimal digits)")]
pub struct NotAnOid(String);

impl Oid {
    /// The empty tree, which every store has without having it.
    pub fn empty_tree() -> Self {
        Self(gix::ObjectId::empty_tree(gix::hash::Kind::Sha1))
    }

    /// The name of the blob with this content.
    pub fn of_blob(content: &[u8]) -> Self {
        use sha1::Digest as _;
        let mut hash = sha1::Sha1::new();
        hash.update(format!("blob {}\0", content.len()));
        hash.update(content);
        Self(gix::ObjectId::Sha1(hash.finalize().into()))
    }

    /// The first `length` digits, as people read them.
    pub fn short(&self, length: usize) -> String {
        self.0.to_hex_with_len(length).to_string()
    }
}

impl From<Oid> for gix::ObjectId {
    fn from(oid: Oid) -> Self {
        oid.0
    }
}

impl fmt::Display for Oid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0.to_hex().to_string())
    }
}

impl fmt::Debug for Oid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.to_hex())
    }
}

impl FromStr for Oid {
    type Err = NotAnOid;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        gix::ObjectId::from_hex(text.as_bytes()).map(Self).map_err(|_| NotAnOid(text.to_owned()))
    }
}

impl Serialize for Oid {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Oid {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}
