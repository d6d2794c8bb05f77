use super::*;

fn cell(contender: Contender, spans_per_s: f64, cpu: Option<f64>) -> Cell {
    let proxy = cpu.map(|cpu| ProxyCost { cpu_s_per_million: cpu, busy: 0.5, peak_resident_mib: 10.0 * cpu });
    Cell {
        contender,
        spans_per_request: 100,
        spans_per_s,
        proxy,
        p50_ms: 1.0,
        p99_ms: 2.0,
        lost_spans: 0,
        refused_requests: 0,
    }
}

#[test]
fn a_row_is_the_median_of_its_rounds_beside_the_others() {
    let cells = [
        cell(Contender::NoProxy, 1_000_000.0, None),
        cell(Contender::Rotel, 100_000.0, Some(8.0)),
        cell(Contender::RotelDiscarding, 400_000.0, Some(3.0)),
        cell(Contender::PassThrough, 300_000.0, Some(9.0)),
        cell(Contender::PassThrough, 500_000.0, Some(1.0)),
        cell(Contender::PassThrough, 900_000.0, Some(2.0)),
    ];
    let table = table(&cells);
    let rows: Vec<Vec<&str>> = table.lines().skip(2).map(|line| line.split_ascii_whitespace().collect()).collect();
    assert_eq!(rows[0].join(" "), "100 no proxy 1000000 - -% 1.00 2.00 - | 1.00x 10.00x - -");
    assert_eq!(rows[1].join(" "), "100 Rotel 100000 8.000 50% 1.00 2.00 80 | 0.10x 1.00x 1.00x 0.38x");
    assert_eq!(rows[3].join(" "), "100 ours, pass-through 500000 2.000 50% 1.00 2.00 90 | 0.50x 5.00x 4.00x 1.50x");
    assert_eq!(rows.len(), 4);
}

#[test]
fn medians() {
    assert_eq!(median(vec![3.0, 1.0, 2.0]), Some(2.0));
    assert_eq!(median(vec![4.0, 1.0]), Some(2.5));
    assert_eq!(median(Vec::new()), None);
}
