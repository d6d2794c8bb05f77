//! What is measured of a server, and why it does not serve: made for each question from what gateway, spools, ledger and
//! witnesses say of themselves. Nothing is counted here.

use crate::clock;
use crate::system::System;
use crate::telemetry;
use control::Extent;
use gateway::{EndpointState, EnvironmentStats, Gateway, Spools, Stats};
use model::Environment;
use serde_json::Value;
use std::sync::Arc;
use tokio::sync::watch;
use web::{Condition, Family, Kind, Sample};

/// Of a system that runs.
pub fn of(system: &System) -> Condition {
    let (gateway, spools, ledger) = (system.gateway.clone(), system.spools.clone(), system.ledger.clone());
    let (witnessed, started_ms) = (system.witnessing.status(), clock::now().0);
    let serving = system.gateway.clone();
    Condition {
        metrics: Arc::new(move || {
            let mut families = vec![build()];
            families.extend(of_gateway(&gateway.stats()));
            families.push(of_endpoints(&gateway));
            families.extend(of_spools(&spools));
            families.extend(of_ledger(&ledger));
            families.extend(of_witnesses(&witnessed(), clock::now().0));
            families.extend(of_process(started_ms));
            families.push(Family::counter(
                "verdigris_telemetry_dropped",
                "Our own spans and log records that were not taken.",
                one(telemetry::dropped()),
            ));
            families
        }),
        unready: Arc::new(move || match serving.stats().generation {
            Some(_) => Vec::new(),
            None => vec!["no route table applies yet".to_owned()],
        }),
    }
}

fn build() -> Family {
    let version = Sample::of([("version", env!("CARGO_PKG_VERSION"))], 1.0);
    Family { kind: Kind::Info, ..Family::gauge("verdigris_build", "The program.", vec![version]) }
}

fn one(value: u64) -> Vec<Sample> {
    vec![Sample::of([], value as f64)]
}

/// A sample of each environment.
fn each(of: impl Fn(Environment) -> u64) -> Vec<Sample> {
    let sample = |environment: Environment| Sample::of([("environment", environment.name())], of(environment) as f64);
    Environment::BOTH.map(sample).to_vec()
}

fn of_gateway(stats: &Stats) -> Vec<Family> {
    let counted = |name, help, of: fn(&EnvironmentStats) -> u64| {
        Family::counter(name, help, each(|environment| of(&stats.environments[environment])))
    };
    let whole = |name, help, value: u64| Family::counter(name, help, one(value));
    let generation = stats.generation.map(one).unwrap_or_default();
    vec![
        counted("verdigris_gateway_requests", "Requests that were handed over, of all signals.", |it| it.requests),
        counted("verdigris_gateway_spans_acknowledged", "Spans that the environment took.", |it| it.spans_acknowledged),
        counted("verdigris_gateway_spans_refused", "Spans that it refused.", |it| it.spans_refused),
        counted("verdigris_gateway_spans_unknown", "Spans of which nobody knows.", |it| it.spans_unknown),
        counted("verdigris_gateway_spans_spooled", "Spans that were put on the disk.", |it| it.spooled_spans),
        counted("verdigris_gateway_spans_drained", "Spans from the disk that were taken.", |it| it.drained_spans),
        counted(
            "verdigris_gateway_spool_spans_refused",
            "Spans from the disk that were refused for good, though their sender was told that they were taken.",
            |it| it.spool_refused_spans,
        ),
        counted("verdigris_mirror_spans", "Spans of copies that were taken.", |it| it.mirrored_spans),
        counted("verdigris_mirror_spans_dropped", "Spans of copies that were not.", |it| it.mirror_dropped_spans),
        counted("verdigris_mirror_values_redacted", "Values that were replaced in copies.", |it| it.redacted_values),
        counted("verdigris_tap_requests", "Requests that the environment's tap took.", |it| it.tap_requests),
        counted("verdigris_tap_spans", "Spans that the environment's tap took.", |it| it.tap_spans),
        whole(
            "verdigris_gateway_requests_refused",
            "Requests that were refused before they were routed.",
            stats.requests_refused,
        ),
        whole(
            "verdigris_gateway_connections_refused",
            "Connections that were closed for their number.",
            stats.connections_refused,
        ),
        whole(
            "verdigris_gateway_handshakes_failed",
            "Connections to TLS ports that came to nothing.",
            stats.handshakes_failed,
        ),
        whole(
            "verdigris_gateway_clients_refused",
            "Of these, clients without a certificate that lets them in.",
            stats.clients_refused,
        ),
        whole(
            "verdigris_gateway_traces_torn",
            "Traces that a rollback moved while they were in flight.",
            stats.torn_traces,
        ),
        whole("verdigris_gateway_pins_full", "Decisions on traces that found no room among the pins.", stats.pins_full),
        whole(
            "verdigris_verify_views_missed",
            "Views that were dropped because verification was behind.",
            stats.views_missed,
        ),
        whole("verdigris_tap_requests_unassigned", "Requests to a tap of no environment.", stats.tap_unassigned),
        Family::gauge("verdigris_gateway_generation", "The generation of the route table that applies.", generation),
        Family::gauge("verdigris_gateway_pins", "Traces that stay where they began, now.", one(stats.live_pins)),
        Family::gauge(
            "verdigris_gateway_in_flight_bytes",
            "Bytes of requests that are held now.",
            one(stats.bytes_in_flight),
        )
        .in_unit("bytes"),
    ]
}

