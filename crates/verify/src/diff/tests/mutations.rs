//! One thing is done to a trace, and that very thing must be told.

use super::*;
use proptest::sample::Index;

/// What is done to one span of a copy of the trace.
#[derive(Clone, Debug)]
enum Mutation {
    Drop,
    Copy,
    Fabricate,
    Reparent(Index),
    Tear,
    Rename,
    Kind,
    Start(u64),
    End(u64),
    Status,
    Add(Place),
    Remove(Place),
    Change(Place),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let place = || prop::sample::select(vec![Place::Attribute, Place::Resource, Place::Scope, Place::Field]);
    prop_oneof![
        Just(Mutation::Drop),
        Just(Mutation::Copy),
        Just(Mutation::Fabricate),
        any::<Index>().prop_map(Mutation::Reparent),
        Just(Mutation::Tear),
        Just(Mutation::Rename),
        Just(Mutation::Kind),
        (1u64..1_000_000).prop_map(Mutation::Start),
        (1u64..1_000_000).prop_map(Mutation::End),
        Just(Mutation::Status),
        place().prop_map(Mutation::Add),
        place().prop_map(Mutation::Remove),
        place().prop_map(Mutation::Change),
    ]
}

fn values() -> impl Strategy<Value = Option<Values>> {
    let value = prop_oneof![
        any::<i64>().prop_map(Value::from),
        "[a-z]{0,4}".prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        Just(serde_json::json!(["x", 1.5, null])),
    ];
    prop::collection::btree_map("[a-c]{1,2}", value, 1..4).prop_map(Some)
}

/// A trace of any shape: several roots, parents that are absent, loops.
fn trace() -> impl Strategy<Value = Vec<Span>> {
    let span = (0u64..40, 0u8..6, "[a-d]", "[e-h]", 0u64..50, 0i32..3, values(), values(), (values(), values()));
    prop::collection::vec(span, 1..30).prop_map(|spans| {
        let numbered = spans.into_iter().enumerate();
        let made = numbered.map(
            |(at, (parent, kind, service, operation, start, code, attributes, resource, (scope, fields)))| {
                let start_unix_ns = 1_000_000 + start;
                Span {
                    span: id(at as u64 + 1),
                    parent: id(parent),
                    kind,
                    service,
                    operation,
                    times: Some(Times { start_unix_ns, end_unix_ns: start_unix_ns + 10 }),
                    since: None,
                    status: Some(Status { code, message: String::new() }),
                    attributes,
                    resource: resource.map(Arc::new),
                    scope: scope.map(Arc::new),
                    fields,
                    noted: Vec::new(),
                }
            },
        );
        made.collect()
    })
}

fn place_of(span: &mut Span, place: Place) -> &mut Values {
    match place {
        Place::Attribute => span.attributes.as_mut().unwrap(),
        Place::Resource => Arc::make_mut(span.resource.as_mut().unwrap()),
        Place::Scope => Arc::make_mut(span.scope.as_mut().unwrap()),
        Place::Field => span.fields.as_mut().unwrap(),
    }
}

/// Does it to the span at `at`, and says which differences it makes, and of which spans.
fn mutate(spans: &mut Vec<Span>, at: usize, mutation: &Mutation) -> Vec<(SpanId, Difference)> {
    let whole = spans.clone();
    let span = whole[at].span;
    let mutated = &mut spans[at];
    let difference = match mutation {
        Mutation::Drop => {
            spans.remove(at);
            // One that is its own parent is nobody's child.
            let children = whole.iter().filter(|child| child.parent == span && child.span != span);
            let orphans = children.map(|child| (child.span, Difference::Orphan { parent: span }));
            return [(span, Difference::Lost)].into_iter().chain(orphans).collect();
        }
        Mutation::Copy => {
            spans.push(whole[at].clone());
            Difference::Duplicated { a: 1, b: 2 }
        }
        Mutation::Fabricate => {
            spans.push(Span { span: id(9_000), parent: span, ..whole[at].clone() });
            // It takes nobody's place: no span names this parent.
            return vec![(id(9_000), Difference::Fabricated)];
        }
        Mutation::Reparent(to) => {
            let (a, b) = (whole[at].parent, to.get(&whole).span);
            mutated.parent = b;
            return if a == b { vec![] } else { vec![(span, Difference::Reparented { a, b })] };
        }
        Mutation::Tear => {
            let (a, b) = (whole[at].parent, id(9_001));
            mutated.parent = b;
            return vec![(span, Difference::Reparented { a, b }), (span, Difference::Orphan { parent: b })];
        }
        Mutation::Rename => {
            mutated.operation = "another".into();
            Difference::Operation { a: whole[at].operation.clone(), b: "another".into() }
        }
        Mutation::Kind => {
            mutated.kind = (mutated.kind + 1) % 6;
            Difference::Kind { a: whole[at].kind, b: mutated.kind }
        }
        Mutation::Start(by) => {
            let times = mutated.times.as_mut().unwrap();
            times.start_unix_ns += by;
            Difference::Start { a: times.start_unix_ns - by, b: times.start_unix_ns }
        }
        Mutation::End(by) => {
            let times = mutated.times.as_mut().unwrap();
            times.end_unix_ns += by;
            Difference::End { a: times.end_unix_ns - by, b: times.end_unix_ns }
        }
        Mutation::Status => {
            let a = mutated.status.clone().unwrap();
            let b = Status { code: a.code, message: "another".into() };
            mutated.status = Some(b.clone());
            Difference::Status { a, b }
        }
        Mutation::Add(place) => {
            place_of(mutated, *place).insert("new".into(), 7.into());
            Difference::Added { place: *place, key: "new".into(), b: Some(7.into()) }
        }
        Mutation::Remove(place) => {
            let (key, value) = place_of(mutated, *place).pop_first().unwrap();
            Difference::Missing { place: *place, key, a: Some(value) }
        }
        Mutation::Change(place) => {
            let mut first = place_of(mutated, *place).first_entry().unwrap();
            let b = Value::from("another");
            let a = first.insert(b.clone());
            Difference::Changed { place: *place, key: first.key().clone(), a: Some(a), b: Some(b) }
        }
    };
    vec![(span, difference)]
}

