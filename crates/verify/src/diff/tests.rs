use super::*;
use proptest::prelude::*;

mod mutations;

fn id(number: u64) -> SpanId {
    SpanId(number.to_be_bytes())
}

/// A span without anything that could differ but its place.
fn bare(span: u64, parent: u64) -> Span {
    Span { span: id(span), parent: id(parent), kind: 1, service: "shop".into(), ..Span::default() }
}

/// `2:1` is span 2 below span 1, `1:0` a root; `2:1*3` has three copies, `2:1k2` is a span of kind 2.
fn side(spans: &str) -> Side {
    let mut read = Vec::new();
    for word in spans.split_whitespace() {
        let (word, copies) = word.split_once('*').unwrap_or((word, "1"));
        let (word, kind) = word.split_once('k').unwrap_or((word, "1"));
        let (span, parent) = word.split_once(':').unwrap();
        let span = Span { kind: kind.parse().unwrap(), ..bare(span.parse().unwrap(), parent.parse().unwrap()) };
        read.extend(vec![span; copies.parse().unwrap()]);
    }
    Side::new(read).unwrap()
}

/// The tree with its differences, a span a line, indented by its depth.
fn outline(comparison: &Comparison) -> String {
    let number = |id: SpanId| u64::from_be_bytes(id.0);
    let mut outline = String::new();
    for row in &comparison.rows {
        let words = row.differences.iter().map(|difference| match difference {
            Difference::Reparented { a, b } => format!(" reparented {} {}", number(*a), number(*b)),
            Difference::Orphan { parent } => format!(" orphan of {}", number(*parent)),
            other => format!(" {other:?}").to_lowercase(),
        });
        let stands = match row.stands {
            Stands::Root | Stands::Child => "",
            Stands::WithoutParent => " (without parent)",
            Stands::Loop => " (loop)",
        };
        let below = if row.differs_below { " ..." } else { "" };
        let indent = "  ".repeat(row.depth);
        outline += &format!("{indent}{}{stands}{}{below}\n", number(row.span), words.collect::<String>());
    }
    outline
}

fn by_id(a: &Side, b: &Side) -> Comparison {
    compare(a, b, By::Id)
}

fn check(a: &str, b: &str, expect: &str) {
    let expect: String =
        expect.lines().map(|line| line.strip_prefix("        ").unwrap_or(line).to_owned() + "\n").collect();
    assert_eq!(outline(&by_id(&side(a), &side(b))), expect, "{a} | {b}");
}

#[test]
fn equal_traces_are_a_tree_in_the_order_in_which_they_came() {
    check("1:0 3:1 2:1 4:3", "4:3 2:1 3:1 1:0", "1\n  3\n    4\n  2");
    assert!(by_id(&side("1:0 2:1"), &side("2:1 1:0")).is_equal());
    assert!(by_id(&Side::default(), &Side::default()).is_equal());
}

#[test]
fn what_one_side_alone_has_is_lost_or_fabricated_and_stands_where_that_side_has_it() {
    check("1:0 2:1 3:2", "1:0 3:2", "1 ...\n  2 lost ...\n    3 orphan of 2");
    check("1:0", "1:0 2:1 3:9", "1 ...\n  2 fabricated\n3 (without parent) fabricated orphan of 9");
    check("", "1:0", "1 fabricated");
    check("1:0", "", "1 lost");
}

#[test]
fn copies_are_counted() {
    check("1:0 2:1", "1:0 2:1*3", "1 ...\n  2 duplicated { a: 1, b: 3 }");
    check("1:0*2", "1:0", "1 fewercopies { a: 2, b: 1 }");
    check("1:0*2", "1:0*2", "1");
}

#[test]
fn copies_that_are_equal_are_held_against_each_other() {
    let named = |operation: &str| Span { operation: operation.into(), ..bare(1, 0) };
    let sides = |a: &[&str], b: &[&str]| {
        let side = |names: &[&str]| Side::new(names.iter().map(|name| named(name)).collect()).unwrap();
        by_id(&side(a), &side(b)).rows[0].differences.clone()
    };
    let operation = |a: &str, b: &str| Difference::Operation { a: a.into(), b: b.into() };
    assert_eq!(sides(&["x", "y"], &["y", "x"]), []);
    assert_eq!(sides(&["x", "y"], &["y", "z"]), [operation("x", "z")]);
    assert_eq!(sides(&["x", "x"], &["z", "z"]), [operation("x", "z")], "the same difference is said once");
    assert_eq!(sides(&["x", "y"], &["y"]), [Difference::FewerCopies { a: 2, b: 1 }]);
}

