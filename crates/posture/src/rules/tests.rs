use super::*;
use serde_json::{Value, json};

fn policy(rules: &str) -> Policy {
    Policy { name: "own".to_owned(), text: format!("package verdigris.security\nimport rego.v1\n{rules}\n") }
}

fn messages(policy: &Policy, input: &Value) -> Vec<String> {
    evaluate(policy, input).unwrap().into_iter().map(|violation| violation.message).collect()
}

/// `expect` is the beginning of the error's words.
fn refused(policy: &Policy, expect: &str) {
    let error = evaluate(policy, &json!({ "a": 1 })).unwrap_err();
    assert!(error.to_string().starts_with(expect), "{error}");
}

#[test]
fn a_policy_denies_in_messages() {
    let own = policy("deny contains m if { some a in input.list; a > 1; m := sprintf(\"%d is too much\", [a]) }");
    assert_eq!(messages(&own, &json!({ "list": [3, 1, 2] })), ["2 is too much", "3 is too much"]);
    assert_eq!(messages(&own, &json!({})), [""; 0]);
}

#[test]
fn a_policy_cannot_call_what_does_not_replay() {
    for (call, reason) in [
        ("http.send({})", "calls `http.send`, which asks somebody else"),
        ("time.now_ns()", "calls `time.now_ns`, which has a clock"),
        ("rand.intn(\"a\", 5)", "calls `rand.intn`, which is different every time"),
        ("uuid.rfc4122(\"a\")", "calls `uuid.rfc4122`, which is different every time"),
        ("opa.runtime()", "calls `opa.runtime`, which tells of the machine"),
        ("net.lookup_ip_addr(\"a\")", "calls `net.lookup_ip_addr`, which asks somebody else"),
        ("numbers.range(1, 1000000000)", "calls `numbers.range`, which makes lists without bound"),
        ("nothing(1)", "calls `nothing`, which is neither"),
    ] {
        let own = policy(&format!("deny contains m if {{ input.a > 5; x := {call}; m := \"x\" }}"));
        refused(&own, &format!("policy own, line 3: {reason}"));
        let hidden = policy(&format!("deny contains m if {{ m := \"x\" }}\np[{call}] := 1"));
        refused(&hidden, &format!("policy own, line 4: {reason}"));
    }
}

#[test]
fn a_policy_stands_alone_and_ends() {
    refused(&policy("deny contains m if { m := data.secrets.key }"), "policy own, line 3: names `data`");
    refused(&policy("import data.other\ndeny contains m if { m := other.a }"), "policy own, line 3: names `data`");
    refused(
        &policy("f(x) := y if { y := f(x + 1) }\ndeny contains m if { f(1); m := \"x\" }"),
        "policy own: the rule `f` depends on itself",
    );
    refused(
        &policy("f(x) := g(x)\ng(x) := f(x)\ndeny contains m if { f(1); m := \"x\" }"),
        "policy own: the rule `f` depends on itself",
    );
    let chain: String = (0..20).map(|at| format!("f{at}(x) := f{}(x)\n", at + 1)).collect();
    refused(
        &policy(&format!("{chain}f20(x) := x\ndeny contains m if {{ f0(1); m := \"x\" }}")),
        "policy own: the rule `f4` uses rules",
    );
    let many = "some a in l; some b in l; some c in l; some d in l; some e in l; some f in l; some g in l";
    let long = format!(
        "l := [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]\ndeny contains m if {{ {many}; a + b + c + d + e + f + g > 100; m := \"x\" }}"
    );
    refused(&policy(&long), "policy own: came to no answer: it takes more than 2000000 steps");
}

#[test]
fn what_is_no_policy_is_refused() {
    refused(&policy("deny contains m if {"), "policy own: is not valid Rego: --> own:4:1");
    refused(&policy("allow := true"), "policy own: has no rule `deny contains message");
    refused(&policy("deny := \"x\""), "policy own: has no rule `deny contains message");
    refused(&policy("deny contains m if { m := 7 }"), "policy own: denies with something that is no text");
    let other = Policy { name: "own".to_owned(), text: "package other\ndeny contains m if { m := \"x\" }".to_owned() };
    refused(&other, "policy own: is of another package");
    refused(&policy(&" ".repeat(MAX_POLICY_BYTES)), "policy own: has 32");
    refused(&policy("deny contains m if { to_number(\"x\"); m := \"x\" }"), "policy own: came to no answer: ");
}

