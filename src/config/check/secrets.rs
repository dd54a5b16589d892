//! Secrets with values in the repository. Values are never read or shown: only that there are some.

use serde_json::Value;

use super::Context;
use crate::config::admission::text;
use crate::config::yaml::FieldPath;
use crate::diagnostic::Diagnostic;

pub(super) fn check(context: &Context<'_>, found: &mut Vec<Diagnostic>) {
    for secret in context.of_kind("Secret") {
        for field in ["stringData", "data"] {
            let Some(Value::Object(values)) = secret.object.get(field) else { continue };
            if !values.values().any(|value| value.as_str().is_some_and(|value| !value.is_empty())) {
                continue;
            }
            let repository = text(&secret.object, "/metadata/labels/kargo.akuity.io~1cred-type");
            let help = if matches!(repository, "git" | "image" | "helm") {
                format!(
                    "name the credential in `consign.yaml`: `credentials: [{{type: {repository}, url: ..., username: ..., password: \"${{{{ env.TOKEN }}}}\"}}]`, take the values away, and renew them"
                )
            } else {
                format!("set `CONSIGN_SECRET_{}_<KEY>` where consign runs, take the values away, and renew them", variable(&secret.name))
            };
            found.push(
                Diagnostic::warning(
                    "config/literal-secret",
                    format!("{} holds values that everybody with access to the repository can read", secret.title()),
                )
                .at(secret.key_place(&FieldPath::root().field(field)), "never read by consign")
                .help(help),
            );
        }
    }
}

/// The part of an environment variable's name that stands for a secret's name.
fn variable(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect()
}
