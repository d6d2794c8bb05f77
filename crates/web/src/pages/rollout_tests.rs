use super::*;
use crate::assets::Asset;
use crate::fixture;
use crate::pages::over_time::tests::timeline;
use control::rollout::{Group, GroupReport, Principal};
use model::{Check, PerEnvironment, TraceId, UnixMillis};

fn report() -> Report {
    fixture::report("collectors.1")
}

fn finding(service: &str) -> GroupReport {
    let traces = PerEnvironment { blue: 0, green: 7 };
    let group = Group {
        check: Check::LostSpan,
        service: service.to_owned(),
        operation: "pay".to_owned(),
        key: None,
        traces,
        spans: traces,
        first_seen: UnixMillis(1),
        last_seen: UnixMillis(2),
        examples: vec![TraceId([1; 16])],
    };
    let of = |events| control::rollout::judge::share_interval(control::rollout::judge::Counts { traces: 10, events });
    GroupReport { group, share: PerEnvironment { blue: of(0), green: of(7) } }
}

fn caller(roles: &[&str]) -> Caller {
    let roles = roles.iter().map(|role| (*role).to_owned()).collect();
    Caller::named(Principal::new("ada", roles)).with_csrf("the-token".into())
}

/// What no page may hold, whatever is in the report.
fn check_page(page: &str) {
    for forbidden in [" style=", "<style", " onclick=", " onload=", "javascript:", "http://", "https://"] {
        assert!(!page.contains(forbidden), "{forbidden} in {page}");
    }
    assert_eq!(page.matches("<script").count(), page.matches("<script type=\"module\" src=\"/assets/").count());
    let mut ids: Vec<&str> = page.split(" id=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    ids.sort_unstable();
    let count = ids.len();
    ids.dedup();
    assert_eq!(count, ids.len(), "an id stands twice: {ids:?}");
}

/// What is not around every page: whoever signed in can sign out everywhere.
fn content(page: &str) -> &str {
    page.split_once("<main").expect("a page has its content").1
}

#[test]
fn a_viewer_sees_where_it_stands_and_no_button() {
    let page = page(&caller(&["viewer"]), &report(), None).into_string();
    check_page(&page);
    assert_eq!(page.matches("aria-current=\"step\"").count(), 1);
    assert!(page.contains("data-events=\"/rollouts/collectors.1/events\""), "{page}");
    assert!(page.contains("<noscript><meta http-equiv=\"refresh\" content=\"10\"></noscript>"));
    assert!(!content(&page).contains("<form"), "{page}");
}

#[test]
fn an_operator_may_do_what_makes_sense_now() {
    let page_of = |report: &Report| page(&caller(&["operator"]), report, None).into_string();
    let mut report = report();
    let under_way = page_of(&report);
    check_page(&under_way);
    assert!(under_way.contains("value=\"pause\"") && !under_way.contains("value=\"resume\""));
    assert!(under_way.contains("name=\"csrf\" value=\"the-token\""));
    report.progress = Progress::Held;
    let held = page_of(&report);
    assert!(held.contains("value=\"resume\"") && !held.contains("value=\"pause\""));
    report.progress = Progress::Promoted;
    let over = page_of(&report);
    assert!(!content(&over).contains("<form") && !over.contains("<script") && !over.contains("refresh"), "{over}");
}

#[test]
fn hostile_words_stay_words() {
    let hostile = "<script>alert(1)</script>\u{202e}\"'";
    let mut report = report();
    report.headline = hostile.to_owned();
    report.waits_for = vec![hostile.to_owned()];
    report.exceptions = vec![hostile.to_owned()];
    report.findings = vec![finding(hostile)];
    let page = page(&caller(&["viewer"]), &report, None).into_string();
    check_page(&page);
    // What turns the direction of text ends with its own element.
    let shown = page.matches('\u{202e}').count();
    let isolated = page.matches("<bdi>&lt;script&gt;alert(1)&lt;/script&gt;\u{202e}").count();
    assert_eq!((shown, isolated), (4, 4));
}

#[test]
fn a_rollout_weighs_less_than_100_kb_with_everything() {
    let mut report = report();
    report.findings = (0..200).map(|n| finding(&format!("{n}{}", "s".repeat(120)))).collect();
    // As many windows and plots as there can be.
    let timeline = timeline(200);
    let page = page(&caller(&["operator"]), &report, Some(&timeline)).into_string();
    check_page(&page);
    let files: usize = ["style.css", "live.js", "icon.svg"].into_iter().map(Asset::weight).sum();
    assert!(page.len() + files < 100_000, "{} and {files}", page.len());
    println!("page {} bytes, files {files} bytes", page.len());
}

#[test]
fn evidence_that_is_no_number_says_so() {
    let drawn = meter("a", "against", f64::NAN, 6.9).into_string();
    assert!(drawn.contains("not known of 6.9") && drawn.contains("x2=\"2\""), "{drawn}");
    assert_eq!([3.0, 0.256, -1.5, -0.001].map(number), ["3", "0.26", "-1.5", "0"].map(str::to_owned));
}
