//! Rendered manifests: splitting a stream of YAML documents into Kubernetes objects, and naming the files that hold them.

use std::fs::{DirBuilder, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Component, Path};

use serde_json::Value;

/// Which object a document describes. Two documents of one identity are versions of the same object.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectIdentity {
    /// API group; empty: the core group.
    pub group: String,
    /// API version without the group.
    pub version: String,
    /// Kind.
    pub kind: String,
    /// Namespace as written; empty: none.
    pub namespace: String,
    /// Name.
    pub name: String,
}

impl ObjectIdentity {
    /// The identity of the object in a document; fields that are missing or no text are empty. None: the document is no mapping.
    pub fn of(document: &Value) -> Option<Self> {
        let document = document.as_object()?;
        let text = |value: Option<&Value>| match value {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Number(number)) => number.to_string(),
            _ => String::new(),
        };
        let api_version = text(document.get("apiVersion"));
        let (group, version) = api_version.split_once('/').unwrap_or(("", &api_version));
        let metadata = document.get("metadata");
        let of_metadata = |key| text(metadata.and_then(|metadata| metadata.get(key)));
        Some(Self {
            group: group.to_owned(),
            version: version.to_owned(),
            kind: text(document.get("kind")),
            namespace: of_metadata("namespace"),
            name: of_metadata("name"),
        })
    }

    /// Whether it can be told from other objects: it has a kind and a name.
    pub fn is_named(&self) -> bool {
        !self.kind.is_empty() && !self.name.is_empty()
    }

    /// Kargo's name for the file of a built object: `[<namespace>-]<kind>-<name>.yaml`.
    pub fn kargo_file_name(&self) -> String {
        file_name("-", [&self.namespace, &self.kind, &self.name])
    }

    /// Name of the file of a rendered object in the flat layout: `[<group>-]<kind>[-<namespace>]-<name>.yaml`, dots of the group as `_`.
    pub fn flat_file_name(&self) -> String {
        file_name("-", [&self.group.replace('.', "_"), &self.kind, &self.namespace, &self.name])
    }

    /// The name that `kustomize build -o` gives the object's file: `[<namespace>_][<group>_]<version>_<kind>_<name>.yaml`; the namespace only in
    /// a build that spans several.
    pub fn kustomize_file_name(&self, several_namespaces: bool) -> String {
        let namespace = if several_namespaces { self.effective_namespace().unwrap_or_default() } else { "" };
        file_name("_", [namespace, &self.group, &self.version, &self.kind, &self.name])
    }

    /// The namespace an object without one lands in, as kustomize sees it; None: objects of this kind are in no namespace.
    pub fn effective_namespace(&self) -> Option<&str> {
        if CLUSTER_SCOPED.contains(&(self.group.as_str(), self.kind.as_str())) {
            return None;
        }
        Some(if self.namespace.is_empty() { "default" } else { &self.namespace })
    }
}

