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
