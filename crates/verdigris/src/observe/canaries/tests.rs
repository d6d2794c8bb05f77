use super::*;
use crate::demo::server::Server;
use gateway::{Channels, Config, Listen, Spools};
use model::{BasisPoints, Pins, Protocol, RouteTable, Upstream};
use otlp::reply::{Status, code};
use rollout::RolloutId;
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use tokio::sync::watch;

const KEY: RouteKey = RouteKey([3; 16]);
const BEGAN: UnixMillis = UnixMillis(1_700_000_000_000);
const HORIZON_MS: u64 = 8_000;
const EVERY_MS: u64 = 10_000;

type Got = Arc<Mutex<Vec<Bytes>>>;

/// A gateway between two environments that write down what they get, and the canaries of its rollout.
struct Scene {
    canaries: Canaries,
    got: PerEnvironment<Got>,
    refuses: Arc<AtomicBool>,
    tables: watch::Sender<Arc<RouteTable>>,
    events: mpsc::Receiver<gateway::Event>,
    _servers: PerEnvironment<Server>,
    _views: mpsc::Receiver<gateway::View>,
}

fn watching(canary_every_ms: Option<u64>) -> Watching {
    Watching {
        rollout: RolloutId("a.1".to_owned()),
        batch_ms: 1_000,
        linger_ms: 1_000,
        horizon_ms: HORIZON_MS,
        route_key: KEY,
        queries: PerEnvironment::default(),
        counted: Vec::new(),
        taken_back: 0,
        canary_every_ms,
        sends_load: true,
        searches_leaks: false,
        callees: None,
        times_services: false,
        transformations: PerEnvironment::default(),
    }
}

impl Scene {
    /// With nothing of the traffic for the candidate yet.
    async fn set() -> Scene {
        let any = || Listen { grpc: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), ..Listen::default() };
        let any = || Listen { http: any().grpc, ..any() };
        let taps: BTreeMap<_, _> = ["blue", "green"].map(|tap| (tap.to_owned(), any())).into();
        let config = Config { listen: any(), taps, ..Config::default() };
        let bound = Gateway::bind(config).await.unwrap();
        let gateway = bound.gateway();
        let got = PerEnvironment::<Got>::default();
        let refuses = Arc::new(AtomicBool::new(false));
        let server = async |environment: Environment| {
            let (got, refuses) = (got[environment].clone(), refuses.clone());
            let taken = move |_, message| match refuses.load(SeqCst) && environment == Environment::Green {
                true => Err(Status { code: code::UNAVAILABLE, ..Status::default() }),
                false => {
                    got.lock().unwrap().push(message);
                    Ok(())
                }
            };
            Server::start(taken).await.unwrap()
        };
        let servers = PerEnvironment { blue: server(Environment::Blue).await, green: server(Environment::Green).await };
        let upstream = |environment: Environment| {
            let endpoint = format!("http://{}", servers[environment].address());
            Some(Upstream::plain(endpoint, Protocol::Grpc, environment.name()))
        };
        let table = RouteTable {
            generation: 1,
            active: Environment::Blue,
            weight: BasisPoints::ZERO,
            mirror: false,
            pins: Pins::Keep,
            pin_ms: 1_000,
            key: KEY,
            upstreams: PerEnvironment::from_fn(upstream),
            proofs: None,
            redaction: None,
            testers: None,
            proof: None,
        };
        let (tables, watched) = watch::channel(Arc::new(table));
        let (view_sender, views) = mpsc::channel(8);
        let (event_sender, events) = mpsc::channel(8);
        let channels = Channels {
            tables: watched,
            events: event_sender,
            views: view_sender,
            share: Arc::default(),
            spools: Spools::default(),
            warrant: None,
            redaction_key: redact::Key([7; 32]),
            clock: Arc::new(|| BEGAN.0 * 1_000),
        };
        tokio::spawn(bound.run(channels, std::future::pending()));
        let canaries = Canaries::of(&watching(Some(EVERY_MS)), &gateway, Handle::current(), drawn).unwrap();
        let mut scene = Scene { canaries, got, refuses, tables, events, _servers: servers, _views: views };
        scene.events.recv().await.unwrap();
        scene
    }

    async fn publish(&mut self, change: impl Fn(&mut RouteTable)) {
        let mut table = RouteTable::clone(&self.tables.borrow());
        table.generation += 1;
        change(&mut table);
        self.tables.send_replace(Arc::new(table));
        self.events.recv().await.unwrap();
    }

    fn planted(&self) -> PerEnvironment<usize> {
        PerEnvironment::from_fn(|environment| self.got[environment].lock().unwrap().len())
    }

    /// Plants one, and gives its trace once both environments have answered.
    async fn plant(&mut self, at: UnixMillis) -> TraceId {
        assert_eq!(self.canaries.advance(at, u64::MAX), []);
        let trace = self.canaries.open.back().expect("one is planted").trace;
        self.answered(at).await;
        trace
    }

    /// Both environments' answers are there: nothing is told meanwhile.
    async fn answered(&mut self, at: UnixMillis) {
        let waiting = async {
            while self
                .canaries
                .open
                .iter()
                .any(|open| Environment::BOTH.iter().any(|it| open.arms[*it].taken.is_none()))
            {
                assert_eq!(self.canaries.advance(at, u64::MAX), []);
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(30), waiting).await.expect("an answer");
    }

    /// What was planted last comes out of an environment as it is, or masked.
    fn comes_out(&mut self, environment: Environment, trace: TraceId, masks: bool) {
        let message = self.got[environment].lock().unwrap().last().expect("it was planted").clone();
        let mut spans = Vec::new();
        otlp::for_each_span(&message, |span| spans.push((span.trace_id, span.span_id))).unwrap();
        assert_eq!((spans.len(), spans[0].0), (SPANS, trace));
        let message = if masks { Bytes::new() } else { message };
        self.canaries.came_out(environment, &spans, &message);
    }
}