/// Kinds of the Kubernetes API that are in no namespace; kustomize takes kinds it does not know for namespaced ones.
const CLUSTER_SCOPED: [(&str, &str); 36] = [
    ("", "ComponentStatus"),
    ("", "Namespace"),
    ("", "Node"),
    ("", "PersistentVolume"),
    ("admissionregistration.k8s.io", "MutatingAdmissionPolicy"),
    ("admissionregistration.k8s.io", "MutatingAdmissionPolicyBinding"),
    ("admissionregistration.k8s.io", "MutatingWebhookConfiguration"),
    ("admissionregistration.k8s.io", "ValidatingAdmissionPolicy"),
    ("admissionregistration.k8s.io", "ValidatingAdmissionPolicyBinding"),
    ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration"),
    ("apiextensions.k8s.io", "CustomResourceDefinition"),
    ("apiregistration.k8s.io", "APIService"),
    ("authentication.k8s.io", "SelfSubjectReview"),
    ("authentication.k8s.io", "TokenReview"),
    ("authorization.k8s.io", "SelfSubjectAccessReview"),
    ("authorization.k8s.io", "SelfSubjectRulesReview"),
    ("authorization.k8s.io", "SubjectAccessReview"),
    ("certificates.k8s.io", "CertificateSigningRequest"),
    ("certificates.k8s.io", "ClusterTrustBundle"),
    ("flowcontrol.apiserver.k8s.io", "FlowSchema"),
    ("flowcontrol.apiserver.k8s.io", "PriorityLevelConfiguration"),
    ("internal.apiserver.k8s.io", "StorageVersion"),
    ("networking.k8s.io", "IngressClass"),
    ("networking.k8s.io", "IPAddress"),
    ("networking.k8s.io", "ServiceCIDR"),
    ("node.k8s.io", "RuntimeClass"),
    ("policy", "PodSecurityPolicy"),
    ("rbac.authorization.k8s.io", "ClusterRole"),
    ("rbac.authorization.k8s.io", "ClusterRoleBinding"),
    ("resource.k8s.io", "DeviceClass"),
    ("resource.k8s.io", "ResourceSlice"),
    ("scheduling.k8s.io", "PriorityClass"),
    ("storage.k8s.io", "CSIDriver"),
    ("storage.k8s.io", "CSINode"),
    ("storage.k8s.io", "StorageClass"),
    ("storage.k8s.io", "VolumeAttachment"),
];

fn file_name<const N: usize>(separator: &str, parts: [&str; N]) -> String {
    let parts: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    format!("{}.yaml", parts.join(separator).to_lowercase())
}

/// A generated file name that would not name a file of its folder.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{name}`, the file name made from an object's fields, is not a plain name; rename the object, or render into one file")]
pub struct UnsafeName {
    /// The name.
    pub name: String,
}

/// Refuses generated names that lead elsewhere.
///
/// # Errors
/// The name is empty, `.` or `..`, or holds a separator.
pub fn plain_name(name: String) -> Result<String, UnsafeName> {
    let mut components = Path::new(&name).components();
    let plain = matches!((components.next(), components.next()), (Some(Component::Normal(only)), None) if only == name.as_str());
    if plain && !name.contains(['\\', '\0']) { Ok(name) } else { Err(UnsafeName { name }) }
}

/// Splits a stream at its `---` lines. Documents keep their line ends; a marker at the very start makes no empty document.
///
/// Made for what kustomize and helm print, where a marker at the start of a line is never part of a scalar.
pub fn split_documents(stream: &str) -> Vec<&str> {
    let mut documents = Vec::new();
    let (mut start, mut at) = (0, 0);
    for line in stream.split_inclusive('\n') {
        if line.trim_end() == "---" {
            documents.push(&stream[start..at]);
            start = at + line.len();
        }
        at += line.len();
    }
    documents.push(&stream[start..]);
    documents.retain(|document| !document.trim().is_empty());
    documents
}

/// Reads one YAML document. Rendered objects may be large, so only what aliases can multiply is limited.
///
/// # Errors
/// Where and why it is no YAML.
pub fn read_document(text: &str) -> Result<Value, String> {
    let options = serde_saphyr::options! { budget: None, duplicate_keys: serde_saphyr::options::DuplicateKeyPolicy::LastWins };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| error.to_string().lines().next().unwrap_or_default().to_owned())
}

/// Modes of files and folders that a step makes; a file that exists keeps its own.
#[derive(Clone, Copy, Debug)]
pub struct Modes {
    /// Of files.
    pub file: u32,
    /// Of folders.
    pub folder: u32,
}

impl Modes {
    /// For the promotion only, as Kargo's steps write.
    pub const PRIVATE: Self = Self { file: 0o600, folder: 0o700 };
    /// As helm writes a folder of charts.
    pub const SHARED: Self = Self { file: 0o644, folder: 0o755 };
}