fn told(comparison: &Comparison) -> Vec<(SpanId, Difference)> {
    let of_row = |row: &Row| row.differences.iter().map(|it| (row.span, it.clone())).collect::<Vec<_>>();
    let mut told: Vec<_> = comparison.rows.iter().flat_map(of_row).collect();
    told.sort_by_key(|(span, _)| *span);
    told
}

proptest! {
    #[test]
    fn a_trace_is_equal_to_itself_in_any_order(spans in trace(), shuffled in any::<prop::sample::Selector>()) {
        let mut other = spans.clone();
        other.sort_by_cached_key(|span| shuffled.select(0u64..1_000) ^ u64::from_be_bytes(span.span.0).reverse_bits());
        let (a, b) = (Side::new(spans).unwrap(), Side::new(other).unwrap());
        let comparison = by_id(&a, &b);
        prop_assert_eq!(told(&comparison), vec![]);
        prop_assert_eq!(&comparison, &by_id(&a, &a), "the tree is the same in any order");
    }

    #[test]
    fn each_single_mutation_is_told_and_nothing_else(spans in trace(), at in any::<Index>(), mutation in mutation()) {
        let mut mutated = spans.clone();
        let mut expect = mutate(&mut mutated, at.index(spans.len()), &mutation);
        expect.sort_by_key(|(span, _)| *span);
        let comparison = by_id(&Side::new(spans).unwrap(), &Side::new(mutated).unwrap());
        prop_assert_eq!(told(&comparison), expect, "{:?}", mutation);
    }

    #[test]
    fn a_trace_is_equal_by_place_to_itself_under_other_ids_and_at_another_time(spans in trace(), later in 1u64..1_000) {
        let other = |span: &Span| {
            let new = |it: SpanId| if it == SpanId::NONE { it } else { id(u64::from_be_bytes(it.0) + 5_000) };
            let times = span.times.map(|it| Times { start_unix_ns: it.start_unix_ns + later, ..it });
            Span { span: new(span.span), parent: new(span.parent), times, ..span.clone() }
        };
        let other: Vec<Span> = spans.iter().map(other).rev().collect();
        let comparison = compare(&Side::new(spans.clone()).unwrap(), &Side::new(other).unwrap(), By::Place);
        prop_assert_eq!(told(&comparison), vec![]);
        prop_assert_eq!(comparison.rows.len(), spans.len());
    }

    #[test]
    fn the_tree_has_every_span_once_and_parents_come_before_their_children(a in trace(), b in trace()) {
        let comparison = by_id(&Side::new(a.clone()).unwrap(), &Side::new(b.clone()).unwrap());
        let rows = &comparison.rows;
        let count = |side: fn(&Row) -> Option<Seen>| -> usize { rows.iter().filter_map(side).map(|seen| seen.copies).sum() };
        prop_assert_eq!((count(|row| row.a), count(|row| row.b)), (a.len(), b.len()));
        for (at, row) in rows.iter().enumerate() {
            let above = rows[..at].iter().rev().find(|above| above.depth < row.depth);
            match row.stands {
                Stands::Child => {
                    let above = above.unwrap();
                    prop_assert_eq!((above.span, above.depth + 1), (row.parent, row.depth));
                }
                Stands::Root | Stands::WithoutParent | Stands::Loop => prop_assert_eq!(row.depth, 0),
            }
            let below = rows[at + 1..].iter().take_while(|below| below.depth > row.depth);
            prop_assert_eq!(row.differs_below, below.into_iter().any(|below| !below.differences.is_empty()));
        }
    }
}
