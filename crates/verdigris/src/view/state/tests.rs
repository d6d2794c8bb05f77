use super::*;
use crate::view::ask::Ask;
use rollout::Progress;

fn report() -> Report {
    serde_json::from_str(include_str!("../screen/analysing.json")).unwrap()
}

fn key(code: KeyCode) -> KeyEvent {
    KeyEvent::new(code, KeyModifiers::NONE)
}

/// Presses the keys one after the other, and gives the screen and what was asked for.
fn check(mut screen: Screen, report: Option<&Report>, keys: &str, expected: &[Action]) -> Screen {
    let actions: Vec<Action> = keys
        .chars()
        .filter_map(|character| {
            let code = match character {
                '\t' => KeyCode::Tab,
                '\u{1b}' => KeyCode::Esc,
                '^' => KeyCode::Up,
                'v' => KeyCode::Down,
                other => KeyCode::Char(other),
            };
            screen.handle(key(code), report)
        })
        .collect();
    assert_eq!(actions, expected, "after {keys:?}");
    screen
}

#[test]
fn each_action_is_done_only_after_a_y() {
    let mut report = report();
    let screen = Screen::with_controls;
    check(screen(), Some(&report), "py", &[Action::Do(Ask::Pause)]);
    check(screen(), Some(&report), "by", &[Action::Do(Ask::RollBack)]);
    report.progress = Progress::Held;
    check(screen(), Some(&report), "ry", &[Action::Do(Ask::Resume)]);
    for keys in ["b", "bb", "b\u{1b}y", "bny", "b \u{1b}", "y", "bq", "bp\u{1b}"] {
        check(screen(), Some(&report), keys, &[]);
    }
}

#[test]
fn what_makes_no_sense_now_is_said_and_not_asked() {
    let mut report = report();
    let said = |report: Option<&Report>, keys: &str, words: &str| {
        let screen = check(Screen::with_controls(), report, keys, &[]);
        assert_eq!(screen.asking, None);
        assert!(screen.log.last().is_some_and(|line| line.contains(words)), "{:?} does not say {words}", screen.log);
    };
    said(None, "b", "nothing is known of the rollout yet");
    said(Some(&report), "r", "goes on by itself");
    report.past_return = Some(rollout::PastReturn { step: 3, reason: "the schema is new".to_owned() });
    said(Some(&report), "b", "--past-the-point-of-no-return");
    report.progress = Progress::Paused;
    said(Some(&report), "p", "stands still already");
    report.progress = Progress::RolledBack;
    said(Some(&report), "b", "is over");
    let screen = check(Screen::default(), Some(&report), "b", &[]);
    assert!(screen.log[0].contains("this view only looks"), "{:?}", screen.log);
}

#[test]
fn what_became_impossible_while_the_person_read_is_not_done() {
    let mut report = report();
    let screen = check(Screen::with_controls(), Some(&report), "p", &[]);
    assert_eq!(screen.asking, Some(Ask::Pause));
    report.progress = Progress::RollingBack;
    let screen = check(screen, Some(&report), "y", &[]);
    assert!(screen.log[0].contains("on the way back already"), "{:?}", screen.log);
}

#[test]
fn control_c_quits_from_everywhere_and_other_controls_do_nothing() {
    let report = report();
    for before in ["", "b", "?"] {
        let mut screen = check(Screen::with_controls(), Some(&report), before, &[]);
        let with = |code| KeyEvent::new(code, KeyModifiers::CONTROL);
        assert_eq!(screen.handle(with(KeyCode::Char('b')), Some(&report)), None);
        assert_eq!(screen.handle(with(KeyCode::Char('y')), Some(&report)), None);
        assert_eq!(screen.handle(with(KeyCode::Char('c')), Some(&report)), Some(Action::Quit));
    }
    check(Screen::default(), None, "q", &[Action::Quit]);
}

#[test]
fn panes_are_scrolled_within_their_ends_and_the_log_follows_at_its_end() {
    let screen = check(Screen::default(), None, "\t\t\t\t\t", &[]);
    assert_eq!(screen.focus, Pane::Log);
    let mut screen = screen;
    screen.drawn([0, 0, 0, 0, 0, 5]);
    let screen = check(screen, None, "^^", &[]);
    assert_eq!(screen.scrolled(Pane::Log), Some(3));
    let screen = check(screen, None, "v", &[]);
    assert_eq!(screen.scrolled(Pane::Log), Some(4));
    let screen = check(screen, None, "vvvv", &[]);
    assert_eq!(screen.scrolled(Pane::Log), None);
    let screen = check(screen, None, "^\u{1b}", &[]);
    assert_eq!(screen.scrolled(Pane::Log), None);
}

#[test]
fn a_server_that_goes_away_and_comes_back_is_told_once_each() {
    let report = report();
    let mut screen = Screen { now: UnixMillis(1_000), ..Screen::default() };
    screen.answered(&report);
    screen.silent("connection refused");
    screen.silent("connection refused");
    screen.now = UnixMillis(6_000);
    screen.answered(&report);
    let said: Vec<&str> = screen.log.iter().map(|line| line.get(9..).unwrap_or_default()).collect();
    assert_eq!(said, ["no answer, trying again: connection refused", "the server answers again, after 5s"]);
    assert_eq!(screen.weights.len(), 1);
}

#[test]
fn the_log_and_the_weights_are_bounded() {
    let mut report = report();
    let mut screen = Screen::default();
    for generation in 0..1_000 {
        report.generation = generation;
        screen.answered(&report);
        screen.say("line".to_owned());
    }
    assert_eq!((screen.log.len(), screen.weights.len()), (MAX_LOG, MAX_WEIGHTS));
}
