use super::trace::TraceSeed;
use super::*;
use crate::demo::backend::Backend;
use crate::demo::server::{Server, refused};
use bytes::Bytes;
use opentelemetry_proto::tonic::trace::v1::Span;
use otlp::reply::{Status, code};
use std::collections::{BTreeMap, BTreeSet};

const START_US: u64 = 1_700_000_000_000_000;

fn traces(seed: u64, count: u64, error_share: f64) -> impl Iterator<Item = Vec<ShopSpan>> {
    (0..count).map(move |number| TraceSeed { seed, number }.trace(START_US, error_share))
}

fn failed(span: &Span) -> bool {
    span.status.as_ref().is_some_and(|status| status.code == 2)
}

#[test]
fn the_same_seed_makes_the_same_traces() {
    let one: Vec<_> = traces(7, 200, 0.1).collect();
    assert_eq!(one, traces(7, 200, 0.1).collect::<Vec<_>>());
    let ids = |traces: Vec<Vec<ShopSpan>>| -> BTreeSet<Vec<u8>> {
        traces.into_iter().map(|trace| trace[0].span.trace_id.clone()).collect()
    };
    let (one, other) = (ids(one), ids(traces(8, 200, 0.1).collect()));
    assert_eq!((one.len(), other.len(), one.intersection(&other).count()), (200, 200, 0));
}

#[test]
fn every_trace_is_a_tree_of_5_to_25_spans_that_nest_in_time() {
    let mut sizes = BTreeSet::new();
    for trace in traces(1, 3_000, 0.1) {
        sizes.insert(trace.len());
        let by_id: BTreeMap<&[u8], &ShopSpan> = trace.iter().map(|span| (&*span.span.span_id, span)).collect();
        assert_eq!(by_id.len(), trace.len(), "span ids are distinct");
        assert_eq!(trace.iter().filter(|span| span.span.parent_span_id.is_empty()).count(), 1, "one root");
        for ShopSpan { service, span } in &trace {
            assert_eq!(span.trace_id, trace[0].span.trace_id);
            assert!(span.start_time_unix_nano < span.end_time_unix_nano);
            assert!(span.end_time_unix_nano / 1_000 - START_US < 2_000_000, "at most two seconds");
            if span.parent_span_id.is_empty() {
                continue;
            }
            let parent = by_id.get(&*span.parent_span_id).expect("the parent is in the trace");
            assert!(parent.span.start_time_unix_nano <= span.start_time_unix_nano);
            assert!(parent.span.end_time_unix_nano >= span.end_time_unix_nano);
            assert_eq!(span.flags & 0x200 != 0, parent.service != *service, "remote parents are flagged");
            // A SERVER span answers a CLIENT span of the same method.
            assert!(span.kind != 2 || (parent.span.kind == 3 && parent.span.name == span.name));
        }
    }
    assert_eq!((sizes.first(), sizes.last()), (Some(&5), Some(&25)));
}

#[test]
fn spans_have_about_ten_attributes_with_distinct_keys() {
    for ShopSpan { span, .. } in traces(2, 500, 0.1).flatten() {
        let keys: BTreeSet<&str> = span.attributes.iter().map(|attribute| &*attribute.key).collect();
        assert_eq!(keys.len(), span.attributes.len());
        assert!((9..=12).contains(&keys.len()), "{} has {}", span.name, keys.len());
    }
}

#[test]
fn two_hundred_traces_see_all_services_and_several_operations_of_each() {
    let mut operations: BTreeMap<Service, BTreeSet<(i32, String)>> = BTreeMap::new();
    for ShopSpan { service, span } in traces(3, 200, 0.0).flatten() {
        operations.entry(service).or_default().insert((span.kind, span.name));
    }
    assert_eq!(operations.keys().copied().collect::<Vec<_>>(), Service::ALL);
    let few: Vec<_> = operations.iter().filter(|(_, names)| names.len() < 2).collect();
    assert_eq!(few, []);
}

#[test]
fn errors_come_in_the_share_asked_for_and_reach_the_callers_that_need_the_answer() {
    let with_error =
        |share, count| traces(4, count, share).filter(|trace| trace.iter().any(|span| failed(&span.span))).count();
    assert_eq!(with_error(0.0, 2_000), 0);
    assert_eq!(with_error(1.0, 2_000), 2_000);
    // 100 expected of 20,000; five standard deviations are 50.
    assert!((50..=150).contains(&with_error(DEFAULT_ERROR_SHARE, 20_000)));
    let (mut pages, mut survived) = (0, 0);
    for trace in traces(5, 2_000, 1.0) {
        let by_id: BTreeMap<&[u8], &Span> = trace.iter().map(|span| (&*span.span.span_id, &span.span)).collect();
        for ShopSpan { span, .. } in trace.iter().filter(|span| failed(&span.span) && span.span.kind == 2) {
            if let Some(caller) = by_id.get(&*span.parent_span_id) {
                assert!(failed(caller), "the client of a call that failed saw it fail");
            }
            assert_eq!(span.events.len(), 1);
        }
        match failed(&trace[0].span) {
            true => pages += 1,
            false => survived += 1,
        }
    }
    assert!(pages > 1_000 && survived > 200, "{pages} pages failed, {survived} did without");
}

