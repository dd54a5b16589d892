//! The built-in tasks: ordinary YAML, compiled in. A ClusterPromotionTask of the same name in the definitions takes the place of one.

/// File name and YAML of each built-in task; the file is named after the task.
pub const TASKS: [(&str, &str); 5] = [
    ("bump-chart.yaml", include_str!("builtin_tasks/bump-chart.yaml")),
    ("bump-image.yaml", include_str!("builtin_tasks/bump-image.yaml")),
    ("render-helm.yaml", include_str!("builtin_tasks/render-helm.yaml")),
    ("render-kustomize.yaml", include_str!("builtin_tasks/render-kustomize.yaml")),
    ("render-template.yaml", include_str!("builtin_tasks/render-template.yaml")),
];

/// The YAML of a built-in task, to print or to start one's own from.
pub fn task(name: &str) -> Option<&'static str> {
    TASKS.iter().find(|(file, _)| file.strip_suffix(".yaml") == Some(name)).map(|(_, yaml)| *yaml)
}
