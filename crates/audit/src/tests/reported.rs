//! The page that people read.

use super::*;

/// Names come from outside: none of them is markup, and the page loads and runs nothing.
#[test]
fn the_report_says_what_happened_and_runs_nothing() {
    let mut ledger = Ledger::of_a_rollback();
    for record in &mut ledger.records {
        record.by = "<script>alert('x')</script>\u{7}".into();
    }
    let (bundle, verified) = Bundle::verify(&ledger.bundle().to_bytes(), ledger.key.verifier()).unwrap();
    let replayed = bundle.replay(&verified).unwrap();
    let (record, time) = (|body: &Body| format!("{body:?}"), |at: UnixMillis| at.0.to_string());
    let words = Words { record: &record, time: &time };
    let page = bundle.report(&verified, Some(&replayed), &words);
    for expected in [
        "<h1>Rollout demo.1</h1>",
        "rolled back: spanLoss",
        "spanLoss</td><td class=\"n\">",
        "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;\u{fffd}",
        "none missing",
        "cosignature</td><td>it fits, 50000, by the key example.com/witness-11+",
        "signed by the log&#39;s key, each as the records have it",
        "<svg viewBox=",
        "rollback: spanLoss</text>",
        "<h2>Who approved what</h2>",
        "<h2>Drift</h2>",
        "<h3>Traces that were kept</h3>",
        "<h2>Exceptions</h2>",
        "<h3>NIST SP 800-53 r5</h3>",
        "<td class=\"n\">CM-3, CM-4</td>",
        "the judge of 1 verdicts asked again, the same",
    ] {
        assert!(page.contains(expected), "{expected} in {page}");
    }
    for unwanted in ["<script", "src=", "href=", "url(", "@import", "javascript:", " onload=", " onclick="] {
        assert!(!page.to_lowercase().contains(unwanted), "{unwanted}");
    }
    assert_eq!(page.matches("<table").count(), page.matches("</table>").count());
    assert_eq!(page, bundle.report(&verified, Some(&replayed), &words));
}

/// Where something is hidden or missing, the page says so, and makes up nothing in its place.
#[test]
fn the_report_says_what_it_does_not_know() {
    let mut ledger = Ledger::of_a_rollback();
    ledger.evidence.clear();
    let refused = Decision::Refused { command: "approve".into(), reason: "alice wrote the plan".into() };
    let decided = ledger.records.iter_mut().find(|record| matches!(record.body, Body::Decided(_))).unwrap();
    decided.body = Body::Decided(Box::new(refused));
    let mut bundle = ledger.bundle();
    for (index, entry) in &mut bundle.entries {
        if is_measurement(&ledger.records[*index as usize]) {
            *entry = entry.clone().hidden();
        }
    }
    bundle.statements.clear();
    let (bundle, verified) = Bundle::verify(&bundle.to_bytes(), ledger.key.verifier()).unwrap();
    let (record, time) = (|body: &Body| format!("{body:?}"), |at: UnixMillis| at.0.to_string());
    let page = bundle.report(&verified, None, &Words { record: &record, time: &time });
    for expected in [
        "What was measured is hidden",
        "none in the bundle: the log&#39;s private key was not at hand when it was made",
        "not made again",
        "(not in the bundle)",
        "refused</td>",
        "approve: alice wrote the plan",
        "missing evidence</td>",
        "records are hidden: that they are there is proved",
    ] {
        assert!(page.contains(expected), "{expected} in {page}");
    }
}
