//! One file on each side, and the differences as people read them.

use crate::{SecretKey, Tree, compare};
use insta::assert_snapshot;
use std::collections::BTreeMap;

pub(crate) fn tree(file: &str, text: &str) -> Tree {
    let files = BTreeMap::from([(file.to_owned(), text.as_bytes().to_vec())]);
    Tree::read(&files, &SecretKey::new([7; 32])).unwrap_or_else(|error| panic!("{error}"))
}

pub(crate) fn check(file: &str, blue: &str, green: &str) -> String {
    let drift = compare(&tree(file, blue), &tree(file, green));
    drift.differences.iter().map(|difference| format!("{difference}\n")).collect()
}

#[test]
fn values_differ_at_their_paths() {
    assert_snapshot!(check("a.yaml", "a: {b: 1, c: [1, 2]}", "a: {b: 2, d: x}"), @"
    a.yaml: a.b: 1 in blue, 2 in green
    a.yaml: a.c: is missing in green; blue has 2 entries
    a.yaml: a.d: is in green alone: x
    ");
}

#[test]
fn a_quoted_truth_value_is_a_text() {
    assert_snapshot!(check("a.yaml", "a: true\nb: 1", "a: 'true'\nb: 1.0"), @r#"a.yaml: a: true in blue, "true" in green"#);
}

#[test]
fn presentation_is_no_difference() {
    let blue = "base: &b {x: 0x10, y: [1, 'two']}\nuse:\n  <<: *b\n  z: ~\nagain: *b\n";
    let green = "# comment\nagain: {\"y\": [1, two], x: 16}\nuse: {y: [1, \"two\"], z: null, x: 16}\nbase:\n    y:\n    - 1\n    - two\n    x: 16\n";
    assert_eq!(check("a.yaml", blue, green), "");
}

#[test]
fn items_of_a_list() {
    assert_snapshot!(check("a.yaml", "l: [a, b, c, d]", "l: [a, c, d]"), @"a.yaml: l[1]: is missing in green; blue has b");
    assert_snapshot!(check("a.yaml", "l: [a, b, c, d]", "l: [a, b, x, d]"), @"a.yaml: l[2]: c in blue, x in green");
    assert_snapshot!(check("a.yaml", "l: [a, b, c, d]", "l: [a, c, b, d]"), @"a.yaml: l: in another order: b, c in blue; c, b in green");
    assert_snapshot!(check("a.yaml", "l: [a, b]", "l: [a, b, b]"), @"a.yaml: l[2]: is in green alone: b");
}

#[test]
fn secrets_are_changed_and_never_shown() {
    assert_snapshot!(check("a.yaml", "db: {password: one, url: 'postgres://u:one@db/x'}", "db: {password: two, url: 'postgres://u:two@db/x'}"), @"
    a.yaml: db.password: secret (changed)
    a.yaml: db.url: postgres://u:(secret)@db/x in both, differs in what is not shown
    ");
}

/// Green's may be the end of blue's.
#[test]
fn what_stands_against_a_secret_is_not_shown() {
    let pairs = [("mode: plain", "mode: Bearer plain-4711"), ("mode: Bearer plain-4711", "mode: plain")];
    for (blue, green) in pairs {
        assert_eq!(check("a.yaml", blue, green), "a.yaml: mode: secret (changed)\n");
    }
}

#[test]
fn documents_of_one_file() {
    assert_snapshot!(check("a.yaml", "a: 1\n---\nb: 1\n", "a: 1\n---\nb: 2\n---\nc: 1\n"), @"
    a.yaml: [1].b: 1 in blue, 2 in green
    a.yaml: [2]: is in green alone: 1 entry
    ");
}

#[test]
fn a_file_without_a_format() {
    assert_snapshot!(check("logo.bin", "\u{1}", "\u{2}"), @"logo.bin: differs");
}

#[test]
fn other_formats() {
    assert_snapshot!(check("a.toml", "[a]\nb = 0x10\nc = 'x'", "a.b = 16\na.c = \"y\""), @"a.toml: a.c: x in blue, y in green");
    assert_snapshot!(check("a.json", "{\"a\": 1, \"b\": [1]}", "{\"b\": [1.0], \"a\": 2}"), @"a.json: a: 1 in blue, 2 in green");
    assert_snapshot!(check(".env", "A=1\nexport B='x y' # c", "B=\"x y\"\n# c\nA=2"), @".env: A: 1 in blue, 2 in green");
    assert_snapshot!(check("a.properties", "a.b = 1\nc: x\\\n  y\nd \\u00e9", "! c\nc=xy\na.b=2\nd=é"), @"a.properties: [a.b]: 1 in blue, 2 in green");
}
