//! External tools: kustomize, helm. Found on PATH or configured, version-checked, run with a minimal environment.

/// Where the tools are.
#[derive(Clone, Debug)]
pub struct Tools {
    /// Name on PATH or path of kustomize.
    pub kustomize: String,
    /// Name on PATH or path of helm.
    pub helm: String,
}

impl Default for Tools {
    fn default() -> Self {
        Self { kustomize: "kustomize".into(), helm: "helm".into() }
    }
}
