//! How fast spans are joined, and in how many bytes, beside a hash map that joins by id alone.

use crate::cpu;
use anyhow::Result;
use model::{Environment, RouteKey, SpanId, TraceId, UnixMillis};
use std::collections::HashMap;
use verify::{Config, Delivery, SpanFact, Verifier};

/// Spans of a trace.
const SPANS: u64 = 10;
/// Traces a second of the traffic's own time.
const TRACES_PER_S: u64 = 2_000;

/// What was measured of one way to join.
#[derive(Clone, Copy, Debug)]
pub(super) struct Speed {
    pub(super) name: &'static str,
    /// Spans joined in a second of one core: each was sent and, but for an outage, came out.
    pub(super) spans_per_s: f64,
    /// Bytes for each span in flight, at the most that were.
    pub(super) bytes_per_span: f64,
    pub(super) in_flight: u64,
}

pub(super) fn measure(quick: bool) -> Result<Vec<Speed>> {
    let traces = if quick { 20_000 } else { 200_000 };
    Ok(vec![
        verified("verification", traces, 5, false)?,
        verified("verification, green's tap silent", traces, 60_000, true)?,
        by_id("a hash map by id", traces, 5)?,
    ])
}

fn fact<'a>(trace: u64, span: u64, attributes: &'a [(&'a str, &'a [u8])], names: &'a [String]) -> SpanFact<'a> {
    let hashed = trace.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let id = |span: u64| SpanId((hashed ^ (span + 1)).to_be_bytes());
    SpanFact {
        trace: TraceId((u128::from(hashed) << 64 | u128::from(trace)).to_be_bytes()),
        span: id(span),
        parent: if span == 0 { SpanId::NONE } else { id(span / 2) },
        kind: 2,
        service: &names[span as usize % names.len()],
        operation: &names[(span * 7 + trace % 3) as usize % names.len()],
        start_ns: trace * 1_000_000,
        end_ns: trace * 1_000_000 + span * 1_000,
        attributes,
        resource: &[("host.name", b"a"), ("service.name", b"shop")],
        ..SpanFact::default()
    }
}

const ATTRIBUTES: [(&str, &[u8]); 10] = [
    ("client.address", b"\x0a\x0b10.20.30.40"),
    ("http.request.method", b"\x0a\x03GET"),
    ("http.response.status_code", b"\x18\xc8\x01"),
    ("http.route", b"\x0a\x09/cart/add"),
    ("network.protocol.version", b"\x0a\x031.1"),
    ("server.address", b"\x0a\x0cshop.example"),
    ("server.port", b"\x18\xbb\x03"),
    ("thread.id", b"\x18\x2a"),
    ("url.path", b"\x0a\x0d/cart/add/123"),
    ("user_agent.original", b"\x0a\x0acurl/8.9.1"),
];

/// Half of the traces go to each environment. `lag_ms` passes until a trace comes out, or, if green is silent, until its
/// batch closes.
fn verified(name: &'static str, traces: u64, lag_ms: u64, silent: bool) -> Result<Speed> {
    let config = Config {
        batch_ms: 1_000,
        linger_ms: 1_000,
        horizon_ms: if silent { lag_ms } else { 1_000 },
        max_spans: 100_000_000,
        max_rate: u64::MAX,
        key: [1; 16],
        route_key: RouteKey([2; 16]),
    };
    let names: Vec<String> = (0..24).map(|name| format!("operation {name}")).collect();
    let mut verifier = Verifier::new(config, UnixMillis(0));
    let (mut most, mut bytes) = (0, 0);
    let before = cpu::thread_cpu()?;
    for trace in 0..traces {
        let at_us = 100_000_000 + trace * 1_000_000 / TRACES_PER_S;
        let environment = if trace % 2 == 0 { Environment::Blue } else { Environment::Green };
        for span in 0..SPANS {
            let fact = fact(trace, span, &ATTRIBUTES, &names);
            verifier.sent(environment, Delivery::Acknowledged, at_us, &fact);
        }
        if !(silent && environment == Environment::Green) {
            for span in 0..SPANS {
                verifier.out(environment, at_us + 5_000, &fact(trace, span, &ATTRIBUTES, &names));
            }
        }
        if trace % (TRACES_PER_S / 4) == 0 {
            let stats = verifier.stats();
            if stats.spans_in_flight > most {
                (most, bytes) = (stats.spans_in_flight, stats.bytes);
            }
            drop(verifier.advance(UnixMillis(at_us / 1_000)));
        }
    }
    let took = cpu::thread_cpu()?.saturating_sub(before);
    Ok(Speed {
        name,
        spans_per_s: (traces * SPANS) as f64 / took.as_secs_f64(),
        bytes_per_span: bytes as f64 / most.max(1) as f64,
        in_flight: most as u64,
    })
}

/// What the least join does: an entry when a span is sent, gone when it comes out.
fn by_id(name: &'static str, traces: u64, lag_ms: u64) -> Result<Speed> {
    let names: Vec<String> = (0..24).map(|name| format!("operation {name}")).collect();
    let mut table: HashMap<(TraceId, SpanId, u8), u64> = HashMap::new();
    let lag = (lag_ms * TRACES_PER_S / 1_000).max(1);
    let mut most = 0;
    let before = cpu::thread_cpu()?;
    for trace in 0..traces + lag {
        if trace < traces {
            for span in 0..SPANS {
                let fact = fact(trace, span, &ATTRIBUTES, &names);
                table.insert((fact.trace, fact.span, fact.kind), trace);
            }
        }
        if let Some(out) = trace.checked_sub(lag) {
            for span in 0..SPANS {
                let fact = fact(out, span, &ATTRIBUTES, &names);
                table.remove(&(fact.trace, fact.span, fact.kind));
            }
        }
        most = most.max(table.len());
    }
    let took = cpu::thread_cpu()?.saturating_sub(before);
    let bytes = table.capacity() * (size_of::<((TraceId, SpanId, u8), u64)>() + 1);
    Ok(Speed {
        name,
        spans_per_s: (traces * SPANS) as f64 / took.as_secs_f64(),
        bytes_per_span: bytes as f64 / most.max(1) as f64,
        in_flight: most as u64,
    })
}
