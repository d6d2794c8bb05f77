use super::*;

#[test]
fn status_tells_of_blue_against_blue() {
    let mut report: Report = serde_json::from_str(include_str!("../../view/screen/analysing.json")).unwrap();
    let floor = |report: &Report| {
        let text = status_text(report);
        text.lines().find(|line| line.contains("noise floor")).map(str::to_owned)
    };
    assert_eq!(floor(&report), None);
    let words = "blue against blue: 300 and 310 traces, no difference beyond chance".to_owned();
    let (halves, differences) = ([300, 310], vec![]);
    report.noise = Some(judge::NoiseAssessment {
        halves,
        log_evidence: 0.1,
        log_threshold: 7.6,
        alarmed: false,
        differences,
        words,
    });
    let line = "  noise floor  blue against blue: 300 and 310 traces, no difference beyond chance";
    assert_eq!(floor(&report).as_deref(), Some(line));
}

#[test]
fn status_lists_what_green_shows_beyond_blue_with_its_interval() {
    let mut report: Report = serde_json::from_str(include_str!("../../view/screen/rolled_back.json")).unwrap();
    for found in &mut report.findings {
        let events = found.group.traces.green;
        found.share.green = judge::share_interval(judge::Counts { traces: 227, events });
    }
    let found: Vec<String> =
        status_text(&report).lines().filter(|line| line.starts_with("  found")).map(str::to_owned).collect();
    insta::assert_snapshot!(found.join("\n"));
}

#[test]
fn status_tells_of_canaries_and_marks_a_leak() {
    use model::{CanaryPlace, PerEnvironment, Secret, TraceId, UnixMillis};
    let mut report: Report = serde_json::from_str(include_str!("../../view/screen/analysing.json")).unwrap();
    let canaries = |report: &Report| -> Vec<String> {
        let text = status_text(report);
        let is_of_them = |line: &&str| line.starts_with("  canaries") || line.starts_with("  in clear");
        text.lines().filter(is_of_them).map(str::to_owned).collect()
    };
    assert_eq!(canaries(&report), [""; 0]);
    let in_clear = |secret: Secret, blue: u64| InClear {
        secret,
        canaries: PerEnvironment { blue, green: 3 },
        came_out_in: PerEnvironment { blue: (blue > 0).then_some(CanaryPlace::Name), green: Some(CanaryPlace::Status) },
        example: TraceId([1; 16]),
        first_seen: UnixMillis(1),
    };
    report.canaries = Some(rollout::Canaries {
        planted: PerEnvironment { blue: 5, green: 4 },
        out: PerEnvironment { blue: 5, green: 3 },
        in_clear: vec![in_clear(Secret::ALL[0], 0), in_clear(Secret::ALL[1], 2)],
    });
    insta::assert_snapshot!(canaries(&report).join("\n"));
}
