use super::*;

/// Hardly any load, so that a test takes no time. What is asserted are counts, never times: a request of a rate is sent
/// when it is due or later, and one without a rate perhaps not at all.
fn order(to: Option<SocketAddr>, spans_per_s: Option<f64>) -> Order {
    Order { to, spans_per_request: 100, secs: 0.02, spans_per_s, discarded: false }
}

#[tokio::test]
async fn what_is_acknowledged_came_out() {
    let mut bench = Bench::start().await.unwrap();
    for rate in [None, Some(50_000.0)] {
        let outcome = bench.carry_out(&order(None, rate)).await.unwrap();
        assert_eq!(outcome.received_spans, [outcome.acknowledged_spans, 0]);
        assert_eq!((outcome.refused_requests, outcome.malformed_requests), (0, 0));
    }
}

#[tokio::test]
async fn a_rate_is_kept() {
    let mut bench = Bench::start().await.unwrap();
    // 20 ms of 100,000 spans a second, however long the requests take: they are due, so they are sent.
    let outcome = bench.carry_out(&order(None, Some(100_000.0))).await.unwrap();
    assert_eq!(outcome.acknowledged_spans, 2_000);
}

#[tokio::test]
async fn a_port_where_nobody_listens_is_an_error() {
    let mut bench = Bench::start().await.unwrap();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error = bench.carry_out(&order(Some(free), None)).await.unwrap_err();
    assert!(format!("{error:#}").contains("cannot connect"), "{error:#}");
}

#[tokio::test]
async fn an_order_out_of_bounds_is_refused() {
    let mut bench = Bench::start().await.unwrap();
    for (spans_per_request, secs, spans_per_s) in [(0, 1.0, None), (100, f64::NAN, None), (100, 1.0, Some(0.0))] {
        let order = Order { to: None, spans_per_request, secs, spans_per_s, discarded: false };
        assert!(bench.carry_out(&order).await.is_err(), "{order:?}");
    }
}

#[test]
fn quantiles_are_of_the_sorted_latencies() {
    let sent = Sent { latencies_us: (1..=100).map(|ms| ms * 1_000).collect(), ..Sent::default() };
    assert_eq!((milliseconds(&sent, 0.5), milliseconds(&sent, 0.99)), (51.0, 100.0));
    assert_eq!(milliseconds(&Sent::default(), 0.5), 0.0);
}