fn drawn() -> [u8; 8] {
    crate::clock::random()
}

fn later(ms: u64) -> UnixMillis {
    BEGAN.plus_ms(ms)
}

#[tokio::test]
async fn one_is_planted_in_both_while_the_candidate_gets_anything() {
    let mut scene = Scene::set().await;
    assert_eq!(scene.canaries.advance(BEGAN, u64::MAX), []);
    assert!(scene.canaries.open.is_empty(), "green gets nothing yet");
    scene.publish(|table| table.mirror = true).await;
    scene.plant(later(1)).await;
    assert_eq!(scene.planted(), PerEnvironment { blue: 1, green: 1 });
    assert_eq!(scene.got.blue.lock().unwrap()[0], scene.got.green.lock().unwrap()[0], "the same in both");
    assert_eq!(scene.canaries.advance(later(EVERY_MS), u64::MAX).len(), 1, "nothing came out of the first");
    assert_eq!(scene.planted(), PerEnvironment { blue: 1, green: 1 }, "the next one is due a moment later");
    scene.plant(later(EVERY_MS + 1)).await;
    assert_eq!(scene.planted(), PerEnvironment { blue: 2, green: 2 });
    scene.publish(|table| (table.mirror, table.pins) = (false, Pins::Tear)).await;
    scene.canaries.advance(later(100_000), u64::MAX);
    assert!(scene.canaries.open.is_empty(), "rolled back");
}

#[tokio::test]
async fn it_is_of_a_trace_that_verification_is_shown() {
    let mut scene = Scene::set().await;
    scene.publish(|table| table.weight = BasisPoints::ALL).await;
    let ceiling = u64::MAX / 50;
    scene.canaries.advance(BEGAN, ceiling);
    let trace = scene.canaries.open.back().expect("one is planted").trace;
    assert!(KEY.mark(trace) <= ceiling && scene.canaries.include(trace));
    scene.answered(BEGAN).await;
    scene.canaries.advance(later(EVERY_MS), 0);
    assert!(scene.canaries.open.is_empty(), "no trace is shown");
}

#[tokio::test]
async fn what_came_out_of_each_is_told_once_all_of_it_is_there() {
    let mut scene = Scene::set().await;
    scene.publish(|table| table.mirror = true).await;
    let trace = scene.plant(BEGAN).await;
    scene.comes_out(Environment::Green, trace, false);
    assert_eq!(scene.canaries.advance(later(1), u64::MAX), [], "blue's is on its way");
    scene.comes_out(Environment::Blue, trace, true);
    let told = scene.canaries.advance(later(2), u64::MAX);
    let [Canary { trace: told, planted_at: BEGAN, fates }] = &told[..] else { panic!("{told:?}") };
    assert_eq!((*told, &fates.blue), (trace, &CanaryFate::Out { leaks: vec![] }));
    let CanaryFate::Out { leaks } = &fates.green else { panic!("{fates:?}") };
    assert_eq!(leaks.len(), model::Secret::ALL.len());
    // Late copies, and those of others, are kept out and change nothing.
    scene.comes_out(Environment::Green, trace, false);
    assert_eq!(scene.canaries.advance(later(3), u64::MAX), []);
    assert!(!scene.canaries.include(TraceId([1; 16])));
}

#[tokio::test]
async fn what_does_not_come_out_is_given_up_and_what_nobody_took_is_not_told() {
    let mut scene = Scene::set().await;
    scene.publish(|table| table.mirror = true).await;
    scene.refuses.store(true, SeqCst);
    let trace = scene.plant(BEGAN).await;
    assert_eq!(scene.canaries.advance(later(HORIZON_MS - 1), u64::MAX), []);
    let fates = PerEnvironment { blue: CanaryFate::NotOut, green: CanaryFate::NotTaken };
    let expected = Canary { trace, planted_at: BEGAN, fates };
    assert_eq!(scene.canaries.advance(later(HORIZON_MS), u64::MAX), [expected]);
    // Complete as soon as blue's is out, for green's is not awaited.
    let trace = scene.plant(later(EVERY_MS)).await;
    scene.comes_out(Environment::Blue, trace, true);
    assert_eq!(scene.canaries.advance(later(EVERY_MS + 1), u64::MAX).len(), 1);
}

#[tokio::test]
async fn a_plan_without_them_has_none() {
    let scene = Scene::set().await;
    assert!(Canaries::of(&watching(None), &scene.canaries.gateway, Handle::current(), drawn).is_none());
}
