//! Who plays: two pipelines, two back ends, a shop, and the plan that moves from one to the other.

use crate::cli::{self, Demo};
use crate::clock;
use crate::demo::backend::Backend;
use crate::demo::fault::{Fault, Refusal};
use crate::demo::pipeline::{Pipeline, PipelineConfig};
use crate::demo::shop::{DEFAULT_ERROR_SHARE, Shop, ShopConfig};
use anyhow::Context;
use gateway::Addresses;
use std::net::SocketAddr;
use std::sync::Arc;

/// A batch of a pipeline waits so long, as the Collector's does by default.
const BATCH_MS: u64 = 200;

/// The pipelines and their back ends.
pub(super) struct Cast {
    pub(super) blue: Pipeline,
    pub(super) green: Pipeline,
    pub(super) blue_backend: Backend,
    pub(super) green_backend: Backend,
    pub(super) fault_words: &'static str,
    rate: f64,
}

impl Cast {
    pub(super) async fn start(command: &Demo, addresses: &Addresses) -> anyhow::Result<Cast> {
        let (fault, fault_words) = fault(command.fault);
        let tap = |name: &str| {
            let tap = addresses.taps.get(name).with_context(|| format!("the tap {name}"))?;
            anyhow::Ok(format!("http://{}", tap.grpc))
        };
        let (blue_backend, green_backend) = (Backend::start().await?, Backend::start().await?);
        let config = |backend: &Backend, tap: String, fault: Fault| PipelineConfig {
            backend: Some(backend.endpoint()),
            tap,
            fault,
            batch_ms: BATCH_MS,
            clock: Arc::new(clock::now_us),
            seed: command.seed,
        };
        let blue = Pipeline::start(config(&blue_backend, tap("blue")?, Fault::None)).await?;
        let green = Pipeline::start(config(&green_backend, tap("green")?, fault)).await?;
        Ok(Cast { blue, green, blue_backend, green_backend, fault_words, rate: command.rate })
    }

    pub(super) fn open_shop(&self, command: &Demo, endpoint: SocketAddr) -> Shop {
        Shop::start(ShopConfig {
            endpoint,
            seed: command.seed,
            traces_per_s: command.rate,
            error_share: DEFAULT_ERROR_SHARE,
            clock: Arc::new(clock::now_us),
        })
    }

    /// Lets the pipelines put out what they hold.
    pub(super) async fn drain(&self) {
        self.blue.stop().await;
        self.green.stop().await;
        self.blue_backend.stop().await;
        self.green_backend.stop().await;
    }

    /// Short steps and wide margins, so that a minute of little traffic can prove them.
    pub(super) fn plan(&self) -> String {
        let (blue, green, rate) = (self.blue.endpoint(), self.green.endpoint(), self.rate);
        format!(
            r#"apiVersion: verdigris.dev/v1alpha1
kind: Rollout
metadata:
  name: demo
  reason: Show a whole rollout on one machine
spec:
  subject: pipeline
  environments:
    blue: {{ version: "1.0.0", otlp: {{ grpc: "{blue}" }} }}
    green: {{ version: "1.1.0", otlp: {{ grpc: "{green}" }} }}
  strategy:
    steps:
      - gate: probe
      - mirror: {{ for: 8s }}
      - setWeight: 10%
      - analysis: {{ until: conclusive, atMost: 30s }}
      - setWeight: 50%
      - analysis: {{ until: conclusive, atMost: 20s }}
      - setWeight: 100%
      - bake: {{ for: 8s }}
  guards:
    spanLoss: {{ atMost: 1% }}
    errorRate: {{ worseThanActiveBy: 3% }}
    latency: {{ quantile: 0.9, worseThanActiveBy: 100% }}
    blindSpots: {{ atMost: 0 }}
    findings: {{ worseThanActiveBy: 1% }}
  analysis: {{ falseAlarm: 0.001, falsePromotion: 0.05, onInconclusive: hold, batch: 1s }}
  verification: {{ horizon: 2s, linger: 1s }}
  canary: {{ every: 5s }}
  traffic: {{ expected: {rate}/s, errors: 0.5% }}
  pin: 5s
"#
        )
    }
}

/// What `--fault` does to green.
fn fault(fault: cli::Fault) -> (Fault, &'static str) {
    match fault {
        cli::Fault::None => (Fault::None, "none"),
        cli::Fault::BlindSpot => {
            (Fault::BlindSpot { service: "payment".to_owned() }, "green drops every span of payment")
        }
        cli::Fault::SpanLoss => (Fault::SpanLoss { share: 0.02 }, "green drops one span in fifty"),
        cli::Fault::AttributeDrop => (
            Fault::AttributeDrop { service: "frontend".to_owned(), key: "http.route".to_owned() },
            "green drops http.route from the spans of frontend",
        ),
        cli::Fault::Mask => (
            Fault::Mask { service: "frontend".to_owned(), key: "http.route".to_owned() },
            "green writes asterisks over http.route in the spans of frontend",
        ),
        cli::Fault::Leak => (Fault::Leak, "green masks no secrets"),
        cli::Fault::Reparent => (
            Fault::Reparent { service: "catalogue".to_owned() },
            "green hangs catalogue's spans onto their grandparents",
        ),
        cli::Fault::Slow => (Fault::Slow { ms: 700 }, "green puts everything out 700 ms late"),
        cli::Fault::Errors => {
            (Fault::Errors { share: 0.2, refusal: Refusal::Unavailable }, "green refuses one export in five")
        }
        cli::Fault::Crash => (Fault::Crash, "green is killed in the middle of a step"),
    }
}
