//! One service's exporter: batches its spans and sends them, as an SDK's batch processor does.

use super::Tally;
use super::attributes::resource;
use super::topology::Service;
use super::trace::ShopSpan;
use crate::demo::client::{Framed, OtlpClient};
use crate::demo::delivery::deliver;
use crate::demo::keys::SpanKey;
use crate::demo::random::SplitMix64;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use otlp::Signal;
use prost::Message;
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::sleep;

/// The batch size of the SDKs.
const BATCH_SPANS: usize = 512;
/// SDKs wait 1 to 5 s by default; for the demo, services that flush quickly.
const BATCH_WITHIN: Duration = Duration::from_millis(200);
/// Spans that wait, per service: four times the SDKs' 2,048, for each of the shop's services stands for a few
/// instances. At 1.6 KB for a span in memory these are 13 MB a service, 144 MB for all eleven if all are full.
const QUEUE_SPANS: usize = 8_192;
/// Requests in flight, per service (one for each instance): 8 of 512 spans of 417 bytes are 1.7 MB.
const EXPORTS_AT_ONCE: usize = 8;

pub(super) struct Exporter {
    service: Service,
    client: Arc<OtlpClient>,
    seed: u64,
    tally: Tally,
    queue: mpsc::Receiver<ShopSpan>,
}

impl Exporter {
    /// The exporter of a service, and where it takes its spans. It ends when that is dropped and all is sent.
    pub(super) fn new(
        service: Service,
        client: OtlpClient,
        seed: u64,
        tally: Tally,
    ) -> (mpsc::Sender<ShopSpan>, Exporter) {
        let (sender, queue) = mpsc::channel(QUEUE_SPANS);
        (sender, Exporter { service, client: Arc::new(client), seed, tally, queue })
    }

    pub(super) async fn run(mut self) {
        let mut exports = JoinSet::new();
        let mut number = 0;
        loop {
            let (spans, open) = self.fill().await;
            while exports.len() >= EXPORTS_AT_ONCE {
                exports.join_next().await;
            }
            if !spans.is_empty() {
                exports.spawn(self.export(spans, number));
                number += 1;
            }
            if !open {
                break;
            }
        }
        while exports.join_next().await.is_some() {}
    }

    /// Waits for the first span, and then until the batch is full or has waited long enough. False once the shop
    /// closed.
    async fn fill(&mut self) -> (Vec<ShopSpan>, bool) {
        let mut batch = Vec::new();
        match self.queue.recv().await {
            Some(first) => batch.push(first),
            None => return (batch, false),
        }
        let due = sleep(BATCH_WITHIN);
        tokio::pin!(due);
        while batch.len() < BATCH_SPANS {
            tokio::select! {
                next = self.queue.recv() => match next {
                    Some(span) => batch.push(span),
                    None => return (batch, false),
                },
                () = &mut due => break,
            }
        }
        (batch, true)
    }

    fn export(&self, batch: Vec<ShopSpan>, number: u64) -> impl Future<Output = ()> + use<> {
        let keys: Vec<SpanKey> = batch.iter().map(|span| SpanKey::of(&span.span)).collect();
        let spans = batch.into_iter().map(|span| span.span).collect();
        let request = Framed::new(&request(self.service, self.seed, spans).encode_to_vec());
        let (client, tally) = (self.client.clone(), self.tally.clone());
        let mut jitter = SplitMix64::nth(self.seed ^ self.service.index() as u64, number);
        async move {
            let spans = keys.len() as u64;
            tally.count(|stats| stats.spans_sent += spans);
            match deliver(&client, Signal::Traces, &request, &mut jitter).await {
                Ok(()) => {
                    let mut acknowledged = tally.acknowledged.lock().unwrap_or_else(PoisonError::into_inner);
                    for key in keys {
                        acknowledged.insert(key);
                    }
                    drop(acknowledged);
                    tally.count(|stats| {
                        stats.spans_acknowledged += spans;
                        stats.requests_acknowledged += 1;
                    });
                }
                Err(_) => tally.count(|stats| stats.spans_given_up += spans),
            }
        }
    }
}

/// The request in which a service sends these spans of its own.
pub fn request(service: Service, seed: u64, spans: Vec<Span>) -> ExportTraceServiceRequest {
    const SCHEMA_URL: &str = "https://opentelemetry.io/schemas/1.36.0";
    let scope = InstrumentationScope {
        name: format!("io.opentelemetry.{}", service.name()),
        version: "2.18.1".into(),
        ..Default::default()
    };
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(resource(service, seed)),
            scope_spans: vec![ScopeSpans { scope: Some(scope), spans, schema_url: SCHEMA_URL.into() }],
            schema_url: SCHEMA_URL.into(),
        }],
    }
}
