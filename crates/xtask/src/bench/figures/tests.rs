use super::*;

fn cell(contender: Contender, spans_per_s: f64, cpu: Option<f64>) -> Cell {
    let proxy = cpu.map(|cpu| ProxyCost {
        cpu_per_million: CpuTime { user_s: cpu * 0.75, system_s: cpu * 0.25 },
        busy: 0.5,
        peak_resident_mib: 10.0 * cpu,
    });
    Cell {
        contender,
        protocol: Protocol::Grpc,
        spans_per_request: 100,
        spans_per_s,
        proxy,
        offered_spans_per_s: spans_per_s / 2.0,
        latency: Latency { p50_ms: 1.5, p99_ms: 4.0 },
        direct: Latency { p50_ms: 1.0, p99_ms: 2.0 },
        traces: None,
        mirrored: None,
        verified: None,
        gzip: false,
        lost_spans: 0,
        refused_requests: 0,
    }
}

fn rows(table: &str) -> Vec<String> {
    let words = |line: &str| line.split_ascii_whitespace().collect::<Vec<_>>().join(" ");
    table.lines().skip(2).map(words).filter(|line| !line.is_empty()).collect()
}

#[test]
fn a_row_is_the_median_of_its_rounds() {
    let http = Cell { protocol: Protocol::Http, gzip: true, ..cell(Contender::Rotel, 100_000.0, Some(8.0)) };
    let slow = Latency { p50_ms: 3.5, p99_ms: 9.0 };
    let cells = [
        cell(Contender::Ours, 300_000.0, Some(9.0)),
        http,
        cell(Contender::NoProxy, 1_000_000.0, None),
        Cell { latency: slow, ..cell(Contender::Ours, 500_000.0, Some(1.0)) },
        cell(Contender::Ours, 900_000.0, Some(2.0)),
    ];
    assert_eq!(
        rows(&table(&cells)),
        [
            "grpc 100 no proxy 1000000 - - - - | 500000 1.50 1.00 0.50 4.00 2.00 2.00 | -",
            "grpc 100 ours 500000 2.000 1.500 0.500 50% | 250000 1.50 1.00 0.50 4.00 2.00 2.00 | 90",
            "http 100 Rotel 100000 8.000 6.000 2.000 50% | 50000 1.50 1.00 0.50 4.00 2.00 2.00 | 80 sends gzip",
        ]
    );
}

#[test]
fn a_row_says_what_was_torn_mirrored_and_verified() {
    let split = |torn| Cell {
        traces: Some(TraceCounts { seen: 100, torn }),
        verified: Some(0.5),
        ..cell(Contender::EnvoySplit, 1.0, Some(1.0))
    };
    let mirror = Cell { mirrored: Some(0.9987), ..cell(Contender::EnvoyMirror, 1.0, Some(1.0)) };
    let rows = rows(&table(&[split(80), split(90), mirror]));
    assert!(rows[0].ends_with("170 of 200 traces torn, 50% verified"), "{}", rows[0]);
    assert!(rows[1].ends_with("99.9% mirrored"), "{}", rows[1]);
}

#[test]
fn ours_is_held_beside_each_peer_that_was_measured() {
    let other_size = Cell { spans_per_request: 1_000, ..cell(Contender::EnvoySplit, 1.0, Some(1.0)) };
    let cells = [
        cell(Contender::NoProxy, 1_000_000.0, None),
        cell(Contender::Rotel, 100_000.0, Some(8.0)),
        cell(Contender::Envoy, 800_000.0, Some(1.0)),
        cell(Contender::Ours, 400_000.0, Some(2.0)),
        cell(Contender::OursSplit, 200_000.0, Some(4.0)),
        cell(Contender::OursMirror, 200_000.0, Some(4.0)),
        other_size,
    ];
    let ratios = ratios(&cells);
    let ratio = |ours, peer, [spans_per_core, spans_per_s, memory]: [f64; 3]| Ratio {
        protocol: Protocol::Grpc,
        spans_per_request: 100,
        ours,
        peer,
        spans_per_core,
        spans_per_s,
        memory,
    };
    let expected = [
        ratio(Contender::Ours, Contender::Rotel, [4.0, 4.0, 0.25]),
        ratio(Contender::Ours, Contender::Envoy, [0.5, 0.5, 2.0]),
        ratio(Contender::OursSplit, Contender::Rotel, [2.0, 2.0, 0.5]),
    ];
    assert_eq!(ratios, expected);
    assert_eq!(rows(&Ratio::table(&ratios))[1], "grpc 100 ours Envoy 0.50x 0.50x 2.00x");
    assert_eq!(ratios[0].json()["spansPerCpuSecondRatio"], 4.0);
}

#[test]
fn latencies_are_measured_at_half_of_what_both_do() {
    assert_eq!(half_load(100.0, 400.0), 50.0);
    assert_eq!(half_load(400.0, 100.0), 50.0);
    let added = Latency { p50_ms: 1.5, p99_ms: 4.0 }.above(Latency { p50_ms: 1.0, p99_ms: 4.5 });
    assert_eq!(added, Latency { p50_ms: 0.5, p99_ms: -0.5 });
}

#[test]
fn a_cell_tells_both_latencies_and_what_was_added() {
    let value = cell(Contender::Ours, 1_000.4, Some(2.0)).json();
    assert_eq!(value["latency"]["p50Ms"], 1.5);
    assert_eq!(value["latencyWithoutProxy"]["p50Ms"], 1.0);
    assert_eq!(value["latencyAdded"], json!({ "p50Ms": 0.5, "p99Ms": 2.0 }));
    assert_eq!(
        (value["spansPerS"].as_f64(), value["proxyUserSecondsPerMillionSpans"].as_f64()),
        (Some(1_000.0), Some(1.5))
    );
}

#[test]
fn medians() {
    assert_eq!(median([3.0, 1.0, 2.0].into_iter()), Some(2.0));
    assert_eq!(median([4.0, 1.0].into_iter()), Some(2.5));
    assert_eq!(median(std::iter::empty()), None);
}
