#![allow(clippy::unwrap_used, clippy::field_reassign_with_default)]

use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::model::*;

/// Texts that YAML readers of one version or another take for something else, between arbitrary ones.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "\\PC*",
        any::<String>(),
        "[ -~\n\t]{0,80}",
        "[0-9a-f]{7,40}",
        "sha256:[0-9a-f]{64}",
        "[0-9]{1,9}e[0-9]{1,9}",
        "[+-]?0[xob]?[0-9a-f_]{1,9}",
        "[0-9]{1,3}(:[0-5][0-9]){1,2}",
        prop::sample::select(vec![
            "",
            "~",
            "null",
            "Null",
            "yes",
            "No",
            "on",
            "OFF",
            "y",
            "N",
            "true",
            "False",
            "1",
            "1.0",
            "1_000",
            ".inf",
            "-.INF",
            ".nan",
            "0o17",
            "0755",
            "=",
            "<<",
            "-",
            "---",
            "...",
            "? a",
            "- a",
            "a: b",
            "a #b",
            "#a",
            "@a",
            "`a",
            "%a",
            "!a",
            "&a",
            "*a",
            "|",
            ">",
            "[a",
            "{a",
            "'a",
            "\"a",
            "2026-01-02",
            "2026-01-02T03:04:05Z",
            " a",
            "a ",
            "\n",
            "a\n",
            "a\n\n",
            "\na",
            " a\nb",
            "a\n b",
            "a \nb",
            "a\tb",
            "\ta\nb",
            "a\r\nb",
            "\u{feff}",
            "\u{85}",
            "\u{2028}",
            "\u{0}",
            "\u{7f}",
            "é\nü",
            "123e456",
            "1e3",
        ])
        .prop_map(str::to_owned),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-1.0e15..1.0e15).prop_map(Value::from),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((text(), inner), 0..5).prop_map(|entries| Value::Object(entries.into_iter().collect())),
        ]
    })
}

fn object() -> impl Strategy<Value = Map<String, Value>> {
    prop::collection::vec((text(), value()), 0..4).prop_map(|entries| entries.into_iter().collect())
}

fn timestamp() -> impl Strategy<Value = Timestamp> {
    (0i64..4_000_000_000, prop_oneof![Just(0i32), 0i32..1_000_000_000]).prop_map(|(seconds, nanos)| Timestamp::new(seconds, nanos).unwrap())
}

fn promotion() -> impl Strategy<Value = Promotion> {
    (text(), text(), object(), value(), prop::option::of(timestamp()), prop::collection::btree_map(text(), text(), 0..3)).prop_map(
        |(message, commit, state, config, started_at, annotations)| {
            let mut promotion = Promotion::default();
            promotion.metadata.name = "prod.01jd0000000000000000000000.0123456".to_owned();
            promotion.metadata.annotations = annotations;
            promotion.metadata.annotations.remove(SCHEMA_ANNOTATION);
            promotion.spec.steps = vec![PromotionStep {
                uses: "git-commit".to_owned(),
                config: Some(config).filter(|config| !config.is_null()),
                ..PromotionStep::default()
            }];
            promotion.status.message = message;
            promotion.status.state = state;
            promotion.status.started_at = started_at;
            promotion.status.consign.written = vec![WrittenTree { commit, branch: "env/prod".to_owned(), ..WrittenTree::default() }];
            promotion
        },
    )
}

