//! `plan` and `why`: what a tick would do, and the reason for every "no".

use std::fmt::Write as _;

use jiff::Timestamp;
use serde::Serialize;

use super::manifest_diff::{self, StageDiff};
use super::table::table;
use super::words;
use crate::model::{FreightName, ProjectName, PromotionName, StageName, WarehouseName};
use crate::plan::Gate;
use crate::tick::outcome::FailingWarehouse;

/// The document `plan --format json` prints.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PlanReport {
    /// What would be done, in order.
    pub actions: Vec<ActionLine>,
    /// Freight that would not move, and why.
    pub held: Vec<HeldLine>,
    /// What the promotions would write; only with `--diff`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub diffs: Option<Vec<StageDiff>>,
    /// Sources that cannot be looked at.
    pub failing: Vec<FailingWarehouse>,
    /// Things worth a line.
    pub notes: Vec<String>,
    /// When a tick could do something else without an event.
    pub next_wake: Option<Timestamp>,
}

/// Something that would be done.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ActionLine {
    /// What.
    pub kind: ActionKind,
    /// The project.
    pub project: ProjectName,
    /// The stage, if it is about one.
    pub stage: Option<StageName>,
    /// The warehouse, if it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warehouse: Option<WarehouseName>,
    /// The freight.
    pub freight: FreightName,
    /// Its alias.
    pub alias: String,
    /// The promotion, if there already is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub promotion: Option<PromotionName>,
    /// Why, one line.
    pub reason: String,
}

/// What can be done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ActionKind {
    /// Freight is made of new artifacts.
    CreateFreight,
    /// A promotion is created and begins.
    #[default]
    Promote,
    /// A promotion that there is already begins or goes on.
    Run,
    /// A verification begins or goes on.
    Verify,
    /// A promotion ends because its stage is gone.
    Abort,
    /// A promotion makes way for newer freight.
    Supersede,
    /// A promotion ends because it may not run any more.
    Fail,
}

impl ActionKind {
    fn word(self) -> &'static str {
        match self {
            Self::CreateFreight => "create freight",
            Self::Promote => "promote",
            Self::Run => "go on with",
            Self::Verify => "verify",
            Self::Abort => "abort",
            Self::Supersede => "supersede",
            Self::Fail => "fail",
        }
    }
}

/// Freight that would not move.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HeldLine {
    /// The project.
    pub project: ProjectName,
    /// The stage it would enter.
    pub stage: StageName,
    /// The freight.
    pub freight: FreightName,
    /// Its alias.
    pub alias: String,
    /// The promotion, if there already is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub promotion: Option<PromotionName>,
    /// The gates that are closed.
    pub gates: Vec<Gate>,
}

impl PlanReport {
    /// For people.
    pub fn text(&self, now: Timestamp, color: bool) -> String {
        let mut text = String::new();
        if self.actions.is_empty() {
            text.push_str("a tick would do nothing\n");
        } else {
            text.push_str("a tick would\n");
            let rows: Vec<[String; 4]> = self
                .actions
                .iter()
                .map(|action| {
                    let place =
                        action.stage.as_ref().map(ToString::to_string).or(action.warehouse.as_ref().map(ToString::to_string)).unwrap_or_default();
                    [action.kind.word().to_owned(), place, action.alias.clone(), words::one_line(&action.reason, 60)]
                })
                .collect();
            text.push_str(&indented(&rows));
        }
        if !self.held.is_empty() {
            text.push_str("\nheld\n");
            for held in &self.held {
                let _ = writeln!(text, "  {}  {}", held.stage, held.alias);
                for gate in &held.gates {
                    let _ = writeln!(text, "    {}", gate_text(gate, now));
                }
            }
        }
        for failing in &self.failing {
            let _ = writeln!(text, "\nwarehouse `{}` fails: {}", failing.warehouse, words::one_line(&failing.reason, 160));
        }
        for note in &self.notes {
            let _ = writeln!(text, "\nnote: {note}");
        }
        if let Some(diffs) = &self.diffs {
            text.push_str(&manifest_diff::text(diffs, color));
        }
        text
    }
}

fn indented(rows: &[[String; 4]]) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths = [width(0), width(1), width(2)];
    let lines = rows.iter().map(|row| {
        let line = format!("  {:<a$}  {:<b$}  {:<c$}  {}", row[0], row[1], row[2], row[3], a = widths[0], b = widths[1], c = widths[2]);
        line.trim_end().to_owned() + "\n"
    });
    lines.collect()
}

/// A gate in a line: what it is, why it is in its state, when it opens.
pub fn gate_text(gate: &Gate, now: Timestamp) -> String {
    let opens = gate.opens_at.filter(|at| *at > now);
    let opens = opens
        .map(|at| {
            let shown = Timestamp::from_second(at.as_second()).unwrap_or(at);
            format!("; opens in {} ({shown})", words::coarse(at.duration_since(now)))
        })
        .unwrap_or_default();
    format!("{}: {}{opens}", gate_name(gate), gate.detail)
}

/// A gate's name, as JSON has it.
fn gate_name(gate: &Gate) -> String {
    serde_json::to_value(gate.gate).ok().and_then(|name| name.as_str().map(str::to_owned)).unwrap_or_default()
}

/// The document `why --format json` prints.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Why {
    /// The project.
    pub project: ProjectName,
    /// The stage.
    pub stage: StageName,
    /// The freight.
    pub freight: FreightName,
    /// Its alias.
    pub alias: String,
    /// All gates, in the order in which they are asked.
    pub gates: Vec<Gate>,
}

impl Why {
    /// For people.
    pub fn text(&self, now: Timestamp) -> String {
        let closed = self.gates.iter().filter(|gate| !gate.open).count();
        let mut text = match closed {
            0 => format!("nothing keeps `{}` from entering `{}`\n\n", self.alias, self.stage),
            1 => format!("one gate keeps `{}` from entering `{}`\n\n", self.alias, self.stage),
            _ => format!("{closed} gates keep `{}` from entering `{}`\n\n", self.alias, self.stage),
        };
        let rows: Vec<Vec<String>> = self
            .gates
            .iter()
            .map(|gate| {
                let detail = gate_text(gate, now);
                let detail = detail.split_once(": ").map_or(detail.as_str(), |(_, detail)| detail);
                vec![gate_name(gate), if gate.open { "open" } else { "CLOSED" }.to_owned(), detail.to_owned()]
            })
            .collect();
        text.push_str(&table(&["GATE", "STATE", "WHY"], &rows));
        text
    }
}
