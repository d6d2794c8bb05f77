//! The security gate.

use super::{accepted, edited, previewed};
use crate::plan::{ContextValue, DebugPort, SecurityException, SecurityPolicy, Severity, parse};
use model::UnixMillis;

const GATES: &str = "  gates:\n";
const STEP: &str = "      - gate: drift\n";

fn with(lines: &str) -> String {
    format!("{GATES}{lines}\n")
}

#[test]
fn the_gate_means_what_it_says() {
    let lines = r#"    security:
      atLeast: critical
      exceptions: [{ id: CVE-2021-44228, component: log4j, reason: not reachable, expires: 2027-01-31 }]
      policies: [{ shipped: weaker-tls }, { name: own, rego: "package verdigris.security" }]
      reports: { blue: [blue.json], green: [green.json] }
      ports: [{ port: 8888, name: metrics of the Collector }]
      context: { maxNewHigh: 3, team: tracing }"#;
    let lines = with(lines);
    let edits = [(GATES, lines.as_str()), (STEP, "      - gate: drift\n      - gate: security\n")];
    let gate = accepted(&edits).gates.security.expect("it is configured");
    let exception = SecurityException {
        id: "CVE-2021-44228".into(),
        component: Some("log4j".into()),
        reason: "not reachable".into(),
        expires: UnixMillis(1_801_439_999_999),
    };
    assert_eq!((gate.at_least, gate.exceptions), (Severity::Critical, vec![exception]));
    let own = SecurityPolicy { name: "own".into(), rego: Some("package verdigris.security".into()) };
    assert_eq!(gate.policies, [SecurityPolicy { name: "weaker-tls".into(), rego: None }, own]);
    assert_eq!((gate.reports.blue, gate.reports.green), (vec!["blue.json".to_owned()], vec!["green.json".to_owned()]));
    assert_eq!(gate.ports, [DebugPort { port: 8888, name: "metrics of the Collector".into() }]);
    assert_eq!(gate.context["maxNewHigh"], ContextValue::Number(3));
    assert_eq!(gate.context["team"], ContextValue::Text("tracing".into()));
    let shown = previewed(&edits).to_string();
    assert!(shown.contains("no new vulnerability from critical on (2 reports)"), "{shown}");
    assert!(shown.contains("a gate that fails"), "{shown}");
}

#[test]
fn every_mistake_is_named() {
    let refused = |lines: &str| parse(&edited(&[(GATES, &with(lines))])).expect_err(lines).to_string();
    for (lines, expected) in [
        ("    security: { atLeast: hig }", "did you mean `high`?"),
        ("    security: { exceptions: [{ id: x, reason: y }] }", "exceptions[0].expires: found nothing"),
        ("    security: { policies: [{ shipped: a, rego: b }] }", "found `shipped` beside `name` or `rego`"),
        ("    security: { ports: [{ port: 0, name: x }] }", "a whole number from 1 to 65535"),
        ("    security: { reports: { green: [\"\"] } }", "reports.green[0]"),
    ] {
        let errors = refused(lines);
        assert!(errors.contains(expected), "{errors}");
    }
}
