use super::run_in;

fn run(files: &[(&str, &str)], args: &[&str]) -> super::Ran {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    run_in(folder.path(), &folder.path().join("cache"), "2026-03-02T09:00:00Z", args)
}

#[test]
fn a_value_keeps_its_type() {
    assert_eq!(run(&[], &["eval", "${{ 1 + 2 }}"]).ok().json(), serde_json::json!(3));
    assert_eq!(run(&[], &["eval", "a ${{ 1 }}"]).ok().json(), serde_json::json!("a 1"));
    let files = [("c.yaml", "a: ${{ vars.x }}\nb: [1, '${{ 2 }}']\n"), ("context.yaml", "vars: {x: true}\n")];
    let ran = run(&files, &["eval", "--config", "c.yaml", "--context", "context.yaml"]);
    assert_eq!(ran.ok().json(), serde_json::json!({"a": true, "b": [1, 2]}));
    let context = [("context.yaml", "env: {tag: v1}\n")];
    assert_eq!(run(&context, &["eval", "tag == 'v1'", "--site", "tagFilter", "--context", "context.yaml"]).ok().json(), serde_json::json!(true));
}

#[test]
fn an_error_is_exit_code_two_and_has_a_position() {
    let ran = run(&[("c.yaml", "a: {b: '${{ 1 + }}'}\n")], &["eval", "--config", "c.yaml"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (2, ""));
    assert!(ran.stderr.contains("`a.b`") && ran.stderr.contains("(1:"), "{}", ran.stderr);
    assert_eq!(run(&[("context.yaml", "var: {}\n")], &["eval", "x", "--context", "context.yaml"]).code, 2, "a misspelt key");
    assert_eq!(run(&[], &["eval", "x", "--context", "nowhere.yaml"]).code, 2);
    assert_eq!(run(&[], &["eval", "x", "--site", "nowhere"]).code, 2);
    assert_eq!(run(&[], &["eval"]).code, 2);
}
