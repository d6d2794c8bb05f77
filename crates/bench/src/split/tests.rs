use super::*;

/// Both ways agree on a request, and nothing is lost.
fn check(spans: usize, weight: u16) {
    let request: Bytes = request(spans, &mut Dice(3)).encode_to_vec().into();
    let wire = wire_split(&mut Splitter::default(), &request, weight).unwrap();
    assert_eq!(wire, prost_split(&request, weight).unwrap());
    let counts = wire.map(|part| otlp::count_items(Signal::Traces, &part).unwrap());
    assert_eq!(counts.blue + counts.green, spans as u64);
    assert_eq!((counts.blue == 0, counts.green == 0), (weight == BUCKETS, weight == 0));
}

#[test]
fn both_ways_give_the_same_bytes() {
    for weight in [0, MEASURED_WEIGHT, BUCKETS] {
        check(100, weight);
        check(1_000, weight);
    }
}

#[test]
fn a_span_time_becomes_rates() {
    let nanoseconds = Duration::from_nanos;
    let figures = Figures {
        spans: 100,
        bytes_a_span: 500.0,
        scan: nanoseconds(50),
        wire: nanoseconds(100),
        prost: nanoseconds(2_000),
    };
    let close = |found: f64, expected: f64| assert!((found / expected - 1.0).abs() < 1e-9, "{found}");
    let (gigabytes, million_spans, ratio) = figures.rates(figures.wire);
    close(gigabytes, 5.0);
    close(million_spans, 10.0);
    close(ratio, 20.0);
    assert_eq!(figures.json()["ways"]["wire"]["besideProst"], json!(ratio));
}
