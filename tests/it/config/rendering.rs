//! What people, editors and workflows see of a diagnostic.

use consign::report::diagnostics;

use super::load_files;

const FILE: &str = "apiVersion: kargo.akuity.io/v1alpha1
kind: Warehouse
metadata: {name: web, namespace: shop}
spec:
  intervall: 10m
  subscriptions:
  - git:
      repoURL: https://git.example.com/acme/web.git
  - git:
      repoURL: https://git.example.com/acme/web
";

#[test]
fn people_see_the_line_and_what_to_do() {
    let loaded = load_files(&[("shop/warehouse.yaml", FILE)]);
    let shown = diagnostics::text(&loaded.diagnostics, &loaded.sources, false, 100);
    insta::assert_snapshot!(shown);
}

#[test]
fn json_says_the_same_in_fields() {
    let loaded = load_files(&[("shop/warehouse.yaml", FILE)]);
    let document = diagnostics::json(&loaded.diagnostics, &loaded.sources, &loaded.resources);
    assert_eq!(document["ok"], false);
    assert_eq!(document["resources"]["Warehouse"], 1);
    let first = &document["diagnostics"][0];
    assert_eq!(first["code"], "config/unknown-field");
    assert_eq!((first["line"].as_u64(), first["column"].as_u64()), (Some(5), Some(3)));
    assert_eq!(first["help"], "did you mean `interval`?");
    assert_eq!(document["diagnostics"][1]["related"][0]["line"], 8);
}

#[test]
fn annotations_cannot_be_broken_out_of() {
    let loaded = load_files(&[("100%,a:b.yaml", "a: 1\na: 2\n")]);
    let shown = diagnostics::github(&loaded.diagnostics, &loaded.sources);
    assert_eq!(shown, "::error file=100%25%2Ca%3Ab.yaml,line=2,col=1,title=config/duplicate-key::the key `a` is given twice%0Akeep one of them\n");
}

#[test]
fn sarif_has_a_rule_for_each_code() {
    let loaded = load_files(&[("shop/warehouse.yaml", FILE)]);
    let log = diagnostics::sarif(&loaded.diagnostics, &loaded.sources);
    assert_eq!(log["runs"][0]["tool"]["driver"]["rules"].as_array().unwrap().len(), 2);
    assert_eq!(log["runs"][0]["results"][0]["locations"][0]["physicalLocation"]["region"]["startLine"], 5);
}
