//! `freight list` and `freight show`.

use std::fmt::Write as _;

use jiff::Timestamp;
use serde::Serialize;

use super::table::table;
use super::words;
use crate::model::{Freight, StageName};

/// The document `freight list --format json` prints.
#[derive(Clone, Debug, Default, Serialize)]
pub struct List {
    /// Freight records, newest first.
    pub freight: Vec<Freight>,
}

impl List {
    /// For people.
    pub fn text(&self, now: Timestamp) -> String {
        if self.freight.is_empty() {
            return "no freight yet; `consign run` makes it of what the warehouses find\n".into();
        }
        let rows: Vec<Vec<String>> = self
            .freight
            .iter()
            .map(|freight| {
                let age = freight.discovered_at.or(freight.metadata.creation_timestamp).map(|at| words::ago(now, at)).unwrap_or_default();
                let quarantined = if freight.status.quarantined.is_some() { " (quarantined)" } else { "" };
                vec![
                    format!("{}{quarantined}", freight.alias),
                    words::short(&freight.metadata.name).to_owned(),
                    freight.origin.name.to_string(),
                    age,
                    words::one_line(&words::artifacts(&freight.reference()).join(", "), 40),
                    names(freight.status.currently_in.keys()),
                ]
            })
            .collect();
        table(&["ALIAS", "NAME", "WAREHOUSE", "AGE", "ARTIFACTS", "IN"], &rows)
    }
}

fn names<'a>(stages: impl Iterator<Item = &'a StageName>) -> String {
    stages.map(StageName::as_str).collect::<Vec<_>>().join(", ")
}

/// One freight, for people.
pub fn show(freight: &Freight, now: Timestamp) -> String {
    let mut text = format!("{}  {}\n", freight.alias, freight.metadata.name);
    let mut line = |name: &str, value: String| {
        if !value.is_empty() {
            let _ = writeln!(text, "{name:<14} {value}");
        }
    };
    line("origin", freight.origin.to_string());
    line("discovered", freight.discovered_at.map(|at| format!("{} ago ({at})", words::ago(now, at))).unwrap_or_default());
    for commit in &freight.commits {
        let tag = if commit.tag.is_empty() { String::new() } else { format!(" ({})", commit.tag) };
        line("commit", format!("{} {}{tag} {}", commit.repo_url, words::short(&commit.id), words::one_line(&commit.message, 60)));
    }
    for image in &freight.images {
        line("image", format!("{}:{} {}", image.repo_url, image.tag, image.digest));
    }
    for chart in &freight.charts {
        line("chart", format!("{} {} {}", chart.repo_url, chart.name, chart.version));
    }
    for artifact in &freight.artifacts {
        line("artifact", format!("{} {}", artifact.subscription_name, artifact.version));
    }
    let status = &freight.status;
    line("in", names(status.currently_in.keys()));
    line("verified in", names(status.verified_in.keys()));
    line("approved for", names(status.approved_for.keys()));
    if let Some(quarantine) = &status.quarantined {
        line("quarantined", words::one_line(&format!("{} {}", quarantine.actor, quarantine.reason), 80));
    }
    text
}
