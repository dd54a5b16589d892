//! Runs single steps in a working directory of their own.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use consign::diagnostic::Failure;
use consign::model::{FreightReference, ProjectName, PromotionName, StageName};
use consign::promote::step::{Doors, StepResult, StepRun};
use consign::promote::steps::Registry;
use consign::promote::tools::Tools;
use consign::promote::workspace::Workspace;
use serde_json::Value;

/// A working directory and the tools for it.
pub struct StepBench {
    folder: tempfile::TempDir,
    /// The doors of the steps.
    pub doors: Doors,
    /// What templates see of the promotion.
    pub scope: Value,
}

impl StepBench {
    /// An empty working directory.
    #[allow(clippy::needless_update)]
    pub fn new(tools: Tools) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        std::fs::create_dir(folder.path().join("work")).expect("a folder");
        Self { folder, doors: Doors { tools, ..Doors::default() }, scope: serde_json::json!({"ctx": {}, "vars": {}, "outputs": {}}) }
    }

    /// The working directory.
    pub fn root(&self) -> PathBuf {
        self.folder.path().join("work")
    }

    /// A folder beside the working directory.
    pub fn outside(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a file, and the folders above it.
    pub fn write(&self, path: &str, text: &str) -> &Self {
        let path = self.root().join(path);
        std::fs::create_dir_all(path.parent().expect("below the root")).expect("a folder");
        std::fs::write(path, text).expect("a file");
        self
    }

    /// Reads a file.
    pub fn read(&self, path: &str) -> String {
        std::fs::read_to_string(self.root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    /// Runs a step once; its configuration must be valid.
    pub async fn run(&self, kind: &str, config: Value) -> Result<StepResult, Failure> {
        let registry = Registry::built_in();
        assert_eq!(registry.check(kind, &config), [], "{config}");
        let mut workspace = Workspace::at(self.root());
        let mut run = StepRun {
            project: &ProjectName::new("demo"),
            stage: &StageName::new("test"),
            promotion: &PromotionName::new("test.01k3v5n8r2.abc1234"),
            alias: "step-1",
            now: "2026-03-02T09:00:00Z".parse().expect("a time"),
            started_at: "2026-03-02T09:00:00Z".parse().expect("a time"),
            freight: &[],
            target_freight: &FreightReference::default(),
            requested: &[],
            warehouses: &BTreeMap::new(),
            records: &(),
            scope: &|| Ok(self.scope.clone()),
            outputs: &serde_json::Map::new(),
            workspace: &mut workspace,
            doors: &self.doors,
        };
        registry.get(kind).expect("a kind that can be run").run(&mut run, &config).await
    }
}
