use super::*;

fn comparison(root: &std::path::Path, expected: &[&str]) -> Comparison {
    let of = |it: Environment| Configurations {
        declared: vec![Source::Files(root.join(it.name()))],
        live: Vec::new(),
        endpoints: Vec::new(),
    };
    let expected = expected.iter().map(|path| meant(path)).collect();
    let environments = PerEnvironment::from_fn(of);
    Comparison { environments, expected, expected_live: Vec::new(), key: [7; 32], now: UnixMillis(1_000) }
}

fn meant(path: &str) -> Expected {
    Expected { path: path.to_owned(), within: None, reason: "a test".to_owned(), expires: None }
}

fn ran(comparison: &Comparison) -> GateResult {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(run(comparison, &[])).result
}

/// `blue` and `green` are (name, text) files of the two environments; `expect` is the verdict and its first reason.
fn check(blue: &[(&str, &str)], green: &[(&str, &str)], expected: &[&str], expect: (GateVerdict, &str)) {
    let root = tempfile::tempdir().unwrap();
    for (environment, files) in [("blue", blue), ("green", green)] {
        for (name, text) in files {
            let path = root.path().join(environment).join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
    }
    let result = ran(&comparison(root.path(), expected));
    assert_eq!((result.verdict, result.reasons[0].as_str()), expect);
}

const BLUE: &str = "receivers: {otlp: {protocols: {grpc: {}}}}\nexporters:\n  otlp:\n    endpoint: blue:4317 # ours\n    tls: {insecure: false}\n";

#[test]
fn order_comments_and_quoting_are_no_difference() {
    let green = "exporters:\n  otlp:\n    tls:\n      insecure: false\n    endpoint: 'blue:4317'\nreceivers:\n  otlp:\n    protocols:\n      grpc: {}\n";
    let pass = (GateVerdict::Pass, "green equals blue but for 0 declared difference(s)");
    check(&[("c.yaml", BLUE)], &[("c.yaml", green)], &[], pass);
}

#[test]
fn a_declared_difference_passes_and_an_undeclared_one_fails_without_its_value() {
    let green = BLUE.replace("blue:4317", "green:4317");
    let pass = (GateVerdict::Pass, "green equals blue but for 1 declared difference(s)");
    check(&[("c.yaml", BLUE)], &[("c.yaml", &green)], &["exporters.otlp.endpoint"], pass);
    let insecure = green.replace("false", "true");
    let fail = (GateVerdict::Fail, "1 undeclared difference(s): c.yaml: exporters.otlp.tls.insecure differs");
    check(&[("c.yaml", BLUE)], &[("c.yaml", &insecure)], &["exporters.otlp.endpoint"], fail);
}

#[test]
fn an_expected_path_covers_what_is_below_it_and_nothing_beside_it() {
    let of = |path: &str| Difference { file: "c".into(), path: path.into(), change: Change::Changed };
    let covers = |it: Expected, path: &str| it.covers(&of(path), UnixMillis(1_000));
    assert!(covers(meant("exporters.otlp"), "exporters.otlp.endpoint"));
    assert!(covers(meant("steps"), "steps[2]"));
    assert!(!covers(meant("exporters.otlp"), "exporters.otlphttp.endpoint"));
    assert!(covers(Expected { within: Some("c".into()), ..meant("a") }, "a"));
    assert!(!covers(Expected { within: Some("d".into()), ..meant("a") }, "a"));
    assert!(covers(Expected { expires: Some(UnixMillis(1_000)), ..meant("a") }, "a"));
    assert!(!covers(Expected { expires: Some(UnixMillis(999)), ..meant("a") }, "a"));
}

#[test]
fn missing_files_and_keys_are_named() {
    let fail = (GateVerdict::Fail, "1 undeclared difference(s): agent/b.json is missing in green");
    check(&[("a.yaml", "x: 1"), ("agent/b.json", "{}")], &[("a.yaml", "x: 1")], &[], fail);
    let fail = (GateVerdict::Fail, "1 undeclared difference(s): a.yaml: y is in green alone");
    check(&[("a.yaml", "x: 1")], &[("a.yaml", "x: 1\ny: 2")], &[], fail);
}

#[test]
fn what_cannot_be_read_is_an_error_and_what_is_not_declared_is_inconclusive() {
    let mut comparison = comparison(std::path::Path::new("/nonexistent"), &[]);
    assert_eq!(ran(&comparison).verdict, GateVerdict::Error);
    comparison.environments.blue.declared.clear();
    assert_eq!(ran(&comparison).verdict, GateVerdict::Inconclusive);
}

#[test]
fn anchors_are_resolved() {
    let green = "b: &b {k: v}\na: *b\n";
    let pass = (GateVerdict::Pass, "green equals blue but for 0 declared difference(s)");
    check(&[("c.yml", "a: {k: v}\nb: {k: v}\n")], &[("c.yml", green)], &[], pass);
}

#[test]
fn no_reason_shows_what_stands_in_a_file() {
    let secret = "hunter2secret";
    for broken in
        ["password: hunter2secret\nbroken: [1, 2\n", "password: hunter2secret\n\tx: y\n", "hunter2secret: &a *b\n"]
    {
        let root = tempfile::tempdir().unwrap();
        for (environment, text) in [("blue", "password: other\n"), ("green", broken)] {
            std::fs::create_dir(root.path().join(environment)).unwrap();
            std::fs::write(root.path().join(environment).join("c.yaml"), text).unwrap();
            std::fs::write(root.path().join(environment).join("d.json"), format!("{{\"{secret}\": {environment}"))
                .unwrap();
        }
        let result = ran(&comparison(root.path(), &[]));
        assert_eq!(result.verdict, GateVerdict::Error);
        assert!(!result.reasons.join(" ").contains(secret), "{:?}", result.reasons);
    }
}

#[test]
fn what_runs_must_be_what_was_declared() {
    let root = tempfile::tempdir().unwrap();
    for (folder, text) in [("blue", "x: 1"), ("green", "x: 1"), ("live", "x: 2")] {
        std::fs::create_dir(root.path().join(folder)).unwrap();
        std::fs::write(root.path().join(folder).join("c.yaml"), text).unwrap();
    }
    let mut comparison = comparison(root.path(), &[]);
    comparison.environments.green.live = vec![Source::Files(root.path().join("live"))];
    let result = ran(&comparison);
    let reason = "1 undeclared difference(s): green runs otherwise than declared: c.yaml: x differs";
    assert_eq!((result.verdict, result.reasons[0].as_str()), (GateVerdict::Fail, reason));
    comparison.expected_live = vec![meant("x")];
    assert_eq!(ran(&comparison).verdict, GateVerdict::Pass);
}
