use super::super::evidence;
use super::super::read::{Contents, spans, understand};
use super::super::told::json;
use super::*;
use model::Check;
use std::path::PathBuf;
use verify::diff::{MAX_SPANS, Side, Span, Times};
use verify::{ExampleDifference, ExampleSpan, ExampleTrace};

const PIPE: Style = Style { on_terminal: false, all: false };
const TERMINAL: Style = Style { on_terminal: true, all: false };

/// The files of examples/traces, under the names that a person in examples/ gives.
fn example() -> Told {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../examples/traces");
    let [a, b] = ["blue.json", "green.json"].map(|name| {
        let trace = "5b8efff798038103d269b633813fc60c".parse().unwrap();
        let side = spans(&folder.join(name)).unwrap_or_else(|failed| panic!("{failed}")).side(trace);
        (format!("traces/{name}"), trace, side.unwrap_or_else(|failed| panic!("{failed}")))
    });
    Told::of_two(a, b)
}

fn id(number: u64) -> SpanId {
    SpanId(number.to_be_bytes())
}

/// A blob as verification writes it: a root, a span that was lost, its child that came out twice without a key, and one
/// that nobody sent.
fn blob() -> Vec<ExampleTrace> {
    let span = |span, parent, operation: &str, sent, out| ExampleSpan {
        span: id(span),
        parent: id(parent),
        kind: 2,
        service: "shop".into(),
        operation: operation.into(),
        sent,
        out,
        missing_keys: Vec::new(),
        came_out_parent: (out > 0).then_some(id(parent)),
        start_us: i32::try_from(span * 1_000).unwrap(),
        duration_us: 1_500,
        differences: Vec::new(),
    };
    let difference = |check, key: Option<&str>| ExampleDifference { check, key: key.map(str::to_owned) };
    let twice = ExampleSpan {
        missing_keys: vec!["http.route".into()],
        differences: vec![
            difference(Check::AddedAttribute, Some("a")),
            difference(Check::ChangedType, Some("b")),
            difference(Check::ChangedValue, Some("status")),
            difference(Check::ChangedContext, None),
            difference(Check::ChangedTime, None),
            difference(Check::ChangedResource, Some("host.name")),
        ],
        ..span(3, 2, "GET /b", true, 2)
    };
    let spans =
        vec![span(1, 0, "GET /", true, 1), span(2, 1, "GET /a", true, 0), twice, span(4, 1, "GET /c", false, 1)];
    let green =
        ExampleTrace { trace: TRACE.parse().unwrap(), environment: model::Environment::Green, spans, omitted: 7 };
    let blue = ExampleTrace {
        environment: model::Environment::Blue,
        spans: green.spans[..1].to_vec(),
        omitted: 0,
        ..green.clone()
    };
    vec![green, blue]
}

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

