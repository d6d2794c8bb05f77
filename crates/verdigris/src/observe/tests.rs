use super::*;
use gateway::Listen;
use model::{BasisPoints, PerEnvironment, Pins, Protocol, RouteKey, RouteTable, Upstream};
use rollout::RolloutId;
use std::net::{Ipv4Addr, SocketAddr};

/// One that blue serves by; green is there while a rollout runs.
pub(super) fn table(green: bool) -> RouteTable {
    let reached = |tap: &str| Upstream::plain("http://127.0.0.1:1", Protocol::Grpc, tap);
    RouteTable {
        generation: 1,
        active: Environment::Blue,
        weight: BasisPoints::ZERO,
        mirror: false,
        pins: Pins::Keep,
        pin_ms: 1_000,
        key: RouteKey([7; 16]),
        upstreams: PerEnvironment { blue: Some(reached("blue")), green: green.then(|| reached("green")) },
        proofs: None,
        redaction: None,
        testers: None,
        proof: None,
    }
}

pub(super) fn watching(taken_back: u32) -> Option<Watching> {
    let rollout = RolloutId("a.1".to_owned());
    Some(Watching {
        rollout,
        batch_ms: 1_000,
        linger_ms: 1_000,
        horizon_ms: 1_000,
        route_key: RouteKey([0; 16]),
        queries: PerEnvironment::default(),
        counted: Vec::new(),
        taken_back,
        canary_every_ms: None,
        sends_load: true,
        searches_leaks: false,
        callees: None,
        transformations: PerEnvironment::default(),
        times_services: false,
    })
}

/// What the observer verifies: how often the ledger was taken back before, if it verifies at all.
fn verifies(observer: &mut Observer) -> Option<u32> {
    observer.follow_rollout();
    observer.current.as_ref().map(|(watching, _)| watching.taken_back)
}

#[tokio::test]
async fn verification_begins_when_the_process_before_has_gone_and_anew_after_another_one_served() {
    let (_, views) = mpsc::channel(1);
    let (watched, watching_rollout) = watch::channel(watching(0));
    let (gone, alone) = watch::channel(false);
    let (handle, _inputs) = Handle::new();
    let (examples, share) = (Examples::default(), Arc::default());
    let table = watch::channel(Arc::new(table(false))).1;
    let (_, taught) = Learning::new(table, watching_rollout.clone(), alone.clone());
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let listen = Listen { grpc: any, http: any, tls: None };
    let bound = Gateway::bind(gateway::Config { listen, ..gateway::Config::default() }).await.unwrap();
    let gateway = bound.gateway();
    let mut observer = Observer {
        views,
        watching: watching_rollout,
        handle,
        examples,
        gateway,
        share,
        alone,
        current: None,
        stores: None,
        canaries: None,
        leaks: None,
        callees: None,
        seen: SeenCallees::default(),
        calls: Calls::default(),
        trying: Trying::default(),
        asking: tokio::runtime::Handle::current(),
        max_rate: 1_000_000,
        lessons: Lessons::new(taught, 1_000_000),
    };
    assert_eq!(verifies(&mut observer), None, "what passes the other process is not seen here");
    let rollout = RolloutId("a.1".to_owned());
    assert_eq!(observer.calls.get(&rollout), None);
    let out = View::Out { environment: Environment::Green, message: bytes::Bytes::new(), at_us: clock::now_us() };
    observer.take(&out);
    gone.send_replace(true);
    assert_eq!(verifies(&mut observer), Some(0));
    let (_, verifier) = observer.current.as_mut().unwrap();
    verifier.missed(clock::now());
    assert_eq!((verifies(&mut observer), missed(&observer)), (Some(0), 1), "the same verifier goes on");
    watched.send_replace(watching(1));
    assert_eq!((verifies(&mut observer), missed(&observer)), (Some(1), 0), "a new one");
    watched.send_replace(None);
    assert_eq!(verifies(&mut observer), None);
    assert!(observer.calls.get(&rollout).is_some(), "the calls of the last rollout stay");
    assert_eq!(observer.calls.get(&RolloutId("a.2".to_owned())), None);
}

fn missed(observer: &Observer) -> u64 {
    observer.current.as_ref().map_or(0, |(_, verifier)| verifier.stats().missed)
}
