use super::*;
use model::RouteKey;

fn table(generation: u64, active: Environment, weight: u16, mirror: bool, pins: Pins) -> RouteTable {
    RouteTable {
        generation,
        active,
        weight: BasisPoints::new(weight).expect("a weight"),
        mirror,
        pins,
        pin_ms: 60_000,
        key: RouteKey([0; 16]),
        upstreams: PerEnvironment::default(),
        proofs: None,
        redaction: None,
        testers: None,
        proof: None,
    }
}

/// Whether a request that was routed to the environment by generation 5 is given up, if it begins to wait only after the
/// table was installed.
async fn check(table: RouteTable, environment: Environment, expected: bool) {
    let rollbacks = Rollbacks::new();
    rollbacks.note(&table);
    let given_up = tokio::select! {
        biased;
        () = rollbacks.from(environment, 5) => true,
        () = std::future::ready(()) => false,
    };
    assert_eq!(given_up, expected, "{table:?} for {environment}");
}

#[tokio::test]
async fn an_older_table_s_request_is_given_up_also_when_it_begins_to_wait_late() {
    let (blue, green) = (Environment::Blue, Environment::Green);
    check(table(6, blue, 0, false, Pins::Tear), green, true).await;
    check(table(6, blue, 0, false, Pins::Tear), blue, false).await;
    check(table(6, green, 0, false, Pins::Tear), blue, true).await;
    // The table that routed it, or an older one.
    check(table(5, blue, 0, false, Pins::Tear), green, false).await;
    check(table(4, blue, 0, false, Pins::Tear), green, false).await;
    // No rollback.
    check(table(6, blue, 0, false, Pins::Keep), green, false).await;
    check(table(6, blue, 1, false, Pins::Tear), green, false).await;
    check(table(6, blue, 0, true, Pins::Tear), green, false).await;
}