/// Makes a folder and those above it.
///
/// # Errors
/// As the operating system says.
pub fn make_folder(path: &Path, modes: Modes) -> std::io::Result<()> {
    DirBuilder::new().recursive(true).mode(modes.folder).create(path)
}

/// Writes a file and makes the folders above it. `path` is below `root`.
///
/// # Errors
/// As the operating system says; also if a symlink that stands at the path or on the way leads out of `root`.
pub fn write_file(root: &Path, path: &Path, content: &[u8], modes: Modes) -> std::io::Result<()> {
    let escape = || std::io::Error::other("a symbolic link leads out of the working directory");
    let real_root = root.canonicalize()?;
    let mut existing = path.parent();
    while let Some(folder) = existing {
        match folder.canonicalize() {
            Ok(real) if real.starts_with(&real_root) => break,
            Ok(_) => return Err(escape()),
            Err(_) => existing = folder.parent(),
        }
    }
    if let Some(folder) = path.parent() {
        make_folder(folder, modes)?;
    }
    if path.is_symlink() && !path.canonicalize()?.starts_with(&real_root) {
        return Err(escape());
    }
    OpenOptions::new().write(true).create(true).truncate(true).mode(modes.file).open(path)?.write_all(content)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn identity(text: &str) -> ObjectIdentity {
        ObjectIdentity::of(&read_document(text).unwrap()).unwrap()
    }

    #[test]
    fn names_follow_each_layout() {
        let ingress = identity("apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: Web, namespace: Shop}");
        assert_eq!(ingress.kargo_file_name(), "shop-ingress-web.yaml");
        assert_eq!(ingress.flat_file_name(), "networking_k8s_io-ingress-shop-web.yaml");
        assert_eq!(ingress.kustomize_file_name(false), "networking.k8s.io_v1_ingress_web.yaml");
        assert_eq!(ingress.kustomize_file_name(true), "shop_networking.k8s.io_v1_ingress_web.yaml");
        let role = identity("apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: 'system:web'}");
        assert_eq!(role.kustomize_file_name(true), "rbac.authorization.k8s.io_v1_clusterrole_system:web.yaml");
        let map = identity("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}");
        assert_eq!(map.kustomize_file_name(true), "default_v1_configmap_a.yaml");
    }

    #[test]
    fn only_plain_names_pass() {
        for name in ["configmap-a.yaml", "clusterrole-system:web.yaml", "..a", "a..b"] {
            assert_eq!(plain_name(name.into()).unwrap(), name);
        }
        for name in ["", ".", "..", "/a", "a/b", "a/", "./a", "a\\b", "configmap-../../evil.yaml"] {
            assert!(plain_name(name.into()).is_err(), "{name}");
        }
    }

    #[test]
    fn a_stream_is_split_at_its_markers() {
        assert_eq!(split_documents("---\na: 1\n---\nb: |\n  ---\n  x\n---  \n\n---\nc: 3"), ["a: 1\n", "b: |\n  ---\n  x\n", "c: 3"]);
        assert!(split_documents("\n").is_empty());
    }

    #[test]
    fn writing_does_not_follow_a_link_out() {
        let folder = tempfile::tempdir().unwrap();
        let (root, outside) = (folder.path().join("root"), folder.path().join("outside"));
        std::fs::create_dir(&root).unwrap();
        std::fs::write(&outside, "old").unwrap();
        std::os::unix::fs::symlink(&outside, root.join("link.yaml")).unwrap();
        std::os::unix::fs::symlink(folder.path(), root.join("up")).unwrap();
        assert!(write_file(&root, &root.join("link.yaml"), b"new", Modes::PRIVATE).is_err());
        assert!(write_file(&root, &root.join("up/new"), b"new", Modes::PRIVATE).is_err());
        assert_eq!(std::fs::read_to_string(outside).unwrap(), "old");
        write_file(&root, &root.join("a/b/c.yaml"), b"new", Modes::PRIVATE).unwrap();
        assert_eq!(std::fs::read(root.join("a/b/c.yaml")).unwrap(), b"new");
    }
}
