use super::*;
use std::collections::BTreeSet;

const KEY: RouteKey = RouteKey([7; 16]);

#[test]
fn a_canary_is_known_by_its_id_under_its_rollouts_key_alone() {
    let traces: Vec<TraceId> = (0..1_000u64).map(|number| KEY.canary(number.to_be_bytes())).collect();
    assert!(traces.iter().all(|trace| KEY.is_canary(*trace)));
    assert!(!traces.iter().any(|trace| RouteKey([8; 16]).is_canary(*trace)), "another rollout's");
    let changed = |trace: &TraceId, at: usize| {
        let mut id = trace.0;
        id[at] ^= 1;
        TraceId(id)
    };
    assert!(!traces.iter().any(|trace| (0..16).any(|at| KEY.is_canary(changed(trace, at)))));
    assert!(!KEY.is_canary(TraceId([0; 16])));
}

#[test]
fn the_bits_of_each_secret_and_of_each_trace_are_its_own() {
    let bits = |trace: u64, number: u8| KEY.canary_bits(KEY.canary(trace.to_be_bytes()), number);
    let all: BTreeSet<u64> = (0..50).flat_map(|trace| (0..40).map(move |number| bits(trace, number))).collect();
    assert_eq!(all.len(), 2_000);
}

#[test]
fn a_record_of_a_canary_reads_back_and_is_far_below_what_a_record_holds() {
    let key: String = "\u{1}".repeat(MAX_CANARY_KEY_CHARACTERS);
    let leak = |secret| Leak { secret, came_out_in: CanaryPlace::ResourceAttribute { key: key.clone() } };
    let fate = CanaryFate::Out { leaks: Secret::ALL.into_iter().map(leak).collect() };
    let fates = PerEnvironment { blue: fate.clone(), green: fate };
    let canary = Canary { trace: KEY.canary([1; 8]), planted_at: UnixMillis(u64::MAX), fates };
    let json = serde_json::to_string(&canary).unwrap();
    assert_eq!(serde_json::from_str::<Canary>(&json).unwrap(), canary);
    assert!(json.len() < 16_000, "{} bytes", json.len());
    assert_eq!(Secret::ALL.into_iter().collect::<BTreeSet<_>>().len(), Secret::ALL.len(), "each once");
}