fn of_blob(blob: &str) -> Vec<Told> {
    match understand(blob.as_bytes()) {
        Ok(Contents::Evidence(examples)) => evidence::told(examples).unwrap(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn two_files_in_a_pipe() {
    let text = render(&[example()], PIPE);
    assert!(text.is_ascii());
    insta::assert_snapshot!(text);
}

#[test]
fn two_files_on_a_terminal() {
    insta::assert_snapshot!(render(&[example()], TERMINAL).replace('\x1b', "ESC"));
}

#[test]
fn two_files_as_json() {
    insta::assert_snapshot!(serde_json::to_string_pretty(&json(&[example()])).unwrap());
}

#[test]
fn a_blob_of_evidence() {
    let told = of_blob(&serde_json::to_string(&blob()).unwrap());
    assert!(told.iter().all(|one| one.unread.is_empty()), "every member of an example is read: {:?}", told[0].unread);
    insta::assert_snapshot!(render(&told, PIPE));
}

#[test]
fn a_blob_of_evidence_as_json() {
    let told = of_blob(&serde_json::to_string(&blob()).unwrap());
    insta::assert_snapshot!(serde_json::to_string_pretty(&json(&told)).unwrap());
}

#[test]
fn what_a_later_version_wrote_is_named() {
    let later = serde_json::to_string(&blob()).unwrap().replace("\"kind\":", "\"colour\":\"red\",\"kind\":");
    let text = render(&of_blob(&later), PIPE);
    assert!(text.contains("  not compared, for this version does not know it: colour\n"), "{text}");
}

fn span(number: u64, parent: u64) -> Span {
    Span { span: id(number), parent: id(parent), service: "s".into(), operation: number.to_string(), ..Span::default() }
}

fn told(a: Vec<Span>, b: Vec<Span>) -> Told {
    let trace = TRACE.parse().unwrap();
    let side = |spans| Side::new(spans).unwrap();
    Told::of_two(("one".into(), trace, side(a)), ("other".into(), trace, side(b)))
}

/// The tree below the heading.
fn tree(told: Told, style: Style) -> String {
    let text = render(&[told], style);
    text.split_once("\n\n").unwrap().1.to_owned()
}

#[test]
fn of_a_large_trace_what_is_equal_is_left_out() {
    // Three branches of 60 spans below the root; something is lost deep in the second.
    let branch = |first: u64| (first..first + 60).map(move |at| span(at, if at == first { 1 } else { first }));
    let whole: Vec<Span> = [span(1, 0)].into_iter().chain(branch(100)).chain(branch(200)).chain(branch(300)).collect();
    let part: Vec<Span> = whole.iter().filter(|span| span.span != id(230)).cloned().collect();
    insta::assert_snapshot!(tree(told(whole.clone(), part.clone()), PIPE));
    assert_eq!(tree(told(whole.clone(), part), Style { all: true, ..PIPE }).lines().count(), whole.len());
    assert_eq!(tree(told(whole.clone(), whole), PIPE), "  ... 181 without a difference\n");
}

#[test]
fn a_chain_as_long_as_can_be_is_drawn_in_little_room() {
    let chain: Vec<Span> = (1..=MAX_SPANS as u64).map(|at| span(at, at - 1)).collect();
    let shorter = chain[..MAX_SPANS - 1].to_vec();
    let text = tree(told(chain, shorter), PIPE);
    assert_eq!(text.lines().count(), MAX_SPANS);
    assert!(text.lines().all(|line| line.len() < 200));
    let last = text.lines().last().unwrap();
    assert!(last.ends_with("`- [65535] s: 65536  lost") && last.starts_with("- "), "{last}");
}

#[test]
fn what_comes_from_outside_is_cut_and_cannot_steer_a_terminal() {
    let with = |value: Value| Span {
        attributes: Some([("k\x1b[2J".to_owned(), value)].into()),
        operation: "\x1b]0;x\x07".repeat(100),
        ..span(1, 0)
    };
    for style in [PIPE, TERMINAL] {
        let text = tree(told(vec![with("\u{9b}2J".into())], vec![with("x".repeat(100_000).into())]), style);
        let own = ["\x1b[33m", "\x1b[0m"].iter().fold(text.clone(), |text, own| text.replace(own, ""));
        assert!(!own.chars().any(|character| character.is_control() && character != '\n'), "{text:?}");
        assert!(text.len() < 2_000, "{}", text.len());
    }
}

#[test]
fn a_span_with_many_differences_has_few_lines() {
    let with = |value: u64| Span {
        attributes: Some((0..200).map(|number| (format!("k{number:03}"), value.into())).collect()),
        ..span(1, 0)
    };
    let lines = |style| tree(told(vec![with(1)], vec![with(2)]), style).lines().count();
    assert_eq!(lines(PIPE), 1 + MAX_LINES + 1);
    assert_eq!(lines(Style { all: true, ..PIPE }), 201);
}

#[test]
fn loops_and_absent_parents_are_said() {
    let spans = vec![span(1, 2), span(2, 1), span(3, 9)];
    let expect = "  s: 3  (its parent 0000000000000009 is on neither side)\n  \
                  s: 1  (its parent 0000000000000002 stands below it: a loop)\n  `- s: 2\n";
    assert_eq!(tree(told(spans.clone(), spans), PIPE), expect);
}

#[test]
fn durations_can_be_read() {
    let words: Vec<String> =
        [0, 999, 1_000, 1_234, 12_345, 123_456, 1_000_000, 7_200_000_000_000].map(duration).into_iter().collect();
    assert_eq!(words, ["0ns", "999ns", "1us", "1.23us", "12.3us", "123us", "1ms", "7200s"]);
    assert_eq!((moved(5, 3), moved(3, 5_003)), ("-2ns".to_owned(), "+5us".to_owned()));
    let at = |start_unix_ns, end_unix_ns| Span { times: Some(Times { start_unix_ns, end_unix_ns }), ..span(1, 0) };
    let text = tree(told(vec![at(5, 10)], vec![at(5, 1_005)]), PIPE);
    assert_eq!(text, "~ s: 1 (5ns -> 1us)\n~     end changed: +995ns\n");
}
