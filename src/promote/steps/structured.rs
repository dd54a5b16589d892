//! What the steps on YAML, JSON and TOML files share.

use super::config::KeyUpdate;
use super::files::{self, Stop, errored};
use crate::edit::{EditError, Update};
use crate::promote::step::StepResult;
use crate::promote::workspace::Workspace;

/// Sets values in a file. `edit` gives the new text, `shown` a value as the commit message shows it, from the old text.
pub(super) async fn update(
    workspace: &mut Workspace,
    path: &str,
    updates: Vec<KeyUpdate>,
    edit: impl Fn(&str, &[Update]) -> Result<String, EditError> + Send,
    shown: impl Fn(&str, &Update) -> Result<String, EditError> + Send,
) -> Result<StepResult, Stop> {
    let updates: Vec<Update> = updates.into_iter().map(|update| Update { key: update.key, value: update.value }).collect();
    let cannot = |error: EditError| errored(format!("cannot update `{path}`: {error}"));
    let before = files::read_text(workspace, path).await?;
    let after = edit(&before, &updates).map_err(cannot)?;
    let mut message = format!("Updated {path}\n");
    for update in &updates {
        message.push_str(&format!("\n- {}: {}", update.key, shown(&before, update).map_err(cannot)?));
    }
    if after != before {
        files::write(workspace, path, after.as_bytes()).await?;
    }
    Ok(StepResult::output(serde_json::json!({"commitMessage": message})))
}
