//! The pipeline as a drawing: warehouses, stages and how freight flows between them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use crate::model::{Origin, Project, Stage, StageName};

/// A way freight can take: from a warehouse or a stage into a stage.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Flow {
    from: Node,
    to: StageName,
    /// What the arrow says: soak time, strategy.
    label: String,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Node {
    Warehouse(String),
    Stage(StageName),
}

fn flows(project: &Project) -> Vec<Flow> {
    let mut flows = BTreeSet::new();
    for (name, stage) in &project.stages {
        for request in &stage.spec.requested_freight {
            let sources = &request.sources;
            if sources.direct {
                flows.insert(Flow { from: warehouse(&request.origin), to: name.clone(), label: String::new() });
            }
            for upstream in &sources.stages {
                let label = sources.required_soak_time.map(|soak| format!("soak {soak}")).unwrap_or_default();
                flows.insert(Flow { from: Node::Stage(upstream.clone()), to: name.clone(), label });
            }
        }
    }
    flows.into_iter().collect()
}

fn warehouse(origin: &Origin) -> Node {
    Node::Warehouse(origin.name.to_string())
}

/// The pipeline as Mermaid text, as GitHub draws it.
pub fn mermaid(project: &Project) -> String {
    let mut text = String::from("flowchart LR\n");
    let mut ids = BTreeMap::new();
    for name in project.warehouses.keys() {
        let id = format!("w{}", ids.len());
        let _ = writeln!(text, "  {id}[(\"{}\")]", escape(name.as_str()));
        ids.insert(Node::Warehouse(name.to_string()), id);
    }
    for (name, stage) in &project.stages {
        let id = format!("s{}", ids.len());
        let (open, close) = if stage.is_control_flow() { ("{{", "}}") } else { ("[", "]") };
        let _ = writeln!(text, "  {id}{open}\"{}\"{close}", escape(name.as_str()));
        ids.insert(Node::Stage(name.clone()), id);
    }
    for flow in flows(project) {
        let (Some(from), Some(to)) = (ids.get(&flow.from), ids.get(&Node::Stage(flow.to))) else { continue };
        let label = if flow.label.is_empty() { String::new() } else { format!("|\"{}\"|", escape(&flow.label)) };
        let _ = writeln!(text, "  {from} -->{label} {to}");
    }
    text
}

/// Names are checked to be plain, but a drawing must not break on one that is not.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('"', "&quot;").replace('<', "&lt;").replace('>', "&gt;")
}

/// The pipeline as an indented tree for a terminal. A stage with several ways in stands below the first and is named again below the others.
pub fn text(project: &Project) -> String {
    let mut text = String::new();
    let flows = flows(project);
    let mut drawn = BTreeSet::new();
    for name in project.warehouses.keys() {
        let _ = writeln!(text, "{name} (warehouse)");
        draw_below(project, &flows, &Node::Warehouse(name.to_string()), "", &mut drawn, &mut text);
    }
    let unreached: Vec<&StageName> = project.stages.keys().filter(|name| !drawn.contains(*name)).collect();
    for name in unreached {
        let _ = writeln!(text, "{name} (no way in)");
    }
    text
}

fn draw_below(project: &Project, flows: &[Flow], node: &Node, indent: &str, drawn: &mut BTreeSet<StageName>, text: &mut String) {
    let below: Vec<&Flow> = flows.iter().filter(|flow| flow.from == *node).collect();
    for (index, flow) in below.iter().enumerate() {
        let last = index + 1 == below.len();
        let first_time = drawn.insert(flow.to.clone());
        let kind = match project.stages.get(&flow.to) {
            Some(stage) => describe(stage),
            None => " (not defined)",
        };
        let label = if flow.label.is_empty() { String::new() } else { format!(" after {}", flow.label) };
        let again = if first_time { "" } else { " (see above)" };
        let _ = writeln!(text, "{indent}{} {}{label}{kind}{again}", if last { "└─" } else { "├─" }, flow.to);
        if first_time {
            let deeper = format!("{indent}{}", if last { "   " } else { "│  " });
            draw_below(project, flows, &Node::Stage(flow.to.clone()), &deeper, drawn, text);
        }
    }
}

fn describe(stage: &Stage) -> &'static str {
    if stage.is_control_flow() { " (control flow)" } else { "" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{FreightRequest, FreightSources, Warehouse};

    fn project() -> Project {
        let mut project = Project::default();
        project.warehouses.insert("app".into(), Warehouse::default());
        for (name, upstream) in [("test", vec![]), ("uat", vec!["test"]), ("prod", vec!["uat", "test"])] {
            let mut stage = Stage::default();
            stage.spec.promotion_template = Some(crate::model::PromotionTemplate {
                spec: crate::model::PromotionTemplateSpec { vars: vec![], steps: vec![crate::model::PromotionStep::default()] },
            });
            stage.spec.requested_freight = vec![FreightRequest {
                origin: Origin::warehouse("app"),
                sources: FreightSources {
                    direct: upstream.is_empty(),
                    stages: upstream.iter().map(|name| StageName::new(*name)).collect(),
                    required_soak_time: (name == "prod").then(|| "1h".parse().unwrap()),
                    ..FreightSources::default()
                },
            }];
            project.stages.insert(name.into(), stage);
        }
        project
    }

    #[test]
    fn a_pipeline_is_drawn_as_a_tree() {
        let expected = "app (warehouse)\n└─ test\n   ├─ prod after soak 1h0m0s\n   └─ uat\n      └─ prod after soak 1h0m0s (see above)\n";
        assert_eq!(text(&project()), expected);
    }

    #[test]
    fn a_pipeline_is_drawn_as_mermaid() {
        let drawn = mermaid(&project());
        assert!(drawn.starts_with("flowchart LR\n  w0[(\"app\")]\n  s1[\"prod\"]\n"), "{drawn}");
        assert!(drawn.contains("  w0 --> s2\n") && drawn.contains("-->|\"soak 1h0m0s\"|"), "{drawn}");
    }
}
