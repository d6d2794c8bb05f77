use super::*;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use rollout::Report;

fn report(name: &str) -> Report {
    let json = match name {
        "analysing" => include_str!("analysing.json"),
        _ => include_str!("rolled_back.json"),
    };
    serde_json::from_str(json).unwrap()
}

fn drawn(name: &str, (width, height): (u16, u16)) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    let report = report(name);
    let log = vec!["12:00:01 step 1 of 8: gate probe".to_owned(), "12:00:02 step 2 of 8: mirror for 8s".to_owned()];
    let now = report.started_at.plus_ms(21_000);
    let screen = Screen { log, note: "shop: 3,141 traces, 35,897 spans acknowledged".to_owned(), now };
    terminal.draw(|frame| draw(frame, &report, &screen)).unwrap();
    terminal.backend().to_string()
}

#[test]
fn an_analysis_shows_steps_weights_evidence_and_what_is_waited_for() {
    insta::assert_snapshot!(drawn("analysing", (120, 32)));
}

#[test]
fn a_rollback_shows_its_cause() {
    insta::assert_snapshot!(drawn("rolled_back", (120, 32)));
}

#[test]
fn a_narrow_or_tiny_window_is_still_drawn() {
    insta::assert_snapshot!(drawn("analysing", (72, 48)));
    for size in [(1, 1), (20, 5), (300, 3), (10, 100)] {
        drawn("analysing", size);
    }
}
