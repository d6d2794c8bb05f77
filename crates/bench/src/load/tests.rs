use super::generator::Sent;
use super::*;

/// Hardly any load, so that a test takes no time. What is asserted are counts, never times: a request of a rate is sent
/// when it is due or later, and one without a rate perhaps not at all.
fn order(spans_per_s: Option<f64>) -> Order {
    Order { spans_per_request: 100, secs: 0.02, spans_per_s, comes_out: 1, ..Order::default() }
}

#[tokio::test]
async fn what_is_acknowledged_came_out() {
    let mut bench = Bench::start().await.unwrap();
    for protocol in [Protocol::Grpc, Protocol::Http] {
        for rate in [None, Some(50_000.0)] {
            let outcome = bench.carry_out(&Order { protocol, ..order(rate) }).await.unwrap();
            assert_eq!(outcome.received_spans, [outcome.acknowledged_spans, 0]);
            assert_eq!((outcome.refused_requests, outcome.malformed_requests), (0, 0));
            assert_eq!((outcome.compressed_requests, outcome.traces, outcome.tapped_requests), (0, None, 0));
        }
    }
}

#[tokio::test]
async fn a_rate_is_kept() {
    let mut bench = Bench::start().await.unwrap();
    // 20 ms of 100,000 spans a second, however long the requests take: they are due, so they are sent.
    for protocol in [Protocol::Grpc, Protocol::Http] {
        let outcome = bench.carry_out(&Order { protocol, ..order(Some(100_000.0)) }).await.unwrap();
        assert_eq!(outcome.acknowledged_spans, 2_000);
    }
}

#[tokio::test]
async fn traces_are_counted_for_the_order_that_wants_it() {
    let mut bench = Bench::start().await.unwrap();
    // 20 requests of 100 spans are 2,000 spans, and 20 of them a trace.
    for protocol in [Protocol::Grpc, Protocol::Http] {
        let outcome = bench.carry_out(&Order { protocol, traces: true, ..order(Some(100_000.0)) }).await.unwrap();
        assert_eq!(outcome.traces, Some(TraceCounts { seen: 100, torn: 0 }));
        assert_eq!(outcome.received_spans, [2_000, 0]);
    }
}

/// The other sink stands for the tap: it counts what is handed on to it.
#[tokio::test]
async fn what_a_sink_takes_its_tap_gets_too_and_a_copy_at_both_sinks_counts_as_torn() {
    let mut bench = Bench::start().await.unwrap();
    let [first, second] = bench.sinks.each_ref().map(|sink| sink.address);
    let spare = Sink::start(0, SharedTraces::default()).await.unwrap();
    let taps = Some([second, spare.address]);
    let order = Order { to: Some(first), comes_out: 2, traces: true, taps, ..order(Some(100_000.0)) };
    let outcome = bench.carry_out(&order).await.unwrap();
    assert_eq!(outcome.received_spans, [2_000, 2_000]);
    assert_eq!(outcome.traces, Some(TraceCounts { seen: 100, torn: 100 }));
    // What came to the second sink was handed on to its own tap in turn.
    assert_eq!((spare.spans(), outcome.tapped_requests), (2_000, 40));
    let after = bench.carry_out(&Order { taps: None, comes_out: 1, ..order }).await.unwrap();
    assert_eq!((after.received_spans, after.tapped_requests), ([2_000, 0], 0), "the copies end with their order");
}

#[tokio::test]
async fn a_port_where_nobody_listens_is_an_error() {
    let mut bench = Bench::start().await.unwrap();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for order in [Order { to: Some(free), ..order(None) }, Order { taps: Some([free; 2]), ..order(None) }] {
        let error = bench.carry_out(&order).await.unwrap_err();
        assert!(format!("{error:#}").contains("cannot connect"), "{error:#}");
    }
}

#[tokio::test]
async fn an_order_out_of_bounds_is_refused() {
    let mut bench = Bench::start().await.unwrap();
    let bad = [
        Order { spans_per_request: 0, ..order(None) },
        Order { secs: f64::NAN, ..order(None) },
        order(Some(0.0)),
        Order { comes_out: 3, ..order(None) },
    ];
    for order in bad {
        assert!(bench.carry_out(&order).await.is_err(), "{order:?}");
    }
}

#[test]
fn orders_are_read_as_xtask_writes_them() {
    let text = r#"{"to":null,"protocol":"http","spansPerRequest":100,"secs":1.5,"spansPerS":2.0,"comesOut":2,
        "traces":true,"taps":["127.0.0.1:1","127.0.0.1:2"]}"#;
    let order: Order = serde_json::from_str(text).unwrap();
    assert_eq!((order.protocol, order.comes_out, order.traces), (Protocol::Http, 2, true));
    assert!(serde_json::from_str::<Order>(r#"{"spanPerRequest":100}"#).is_err());
}

#[test]
fn quantiles_are_of_the_sorted_latencies() {
    let sent = Sent { latencies_us: (1..=100).map(|ms| ms * 1_000).collect(), ..Sent::default() };
    assert_eq!((sent.milliseconds(0.5), sent.milliseconds(0.99)), (51.0, 100.0));
    assert_eq!(Sent::default().milliseconds(0.5), 0.0);
}
