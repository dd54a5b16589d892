//! Settings that Kargo moved elsewhere: `Project.spec.promotionPolicies` went to the ProjectConfig.

use super::Context;
use crate::config::yaml::{Content, FieldPath, Node};
use crate::diagnostic::Diagnostic;

pub(super) fn check(context: &Context<'_>, found: &mut Vec<Diagnostic>) {
    for project in context.of_kind("Project") {
        let spec = FieldPath::root().field("spec");
        let Some(written) = project.node.find(&spec) else { continue };
        let policies = written.get("promotionPolicies").map(policies_as_written).unwrap_or_default();
        let help = if policies.is_empty() {
            "take `spec` away: a Project is only a name".to_owned()
        } else {
            format!(
                "take `spec` away and write:\napiVersion: kargo.akuity.io/v1alpha1\nkind: ProjectConfig\nmetadata:\n  name: {name}\n  namespace: {name}\nspec:\n  promotionPolicies:\n{policies}",
                name = project.name
            )
        };
        found.push(
            Diagnostic::warning(
                "config/moved",
                format!("`spec` of the Project `{}` is ignored; Kargo moved its settings to the ProjectConfig", project.name),
            )
            .at(project.key_place(&spec), "ignored")
            .help(help),
        );
    }
}

/// The old list in its new place: names become selectors.
fn policies_as_written(policies: &Node) -> String {
    let Content::List(items) = &policies.content else { return String::new() };
    let line = |policy: &Node| {
        let stage = policy.get("stage").and_then(Node::as_str)?;
        let enabled = policy.get("autoPromotionEnabled").is_some_and(|enabled| enabled.content == Content::Bool(true));
        Some(format!("  - stageSelector: {{name: {stage}}}\n    autoPromotionEnabled: {enabled}"))
    };
    items.iter().filter_map(line).collect::<Vec<_>>().join("\n")
}
