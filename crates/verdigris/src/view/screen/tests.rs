use super::*;
use crate::view::ask::Ask;
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

fn drawn(name: &str, size: (u16, u16)) -> String {
    drawn_of(&report(name), size)
}

fn drawn_of(report: &Report, (width, height): (u16, u16)) -> String {
    let log = vec!["12:00:01 step 1 of 8: gate probe".to_owned(), "12:00:02 step 2 of 8: mirror for 8s".to_owned()];
    let now = report.started_at.plus_ms(21_000);
    let note = "shop: 3,141 traces, 35,897 spans acknowledged".to_owned();
    let mut screen = Screen { log, note, now, ..Screen::with_controls() };
    screen.answered(report);
    drawn_with(report, &screen, (width, height))
}

fn drawn_with(report: &Report, screen: &Screen, (width, height): (u16, u16)) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| _ = draw(frame, report, screen)).unwrap();
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
fn a_broken_glass_is_shown_above_everything() {
    let mut report = report("analysing");
    report.exceptions = vec!["GLASS BROKEN by bob: nobody answers; somebody else must review it".to_owned()];
    let drawn = drawn_of(&report, (120, 32));
    assert!(drawn.lines().take(3).any(|line| line.contains("GLASS BROKEN by bob: nobody answers")), "{drawn}");
    let mut plain = crate::view::plain::PlainView::default();
    let said = |plain: &mut crate::view::plain::PlainView| {
        plain.lines(&report, report.started_at).iter().filter(|line| line.contains("GLASS BROKEN")).count()
    };
    assert_eq!([said(&mut plain), said(&mut plain)], [1, 0]);
}

#[test]
fn a_narrow_or_tiny_window_is_still_drawn() {
    insta::assert_snapshot!(drawn("analysing", (72, 48)));
    insta::assert_snapshot!(drawn("analysing", (40, 16)));
    let mut report = report("analysing");
    report.exceptions = vec!["GLASS BROKEN by bob".to_owned()];
    for size in [(1, 1), (20, 5), (300, 3), (10, 100), (40, 2), (3, 40), (500, 200)] {
        for pane in Pane::ALL {
            for (help, asking) in [(false, None), (true, None), (false, Some(Ask::RollBack))] {
                let screen = Screen { focus: pane, help, asking, ..Screen::with_controls() };
                drawn_with(&report, &screen, size);
            }
        }
    }
}

#[test]
fn a_small_window_shows_one_pane_and_what_is_asked_with_both_answers() {
    let report = report("analysing");
    for pane in Pane::ALL {
        let screen = Screen { focus: pane, ..Screen::with_controls() };
        let drawn = drawn_with(&report, &screen, (40, 14));
        assert!(drawn.contains(pane.name()), "{drawn}");
    }
    let asking = Screen { asking: Some(Ask::RollBack), ..Screen::with_controls() };
    insta::assert_snapshot!(drawn_with(&report, &asking, (40, 14)));
    for height in 4..20 {
        let drawn = drawn_with(&report, &asking, (40, height));
        assert!(drawn.contains("y: roll back") && drawn.contains("Esc"), "{drawn}");
    }
}

#[test]
fn a_server_that_does_not_answer_is_seen_in_every_size() {
    let report = report("analysing");
    let mut screen = Screen { now: report.started_at, ..Screen::with_controls() };
    screen.silent("no server answers");
    for size in [(120, 40), (40, 14), (40, 8)] {
        let drawn = drawn_with(&report, &screen, size);
        assert!(drawn.contains("no answer since"), "{drawn}");
    }
}

#[test]
fn what_came_of_a_key_is_seen_whichever_pane_is_shown_and_for_a_moment() {
    let report = report("analysing");
    for focus in Pane::ALL {
        let mut screen = Screen { now: report.started_at, focus, ..Screen::with_controls() };
        screen.say("pause: it stands still already".to_owned());
        let foot =
            |screen: &Screen| drawn_with(&report, screen, (80, 24)).lines().last().unwrap_or_default().to_owned();
        assert!(foot(&screen).contains("pause: it stands still already"), "{}", foot(&screen));
        screen.now = screen.now.plus_ms(SAID_MS);
        assert!(foot(&screen).contains("q quit"), "{}", foot(&screen));
    }
}

#[test]
fn what_a_person_must_do_stands_above_the_one_pane() {
    let mut report = report("analysing");
    report.waits_for = vec!["`verdigris rollout resume`".to_owned()];
    let screen = Screen { now: report.started_at, ..Screen::with_controls() };
    for size in [(80, 20), (40, 14)] {
        let drawn = drawn_with(&report, &screen, size);
        assert!(drawn.contains(" waits for: `verdigris rollout resume`"), "{drawn}");
    }
}

#[test]
fn a_wide_window_of_a_common_height_shows_every_pane() {
    for height in [LOW, 30] {
        let drawn = drawn("analysing", (120, height));
        for pane in Pane::ALL {
            assert!(drawn.contains(&format!(" {} ", pane.name())), "{} is not in {drawn}", pane.name());
        }
        assert!(drawn.contains("▼"), "what is not seen is said to be there: {drawn}");
    }
}

#[test]
fn the_keys_are_explained() {
    let report = report("analysing");
    let screen = Screen { help: true, ..Screen::with_controls() };
    insta::assert_snapshot!(drawn_with(&report, &screen, (80, 24)));
}

#[test]
fn a_broken_measurement_is_shown_in_the_place_of_evidence() {
    let mut report = report("analysing");
    let difference = "lost spans: 12 % of 1,200 traces in one half, 0 % of 1,200 traces in the other";
    report.noise = Some(judge::NoiseAssessment {
        halves: [1_200, 1_200],
        log_evidence: 12.0,
        log_threshold: 7.6,
        alarmed: true,
        differences: vec![difference.to_owned()],
        words: format!("blue against blue: 1,200 and 1,200 traces differ: {difference}"),
    });
    let drawn = |report: &Report| drawn_of(report, (120, 32));
    assert!(drawn(&report).contains("blue against blue: 1,200 and 1,200 traces differ"), "{}", drawn(&report));
    report.assessment = None;
    assert!(drawn(&report).contains("nothing is concluded about green"), "{}", drawn(&report));
}
