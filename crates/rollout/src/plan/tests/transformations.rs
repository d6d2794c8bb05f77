//! What a pipeline is meant to change: what is accepted and what it means, and what is refused.

use super::refused::check;
use super::{accepted, previewed};
use crate::plan::{AttributeChanges, SpanPart, TimeUnit, Transformations};
use std::collections::{BTreeMap, BTreeSet};

const BEFORE: &str = "      config: [{ files: ./green }]\n";

/// Green's YAML; its `transformations` are on line 20.
const DECLARED: &str = "      config: [{ files: ./green }]
      transformations:
        reason: Semantic conventions 1.21, and card numbers are masked
        attributes:
          added: [k8s.pod.name]
          removed: [user.id, enduser.id]
          renamed: { http.method: http.request.method, http.url: url.full }
          changed: [card.number]
        resource: [host.name]
        parts: [name, status, events, context, scope]
        times: us
        samples: true
";

fn with(from: &str, to: &str) -> String {
    assert!(DECLARED.contains(from), "there is no {from:?}");
    DECLARED.replacen(from, to, 1)
}

#[track_caller]
fn refused((from, to): (&str, &str), expected: &[&str]) {
    check(&[(BEFORE, &with(from, to))], expected);
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn a_declaration_means_what_it_says() {
    let plan = accepted(&[(BEFORE, DECLARED)]);
    let renamed = [("http.method", "http.request.method"), ("http.url", "url.full")];
    let attributes = AttributeChanges {
        added: set(&["k8s.pod.name"]),
        removed: set(&["user.id", "enduser.id"]),
        renamed: renamed.map(|(from, to)| (from.to_owned(), to.to_owned())).into_iter().collect(),
        changed: set(&["card.number"]),
    };
    let expected = Transformations {
        reason: "Semantic conventions 1.21, and card numbers are masked".to_owned(),
        attributes,
        resource: set(&["host.name"]),
        parts: SpanPart::ALL.into_iter().collect(),
        times: Some(TimeUnit::Us),
        samples: true,
    };
    assert_eq!(plan.environments.green.transformations, expected);
    assert!(plan.environments.blue.transformations.is_nothing());
}

#[test]
fn approvals_bind_to_it() {
    let nothing = accepted(&[]);
    let declared = accepted(&[(BEFORE, DECLARED)]);
    assert_ne!(declared.digest(), nothing.digest());
    let reordered = with("removed: [user.id, enduser.id]", "removed: [enduser.id, user.id]");
    assert_eq!(accepted(&[(BEFORE, &reordered)]).digest(), declared.digest(), "the order says nothing");
    let more = with("changed: [card.number]", "changed: [card.number, card.holder]");
    assert_ne!(accepted(&[(BEFORE, &more)]).digest(), declared.digest());
}

#[test]
fn what_stands_alone_is_enough() {
    let only = |what: &str| {
        let yaml = format!("{BEFORE}      transformations: {{ reason: Tail sampling, {what} }}\n");
        accepted(&[(BEFORE, &yaml)]).environments.green.transformations
    };
    assert!(only("samples: true").samples);
    assert_eq!(only("times: ms").times, Some(TimeUnit::Ms));
    assert_eq!(only("resource: [host.name]").resource, set(&["host.name"]));
    assert_eq!(only("attributes: { renamed: { a: b, b: a } }").attributes.renamed, {
        BTreeMap::from([("a".to_owned(), "b".to_owned()), ("b".to_owned(), "a".to_owned())])
    });
    // What comes out under another key may come out changed there.
    let changed = only("attributes: { renamed: { a: b }, changed: [b] }").attributes;
    assert_eq!((changed.renamed.len(), changed.changed), (1, set(&["b"])));
}

#[test]
fn whoever_approves_reads_what_is_declared() {
    let text = previewed(&[(BEFORE, DECLARED)]).to_string();
    let from = text.find("\nMeant to change").unwrap();
    let to = text.find("\nWhat happens").unwrap();
    insta::assert_snapshot!("meant_to_change", &text[from..to]);
    let json = serde_json::to_value(previewed(&[(BEFORE, DECLARED)])).unwrap();
    assert_eq!(json["environments"]["green"]["transformations"][0], "attributes added or written over: k8s.pod.name");
    assert_eq!(json["environments"]["blue"].get("transformations"), None);
}

#[test]
fn what_is_unknown_or_empty_is_refused() {
    refused(
        ("removed", "removd"),
        &[
            "24:11: spec.environments.green.transformations.attributes.removd: found the unknown key `removd`, expected `added`, `removed`, `renamed` or `changed`: did you mean `removed`?",
        ],
    );
    refused(
        ("resource:", "ressource:"),
        &[
            "27:9: spec.environments.green.transformations.ressource: found the unknown key `ressource`, expected `reason`, `attributes`, `resource`, `parts`, `times` or `samples`: did you mean `resource`?",
        ],
    );
    refused(
        ("[host.name]", "[\"\"]"),
        &[
            "27:20: spec.environments.green.transformations.resource[0]: found an empty text, expected an attribute's key: one printable line of 1 to 200 characters",
        ],
    );
    refused(
        ("[host.name]", "[\"host.name \"]"),
        &[
            "27:20: spec.environments.green.transformations.resource[0]: found host.name , expected an attribute's key: one printable line of 1 to 200 characters",
        ],
    );
    refused(
        ("http.url: url.full", "http.url: \"\""),
        &[
            "25:66: spec.environments.green.transformations.attributes.renamed.http.url: found an empty text, expected an attribute's key: one printable line of 1 to 200 characters",
        ],
    );
    refused(
        ("http.url: url.full", "\"\": url.full"),
        &[
            "25:60: spec.environments.green.transformations.attributes.renamed: found an empty text, expected an attribute's key: one printable line of 1 to 200 characters",
        ],
    );
    refused(
        ("context, scope", "context, links"),
        &[
            "28:48: spec.environments.green.transformations.parts[4]: found links, expected `name`, `status`, `events`, `context` or `scope`",
        ],
    );
    refused(
        ("times: us", "times: s"),
        &["29:16: spec.environments.green.transformations.times: found s, expected `us` or `ms`: did you mean `ms`?"],
    );
    refused(
        ("samples: true", "samples: 10%"),
        &["30:18: spec.environments.green.transformations.samples: found 10%, expected `true` or `false`"],
    );
    refused(
        ("[host.name]", "host.name"),
        &["27:19: spec.environments.green.transformations.resource: found another shape, expected a list (`- …`)"],
    );
    refused(
        ("        reason: Semantic conventions 1.21, and card numbers are masked\n", ""),
        &[
            "21:9: spec.environments.green.transformations.reason: found nothing, expected why the pipeline is meant to change them",
        ],
    );
    check(
        &[(BEFORE, &format!("{BEFORE}      transformations: {{ reason: None }}\n"))],
        &[
            "20:24: spec.environments.green.transformations: found a reason, and nothing that is meant to change, expected at least one of `attributes`, `resource`, `parts`, `times` and `samples`, or no `transformations`",
        ],
    );
    check(
        &[(BEFORE, &format!("{BEFORE}      transformations: {{ reason: None, samples: false }}\n"))],
        &[
            "20:24: spec.environments.green.transformations: found a reason, and nothing that is meant to change, expected at least one of `attributes`, `resource`, `parts`, `times` and `samples`, or no `transformations`",
        ],
    );
    let many: Vec<String> = (0..201).map(|number| format!("k{number}")).collect();
    refused(
        ("[host.name]", &format!("[{}]", many.join(", "))),
        &["27:19: spec.environments.green.transformations.resource: found 201 entries, expected at most 200"],
    );
}

#[test]
fn what_says_it_twice_is_refused() {
    refused(
        ("[user.id, enduser.id]", "[user.id, user.id]"),
        &[
            "24:30: spec.environments.green.transformations.attributes.removed[1]: found user.id twice, expected each name once",
        ],
    );
    refused(
        ("status, events", "status, status"),
        &["28:31: spec.environments.green.transformations.parts[2]: found status twice, expected each name once"],
    );
    refused(
        ("http.url: url.full", "http.method: url.full"),
        &[
            "25:56: spec.environments.green.transformations.attributes.renamed.http.method: found the key `http.method` a second time, expected each key once",
        ],
    );
    refused(
        ("http.url: url.full", "http.url: http.url"),
        &[
            "25:66: spec.environments.green.transformations.attributes.renamed.http.url: found http.url renamed to itself, expected another key",
        ],
    );
    refused(
        ("[card.number]", "[card.number, user.id]"),
        &[
            "26:34: spec.environments.green.transformations.attributes.changed[1]: found user.id, which is in `removed` too, expected each key in one of them: it says what becomes of it",
        ],
    );
    refused(
        ("[card.number]", "[card.number, http.url]"),
        &[
            "26:34: spec.environments.green.transformations.attributes.changed[1]: found http.url, which is in `renamed` too, expected each key in one of them: it says what becomes of it",
        ],
    );
    refused(
        ("[k8s.pod.name]", "[url.full]"),
        &[
            "25:66: spec.environments.green.transformations.attributes.renamed.http.url: found url.full, which is in `added` too, expected a key that is only renamed to: a key in `added` is not compared, so the rename would say nothing",
        ],
    );
    refused(
        ("[user.id, enduser.id]", "[url.full]"),
        &[
            "25:66: spec.environments.green.transformations.attributes.renamed.http.url: found url.full, which is in `removed` too, expected a key that is only renamed to: a key in `removed` is not compared, so the rename would say nothing",
        ],
    );
}
