//! The language as a whole: what was measured on expr-lang itself, and what must hold for any input.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::*;

/// The environment in which the vectors were measured.
fn environment() -> Vec<(&'static str, Value)> {
    // these are host values: their whole numbers are integers
    let json = |json: Json| Value::from_json_with_integers(&json);
    vec![
        ("ok", Value::Bool(true)),
        ("nilv", Value::Nil),
        ("tag", "v1.2.3".into()),
        ("obj", json(json!({"a": {"b": "deep"}}))),
        ("imgs", json(json!([{"name": "a", "tag": "v1.0", "n": 1}, {"name": "b", "tag": "v2.0", "n": 2}]))),
        ("list", json(json!([1, 2, 3, 4]))),
    ]
}

fn run(expression: &str) -> Result<Json, ExprError> {
    // `semverParse` and `quote` exist in configs
    let context = Context { now: "2026-05-06T07:08:09Z".parse().unwrap(), ..Context::default() };
    Program::compile(Site::Config, expression)?.evaluate_with(&environment(), &context)?.to_json()
}

#[test]
fn expressions_give_what_expr_lang_gives() {
    for (expression, expected) in [
        (r#"ok ? "a" : "b""#, json!("a")),
        (r#"missing ?? "def""#, json!("def")),
        ("nilv ?? 5", json!(5)),
        ("obj?.a?.b", json!("deep")),
        ("nilv?.a?.b", json!(null)),
        (r#"nilv?.a.b ?? "z""#, json!("z")),
        ("obj.missing", json!(null)),
        (r#"obj["a"]["b"]"#, json!("deep")),
        (r#"imgs | filter(.tag startsWith "v1") | map(.name)"#, json!(["a"])),
        ("filter(imgs, {.n > 1})", json!([{"n": 2, "name": "b", "tag": "v2.0"}])),
        ("filter(imgs, .n > 1) | len()", json!(1)),
        (r#"any(imgs, .name == "b") and all(imgs, .n > 0)"#, json!(true)),
        (r#""b" in map(imgs, .name)"#, json!(true)),
        (r#""a" in obj"#, json!(true)),
        ("3 in 1..5", json!(true)),
        (r#"tag matches "^v[0-9]+\\.""#, json!(true)),
        (r#"tag contains ".2" && tag endsWith "3""#, json!(true)),
        ("list[1:3]", json!([2, 3])),
        ("list[-1]", json!(4)),
        ("tag[1:]", json!("1.2.3")),
        (r#"upper(trim("  ab ")) + lower("X")"#, json!("ABx")),
        (r#"split("a,b,c", ",")[1]"#, json!("b")),
        (r#"replace(tag, "v", "")"#, json!("1.2.3")),
        (r#"join(["a","b"], "-")"#, json!("a-b")),
        (r#"duration("1h30m").Minutes()"#, json!(90)),
        (r#"date("2024-01-02T03:04:05Z").Year()"#, json!(2024)),
        (r#"date("2024-01-02") + duration("24h") == date("2024-01-03")"#, json!(true)),
        (r#"(now() - date("2024-01-02")).Hours() > 10"#, json!(true)),
        (r#"semverParse("1.2.3").IncMinor().String()"#, json!("1.3.0")),
        (r#"semverParse("1.2.3").Major()"#, json!(1)),
        (r#"{"a": 1, "b": {"c": 2}}.b.c"#, json!(2)),
        ("len(imgs) > 1 ? imgs[0].name : nil", json!("a")),
        ("let x = 5; let y = x * 2; x + y", json!(15)),
        (r#"find(imgs, .name == "b")?.tag"#, json!("v2.0")),
        ("first(list) + last(list)", json!(5)),
        ("sum(map(imgs, .n))", json!(3)),
        (r#"sortBy(imgs, .n, "desc")[0].name"#, json!("b")),
        ("groupBy(imgs, .n > 1)[true][0].name", json!("b")),
        ("reduce(list, #acc + #, 0)", json!(10)),
        ("not (1 == 2) and !(false)", json!(true)),
        ("2 ** 3 + 7 % 4", json!(11)),
        ("1 / 2", json!(0.5)),
        (r#"string(1) + "x""#, json!("1x")),
        (r#"int("5") + 1"#, json!(6)),
        (r#"toJSON({"a": 1})"#, json!("{\n  \"a\": 1\n}")),
        (r#"fromJSON("{\"a\":[1,2]}").a[1]"#, json!(2)),
        (r#"keys({"a":1})"#, json!(["a"])),
        ("count(imgs, .n > 0)", json!(2)),
        ("none(imgs, .n > 5) && one(imgs, .n == 2)", json!(true)),
        ("`raw ${x}`", json!("raw ${x}")),
        (r#"tag == "v1.2.3" || undefinedFn()"#, json!(true)),
        ("undefinedVar", json!(null)),
        (r#"get(obj, "zz") ?? "d""#, json!("d")),
        ("list == [1,2,3,4]", json!(true)),
        (r#"indexOf(tag, "2")"#, json!(3)),
        ("1 < 2 < 3", json!(true)),
        (r#"imgs | map(#.name) | sort() | join(",")"#, json!("a,b")),
        ("if ok { 1 } else { 2 }", json!(1)),
        ("nilv == nil", json!(true)),
        ("type(obj)", json!("map")),
        ("uniq([1,1,2])", json!([1, 2])),
        ("flatten([[1],[2]])", json!([1, 2])),
        ("concat([1],[2])", json!([1, 2])),
        (r#"trimPrefix(tag, "v")"#, json!("1.2.3")),
        (r#"hasPrefix(tag, "v")"#, json!(true)),
        (r#"tag not contains "x""#, json!(true)),
        ("5 not in list", json!(true)),
        // names that begin like keywords are names
        ("notfound", json!(null)),
        ("inside ?? orange ?? 'x'", json!("x")),
        (r#""\u00e9" == "é""#, json!(true)),
    ] {
        assert_eq!(run(expression).unwrap_or_else(|error| panic!("{expression}: {error}")), expected, "{expression}");
    }
}

#[test]
fn errors_stand_where_expr_lang_puts_them() {
    for (expression, position, compile) in [
        (r#""a" + 1"#, (1, 5), true),
        ("undefinedVar.x", (1, 14), false),
        ("imgs[5]", (1, 5), false),
        ("obj.a.b.c", (1, 9), false),
        ("1 +\n  nope.x", (2, 8), false),
        ("upper('é', 1)", (1, 1), true),
    ] {
        let error = run(expression).unwrap_err();
        assert_eq!((error.position, error.compile), (Some(position), compile), "{expression}: {error}");
    }
}

fn rendered(template: &str, vars: &Json) -> Result<Json, ExprError> {
    let mut context = Context { now: "2026-05-06T07:08:09Z".parse().unwrap(), ..Context::default() };
    for (name, value) in vars.as_object().unwrap() {
        context.vars.set(name, Value::from_json(value));
    }
    render(template, Site::Config, &context)
}

#[test]
fn rendered_text_is_coerced() {
    let vars = json!({"s": "42", "tag": "1.10", "n": 1_000_000});
    for (template, expected) in [
        ("42", json!("42")),
        ("${{ 40 + 2 }}", json!(42)),
        ("${{ quote(40 + 2) }}", json!("42")),
        ("${{ vars.s }}", json!(42)),
        ("${{ vars.tag }}", json!(1.1)),
        ("${{ '7654321' }}", json!(7_654_321)),
        ("${{ '12345e6' }}", json!(12_345_000_000_i64)),
        ("${{ '4e10982' }}", json!("4e10982")),
        ("${{ '2026_01_02' }}", json!(20_260_102)),
        ("${{ now().Format('20060102') }}", json!(20_260_506)),
        ("n=${{ vars.n }}", json!("n=1000000")),
        // Kargo: `n=1e+06`
        ("n=${{ string(vars.n) }}", json!("n=1000000")),
        // Kargo: with JSON quotes around
        ("v${{ semverParse('1.2.3') }}", json!("v1.2.3")),
        ("built at ${{ now() }}", json!("built at 2026-05-06T07:08:09Z")),
        ("v${{ vars.tag }}", json!("v1.10")),
        ("${{ quote(vars.tag) }}", json!("1.10")),
        // Kargo: the quotes stay visible in text
        ("tag-${{ quote(42) }}", json!("tag-42")),
        ("${{ quote(1) }}-${{ quote(2) }}", json!("1-2")),
        ("${{ quote('1.10') }}${{ quote(0) }}", json!("1.100")),
        // a JSON body keeps the quotes that make it JSON
        (r#"{"a": ${{ quote('x "y"') }}, "at": ${{ now() }}}"#, json!({"a": "x \"y\"", "at": "2026-05-06T07:08:09Z"})),
        // Kargo: strips the outer quotes
        (r#""${{ 'a' }}" and "${{ 'b' }}""#, json!(r#""a" and "b""#)),
        (r#""${{ 'say "hi"' }}""#, json!(r#"say "hi""#)),
        (" ${{ 42 }} ", json!(42)),
        ("${{ 42 }}\n", json!(42)),
        ("${{ 'x' }}\n", json!("x\n")),
        ("${{ 't' }}", json!(true)),
        ("${{ 'F' }}", json!(false)),
        ("${{ '' }}", json!("")),
        ("${{ nil }}", json!(null)),
        ("${{ 'null' }}", json!(null)),
        ("${{ unknownName }}", json!(null)),
        ("${{ vars.missing }}", json!(null)),
        ("${{ '[1, 2]' }}", json!([1, 2])),
        ("${{ {\"a\": 1} }}", json!({"a": 1})),
        ("${{ 10 / 5 }}", json!(2)),
        ("${{ 7 / 2 }}", json!(3.5)),
        ("${{ 1 / 0 > 5 }}", json!(true)),
        ("${{ 123456789012345678 }}", json!(123_456_789_012_345_680_i64)),
        ("a${{}}b${{ 1 }}", json!("ab${{ 1 }}")),
        ("${% {\"a\": {\"b\": 1}} %}", json!({"a": {"b": 1}})),
    ] {
        let got = rendered(template, &vars).unwrap_or_else(|error| panic!("{template}: {error}"));
        assert_eq!(got, expected, "{template}");
    }
    for template in ["${{ 1 / 0 }}", "${{ {\"a\": {\"b\": 1}} }}", "${{ }}", "${{ 1", "${{ 'inf' }}", "${{ now().Unix }}"] {
        assert!(rendered(template, &vars).is_err(), "{template}");
    }
}

#[test]
fn a_config_error_names_its_field() {
    let config = json!({"updates": [{"key": "a"}, {"key": "b", "value": "${{ vars.x.y }}"}]});
    let error = render_config(&config, Site::Config, &Context::default()).unwrap_err();
    assert_eq!((error.path.as_str(), error.error.position), ("updates[1].value", Some((1, 9))));
}

#[test]
fn secrets_come_from_the_environment_and_are_noted() {
    let environment = std::collections::BTreeMap::from([("CONSIGN_SECRET_SLACK_BOT_API_TOKEN".to_owned(), "s3cr3t".to_owned())]);
    let maps = TextMaps::from([("given".into(), std::collections::BTreeMap::from([("k".into(), "other".into())]))]);
    let secrets = Secrets::from_maps(maps).with_environment(std::sync::Arc::new(environment));
    let context = Context { secrets, ..Context::default() };
    let value = |template: &str| render(template, Site::Config, &context).unwrap();
    assert_eq!(value("${{ secret('slack-bot').missing }}"), json!(""));
    assert!(context.revealed().is_empty());
    assert_eq!(value("${{ secret('slack-bot')['api.token'] }}"), json!("s3cr3t"));
    assert_eq!(value("${{ 'api-token' in secret('slack-bot') }}"), json!(true));
    assert_eq!(value("${{ keys(secret('given')) }}"), json!(["k"]));
    assert_eq!(context.revealed(), ["other", "s3cr3t"]);
}

#[test]
fn references_tell_what_hangs_on_earlier_steps() {
    let settled = |template: &str| references(template).unwrap().is_settled_early();
    assert!(settled("${{ vars.x == 'y' and ctx.stage == 'prod' and semverDiff(vars.a, '1.0.0') == 'Major' }}"));
    assert!(settled("${{ let outputs = vars.x; outputs }}"));
    assert!(settled("plain"));
    for template in ["${{ outputs.a }}", "${{ success() }}", "${{ $env }}", "a ${{ 1 }}${{ task.outputs }}", "${{ stageMetadata('x') }}"] {
        assert!(!settled(template), "{template}");
    }
    let names = references("${{ vars.a + vars['b'] }}${{ status('x') }}").unwrap();
    assert_eq!(names.vars.into_iter().collect::<Vec<_>>(), ["a", "b"]);
    assert!(!names.all_vars);
    assert!(references("${{ keys(vars) }}").unwrap().all_vars);
    assert_eq!(references("${{ 1 +"), None);
}

#[test]
fn a_filter_is_compiled_once() {
    let program = Program::compile(Site::CommitFilter, "subject matches '^(fix|feat)' and commitDate.Weekday() == 2").unwrap();
    let date = date("2026-02-03T23:30:00+02:00").unwrap();
    let context = Context::default();
    assert!(program.keeps(&[("subject", "fix: x".into()), ("commitDate", date.clone())], &context).unwrap());
    assert!(!program.keeps(&[("subject", "docs: x".into()), ("commitDate", date)], &context).unwrap());
    assert!(Program::compile(Site::CommitFilter, "'yes'").unwrap().keeps(&[], &context).is_err());
}

#[test]
fn conditions_of_analyses_know_the_type_of_the_result() {
    let holds = |condition: &str, result: Json| measurement(condition, &Value::from_json(&result), &Context::default());
    assert!(holds("result > 0.5 && result in [0.7]", json!(0.7)).unwrap());
    assert!(holds("asInt(result) == 12", json!(12.9)).unwrap());
    assert!(holds("isNil(result.a) && default(result.a, 3) == 3", json!({"a": null})).unwrap());
    for (condition, result) in [
        ("result == '200'", json!(200)),
        ("result.code > 100", json!({"code": "200"})),
        ("result % 2 == 0", json!(4)),
        ("results > 1", json!(1)),
        ("result", json!("true")),
        ("asInt(result) == 12", json!("12.5")),
        (" ", json!(1)),
    ] {
        assert!(holds(condition, result).is_err(), "{condition}");
    }
}

#[test]
fn runaway_expressions_end() {
    for expression in [
        "reduce(1..100000, [#acc], 0)",
        "map(1..999999, map(1..999999, #))",
        "let a = [1,1,1,1,1,1,1,1,1,1]; let b = [a,a,a,a,a,a,a,a,a,a]; let c = [b,b,b,b,b,b,b,b,b,b]; let d = [c,c,c,c,c,c,c,c,c,c]; let e = [d,d,d,d,d,d,d,d,d,d]; let f = [e,e,e,e,e,e,e,e,e,e]; let g = [f,f,f,f,f,f,f,f,f,f]; toJSON(g)",
        "reduce(1..100, #acc + #acc, 'x')",
        "uniq(1..999999)",
        "1..9223372036854775807",
        "repeat('x', 1000001)",
        "flatten(map(1..900, map(1..900, 1..900)))",
        "len(1..1000000)",
    ] {
        assert!(run(expression).is_err(), "{expression}");
    }
    let deep = format!("{}1{}", "(".repeat(5_000), ")".repeat(5_000));
    assert!(run(&deep).is_err());
    assert!(run(&"-".repeat(5_000)).is_err());
    assert!(run(&vec!["1"; 5_000].join("+")).is_err());
    assert!(run(&format!("a{}", ".b".repeat(5_000))).is_err());
    assert_eq!(run(&vec!["1"; 150].join("+")).unwrap(), json!(150));
    // parts that stand in the tree twice must not double with each level
    let doubling = |open: &str, close: &str| format!("{}1{}", open.repeat(25), close.repeat(25));
    assert!(run(&doubling("(0 < ", " < 9)")).is_err());
    assert_eq!(run(&format!("{}true{}", "(".repeat(25), " ?: 1)".repeat(25))).unwrap(), json!(true));
}

#[test]
fn the_deepest_expression_fits_a_small_stack() {
    // worker threads have 2 MiB; half of that is ours
    let work = || {
        let lists = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
        let deepest = (1..2_000).rev().find(|depth| run(&lists(*depth)).is_ok()).unwrap();
        assert!((50..200).contains(&deepest), "{deepest}");
        let maps = |depth: usize| format!("{}1{}", "map([1], ".repeat(depth), ")".repeat(depth));
        assert!((1..200).rev().any(|depth| run(&maps(depth)).is_ok()));
        let parentheses = |depth: usize| format!("{}1{}", "(".repeat(depth), ")".repeat(depth));
        assert!((1..200).rev().any(|depth| run(&parentheses(depth)).is_ok()));
        let ternaries = |depth: usize| format!("{}2", "true ? 1 : ".repeat(depth));
        assert!((1..200).rev().any(|depth| run(&ternaries(depth)).is_ok()));
        let sums = |length: usize| vec!["1"; length].join(" + ");
        assert!((1..400).rev().any(|length| run(&sums(length)).is_ok()));
    };
    std::thread::Builder::new().stack_size(1 << 20).spawn(work).unwrap().join().unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn rendering_is_total(template in "\\PC{0,80}") {
        let _ = rendered(&template, &json!({"a": [1, {"b": "x"}], "s": "t"}));
    }

    #[test]
    fn expressions_are_total(parts in proptest::collection::vec(fragment(), 0..24)) {
        let expression = parts.join(" ");
        for site in Site::ALL {
            let _ = check(site, &expression);
        }
        let _ = rendered(&format!("${{% {expression} %}}"), &json!({"a": [1, {"b": "x"}], "s": "t", "n": -1.5, "nul": null}));
    }

    #[test]
    fn text_without_delimiters_stays(text in "[^$]{0,40}") {
        prop_assert_eq!(rendered(&text, &json!({})).unwrap(), json!(text));
    }

    #[test]
    fn quoted_text_stays(text in "\\PC{0,40}") {
        prop_assert_eq!(rendered("${{ quote(vars.t) }}", &json!({"t": text})).unwrap(), json!(text));
    }
}

/// Pieces that expressions are made of.
fn fragment() -> impl Strategy<Value = String> {
    let fixed = [
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        ",",
        ";",
        ":",
        "?",
        "?.",
        "??",
        ".",
        "..",
        "|",
        "+",
        "-",
        "*",
        "/",
        "%",
        "**",
        "==",
        "!=",
        "<",
        ">=",
        "and",
        "or",
        "not",
        "in",
        "matches",
        "contains",
        "startsWith",
        "let x =",
        "x",
        "if",
        "else",
        "#",
        ".b",
        "#index",
        "#acc",
        "vars.a",
        "vars.s",
        "vars.n",
        "vars.nul",
        "nil",
        "true",
        "1",
        "0",
        "1.5",
        "'t'",
        "\"é\"",
        "`r`",
        "b'x'",
        "[1, 2]",
        "{'k': 1}",
        "now()",
        "duration('1h')",
        "date('2026-01-02')",
        "semverParse('1.2.3')",
        ".String()",
        ".Year()",
        "len(",
        "map(",
        "filter(",
        "sortBy(",
        "reduce(",
        "upper(",
        "split(",
        "toJSON(",
        "asYAML(",
        "quote(",
        "int(",
        "string(",
        "first(",
        "sort(",
        "get(",
        "imageFrom('x')",
        "ctx",
        "outputs",
        "$env",
        "1..3",
        "[-1]",
        "[1:]",
        "9223372036854775807",
        "bitshl(1, 70)",
        "take(",
        "repeat(",
        "'['",
    ];
    prop_oneof![8 => proptest::sample::select(fixed.to_vec()).prop_map(str::to_owned), 1 => "\\PC{0,6}"]
}
