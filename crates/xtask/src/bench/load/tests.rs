use super::*;

fn order(contender: Contender, traces: bool) -> Order {
    Order { contender, protocol: Protocol::Grpc, spans_per_request: 100, secs: 1.0, spans_per_s: None, traces }
}

/// An answer of `bench load`: what each sink received, and how many of 50 traces were at both.
fn answer(received: [u64; 2], torn: u64) -> String {
    json!({
        "acknowledgedSpans": 1_000,
        "refusedRequests": 1,
        "refusal": "HTTP status 503",
        "receivedSpans": received,
        "compressedRequests": 3,
        "malformedRequests": 0,
        "malformed": null,
        "traces": { "seen": 50, "torn": torn },
        "tappedRequests": 7,
        "secs": 2.0,
        "p50Ms": 1.5,
        "p99Ms": 4.0,
    })
    .to_string()
}

fn outcome(contender: Contender, received: [u64; 2], torn: u64) -> Result<Outcome> {
    let outcome = Outcome::read(&answer(received, torn), &order(contender, true))?;
    outcome.check(contender)?;
    Ok(outcome)
}

#[test]
fn an_outcome_says_what_came_out_and_what_was_lost() {
    let split = outcome(Contender::OursSplit, [490, 500], 0).unwrap();
    assert_eq!(
        (split.acknowledged, split.requests, split.passed, split.green, split.lost()),
        (1_000, 10, 990, 500, 10)
    );
    assert_eq!(split.traces, Some(TraceCounts { seen: 50, torn: 0 }));
    assert_eq!((split.gzip, split.tapped, split.refused), (true, 7, 1));
    assert_eq!(split.refusal.as_deref(), Some("HTTP status 503"));
    assert_eq!((split.secs, split.p50_ms, split.p99_ms), (2.0, 1.5, 4.0));
    // A copy is no span that came out, and a copy that was dropped none that was lost.
    let mirror = outcome(Contender::EnvoyMirror, [1_000, 900], 45).unwrap();
    assert_eq!((mirror.passed, mirror.green, mirror.lost()), (1_000, 900, 0));
    let discarding = outcome(Contender::RotelDiscarding, [0, 0], 0).unwrap();
    assert_eq!((discarding.passed, discarding.lost()), (1_000, 0));
    // A request that was refused may have come out all the same: more came out than was acknowledged.
    assert_eq!(outcome(Contender::Rotel, [1_100, 0], 0).unwrap().lost(), 0);
}

#[test]
fn a_proxy_that_does_something_else_is_an_error() {
    let refused = [
        (Contender::Ours, [0, 0], 0),
        (Contender::Ours, [900, 100], 0),
        (Contender::Envoy, [900, 100], 0),
        (Contender::OursSplit, [600, 400], 0),
        (Contender::OursSplit, [500, 500], 1),
        (Contender::EnvoySplit, [900, 100], 0),
        (Contender::OursMirror, [1_000, 0], 0),
        (Contender::RotelDiscarding, [1, 0], 0),
    ];
    for (contender, received, torn) in refused {
        assert!(outcome(contender, received, torn).is_err(), "{contender:?} {received:?} {torn}");
    }
    // Envoy chooses for each request: it may be some off half, and it tears.
    assert_eq!(outcome(Contender::EnvoySplit, [600, 400], 44).unwrap().traces.unwrap().torn, 44);
}

#[test]
fn traces_are_read_only_where_they_were_asked_for() {
    let text = answer([1_000, 0], 0);
    assert_eq!(Outcome::read(&text, &order(Contender::Ours, false)).unwrap().traces, None);
    let untold = text.replace("\"traces\"", "\"other\"");
    assert!(Outcome::read(&untold, &order(Contender::Ours, true)).is_err());
    let malformed = text.replace("\"malformedRequests\":0", "\"malformedRequests\":2");
    assert!(Outcome::read(&malformed, &order(Contender::Ours, false)).is_err());
}
