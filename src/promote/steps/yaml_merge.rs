//! `yaml-merge`: merges YAML files into one.

use serde_json::{Value, json};

use super::config::{self, StepConfig, YamlMergeConfig};
use super::files::{self, Stop, errored};
use crate::diagnostic::Failure;
use crate::edit::yaml;
use crate::promote::step::{Effect, Step, StepResult, StepRun};
use crate::promote::workspace::Workspace;

/// The `yaml-merge` step.
pub struct YamlMerge;

#[async_trait::async_trait]
impl Step for YamlMerge {
    fn kind(&self) -> &'static str {
        YamlMergeConfig::KIND
    }

    fn schema(&self) -> Value {
        config::schema::<YamlMergeConfig>()
    }

    fn effect(&self, _config: &Value) -> Effect {
        Effect::None
    }

    async fn run(&self, run: &mut StepRun<'_>, config: &Value) -> Result<StepResult, Failure> {
        let config: YamlMergeConfig = config::read(config)?;
        files::settle(merge(run.workspace, &config).await)
    }
}

async fn merge(workspace: &mut Workspace, config: &YamlMergeConfig) -> Result<StepResult, Stop> {
    let mut inputs: Vec<(&str, String)> = Vec::new();
    for path in &config.in_files {
        let full = workspace.follow(path).await?;
        if workspace.exists(&full)? {
            inputs.push((path, files::read_text(workspace, path).await?));
        } else if !config.ignore_missing_files {
            return Err(errored(format!("input file `{path}` does not exist; set `ignoreMissingFiles: true` to go on without it")));
        }
    }
    let texts: Vec<(&str, &str)> = inputs.iter().map(|(path, text)| (*path, text.as_str())).collect();
    let merged = yaml::merge(&texts).map_err(|error| errored(format!("cannot merge {error}")))?;
    files::write(workspace, &config.out_file, merged.as_bytes()).await?;
    let message = match inputs.as_slice() {
        [] => return Ok(StepResult::succeeded()),
        [(path, _)] => format!("Wrote {path} to {}", config.out_file),
        several => {
            let list: String = several.iter().map(|(path, _)| format!("\n- {path}")).collect();
            format!("Merged {} YAML files to {}{list}", several.len(), config.out_file)
        }
    };
    Ok(StepResult::output(json!({"commitMessage": message})))
}
