use super::*;
use rollout::HoldReason;

#[test]
fn a_hold_is_told_with_what_it_rests_on() {
    let words = |reason| decision_words(&Decision::Held(reason));
    let differences = vec!["lost spans: 12 % of 90 traces in one half".to_owned(), "orphaned spans".to_owned()];
    assert_eq!(
        words(HoldReason::MeasurementBroken { differences }),
        "held: the measurement is broken: blue differs from blue: lost spans: 12 % of 90 traces in one half; orphaned spans"
    );
    assert_eq!(words(HoldReason::SourceSilent { for_ms: 42_000 }), "held: verification was silent for 42s");
}
