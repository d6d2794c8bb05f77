use super::*;
use crate::quantiles::{histogram, record};

/// A target with so many requests of a hundred spans a second, each as late as the function says, in microseconds.
pub(crate) fn target(seconds: u64, a_second: u64, latency_us: impl Fn(u64, u64) -> u64) -> TargetReport {
    let mut tally = Tally::new(0, 10_000_000_000);
    for second in 0..seconds {
        for request in 0..a_second {
            let due_ns = second * 1_000_000_000 + request * 1_000_000_000 / a_second;
            let sent = Some(crate::tally::Sent { at_ns: due_ns + 50_000, free_since_ns: 0 });
            let done_ns = due_ns + latency_us(second, request) * 1_000;
            let times = crate::tally::Times { due_ns, sent, done_ns };
            tally.add(100, times, &crate::tally::Fate::Acknowledged { rejected: 0 });
        }
    }
    let target = Target {
        endpoint: "http://127.0.0.1:4317".into(),
        protocol: Protocol::Grpc,
        transport: model::Transport::default(),
        headers: Vec::new(),
    };
    TargetReport::new(&target, &tally, 3)
}

pub(crate) fn report(blue: TargetReport, green: TargetReport) -> Report {
    Report {
        version: Report::VERSION,
        name: "shop, 10 000 spans/s <b>".into(),
        started: UnixMillis(1_790_000_000_000),
        open_loop: true,
        warm_up_ms: 0,
        timeout_ms: 10_000,
        trouble: None,
        targets: PerEnvironment { blue: Some(blue), green: Some(green) },
    }
}

#[test]
fn the_summary_can_be_read() {
    let mut green = target(30, 100, |second, request| 3_000 + second * 10 + request * 30);
    green.codes.insert("grpc UNAVAILABLE".into(), 7);
    green.disconnection = Some("cannot connect to 127.0.0.1:4317: refused".into());
    let report = report(target(30, 100, |_, request| 2_000 + request * 20), green);
    insta::assert_snapshot!(report.to_string());
}

#[test]
fn the_page_needs_nothing_from_elsewhere() {
    let report = report(target(30, 100, |_, request| 2_000 + request * 20), target(30, 100, |_, _| 4_000));
    let page = report.html();
    assert!(!page.contains("<b>") && page.contains("&lt;b&gt;"));
    assert_eq!(page.matches("<svg").count(), 4);
    for never in ["<script", "src=", "@import", "href="] {
        assert!(!page.contains(never), "{never}");
    }
    // SVG's own name is the only address.
    assert!(
        page.split("http://").skip(1).all(|rest| rest.starts_with("www.w3.org/2000/svg") || rest.starts_with("127."))
    );
    assert!(page.len() < 200_000, "{}", page.len());
}

#[test]
fn an_empty_run_has_a_page_too() {
    let empty = || target(0, 0, |_, _| 0);
    let report = report(empty(), empty());
    assert_eq!(report.html().matches("<svg").count(), 4);
    assert_eq!(report.sustained_items_per_s(Environment::Blue), 0.0);
}

#[test]
fn quantiles_are_those_of_the_histogram() {
    let mut all = histogram();
    for us in 1..=100_000 {
        record(&mut all, us);
    }
    let found = Distribution::of(&all);
    for at in [0.0, 0.5, 0.9, 0.99, 0.999, 1.0] {
        let expected = all.value_at_quantile(at);
        let quantile = found.quantile_us(at).unwrap();
        assert!(quantile.abs_diff(expected) <= expected / 500 + 1, "{at}: {quantile}, {expected}");
    }
    assert_eq!(found.count, 100_000);
    // What is longer than the longest is the longest.
    record(&mut all, 3_600_000_000);
    assert!(Distribution::of(&all).quantile_us(1.0).unwrap().abs_diff(60_000_000) < 60_000);
    assert_eq!(Distribution::default().quantile_us(0.5), None);
}
