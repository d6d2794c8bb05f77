use crate::{FileError, Format, Position, ReadError, SecretKey, Tree};
use proptest::prelude::*;
use std::collections::BTreeMap;

fn read(file: &str, bytes: &[u8]) -> Result<Tree, ReadError> {
    Tree::read(&BTreeMap::from([(file.to_owned(), bytes.to_vec())]), &SecretKey::new([1; 32]))
}

#[track_caller]
fn check(file: &str, text: &str, expected: &str) {
    let error = read(file, text.as_bytes()).expect_err("refused");
    assert_eq!(error.to_string(), expected);
}

#[test]
fn errors_name_the_place_and_nothing_of_the_text() {
    check("a.yaml", "a: 1\nb: \"s3cret", "a.yaml: 2:4: not valid as YAML: expected the end of a quoted text");
    check(
        "a.yaml",
        "a: 1\nb: 2\na: 3",
        "a.yaml: 3:1: a key that this mapping has already; expected each key once (YAML)",
    );
    check("a.yaml", "a: *x", "a.yaml: 1:4: not valid as YAML: expected an alias of an anchor that stands before it");
    check("a.yaml", "a: &x [*x]", "a.yaml: 1:8: not valid as YAML: expected an alias of a value that is complete");
    check("a.yaml", "<<: 1", "a.yaml: 1:5: not valid as YAML: expected a mapping, or a list of mappings, to merge");
    check("a.yaml", "? [a]\n: 1", "a.yaml: 1:3: not valid as YAML: expected a scalar as a key");
    check(
        "a.json",
        "{\"a\": 1,\n \"a\": 2}",
        "a.json: 2:4: a key that this mapping has already; expected each key once (JSON)",
    );
    check(
        "a.json",
        "{\"a\": s3cret}",
        "a.json: 1:7: not valid as JSON: expected a value, a key or an end that fits what stands before",
    );
    check(
        "a.toml",
        "a = 1\nb = s3cret",
        "a.toml: 2:5: not valid as TOML: expected a table, a key that is new, or a value",
    );
    check(".env", "A=1\nnot a name", ".env: 2:1: not valid as an environment file: expected NAME=value, or a comment");
    check(
        "a.properties",
        "a=\\u00",
        "a.properties: 1:1: not valid as a properties file: expected four hexadecimal digits after \\u",
    );
}

#[test]
fn aliases_that_double_end() {
    let mut text = String::from("a0: &a0 [x, x]\n");
    for level in 1..40 {
        text.push_str(&format!("a{level}: &a{level} [*a{0}, *a{0}]\n", level - 1));
    }
    let Err(ReadError::File { reason: FileError::TooManyValues { at }, .. }) = read("a.yaml", text.as_bytes()) else {
        panic!("read")
    };
    assert!(at.line < 20, "{at}");
}

#[test]
fn large_texts_that_aliases_repeat_end() {
    let text = format!("a: &a {}\nb: [{}]\n", "x".repeat(1_000_000), "*a, ".repeat(1_000));
    assert!(matches!(
        read("a.yaml", text.as_bytes()),
        Err(ReadError::File { reason: FileError::TooManyValues { .. }, .. })
    ));
}

#[test]
fn depth_is_bounded_in_every_format() {
    let deep = |open: &str, close: &str| format!("{}{}", open.repeat(70), close.repeat(70));
    for (file, text) in [
        ("a.yaml", deep("[", "]")),
        ("b.yaml", deep("- ", "x")),
        ("a.json", deep("[", "]")),
        ("a.toml", format!("a = {}", deep("[", "]"))),
        ("b.toml", format!("a{} = 1", ".a".repeat(70))),
        ("c.toml", format!("a{} = 1", ".a".repeat(200_000))),
        ("d.toml", format!("[a{}]", ".a".repeat(200_000))),
        ("c.yaml", deep("? ", "x")),
        ("d.yaml", "- ".repeat(200_000)),
        ("e.yaml", "{a: ".repeat(200_000)),
        ("b.json", "{\"a\":".repeat(200_000)),
    ] {
        let error = read(file, text.as_bytes()).expect_err(file);
        let ReadError::File { reason, .. } = error else { panic!("{error}") };
        let deep = matches!(reason, FileError::TooDeep { .. })
            || matches!(reason, FileError::Malformed { format: Format::Toml | Format::Yaml, .. });
        assert!(deep, "{file}: {reason}");
    }
    assert!(read("a.yaml", deep("[", "]").replace("[[[[[[[[", "[[").replace("]]]]]]]]", "]]").as_bytes()).is_ok());
}

#[test]
fn positions_count_characters() {
    assert_eq!(Position::of("é\nxé", 5), Position { line: 2, column: 2 });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300), name in 0..6_usize) {
        let name = ["a.yaml", "a.json", "a.toml", ".env", "a.properties", "a"][name];
        let _ = read(name, &bytes);
    }

    #[test]
    fn texts_of_the_formats_signs_are_read_or_refused(text in "[-\\[\\]{}:,&*!|>'\"#%@ \n\ta-c0-9=\\\\<~.]{0,120}", name in 0..6_usize) {
        let name = ["a.yaml", "a.json", "a.toml", ".env", "a.properties", "a"][name];
        let _ = read(name, text.as_bytes());
    }
}
