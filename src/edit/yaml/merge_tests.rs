#![allow(clippy::unwrap_used)]

use super::merge;

fn two(a: &str, b: &str) -> String {
    merge(&[("a", a), ("b", b)]).unwrap()
}

fn one(a: &str) -> String {
    merge(&[("a", a)]).unwrap()
}

#[test]
fn a_single_file_is_written_evenly() {
    for (before, after) in [
        ("# c\nx: 1   # one\n\ny:   'q'\n", "# c\nx: 1 # one\ny: 'q'\n"),
        ("a:\n    - 1\n    -   - 2\n        - 3\n    - k: v\n      l: [ 1,2 ]\n", "a:\n- 1\n- - 2\n  - 3\n- k: v\n  l: [1, 2]\n"),
        ("a: |\n    one\n\n    two\nb: >-\n    x\n    y\nc: |+\n  k\n\nd: \"\"\n", "a: |\n  one\n\n  two\nb: >-\n  x\n  y\nc: |+\n  k\n\nd: \"\"\n"),
        ("a: one\n  two\nb: 'x\n  y'\n", "a: one two\nb: \"x y\"\n"),
        ("base: &b\n  x: 1\nuse: *b\nmix:\n  <<: *b\n  y:\n", "base: &b\n  x: 1\nuse: *b\nmix:\n  <<: *b\n  y:\n"),
        ("a:\n  b: 1\n  # below b\n# above c\nc: # behind c\n  d: 1\n# end\n", "a:\n  b: 1\n  # below b\n# above c\nc: # behind c\n  d: 1\n# end\n"),
        ("l:\n  # first\n  - a # one\n  # second\n  - b: 1\n    # inner\n    c: 2\n", "l:\n# first\n- a # one\n# second\n- b: 1\n  # inner\n  c: 2\n"),
        ("- 1\n- {}\n- []\n- ~\n-\n", "- 1\n- {}\n- []\n- ~\n-\n"),
        ("? a\n: !!str 1\n\"q: k\": !x {y: &z 1}\n", "a: !!str 1\n\"q: k\": !x {y: &z 1}\n"),
        ("plain\n", "plain\n"),
        ("a: |2\n   x\n", "a: |2\n   x\n"),
    ] {
        assert_eq!(one(before), after);
        assert_eq!(one(after), after, "written anew it stays the same");
    }
}

#[test]
fn later_files_lie_over_earlier_ones() {
    assert_eq!(two("a: \"1\"\nb: yes\n", "a: 2\n"), "a: 2\nb: yes\n");
    assert_eq!(two("a: 1 # old\n", "a: 2 # new\n"), "a: 2 # new\n");
    assert_eq!(two("a: 1\n", "z: 1\nb:\n  y: 1\n  x: ~\n"), "a: 1\nb:\n  y: 1\nz: 1\n");
    assert_eq!(two("a:\n  b: 1\n  c:\n", "a:\n  b: ~\n"), "a:\n  c:\n");
    assert_eq!(two("a: 1\n", "a: ~\n"), "{}\n");
    assert_eq!(two("l: [1]\n", "l:\n- 2\n"), "l:\n- 2\n");
    assert_eq!(two("base: &b\n  x: 1\nuse: *b\n", "base:\n  x: 5\n"), "base: &b\n  x: 5\nuse: *b\n");
    assert_eq!(two("a: {b: 1}\n", "a:\n  c: |\n    x\n    y\n"), "a: {b: 1, c: \"x\\ny\\n\"}\n");
}

#[test]
fn lists_of_built_in_kinds_merge_by_their_keys() {
    let pod = |containers: &str| format!("apiVersion: v1\nkind: Pod\nspec:\n  containers:\n{containers}");
    let merged = two(
        &pod("  - name: a\n    image: a:1\n    args: [x]\n  - name: b\n    image: b:1\n"),
        &pod("  - name: b\n    $patch: delete\n  - name: c\n    image: c:1\n  - name: a\n    args: [y]\n"),
    );
    assert_eq!(merged, pod("  - name: a\n    image: a:1\n    args: [y]\n  - name: c\n    image: c:1\n"));
    let merged = two(&pod("  - name: a\n"), &pod("  - $patch: replace\n  - name: z\n"));
    assert_eq!(merged, pod("  - name: z\n"));
}

#[test]
fn what_cannot_be_merged_names_the_file() {
    for (a, b) in [("k: {x: 1}\n", "k: 1\n"), ("k: 1\n", "k: [1]\n"), ("k: [1]\n", "k: {x: 1}\n"), ("k: 1\n", "k: 1\n---\nl: 1\n"), ("k: 1\n", "k: [1\n")] {
        assert_eq!(merge(&[("a", a), ("b", b)]).unwrap_err().file, "b");
    }
    assert!(merge(&[("a", "a: &x 1\nb: *x\n"), ("b", "a: ~\n")]).is_err(), "the anchor is gone");
}