fn shop(endpoint: SocketAddr, traces_per_s: f64) -> Shop {
    let clock: Clock = Arc::new(|| START_US);
    Shop::start(ShopConfig { endpoint, seed: 11, traces_per_s, error_share: 0.0, clock })
}

/// Waits for the shop to come so far. Only a bound on how long a broken test takes, never what is tested.
async fn until(shop: &Shop, so_far: impl FnMut(&ShopStats) -> bool) {
    let mut stats = shop.watch();
    let waited = timeout(Duration::from_secs(60), stats.wait_for(so_far)).await;
    waited.expect("the shop goes on").expect("the shop is open");
}

/// Opens a shop before a server that answers like this, closes it after `spans` spans, and checks that it tells the
/// truth.
async fn check(
    answer: impl Fn(&Bytes) -> Result<(), Status> + Send + Sync + 'static,
    spans: u64,
    expect: impl FnOnce(ShopStats, Vec<(Bytes, bool)>),
) {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = seen.clone();
    let server = Server::start(move |_, message| {
        let answer = answer(&message);
        log.lock().unwrap().push((message, answer.is_ok()));
        answer
    });
    let server = server.await.unwrap();
    let shop = shop(server.address(), 400.0);
    until(&shop, |stats| stats.spans_ended >= spans).await;
    let (stats, acknowledged) = shop.stop().await;
    assert_eq!(stats.spans_ended, stats.spans_acknowledged + stats.spans_given_up);
    assert_eq!(acknowledged.len(), stats.spans_acknowledged);
    expect(stats, std::mem::take(&mut *seen.lock().unwrap()));
}

#[tokio::test]
async fn every_span_arrives_once_in_requests_of_its_own_service() {
    let backend = Backend::start().await.unwrap();
    let shop = shop(backend.address(), 400.0);
    until(&shop, |stats| stats.spans_acknowledged >= 2_000).await;
    let (stats, acknowledged) = shop.stop().await;
    assert_eq!((stats.spans_acknowledged, stats.spans_given_up), (stats.spans_ended, 0));
    assert_eq!(stats.spans_sent, stats.spans_ended);
    let delivered = backend.stats();
    assert_eq!((delivered.spans, delivered.distinct), (stats.spans_ended, stats.spans_ended));
    assert_eq!((delivered.traces, delivered.requests), (stats.traces_started, stats.requests_acknowledged));
    assert_eq!(Backend::delivered_of(&acknowledged, &[&backend]), stats.spans_ended);
    assert!(delivered.requests >= Service::ALL.len() as u64, "{delivered:?}");
}

#[tokio::test]
async fn what_is_refused_for_now_is_sent_again_with_the_same_bytes() {
    let tries: Mutex<BTreeMap<Bytes, u32>> = Mutex::default();
    // Every request twice: once with a time to come back at, once without.
    let answer = move |message: &Bytes| {
        let mut tries = tries.lock().unwrap();
        let tried = tries.entry(message.clone()).or_default();
        *tried += 1;
        match tried {
            1 => Err(Status { retry_after_ms: Some(5), ..refused(code::RESOURCE_EXHAUSTED, "soon") }),
            2 => Err(refused(code::UNAVAILABLE, "not now")),
            _ => Ok(()),
        }
    };
    check(answer, 1_000, |stats, seen| {
        assert_eq!((stats.spans_given_up, stats.spans_acknowledged), (0, stats.spans_ended));
        let mut tries: BTreeMap<&[u8], Vec<bool>> = BTreeMap::new();
        seen.iter().for_each(|(message, taken)| tries.entry(message).or_default().push(*taken));
        assert!(tries.values().all(|tries| *tries == [false, false, true]), "each request came three times, unchanged");
        assert_eq!(tries.len() as u64, stats.requests_acknowledged);
    })
    .await;
}

#[tokio::test]
async fn what_is_refused_for_good_is_given_up_at_once() {
    for code in [code::INVALID_ARGUMENT, code::RESOURCE_EXHAUSTED, code::PERMISSION_DENIED] {
        check(
            move |_| Err(refused(code, "never")),
            200,
            |stats, seen| {
                assert_eq!((stats.spans_acknowledged, stats.spans_given_up), (0, stats.spans_ended));
                let distinct: BTreeSet<&[u8]> = seen.iter().map(|(message, _)| &**message).collect();
                assert_eq!(distinct.len(), seen.len(), "nothing was sent twice");
            },
        )
        .await;
    }
}

#[tokio::test]
async fn a_shop_that_nobody_listens_to_drops_what_its_queues_cannot_hold() {
    let server = Server::start(|_, _| Ok(())).await.unwrap();
    server.kill().await;
    let shop = shop(server.address(), 20_000.0);
    until(&shop, |stats| stats.spans_given_up > 0).await;
    let stats = shop.stats();
    assert_eq!(stats.spans_acknowledged, 0);
    assert!(stats.spans_ended > stats.spans_given_up, "the rest still waits in queues of bounded length");
}

#[test]
#[should_panic(expected = "expected a rate above 0")]
fn a_rate_of_nothing_is_a_mistake_of_the_caller() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let _entered = runtime.enter();
    shop(SocketAddr::from(([127, 0, 0, 1], 1)), 0.0);
}