#[test]
fn a_new_parent_is_told_and_its_absence_too() {
    check("1:0 2:1 3:2", "1:0 2:1 3:1", "1 ...\n  2 ...\n    3 reparented 2 1");
    check("1:0 2:1", "1:0 2:7", "1 ...\n  2 reparented 1 7 orphan of 7");
    check("1:0 2:1", "1:0 2:0", "1 ...\n  2 reparented 1 0");
    check("2:7", "2:7", "2 (without parent)");
    check("2:7", "2:7 7:0", "7 fabricated\n  2");
}

#[test]
fn several_roots_and_loops_are_trees_too() {
    check("1:0 2:0 3:2", "1:0 2:0 3:2", "1\n2\n  3");
    check("1:1", "1:1", "1 (loop)");
    // 3 and 4 are a loop, 5 hangs on it and came before it.
    check("5:4 1:0 4:3 3:4 6:5", "5:4 1:0 4:3 3:4 6:5", "1\n4 (loop)\n  5\n    6\n  3");
    check("1:0 2:1", "1:2 2:1", "1 reparented 0 2\n  2");
}

#[test]
fn both_ends_of_a_call_may_share_an_id() {
    // 3 is the client's call, kind 3, and what the server made of it, kind 2; 4 is the server's own.
    check("1:0 3:1k3 3:1k2 4:3", "1:0 3:1k3 3:1k2 4:3", "1\n  3\n  3\n    4");
    check("1:0 3:1k3 3:1k2", "1:0 3:1k3", "1 ...\n  3\n  3 lost");
    check("1:0 3:1k3 3:3k2", "1:0 3:1k3 3:3k2", "1\n  3\n    3");
    check("1:0k1", "1:0k4", "1 kind { a: 1, b: 4 }");
}

#[test]
fn siblings_stand_by_their_start() {
    let at = |span, start_unix_ns| Span {
        times: Some(Times { start_unix_ns, end_unix_ns: start_unix_ns + 5 }),
        ..bare(span, 1)
    };
    let side = Side::new(vec![at(4, 30), at(3, 10), at(2, 30), bare(1, 0)]).unwrap();
    assert_eq!(outline(&by_id(&side, &side)), "1\n  3\n  2\n  4\n");
    // What is known from the start of the trace on alone orders them too, and makes no difference.
    let since = |span, start_us| Span { since: Some(Since { start_us, duration_us: 5 }), ..bare(span, 1) };
    let side = |moved: i64| Side::new(vec![since(4, 30), since(3, -10), since(2, 20 + moved), bare(1, 0)]).unwrap();
    assert_eq!(outline(&by_id(&side(0), &side(1))), "1\n  3\n  2\n  4\n");
}

#[test]
fn what_a_side_does_not_know_is_not_compared() {
    let a = Span {
        times: Some(Times { start_unix_ns: 1, end_unix_ns: 2 }),
        status: Some(Status { code: 2, message: String::new() }),
        attributes: Some([("k".to_owned(), 1.into())].into()),
        resource: Some(Arc::new([("service.name".to_owned(), "shop".into())].into())),
        ..bare(1, 0)
    };
    let one = |span: Span| Side::new(vec![span]).unwrap();
    assert!(by_id(&one(a.clone()), &one(bare(1, 0))).is_equal());
    // Of the resource the service is known at least.
    let other = by_id(&one(a), &one(Span { service: "till".into(), ..bare(1, 0) }));
    let (a, b) = (Some("shop".into()), Some("till".into()));
    let expect = Difference::Changed { place: Place::Resource, key: "service.name".into(), a, b };
    assert_eq!(other.rows[0].differences, [expect]);
}

#[test]
fn what_a_side_says_of_itself_is_told() {
    let missing = Difference::Missing { place: Place::Attribute, key: "k".into(), a: None };
    let noted = Span { noted: vec![missing.clone()], ..bare(1, 0) };
    let compared = by_id(&side("1:0"), &Side::new(vec![noted]).unwrap());
    assert_eq!(compared.rows[0].differences, [missing]);
}

