use super::*;

fn comparison(root: &std::path::Path, expected: &[&str]) -> Comparison {
    let of = |it: Environment| Configurations {
        declared: vec![Source::Files(root.join(it.name()))],
        live: Vec::new(),
        endpoints: Vec::new(),
    };
    let expected = expected.iter().map(|path| meant(path)).collect();
    let environments = PerEnvironment::from_fn(of);
    let key = SecretKey::new([7; 32]);
    Comparison { environments, expected, expected_live: Vec::new(), key, now: UnixMillis(1_000) }
}

fn meant(path: &str) -> Expected {
    Expected { path: path.to_owned(), in_file: None, reason: "a test".to_owned(), expires: None }
}

fn ran(comparison: Comparison) -> GateResult {
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
    let result = ran(comparison(root.path(), expected));
    assert_eq!((result.verdict, result.reasons[0].as_str()), expect);
}

const BLUE: &str = "receivers: {otlp: {protocols: {grpc: {}}}}\nexporters:\n  otlp:\n    endpoint: blue:4317 # ours\n    tls: {insecure: false}\n";

#[test]
fn order_comments_and_quoting_are_no_difference() {
    let green = "exporters:\n  otlp:\n    tls:\n      insecure: false\n    endpoint: 'blue:4317'\nreceivers:\n  otlp:\n    protocols:\n      grpc: {}\n";
    let pass = (GateVerdict::Pass, "green equals blue");
    check(&[("c.yaml", BLUE)], &[("c.yaml", green)], &[], pass);
}

#[test]
fn a_declared_difference_passes_and_an_undeclared_one_fails_without_its_value() {
    let green = BLUE.replace("blue:4317", "green:4317");
    let pass = (GateVerdict::Pass, "green equals blue but for 1 declared difference");
    check(&[("c.yaml", BLUE)], &[("c.yaml", &green)], &["exporters.otlp.endpoint"], pass);
    let insecure = green.replace("false", "true");
    let fail = (GateVerdict::Fail, "1 undeclared difference: c.yaml: exporters.otlp.tls.insecure differs");
    check(&[("c.yaml", BLUE)], &[("c.yaml", &insecure)], &["exporters.otlp.endpoint"], fail);
}

#[test]
fn missing_files_and_keys_are_named() {
    let fail = (GateVerdict::Fail, "1 undeclared difference: agent/b.json is missing in green");
    check(&[("a.yaml", "x: 1"), ("agent/b.json", "{}")], &[("a.yaml", "x: 1")], &[], fail);
    let fail = (GateVerdict::Fail, "1 undeclared difference: a.yaml: y is in green alone");
    check(&[("a.yaml", "x: 1")], &[("a.yaml", "x: 1\ny: 2")], &[], fail);
}

#[test]
fn what_cannot_be_read_is_an_error_and_what_is_not_declared_is_inconclusive() {
    let nowhere = || comparison(std::path::Path::new("/nonexistent"), &[]);
    assert_eq!(ran(nowhere()).verdict, GateVerdict::Error);
    let mut undeclared = nowhere();
    undeclared.environments.blue.declared.clear();
    assert_eq!(ran(undeclared).verdict, GateVerdict::Inconclusive);
}

#[test]
fn anchors_are_resolved() {
    let green = "b: &b {k: v}\na: *b\n";
    let pass = (GateVerdict::Pass, "green equals blue");
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
        let result = ran(comparison(root.path(), &[]));
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
    let with = |expected_live: Vec<Expected>| {
        let mut comparison = comparison(root.path(), &[]);
        comparison.environments.green.live = vec![Source::Files(root.path().join("live"))];
        ran(Comparison { expected_live, ..comparison })
    };
    let reason = "1 undeclared difference: green does not run as it was declared: c.yaml: x differs";
    assert_eq!(with(Vec::new()).reasons, [reason]);
    assert_eq!(with(vec![meant("x")]).reasons, ["green equals blue", "green runs as it was declared"]);
    let over = Expected { expires: Some(1_000), ..meant("x") };
    assert_eq!(with(vec![over]).reasons, [format!("{reason}; what declared it has expired")]);
}

#[test]
fn what_tracing_loses_comes_first_and_once() {
    let service = |environment: &str| {
        format!(
            "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{ name: checkout, namespace: shop }}\nspec:\n  \
             replicas: 2\n  template: {{ spec: {{ containers: [{{ name: app, image: x, env: [{environment}] }}] }} }}\n"
        )
    };
    let blue = service("{ name: OTEL_EXPORTER_OTLP_ENDPOINT, value: \"http://collector:4317\" }");
    let green = service("").replace("replicas: 2", "replicas: 1");
    let reason = "3 undeclared differences: service checkout has no tracing set up in green: blue sets \
                  OTEL_EXPORTER_OTLP_ENDPOINT, green sets no OTEL_ variable (Deployment/shop/checkout)";
    check(&[("a.yaml", &blue)], &[("a.yaml", &green)], &[], (GateVerdict::Fail, reason));
}

#[test]
fn the_evidence_is_read_back_as_it_was_written() {
    let root = tempfile::tempdir().unwrap();
    for (environment, endpoint) in [("blue", "blue:4317"), ("green", "green:4317")] {
        std::fs::create_dir(root.path().join(environment)).unwrap();
        let text =
            BLUE.replace("blue:4317", endpoint) + "auth: {token: " + environment + "}\nonly-" + environment + ": [1]\n";
        std::fs::write(root.path().join(environment).join("c.yaml"), text).unwrap();
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let report = runtime.block_on(compare(comparison(root.path(), &["exporters.otlp.endpoint"]), &[])).unwrap();
    let json = serde_json::to_vec(&report).unwrap();
    assert_eq!(serde_json::from_slice::<Report>(&json).unwrap(), report);
    assert_eq!((report.differences.declared.len(), report.differences.undeclared.len()), (1, 3));
}
