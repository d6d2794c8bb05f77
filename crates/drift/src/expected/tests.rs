use super::*;
use crate::difference::{Change, Shown};

fn difference(file: &str, path: &str) -> Difference {
    let change = Change::OnlyInGreen { green: Shown::Value("x".into()) };
    Difference { file: file.into(), path: path.into(), change }
}

fn expected(path: &str, in_file: Option<&str>, expires: Option<u64>) -> Expected {
    Expected { path: path.into(), in_file: in_file.map(Into::into), reason: "meant".into(), expires }
}

#[track_caller]
fn check(path: &str, in_file: Option<&str>, place: (&str, &str), covered: bool) {
    assert_eq!(expected(path, in_file, None).covers(&difference(place.0, place.1)), covered, "{path} {place:?}");
}

#[test]
fn a_path_covers_itself_and_what_is_below() {
    check("exporters.otlp", None, ("a.yaml", "exporters.otlp"), true);
    check("exporters.otlp", None, ("a.yaml", "exporters.otlp.endpoint"), true);
    check("exporters.otlp", None, ("a.yaml", "exporters.otlphttp"), false);
    check("exporters.otlp", None, ("a.yaml", "exporters"), false);
    check("exporters.otlp", Some("b.yaml"), ("a.yaml", "exporters.otlp"), false);
    check("spec.replicas", None, ("a.yaml", "Deployment/x/y: spec.replicas"), true);
    check("Deployment/x/y", None, ("a.yaml", "Deployment/x/y: spec.replicas"), true);
    check("Deployment/x/y: spec", None, ("a.yaml", "Deployment/x/y: spec.replicas"), true);
    check("Deployment/x", None, ("a.yaml", "Deployment/x/y: spec.replicas"), false);
    check("", None, ("a.yaml", "a"), false);
    check("", Some("a.yaml"), ("a.yaml", "a"), true);
}

#[test]
fn what_is_over_covers_nothing_and_what_is_unused_is_told() {
    let found = vec![difference("a", "x"), difference("a", "y"), difference("a", "z")];
    let expected = [
        expected("x", None, Some(10)),
        expected("y", None, Some(11)),
        expected("w", None, None),
        expected("y", None, None),
    ];
    let sorted = sort(found, &expected, 10);
    assert_eq!(sorted.expired.iter().map(|(at, one)| (*at, one.path.as_str())).collect::<Vec<_>>(), [(0, "x")]);
    assert_eq!(sorted.declared.iter().map(|(at, one)| (*at, one.path.as_str())).collect::<Vec<_>>(), [(1, "y")]);
    assert_eq!(sorted.undeclared, [difference("a", "z")]);
    assert_eq!(sorted.unused, [2]);
}
