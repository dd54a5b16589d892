//! The verbs `validate` and `schema`, as functions.

use consign::cli::{schema, validate};
use consign::tick::knowledge::knowledge;
use serde_json::Value;

fn run(root: &std::path::Path, args: &validate::Args) -> (u8, String) {
    let mut out = Vec::new();
    let surroundings = validate::Surroundings {
        root,
        definitions: &[],
        env: &|_| None,
        now: jiff::Timestamp::UNIX_EPOCH,
        knowledge: knowledge(false),
        color: false,
        width: 100,
    };
    let code = validate::run(args, &surroundings, &mut out).unwrap();
    (code, String::from_utf8(out).unwrap())
}

#[test]
fn the_shipped_examples_are_valid() {
    let examples = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let mut seen = 0;
    for example in std::fs::read_dir(examples).unwrap() {
        let (code, out) = run(&example.unwrap().path(), &validate::Args::default());
        assert_eq!(code, 0, "{out}");
        seen += 1;
    }
    assert!(seen > 0);
}

#[test]
fn mistakes_end_in_exit_code_2_and_json_lists_them() {
    let world = tempfile::tempdir().unwrap();
    std::fs::create_dir(world.path().join("defs")).unwrap();
    std::fs::write(world.path().join("consign.yaml"), "definitions: [defs]\nqueue: lifo\n").unwrap();
    std::fs::write(
        world.path().join("defs/a.yaml"),
        "apiVersion: kargo.akuity.io/v1alpha1\nkind: Stage\nmetadata: {name: A, namespace: shop}\nspec: {requestedFreight: []}\n",
    )
    .unwrap();
    let args = validate::Args { format: validate::Format::Json, ..validate::Args::default() };
    // A settings file that is wrong says nothing about folders, so the default ones are looked at.
    let (code, out) = run(world.path(), &args);
    let document: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &document["ok"]), (2, &Value::Bool(false)));
    assert_eq!(document["diagnostics"][0]["file"], "consign.yaml");
    let args = validate::Args { paths: vec![world.path().join("defs")], ..args };
    let (code, out) = run(world.path(), &args);
    let document: Value = serde_json::from_str(&out).unwrap();
    let codes: Vec<&str> = document["diagnostics"].as_array().unwrap().iter().map(|found| found["code"].as_str().unwrap()).collect();
    assert_eq!((code, codes), (2, vec!["settings/unknown-value", "config/invalid-value", "config/invalid-value"]));
}

#[test]
fn strict_makes_unknown_fields_errors() {
    let world = tempfile::tempdir().unwrap();
    let file = world.path().join("a.yaml");
    std::fs::write(&file, "apiVersion: kargo.akuity.io/v1alpha1\nkind: Target\nmetadata: {name: a, namespace: shop}\nspec: {parms: {}}\n").unwrap();
    let args = validate::Args { paths: vec![file], ..validate::Args::default() };
    assert_eq!(run(world.path(), &args).0, 0);
    assert_eq!(run(world.path(), &validate::Args { strict: true, ..args }).0, 2);
}

#[test]
fn every_kind_has_a_schema_and_a_wrong_name_a_suggestion() {
    let print = |kind: Option<&str>| {
        let mut out = Vec::new();
        let args = schema::Args { kind: kind.map(str::to_owned), steps: false };
        schema::run(&args, &knowledge(false), &mut out).map(|()| String::from_utf8(out).unwrap())
    };
    for kind in [None, Some("Stage"), Some("warehouse"), Some("settings")] {
        let document: Value = serde_json::from_str(&print(kind).unwrap()).unwrap();
        assert!(jsonschema::validator_for(&document).is_ok(), "{kind:?}");
    }
    assert!(print(Some("bump-image")).unwrap().contains("kind: ClusterPromotionTask"));
    assert_eq!(print(Some("Stagee")).unwrap_err().hints, ["did you mean `Stage`?"]);
}

#[test]
fn definitions_satisfy_the_schemas_that_editors_get() {
    let cases: Value = serde_json::from_str(include_str!("../../conformance/definitions.json")).unwrap();
    let mut checked = 0;
    for case in cases["cases"].as_array().unwrap() {
        let document = case["docs"].as_array().unwrap().last().unwrap();
        let Some(kind) = consign::config::admission::kinds::Kind::find(document["kind"].as_str().unwrap()) else { continue };
        let want = &case["want"];
        let odd = case.get("quirk").is_some() || want.get("pruned").is_some() || want.get("ignored").is_some() || want.get("changed").is_some();
        // An editor knows no defaults for null, and nothing about other documents.
        if want["valid"] != true || odd || document.to_string().contains("null") {
            continue;
        }
        let schema = kind.json_schema();
        let validator = jsonschema::validator_for(&schema).unwrap();
        let errors: Vec<String> = validator.iter_errors(document).map(|error| format!("{error} at {}", error.instance_path())).collect();
        assert_eq!(errors, Vec::<String>::new(), "{}", case["id"]);
        checked += 1;
    }
    assert!(checked > 80, "{checked}");
}
