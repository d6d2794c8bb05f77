use super::*;
use crate::demo::fault::{Refusal, service_name};
use crate::demo::shop::request;
use crate::demo::shop::topology::Service;
use crate::demo::shop::trace::TraceSeed;
use opentelemetry_proto::tonic::common::v1::{AnyValue, any_value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::Span;
use std::collections::BTreeMap;

const NOW_US: u64 = 1_700_000_000_000_000;
/// Longer than any test: a batch goes out when it is full, or when the pipeline stops.
const NEVER_MS: u64 = 600_000;

type Received = Arc<Mutex<Vec<ExportTraceServiceRequest>>>;

/// A destination that keeps what it took, after having refused the first requests.
async fn destination(refuse_first: usize) -> (Server, Received) {
    let received = Received::default();
    let (log, refusals) = (received.clone(), Mutex::new(refuse_first));
    let server = Server::start(move |_, message| {
        let mut left = refusals.lock().unwrap();
        if *left > 0 {
            *left -= 1;
            return Err(Status { retry_after_ms: Some(1), ..refused(code::UNAVAILABLE, "not yet") });
        }
        log.lock().unwrap().push(ExportTraceServiceRequest::decode(message).unwrap());
        Ok(())
    });
    (server.await.unwrap(), received)
}

fn config(fault: Fault, backend: Option<&Server>, tap: &Server, batch_ms: u64) -> PipelineConfig {
    PipelineConfig {
        backend: backend.map(|server| format!("http://{}", server.address())),
        tap: format!("http://{}", tap.address()),
        fault,
        batch_ms,
        clock: Arc::new(|| NOW_US),
        seed: 5,
    }
}

/// Some traces as the shop's services send them: each service its own spans, in two requests.
fn shop_requests() -> Vec<ExportTraceServiceRequest> {
    let mut by_service: BTreeMap<Service, Vec<Span>> = BTreeMap::new();
    for number in 0..60 {
        for span in (TraceSeed { seed: 3, number }).trace(NOW_US, 0.1) {
            by_service.entry(span.service).or_default().push(span.span);
        }
    }
    let halves = by_service.into_iter().flat_map(|(service, mut spans)| {
        let second = spans.split_off(spans.len() / 2);
        [request(service, 3, spans), request(service, 3, second)]
    });
    halves.collect()
}

/// Spans with their resources, in an order that does not depend on batches.
fn flat(requests: &[ExportTraceServiceRequest]) -> Vec<(Option<Resource>, Span)> {
    let resources = requests.iter().flat_map(|request| &request.resource_spans);
    let mut flat: Vec<_> =
        resources.flat_map(|resource| spans(resource).map(|span| (resource.resource.clone(), span.clone()))).collect();
    flat.sort_by(|a, b| a.1.span_id.cmp(&b.1.span_id));
    flat
}

/// The spans of one service changed by hand; `None` takes a span out.
fn expected(
    sent: &[ExportTraceServiceRequest],
    service: &str,
    change: impl Fn(Span) -> Option<Span>,
) -> Vec<(Option<Resource>, Span)> {
    let mut expected = Vec::new();
    for resource in sent.iter().flat_map(|request| &request.resource_spans) {
        for span in spans(resource).cloned() {
            let concerned = service_name(resource) == Some(service);
            let span = if concerned { change(span) } else { Some(span) };
            expected.extend(span.map(|span| (resource.resource.clone(), span)));
        }
    }
    expected.sort_by(|a, b| a.1.span_id.cmp(&b.1.span_id));
    expected
}

struct Run {
    sent: Vec<ExportTraceServiceRequest>,
    refused: usize,
    out: Vec<(Option<Resource>, Span)>,
    stats: PipelineStats,
}

/// Sends the shop's requests through a pipeline with this fault and stops it. Back end and tap must have got the same.
async fn run(fault: Fault) -> Run {
    let ((backend, delivered), (tap, tapped)) = (destination(0).await, destination(0).await);
    let pipeline = Pipeline::start(config(fault, Some(&backend), &tap, NEVER_MS)).await.unwrap();
    let client = OtlpClient::new(&pipeline.endpoint()).unwrap();
    let (sent, mut refused) = (shop_requests(), 0);
    for request in &sent {
        if client.export(Signal::Traces, &Framed::new(&request.encode_to_vec())).await.is_err() {
            refused += 1;
        }
    }
    let stats = pipeline.stop().await;
    let out = flat(&delivered.lock().unwrap());
    assert_eq!(out, flat(&tapped.lock().unwrap()), "the tap sees what the back end sees");
    assert_eq!((stats.spans_delivered, stats.spans_tapped), (out.len() as u64, out.len() as u64));
    assert_eq!(stats.spans_taken, out.len() as u64 + stats.damage.dropped, "nothing else went missing");
    assert_eq!((stats.requests_refused, stats.requests_taken), (refused as u64, (sent.len() - refused) as u64));
    Run { sent, refused, out, stats }
}

#[tokio::test]
async fn a_healthy_pipeline_changes_nothing() {
    for fault in [Fault::None, Fault::Crash, Fault::Slow { ms: 1 }] {
        let slow = fault != Fault::None && fault != Fault::Crash;
        let run = run(fault).await;
        assert_eq!(run.out, flat(&run.sent));
        assert_eq!((run.stats.damage, run.refused), (Damage::default(), 0));
        assert_eq!(run.stats.first_fault_us, slow.then_some(NOW_US));
        assert_eq!(run.stats.batches_delayed > 0, slow);
    }
}

#[tokio::test]
async fn a_blind_spot_hides_one_service_and_nothing_else() {
    let run = run(Fault::BlindSpot { service: "payment".into() }).await;
    assert_eq!(run.out, expected(&run.sent, "payment", |_| None));
    let hidden = flat(&run.sent).len() - run.out.len();
    assert!(hidden > 0);
    assert_eq!(run.stats.damage, Damage { dropped: hidden as u64, ..Damage::default() });
    assert_eq!(run.stats.first_fault_us, Some(NOW_US));
}

#[tokio::test]
async fn span_loss_takes_the_share_asked_for_and_leaves_the_rest_as_it_is() {
    let run = run(Fault::SpanLoss { share: 0.25 }).await;
    let sent = flat(&run.sent);
    let kept: Vec<_> = sent.iter().filter(|span| run.out.contains(span)).cloned().collect();
    assert_eq!(run.out, kept);
    let (sent, lost) = (sent.len() as f64, (sent.len() - kept.len()) as f64);
    // Five standard deviations of the binomial distribution.
    assert!((lost - 0.25 * sent).abs() < 5.0 * (sent * 0.25 * 0.75).sqrt(), "{lost} of {sent}");
    assert_eq!(run.stats.damage, Damage { dropped: lost as u64, ..Damage::default() });
}

#[tokio::test]
async fn an_attribute_drop_takes_one_key_off_one_service() {
    let run = run(Fault::AttributeDrop { service: "catalogue".into(), key: "db.system.name".into() }).await;
    let without = |mut span: Span| {
        span.attributes.retain(|attribute| attribute.key != "db.system.name");
        Some(span)
    };
    assert_eq!(run.out, expected(&run.sent, "catalogue", without));
    let attributes =
        |spans: &[(Option<Resource>, Span)]| spans.iter().map(|span| span.1.attributes.len()).sum::<usize>();
    let removed = attributes(&flat(&run.sent)) - attributes(&run.out);
    assert!(removed > 0);
    assert_eq!(run.stats.damage, Damage { attributes_removed: removed as u64, ..Damage::default() });
}

#[tokio::test]
async fn a_mask_writes_over_one_key_of_one_service() {
    let run = run(Fault::Mask { service: "catalogue".into(), key: "db.system.name".into() }).await;
    let mask = |mut span: Span| {
        for attribute in span.attributes.iter_mut().filter(|attribute| attribute.key == "db.system.name") {
            let value = Some(any_value::Value::StringValue("***".to_owned()));
            attribute.value = Some(AnyValue { value });
        }
        Some(span)
    };
    let out = expected(&run.sent, "catalogue", mask);
    assert_eq!(run.out, out);
    let masked = flat(&run.sent).iter().zip(&out).filter(|(sent, out)| sent != out).count() as u64;
    assert!(masked > 0);
    assert_eq!(run.stats.damage, Damage { masked, ..Damage::default() });
}

#[tokio::test]
async fn reparented_spans_hang_on_their_grandparents() {
    let run = run(Fault::Reparent { service: "catalogue".into() }).await;
    let sent = flat(&run.sent);
    let parents: BTreeMap<_, _> =
        sent.iter().map(|(_, span)| (span.span_id.clone(), span.parent_span_id.clone())).collect();
    let moved = |mut span: Span| {
        if let Some(grandparent) = parents.get(&span.parent_span_id).filter(|parent| !parent.is_empty()) {
            span.parent_span_id.clone_from(grandparent);
        }
        Some(span)
    };
    let expected = expected(&run.sent, "catalogue", moved);
    let reparented = sent.iter().zip(&expected).filter(|(before, after)| before != after).count();
    assert!(reparented > 0);
    assert_eq!(run.out, expected);
    assert_eq!(run.stats.damage, Damage { reparented: reparented as u64, ..Damage::default() });
}

#[tokio::test]
async fn a_pipeline_that_refuses_refuses_the_share_asked_for() {
    let everything = run(Fault::Errors { share: 1.0, refusal: Refusal::InvalidArgument }).await;
    assert_eq!((everything.refused, everything.out.len()), (everything.sent.len(), 0));
    assert_eq!(everything.stats.first_fault_us, Some(NOW_US));
    let half = run(Fault::Errors { share: 0.5, refusal: Refusal::Unavailable }).await;
    assert!(half.refused > 0 && half.refused < half.sent.len());
    assert_eq!(half.out.len() as u64, half.stats.spans_taken);
}

#[tokio::test]
async fn temporary_refusals_lose_nothing_on_either_side() {
    let ((backend, delivered), (tap, tapped)) = (destination(2).await, destination(1).await);
    let fault = Fault::Errors { share: 0.3, refusal: Refusal::Unavailable };
    let pipeline = Pipeline::start(config(fault, Some(&backend), &tap, NEVER_MS)).await.unwrap();
    let client = OtlpClient::new(&pipeline.endpoint()).unwrap();
    let sent = shop_requests();
    for request in &sent {
        let request = Framed::new(&request.encode_to_vec());
        deliver(&client, Signal::Traces, &request, &mut SplitMix64::new(1)).await.unwrap();
    }
    let stats = pipeline.stop().await;
    assert!(stats.requests_refused > 0);
    assert_eq!((stats.spans_given_up, stats.spans_untapped), (0, 0));
    assert_eq!(flat(&delivered.lock().unwrap()), flat(&sent));
    assert_eq!(flat(&tapped.lock().unwrap()), flat(&sent));
}

#[tokio::test]
async fn a_tap_in_line_is_the_only_way_out() {
    let (tap, tapped) = destination(1).await;
    let pipeline = Pipeline::start(config(Fault::None, None, &tap, 1)).await.unwrap();
    let client = OtlpClient::new(&pipeline.endpoint()).unwrap();
    let sent = shop_requests();
    for request in &sent {
        client.export(Signal::Traces, &Framed::new(&request.encode_to_vec())).await.unwrap();
    }
    // A batch goes out when it has waited long enough, without a stop.
    let all = flat(&sent).len() as u64;
    let mut stats = pipeline.watch();
    let waited = timeout(Duration::from_secs(60), stats.wait_for(|stats| stats.spans_tapped == all)).await;
    assert_eq!(waited.unwrap().unwrap().spans_delivered, 0);
    assert_eq!(flat(&tapped.lock().unwrap()), flat(&sent));
}

#[tokio::test]
async fn a_killed_pipeline_is_gone_with_what_it_had_acknowledged() {
    let ((backend, delivered), (tap, tapped)) = (destination(0).await, destination(0).await);
    let pipeline = Pipeline::start(config(Fault::Crash, Some(&backend), &tap, NEVER_MS)).await.unwrap();
    let client = OtlpClient::new(&pipeline.endpoint()).unwrap();
    let request = Framed::new(&shop_requests()[0].encode_to_vec());
    client.export(Signal::Traces, &request).await.unwrap();
    assert!(pipeline.stats().spans_taken > 0);
    assert_eq!(pipeline.stats().first_fault_us, None);
    pipeline.kill().await;
    assert_eq!(pipeline.stats().first_fault_us, Some(NOW_US));
    assert!(client.export(Signal::Traces, &request).await.is_err());
    assert!(tokio::net::TcpStream::connect(pipeline.address()).await.is_err(), "nobody listens any more");
    assert_eq!(pipeline.stop().await.spans_delivered, 0);
    assert!(delivered.lock().unwrap().is_empty() && tapped.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_full_queue_refuses_for_now_and_metrics_and_logs_pass_through() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = seen.clone();
    let open = Arc::new(Mutex::new(false));
    let gate = open.clone();
    let backend = Server::start(move |signal, message| match *gate.lock().unwrap() {
        true => {
            log.lock().unwrap().push((signal, message.len()));
            Ok(())
        }
        false => Err(refused(code::UNAVAILABLE, "not yet")),
    });
    let backend = backend.await.unwrap();
    let (tap, tapped) = destination(0).await;
    let pipeline = Pipeline::start(config(Fault::None, Some(&backend), &tap, NEVER_MS)).await.unwrap();
    let client = OtlpClient::new(&pipeline.endpoint()).unwrap();
    let third = Framed::new(&vec![0; QUEUE_BYTES / 3 + 1]);
    client.export(Signal::Logs, &third).await.unwrap();
    client.export(Signal::Metrics, &third).await.unwrap();
    let full = client.export(Signal::Logs, &third).await.unwrap_err();
    assert!(matches!(&full, crate::demo::client::ExportError::Refused(status) if status.code == code::UNAVAILABLE));
    *open.lock().unwrap() = true;
    pipeline.stop().await;
    let mut seen = seen.lock().unwrap().clone();
    seen.sort();
    assert_eq!(seen, [(Signal::Metrics, QUEUE_BYTES / 3 + 1), (Signal::Logs, QUEUE_BYTES / 3 + 1)]);
    assert!(tapped.lock().unwrap().is_empty(), "the tap is for traces");
}

#[test]
fn a_batch_keeps_the_places_of_all_its_requests() {
    let places = Arc::new(Semaphore::new(10));
    let mut batch = Batch::default();
    for bytes in [3, 4] {
        let place = places.clone().try_acquire_many_owned(bytes).unwrap();
        batch.add(ExportTraceServiceRequest::default(), bytes as usize, place);
    }
    assert_eq!((batch.bytes, places.available_permits()), (7, 3));
    drop(batch);
    assert_eq!(places.available_permits(), 10);
}

#[tokio::test]
async fn what_is_no_otlp_is_refused_for_good() {
    let (tap, _) = destination(0).await;
    let pipeline = Pipeline::start(config(Fault::None, None, &tap, NEVER_MS)).await.unwrap();
    let client = OtlpClient::new(&pipeline.endpoint()).unwrap();
    let error = client.export(Signal::Traces, &Framed::new(&[0x0a, 0x7f, 1])).await.unwrap_err();
    assert!(
        matches!(&error, crate::demo::client::ExportError::Refused(status) if status.code == code::INVALID_ARGUMENT)
    );
    assert_eq!(pipeline.stats().requests_refused, 1);
}

#[test]
fn every_fault_has_a_name_and_every_name_a_fault() {
    let faults: Vec<_> = Fault::NAMES.iter().map(|name| Fault::by_name(name)).collect();
    assert!(faults.iter().all(Option::is_some));
    assert!((1..faults.len()).all(|at| !faults[..at].contains(&faults[at])));
    assert_eq!(Fault::by_name("typo"), None);
}
