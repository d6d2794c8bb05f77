use super::*;
use serde_json::json;

fn known(sent: u64, out: u64, compared: u64) -> Known {
    let told = json!({
        "yaml": "", "environment": "blue", "tap": "blue", "leftMs": 432_000, "isOver": false,
        "declared": [{}, {}], "leftOut": [{}],
        "spans": { "sent": sent, "out": out, "compared": compared, "lost": 0, "unsent": 0 },
        "traces": { "settled": 1_000, "awaited": 234, "leftOut": 0 },
    });
    Known::deserialize(told).expect("it is what the server tells")
}

#[test]
fn progress_is_one_line() {
    let expected = "blue: 1,234 traces, 12,345 spans compared; 2 changes explained, 1 too rare; 7m 12s left";
    assert_eq!(line(&known(20_000, 13_000, 12_345)), expected);
}

#[test]
fn where_nothing_was_learned_it_says_why() {
    let check = |sent, out, words: &str| {
        let failed = nothing(&known(sent, out, 0), ShortDuration(10_000));
        assert_eq!(failed.exit, Exit::Other);
        assert!(failed.to_string().contains(words), "{failed}");
    };
    check(0, 0, "no span was sent to blue in 10s");
    check(1_234, 0, "no span came out of blue in 10s, of the 1,234 that were sent");
    check(1_234, 5, "none of the 5 spans that came out of blue in 10s is one of the 1,234");
}
