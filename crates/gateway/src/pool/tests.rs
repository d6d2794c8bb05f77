use super::*;
use crate::client::ClientLimits;
use model::{Protocol, Transport};

const PIN: Duration = Duration::from_secs(60);

/// Clients of ports where nobody listens: they are chosen among, and never used.
fn pool(before: Option<&Pool>, ports: &[u16]) -> Pool {
    let endpoints: Vec<String> = ports.iter().map(|port| format!("http://127.0.0.1:{port}")).collect();
    let make =
        |endpoint: &str| OtlpClient::new(endpoint, Protocol::Grpc, &Transport::default(), ClientLimits::default());
    Pool::new(before, endpoints.iter().map(String::as_str), make, (1 << 12, PIN)).expect("good endpoints")
}

/// The endpoint of each of these traces.
fn chosen(pool: &Pool, traces: std::ops::Range<u64>, at_s: u64) -> Vec<String> {
    let time = PinTime::new(at_s * 1_000_000, 60_000);
    let place = |trace: u64| pool.place(score_base(&TraceId(u128::from(trace).to_be_bytes())), time, pool.usable(), 0);
    let endpoint = |place| pool.endpoint(place).expect("a place that is taken").client.endpoint().to_owned();
    traces.map(|trace| endpoint(place(trace))).collect()
}

#[tokio::test]
async fn traces_spread_evenly_and_a_changed_set_moves_no_others() {
    let traces = 0..2_000;
    let three = chosen(&pool(None, &[1, 2, 3]), traces.clone(), 100);
    for port in 1..=3 {
        let share = three.iter().filter(|endpoint| endpoint.ends_with(&format!(":{port}"))).count();
        assert!((580..=750).contains(&share), "{port} has {share} of 2,000");
    }
    // In whatever order they are named, and whatever was before: all gateways choose alike.
    assert_eq!(chosen(&pool(Some(&pool(None, &[9, 3, 1])), &[2, 3, 1]), traces.clone(), 100), three);
    let four = chosen(&pool(None, &[1, 2, 3, 4]), traces.clone(), 100);
    let moved: Vec<&String> = three.iter().zip(&four).filter(|(one, other)| one != other).map(|(_, to)| to).collect();
    assert!(moved.iter().all(|to| to.ends_with(":4")) && (400..600).contains(&moved.len()), "{}", moved.len());
    let two = chosen(&pool(None, &[1, 3]), traces, 100);
    for (before, after) in three.iter().zip(&two) {
        assert!(before == after || before.ends_with(":2"), "{before} to {after}");
    }
}

#[tokio::test]
async fn traces_in_flight_stay_when_the_set_changes() {
    let before = pool(None, &[1, 2, 3]);
    let began = chosen(&before, 0..300, 100);
    let after = pool(Some(&before), &[1, 3, 4]);
    assert!(after.is_of(["http://127.0.0.1:3", "http://127.0.0.1:4", "http://127.0.0.1:1"]));
    assert_eq!(after.states().len(), 3);
    // The new ones go by the new set alone, and what is no longer in flight as well.
    let fresh = pool(None, &[1, 3, 4]);
    assert_eq!(chosen(&after, 300..600, 110), chosen(&fresh, 300..600, 110));
    assert_eq!(chosen(&after, 0..300, 200), chosen(&fresh, 0..300, 200));
    // Where an endpoint is down none is better than another, so a pin holds while its endpoint is the best that there is.
    let kept = chosen(&pool(Some(&before), &[1, 2, 3]), 0..300, 110);
    assert_eq!(kept, began);
}

#[tokio::test]
async fn one_endpoint_needs_no_pins_and_no_scan() {
    let pool = pool(None, &[7]);
    assert!(pool.pins.is_none());
    let broken = Bytes::from_static(b"\xff");
    let export = Export {
        signal: Signal::Traces,
        message: broken.clone(),
        packed: None,
        time: PinTime::new(0, 1),
        patience: PIN,
    };
    assert_eq!(pool.split(&export, 0), [(0, broken)]);
}