/// Spans by their names: `a b:a` is a span of the operation b below one of the operation a. Their ids begin at `first`.
fn named(spans: &str, first: u64) -> Side {
    let words: Vec<(&str, Option<&str>)> = spans
        .split_whitespace()
        .map(|word| word.split_once(':').map_or((word, None), |(it, of)| (it, Some(of))))
        .collect();
    let number = |name: &str| first + words.iter().position(|(known, _)| *known == name).unwrap() as u64;
    let numbered = (first..).zip(&words);
    let span = |(at, (name, parent)): (u64, &(&str, Option<&str>))| Span {
        operation: (*name).into(),
        ..bare(at, parent.map_or(0, number))
    };
    Side::new(numbered.map(span).collect()).unwrap()
}

#[test]
fn two_traces_are_compared_by_the_places_of_their_spans() {
    let check = |a: &str, b: &str, expect: &str| {
        let (a, b) = (named(a, 100), named(b, 900));
        let row = |row: &Row| {
            let differences: Vec<String> = row.differences.iter().map(|it| format!(" {it:?}").to_lowercase()).collect();
            format!("{}{}{}\n", " ".repeat(row.depth), row.operation, differences.concat())
        };
        assert_eq!(compare(&a, &b, By::Place).rows.iter().map(row).collect::<String>(), expect);
    };
    check("root a:root b:a c:root", "root c:root a:root b:a", "root\n a\n  b\n c\n");
    check("root a:root b:a", "root a:root b:root", "root\n a\n  b lost\n b fabricated\n");
    check("root a:root a:root", "root a:root", "root\n a\n a lost\n");
    check("root a:root b:a", "root x:root b:x", "root\n a lost\n  b lost\n x fabricated\n  b fabricated\n");
    check("root a:b b:a", "root a:b b:a", "root\na\n b\n");
}

#[test]
fn keys_and_statuses_of_two_traces_are_compared_and_what_differs_anyway_is_not() {
    let side = |first, key: &str, start_unix_ns, code| {
        let span = Span {
            times: Some(Times { start_unix_ns, end_unix_ns: start_unix_ns + 1 }),
            status: Some(Status { code, message: String::new() }),
            attributes: Some([("n".to_owned(), start_unix_ns.into()), (key.to_owned(), 1.into())].into()),
            ..bare(first, 0)
        };
        Side::new(vec![span]).unwrap()
    };
    let rows = compare(&side(1, "k", 5, 0), &side(2, "l", 9, 2), By::Place).rows;
    let status = |code| Status { code, message: String::new() };
    let (place, one) = (Place::Attribute, Some(1.into()));
    let expect = [
        Difference::Status { a: status(0), b: status(2) },
        Difference::Missing { place, key: "k".into(), a: one.clone() },
        Difference::Added { place, key: "l".into(), b: one },
    ];
    assert_eq!((rows.len(), &rows[0].differences[..]), (1, &expect[..]));
}

#[test]
fn a_trace_as_large_as_can_be_is_compared_whatever_its_shape() {
    let last = MAX_SPANS as u64;
    let chain: Vec<Span> = (1..=last).map(|span| bare(span, span - 1)).collect();
    let looped: Vec<Span> = (1..=last).map(|span| bare(span, if span == 1 { last } else { span - 1 })).collect();
    let flat: Vec<Span> = (1..=last).map(|span| bare(span, u64::from(span > 1))).collect();
    let copies = vec![bare(1, 0); MAX_SPANS];
    let [chain, looped, flat, copies] = [chain, looped, flat, copies].map(|spans| Side::new(spans).unwrap());
    let deep = by_id(&chain, &looped);
    assert_eq!(deep.rows.len(), MAX_SPANS);
    assert_eq!(deep.rows.last().map(|row| row.depth), Some(MAX_SPANS - 1));
    assert_eq!(deep.rows.iter().filter(|row| !row.differences.is_empty()).count(), 1);
    assert!(by_id(&looped, &looped).is_equal());
    for (a, b) in [(&chain, &looped), (&looped, &flat), (&flat, &copies), (&copies, &chain)] {
        let rows = compare(a, b, By::Place).rows;
        let spans = |seen: fn(&Row) -> Option<Seen>| rows.iter().filter_map(seen).count();
        assert_eq!((spans(|row| row.a), spans(|row| row.b)), (MAX_SPANS, MAX_SPANS));
    }
    let wide = by_id(&flat, &copies);
    assert_eq!(wide.rows[0].differences, [Difference::Duplicated { a: 1, b: MAX_SPANS }]);
    assert_eq!(Side::new(vec![bare(1, 0); MAX_SPANS + 1]), Err(TooManySpans { spans: MAX_SPANS + 1 }));
}