fn of_endpoints(gateway: &Gateway) -> Family {
    let endpoints = gateway.endpoints();
    let states = [EndpointState::Up, EndpointState::Down, EndpointState::Ejected];
    let sample = |environment: Environment, state: EndpointState| {
        let number = endpoints[environment].iter().filter(|(_, it)| it.name() == state.name()).count();
        Sample::of([("environment", environment.name()), ("state", state.name())], number as f64)
    };
    let samples = Environment::BOTH.into_iter().flat_map(|environment| states.map(|state| sample(environment, state)));
    Family::gauge("verdigris_endpoints", "Endpoints of the environments, by their states.", samples.collect())
}

fn of_spools(spools: &Spools) -> Vec<Family> {
    let stats = spools.stats();
    let of = |value: fn(&spool::Stats) -> Option<u64>| -> Vec<Sample> {
        let sample = |environment: Environment| {
            let value = value(&stats[environment]?)?;
            Some(Sample::of([("environment", environment.name())], value as f64))
        };
        Environment::BOTH.into_iter().filter_map(sample).collect()
    };
    // The time it began to wait, not how long: that is for whoever asks, by `time()`.
    let oldest = of(|it| it.oldest_ms).into_iter().map(|it| Sample { value: it.value / 1_000.0, ..it }).collect();
    vec![
        Family::gauge("verdigris_spool_requests", "Requests that wait on the disk.", of(|it| Some(it.entries))),
        Family::gauge("verdigris_spool_bytes", "What they take there.", of(|it| Some(it.bytes))).in_unit("bytes"),
        Family::gauge("verdigris_spool_disk_bytes", "What the spool takes.", of(|it| Some(it.disk_bytes)))
            .in_unit("bytes"),
        Family::gauge("verdigris_spool_oldest_timestamp_seconds", "When the oldest of them came.", oldest)
            .in_unit("seconds"),
        Family::counter("verdigris_spool_full", "Requests that found no room.", of(|it| Some(it.full))),
        Family::counter("verdigris_spool_failed", "Requests that the disk did not take.", of(|it| Some(it.failed))),
        Family::counter(
            "verdigris_spool_lost",
            "Acknowledged requests that were lost on the disk.",
            of(|it| Some(it.lost_entries)),
        ),
    ]
}

fn of_ledger(ledger: &watch::Receiver<Extent>) -> Vec<Family> {
    let size = ledger.borrow().size;
    vec![Family::gauge("verdigris_ledger_entries", "Entries of the ledger under a durable checkpoint.", one(size))]
}

/// From what `/v1/status` says of them.
fn of_witnesses(witnessed: &Value, now_ms: u64) -> Vec<Family> {
    let each = witnessed["witnesses"].as_array().map(Vec::as_slice).unwrap_or_default();
    let of = |value: &dyn Fn(&Value) -> Option<f64>| -> Vec<Sample> {
        let sample = |it: &Value| Some(Sample::of([("witness", it["name"].as_str()?)], value(it)?));
        each.iter().filter_map(sample).collect()
    };
    let age = |it: &Value| {
        let at: jiff::Timestamp = it["at"].as_str()?.parse().ok()?;
        let at_ms = u64::try_from(at.as_millisecond()).ok()?;
        Some(now_ms.saturating_sub(at_ms) as f64 / 1_000.0)
    };
    vec![
        Family::gauge("verdigris_witness_entries", "Entries that the witness cosigned.", of(&|it| it["size"].as_f64())),
        Family::gauge("verdigris_witness_age_seconds", "How long ago it cosigned.", of(&age)).in_unit("seconds"),
        Family::gauge(
            "verdigris_witness_problem",
            "Whether it does not answer as it should.",
            of(&|it| Some(f64::from(u8::from(!it["problem"].is_null())))),
        ),
    ]
}

/// What Prometheus' clients say of a process, as far as two small files of /proc have it.
fn of_process(started_ms: u64) -> Vec<Family> {
    /// Linux tells times of processes in hundredths of a second (USER_HZ) on every architecture that this runs on.
    const TICKS_PER_S: f64 = 100.0;
    let read = |name: &str| std::fs::read_to_string(format!("/proc/self/{name}")).unwrap_or_default();
    let (stat, status) = (read("stat"), read("status"));
    // The name of the program, in parentheses, may have spaces: fields are counted behind it (proc_pid_stat(5)).
    let fields: Vec<&str> =
        stat.rsplit_once(')').map(|(_, rest)| rest.split_whitespace().collect()).unwrap_or_default();
    let ticks = |index: usize| fields.get(index).and_then(|text| text.parse::<u64>().ok());
    let cpu = ticks(11).zip(ticks(12)).map(|(user, system)| (user + system) as f64 / TICKS_PER_S);
    let resident =
        status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.split_whitespace().next()?.parse::<u64>().ok());
    let open = std::fs::read_dir("/proc/self/fd").map(|files| files.count() as u64);
    let sample = |value: f64| vec![Sample::of([], value)];
    vec![
        Family::counter("process_cpu_seconds", "CPU time.", cpu.map(sample).unwrap_or_default()).in_unit("seconds"),
        Family::gauge(
            "process_resident_memory_bytes",
            "Memory.",
            resident.map(|kib| one(kib * 1024)).unwrap_or_default(),
        )
        .in_unit("bytes"),
        Family::gauge("process_open_fds", "Open files.", open.map(one).unwrap_or_default()),
        Family::gauge("process_start_time_seconds", "When it began to serve.", sample(started_ms as f64 / 1_000.0))
            .in_unit("seconds"),
    ]
}