/// The most that the interpreter can be made to call itself has room on the stack.
#[test]
fn the_deepest_policy_has_room() {
    let loops = "_=[1][_]\n".repeat(60);
    let chain: String = (0..14).map(|at| format!("f{at}(x) := f{}(x) if {{\n{loops}}}\n", at + 1)).collect();
    let deep = policy(&format!("{chain}f14(x) := x\ndeny contains m if {{ f0(1); m := \"x\" }}"));
    assert_eq!(messages(&deep, &json!({})), ["x"]);
    let many = format!("deny contains m if {{\n{}m := \"x\"\n}}", "_=[1][_]\n".repeat(64));
    refused(&policy(&many), "policy own, line 3: a query of 65 statements");
}

#[test]
fn brackets_are_not_nested_deeply() {
    let nested =
        |depth: usize| format!("deny contains m if {{ x := {}1{}; m := \"x\" }}", "[".repeat(depth), "]".repeat(depth));
    assert_eq!(messages(&policy(&nested(7)), &json!({})), ["x"]);
    refused(&policy(&nested(8)), "policy own, line 3: brackets are nested");
    let texts = "# [[[[[[[[[\nraw := `[[[[[[[[[\n`\nquoted := \"\\\"[[[[[[[[[\"\n";
    assert_eq!(messages(&policy(&format!("{texts}{}", nested(7))), &json!({})), ["x"]);
    refused(&policy(&format!("{texts}{}", nested(8))), "policy own, line 7: brackets are nested");
}

#[test]
fn every_function_that_may_be_called_is_there() {
    let mut missing = Vec::new();
    for function in functions::ALLOWED {
        let own = policy(&format!("deny contains m if {{ m := {function}(1, 2, 3, 4, 5, 6, 7, 8, 9) }}"));
        let said = evaluate(&own, &json!({})).err().map(|error| error.to_string()).unwrap_or_default();
        if said.contains("could not find") {
            missing.push(function);
        }
    }
    assert!(missing.is_empty(), "{missing:?}");
}

/// `expect` is what each shipped policy denies of these facts.
fn shipped(input: &Value, expect: &[(&str, &[&str])]) {
    for (name, _) in SHIPPED {
        let expected = expect.iter().find(|(one, _)| *one == name).map_or(&[][..], |(_, messages)| messages);
        assert_eq!(messages(&Policy::shipped(name).unwrap(), input), expected, "{name}");
    }
}

#[test]
fn the_shipped_policies() {
    shipped(&json!({ "green": { "surfaces": {} }, "context": { "now": 0 } }), &[]);
    let known = |value: Value| json!({ "state": "known", "value": value, "seen": "a test" });
    let day = 86_400_000_u64;
    let input = json!({
        "green": {
            "surfaces": { "OTLP/gRPC": {
                "tls.required": known(json!(false)),
                "tls.minVersion": known(json!("TLS 1.0")),
                "tls.ciphers": known(json!(["CBC", "RC4"])),
                "tls.keyBits": known(json!(80)),
                "tls.certificate.signature": { "state": "unknown", "why": "a test" },
                "client.certificateRequired": known(json!(false)),
                "auth.required": known(json!(false)),
                "ports.debug": known(json!(["1777 (pprof)"])),
            } },
            "certificates": { "OTLP/gRPC": [{ "notAfter": 105 * day + day / 2 }, { "notAfter": 10 }, { "notAfter": 200 * day }] },
        },
        "vulnerabilities": { "findings": [
            { "id": "CVE-1", "severity": "critical", "component": "a" },
            { "id": "CVE-2", "severity": "high", "component": "a" },
        ] },
        "context": { "now": 100 * day, "maxNewHigh": 0 },
    });
    shipped(
        &input,
        &[
            (
                "weaker-tls",
                &[
                    "green's OTLP/gRPC endpoint accepts TLS 1.0",
                    "green's OTLP/gRPC endpoint accepts weak ciphers: RC4",
                    "green's OTLP/gRPC endpoint takes requests in clear text",
                    "green's OTLP/gRPC endpoint: tls.keyBits is 80, expected 112 and more",
                ],
            ),
            (
                "unauthenticated",
                &[
                    "green's OTLP/gRPC endpoint takes requests from anybody: neither a certificate nor a token is asked for",
                ],
            ),
            (
                "newly-critical",
                &[
                    "1 new high vulnerabilities in green, expected 0 at most",
                    "CVE-1 in a is critical, and new in green",
                ],
            ),
            ("debug-ports", &["green's OTLP/gRPC host has a debugging port open: 1777 (pprof)"]),
            (
                "expiring-certificates",
                &[
                    "green's OTLP/gRPC certificate holds for 0 more days, expected 30",
                    "green's OTLP/gRPC certificate holds for 5 more days, expected 30",
                ],
            ),
        ],
    );
}
