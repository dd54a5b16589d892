#![allow(clippy::unwrap_used)]

use consign::model::StepStatus;
use consign::promote::tools::Tools;
use serde_json::{Value, json};

use crate::support::step_bench::StepBench;

fn bench() -> StepBench {
    let mut bench = StepBench::new(Tools::default());
    bench.scope = json!({"ctx": {"stage": "uat"}, "vars": {"region": "eu"}, "outputs": {"build": {"tag": "v2"}}});
    bench
}

async fn error(bench: &StepBench, config: Value) -> String {
    let result = bench.run("template", config).await.unwrap();
    assert_eq!(result.status, StepStatus::Errored);
    result.error.unwrap().message
}

#[tokio::test]
async fn a_folder_is_rendered_by_the_endings_of_its_files() {
    let bench = bench();
    bench
        .write("t/a.yaml.j2", "stage: {{ ctx.stage }}\n{% include \"part.j2\" %}count: {{ values.count }}\n")
        .write("t/part.j2", "tag: {{ outputs.build.tag }}\n")
        .write("t/sub/b.yaml.hbs", "region: {{vars.region}}\nname: {{values.name}}\n")
        .write("t/plain.txt", "{{ untouched }}\n")
        .write("v1.yaml", "count: 1\nname: <a>\n")
        .write("v2.yaml", "count: 2\n");
    let config = json!({"path": "t", "outPath": "out", "valuesFiles": ["v1.yaml", "v2.yaml"], "values": {"extra": true}});
    let result = bench.run("template", config).await.unwrap();
    assert_eq!(result.status, StepStatus::Succeeded, "{:?}", result.error);
    assert_eq!(bench.read("out/a.yaml"), "stage: uat\ntag: v2\ncount: 2\n");
    assert_eq!(bench.read("out/sub/b.yaml"), "region: eu\nname: <a>\n");
    assert_eq!(bench.read("out/plain.txt"), "{{ untouched }}\n");
}

#[tokio::test]
async fn a_single_file_takes_the_engine_that_is_named() {
    let bench = bench();
    bench.write("in.txt", "{{ freight.origin.name | default('none') }} {{ values.a }}\n");
    let result =
        bench.run("template", json!({"path": "in.txt", "outPath": "deep/out.txt", "engine": "minijinja", "values": {"a": 1}})).await.unwrap();
    assert_eq!(result.status, StepStatus::Succeeded, "{:?}", result.error);
    assert!(bench.read("deep/out.txt").ends_with(" 1\n"));
}

#[tokio::test]
async fn undefined_names_endless_loops_and_files_outside_are_errors() {
    let bench = bench();
    bench
        .write("undefined.j2", "{{ values.nope }}")
        .write("undefined.hbs", "{{values.nope}}")
        .write("loop.j2", "{% for a in range(99999) %}{% for b in range(99999) %}{{ b }}{% endfor %}{% endfor %}")
        .write("include.j2", "{% include \"/etc/passwd\" %}")
        .write("partial.hbs", "{{#*inline \"x\"}}{{> x}}{{/inline}}{{> x}}");
    for path in ["undefined.j2", "undefined.hbs", "loop.j2", "include.j2", "partial.hbs"] {
        let message = error(&bench, json!({"path": path, "outPath": "out.txt"})).await;
        assert!(message.contains(path), "{message}");
    }
    assert!(!bench.root().join("out.txt").exists());
}
