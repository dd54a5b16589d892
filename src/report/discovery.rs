//! `discover`: what each subscription finds now.

use std::fmt::Write as _;

use serde::Serialize;
use serde_json::Value;

use super::words;
use crate::model::{ProjectName, WarehouseName};

/// The document `discover --format json` prints.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Discovery {
    /// The warehouses.
    pub warehouses: Vec<WarehouseDiscovery>,
}

/// What a warehouse finds.
#[derive(Clone, Debug, Serialize)]
pub struct WarehouseDiscovery {
    /// Its name.
    pub name: WarehouseName,
    /// Its project.
    pub project: ProjectName,
    /// Its subscriptions, in their order.
    pub subscriptions: Vec<SubscriptionDiscovery>,
}

/// What a subscription finds.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SubscriptionDiscovery {
    /// `git`, `image`, `chart` or the type key of a generic one.
    #[serde(rename = "type")]
    pub kind: String,
    /// As written.
    #[serde(rename = "repoURL")]
    pub repo_url: String,
    /// Its name, if it has one.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// What it finds, best first.
    pub artifacts: Vec<Value>,
    /// Why it cannot look; None: it can.
    pub error: Option<String>,
}

impl Discovery {
    /// For people.
    pub fn text(&self) -> String {
        if self.warehouses.is_empty() {
            return "there are no warehouses\n".into();
        }
        let mut text = String::new();
        for warehouse in &self.warehouses {
            let _ = writeln!(text, "{}", warehouse.name);
            for subscription in &warehouse.subscriptions {
                let _ = writeln!(text, "  {} {}", subscription.kind, subscription.repo_url);
                if let Some(error) = &subscription.error {
                    let _ = writeln!(text, "    fails: {}", words::one_line(error, 200));
                } else if subscription.artifacts.is_empty() {
                    text.push_str("    nothing that is wanted\n");
                }
                for artifact in subscription.artifacts.iter().take(10) {
                    let _ = writeln!(text, "    {}", line(artifact));
                }
                let more = subscription.artifacts.len().saturating_sub(10);
                if more > 0 {
                    let _ = writeln!(text, "    and {more} more");
                }
            }
        }
        text
    }
}

fn line(artifact: &Value) -> String {
    let field = |name: &str| artifact[name].as_str().unwrap_or_default();
    if let Some(version) = artifact.as_str() {
        return version.to_owned();
    }
    let parts = if field("id").is_empty() {
        [field("tag"), field("version"), field("digest")].map(str::to_owned)
    } else {
        [words::short(field("id")).to_owned(), field("tag").to_owned(), words::one_line(field("subject"), 70)]
    };
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("  ")
}