/// What a libyaml reader makes of a document.
fn as_libyaml_reads(text: &str) -> Value {
    fn convert(value: yaml_serde::Value) -> Value {
        match value {
            yaml_serde::Value::Mapping(map) => {
                Value::Object(map.into_iter().map(|(key, value)| (key.as_str().expect("keys are text").to_owned(), convert(value))).collect())
            }
            yaml_serde::Value::Sequence(items) => items.into_iter().map(convert).collect(),
            other => serde_json::to_value(other).unwrap(),
        }
    }
    convert(yaml_serde::from_str(text).unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn a_record_reads_back_equal(promotion in promotion()) {
        let record = Record::Promotion(Arc::new(promotion));
        let text = record.to_yaml();
        prop_assert_eq!(&Record::from_yaml(text.as_bytes()).unwrap(), &record, "{}", text);
        prop_assert_eq!(Record::from_yaml(text.as_bytes()).unwrap().to_yaml(), text);
    }

    #[test]
    fn any_value_means_the_same_to_us_and_to_a_libyaml_reader(value in object()) {
        let value = Value::Object(value);
        let text = yaml::write(&value);
        prop_assert_eq!(&yaml::read::<Value>(text.as_bytes()).unwrap(), &value, "{}", text);
        prop_assert_eq!(&as_libyaml_reads(&text), &value, "{}", text);
    }
}

#[test]
fn a_record_is_readable_kargo_yaml_with_quoted_hashes() {
    let freight = Freight {
        metadata: Metadata { name: "4f1f0d7e0e6b0f3d7a3d1e8b2c5a6f7e8d9c0b1a".to_owned(), namespace: "shop".to_owned(), ..Metadata::default() },
        alias: "green-fox".to_owned(),
        discovered_at: Some("2026-01-02T03:04:05Z".parse().unwrap()),
        origin: Origin::warehouse("main"),
        commits: vec![GitCommit {
            repo_url: "https://example.com/a.git".to_owned(),
            id: "1234567".repeat(5),
            branch: "main".to_owned(),
            message: "yes".to_owned(),
            ..GitCommit::default()
        }],
        ..Freight::default()
    };
    insta::assert_snapshot!(Record::Freight(Arc::new(freight)).to_yaml(), @r#"
    apiVersion: kargo.akuity.io/v1alpha1
    kind: Freight
    metadata:
      name: "4f1f0d7e0e6b0f3d7a3d1e8b2c5a6f7e8d9c0b1a"
      namespace: shop
      annotations:
        consign.dev/schema: "1"
    alias: green-fox
    discoveredAt: "2026-01-02T03:04:05Z"
    origin:
      kind: Warehouse
      name: main
    commits:
    - repoURL: https://example.com/a.git
      id: "12345671234567123456712345671234567"
      branch: main
      message: "yes"
    "#);
}

#[test]
fn paths_read_back_and_strangers_have_none() {
    let (project, stage) = (ProjectName::from("shop"), StageName::from("prod"));
    for path in [
        RecordPath::Readme,
        RecordPath::Ledger,
        RecordPath::Warehouse(project.clone(), "main".into()),
        RecordPath::Freight(project.clone(), "4f1f0d7".into()),
        RecordPath::Stage(project.clone(), stage.clone()),
        RecordPath::Promotion(project.clone(), stage.clone(), "prod.01jd.4f1f0d7".into()),
        RecordPath::Log(project.clone(), stage.clone(), "prod.01jd.4f1f0d7".to_owned()),
        RecordPath::RetiredStage(project.clone(), stage.clone()),
        RecordPath::RetiredWarehouse(project.clone(), "main".into()),
    ] {
        assert_eq!(path.to_string().parse(), Ok(path));
    }
    for stranger in [
        "",
        "x",
        "shop",
        "shop/stages",
        "shop/stages/.yaml",
        "shop/stages/a.yml",
        "shop/freight/00/4f1f0d7.yaml",
        "shop//stages/a.yaml",
        "shop/../stages/a.yaml",
        "../stages/a.yaml",
    ] {
        assert_eq!(stranger.parse::<RecordPath>(), Err(()), "{stranger}");
    }
}

#[test]
fn older_records_are_migrated_step_by_step_and_newer_ones_refused() {
    fn rename(_: &str, document: &mut Map<String, Value>) -> Result<(), String> {
        let status = document.get_mut("status").and_then(Value::as_object_mut).ok_or("no status")?;
        if let Some(count) = status.remove("count") {
            status.insert("number".to_owned(), count);
        }
        Ok(())
    }
    fn double(_: &str, document: &mut Map<String, Value>) -> Result<(), String> {
        let number = document["status"]["number"].as_u64().ok_or("no number")?;
        document["status"] = json!({ "proposals": number * 2 });
        Ok(())
    }
    let third = Schemas(&[rename, double]);
    let of = |schema: &str, status: &str| {
        format!(
            "apiVersion: consign.dev/v1alpha1\nkind: Ledger\nmetadata:\n  name: consign\n  annotations:\n    consign.dev/schema: {schema}\nstatus: {status}\n"
        )
    };
    let proposals = |text: String| match third.read(text.as_bytes()).unwrap() {
        Record::Ledger(record) => record.status.proposals,
        other => panic!("a record of kind {}", other.kind()),
    };
    assert_eq!(proposals(of("\"1\"", "{count: 7}")), 14);
    assert_eq!(proposals(of("\"2\"", "{number: 8}")), 16);
    assert_eq!(proposals(of("\"3\"", "{proposals: 9}")), 9);
    assert_eq!(third.read(of("\"4\"", "{}").as_bytes()), Err(Unreadable::Newer { found: 4, known: 3 }));
    assert!(matches!(third.read(of("many", "{}").as_bytes()), Err(Unreadable::Malformed(_))));
    assert_eq!(proposals("kind: Ledger\nstatus: {count: 1}\n".to_owned()), 2, "written by hand: the first schema");
}

#[test]
fn broken_records_say_where() {
    let error = Record::from_yaml(b"kind: Stage\nmetadata: {name: a}\nkind: Stage\n").unwrap_err().to_string();
    assert!(error.contains("line 3"), "{error}");
    assert!(Record::from_yaml(b"kind: Cheese\n").unwrap_err().to_string().contains("`kind: Cheese`"));
    assert!(Record::from_yaml(b"- 1\n").is_err());
    assert!(Record::from_yaml(b"").is_err());
}

#[test]
fn a_long_log_keeps_its_beginning_and_its_end() {
    let log = format!("first\n{}\nlast", "é".repeat(LOG_LIMIT));
    let cut = bounded_log(&log);
    assert!(cut.len() <= LOG_LIMIT, "{}", cut.len());
    assert!(cut.starts_with("first\n") && cut.ends_with("\nlast") && cut.contains("bytes left out]"));
    assert_eq!(bounded_log("short"), "short");
}
