//! The controller over a real ledger in a temporary folder, with a clock that the test moves.

use crate::errors::{CommandError, ReleaseError, StartError, TapsError};
use crate::handle::Input;
use crate::{Controller, Handle, OpenStore, Outlook, Persons, Settings, Watching, decode};
use ledger::{KeyName, SignerKey};
use model::{
    ArmCounts, BasisPoints, Check, Environment, GateResult, GateVerdict, Observation, PerEnvironment, Protocol,
    RouteTable, UnixMillis, Upstream,
};
use rollout::judge::Assessment;
use rollout::judge::simulate::{Behaviour, Random, Traffic};
use rollout::plan::GateName;
use rollout::{
    Body, Command, Decision, Event, JudgeEvidence, KnownPrincipal, NotificationTarget, Principal, Progress, Report,
};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use store::{Evidence, OpenError, Retention, Shards, Store, Subjects};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::watch;
use tokio::task::JoinHandle;

mod evidence;
mod looking;
mod notifying;
mod rotation;
mod sharding;

const PLAN: &str = r#"
apiVersion: verdigris.dev/v1alpha1
kind: Rollout
metadata: { name: collectors, reason: a test }
spec:
  subject: pipeline
  environments:
    blue: { version: "1", otlp: { grpc: "http://127.0.0.1:14317" } }
    green: { version: "2", otlp: { grpc: "http://127.0.0.1:24317" } }
  strategy:
    steps:
      - setWeight: 10%
      - pause: {}
      - setWeight: 100%
      - bake: { for: 20s }
  guards: { spanLoss: { atMost: 1% } }
  pin: 1s
"#;

struct Bench {
    root: tempfile::TempDir,
    now: Arc<AtomicU64>,
    retention: Retention,
    /// What is known of every trace: nothing, or this.
    example: Option<&'static str>,
    keep_entries_ms: Option<u64>,
    principals: Vec<KnownPrincipal>,
    persons: Persons,
    notifications: Vec<NotificationTarget>,
}

struct Server {
    handle: Handle,
    table: watch::Receiver<Arc<RouteTable>>,
    watching: watch::Receiver<Option<Watching>>,
    notices: watch::Receiver<notices::Pending>,
    task: JoinHandle<()>,
}

impl Bench {
    fn new() -> Bench {
        let (root, now) = (tempfile::tempdir().unwrap(), Arc::new(AtomicU64::new(1_700_000_000_000)));
        let retention = Retention { keep_ms: 30 * 24 * 3_600_000, max_bytes: 1 << 30 };
        let (principals, persons) = (Vec::new(), Persons::default());
        let notifications = Vec::new();
        Bench { root, now, retention, example: None, keep_entries_ms: None, principals, persons, notifications }
    }

    fn dir(&self) -> PathBuf {
        self.root.path().join("ledger")
    }

    fn serve(&self) -> Server {
        let key = || SignerKey::new(KeyName::new("test/ledger").unwrap(), &[1; 32]);
        let dir = self.dir();
        let open: OpenStore = Box::new(move || match Store::open(&dir, key()) {
            Ok((store, _)) => Ok(store),
            Err(OpenError::NoCheckpoint { .. }) if !dir.with_extension("moved").exists() => {
                Store::create(&dir, key()).map_err(|error| error.to_string())
            }
            Err(error) => Err(error.to_string()),
        });
        let evidence = Evidence::open(&self.root.path().join("evidence"), self.retention).unwrap();
        let serving = Upstream::plain("http://127.0.0.1:14317", Protocol::Grpc, "blue");
        let taps = ["blue", "green"].map(str::to_owned).into();
        let settings = Settings {
            serving,
            taps,
            pin_ms: 60_000,
            principals: self.principals.clone(),
            persons: self.persons.clone(),
            witnesses: 0,
            commands: Vec::new(),
            notifications: self.notifications.clone(),
            keep_entries_ms: self.keep_entries_ms,
            dependencies: None,
            counts_load: None,
        };
        let now = self.now.clone();
        let clock: crate::Clock = Arc::new(move || UnixMillis(now.load(Ordering::Relaxed)));
        let known = self.example;
        let examples: crate::Examples = Arc::new(move |trace| Some(serde_json::json!([trace, known?])));
        let prover: crate::Prover = Arc::new(|_| Err("nothing is proved here".to_owned()));
        let subjects = Subjects::open(&self.root.path().join("subjects")).unwrap();
        let opened = Controller::open(
            (open, Shards::of(&self.dir())),
            (evidence, subjects),
            settings,
            (clock, Arc::new(|| [3; 16]), examples, prover),
        );
        let (controller, Outlook { handle, table, watching, ledger: _, notices }) = opened.unwrap();
        Server { handle, table, watching, notices, task: tokio::spawn(controller.run()) }
    }

    /// The clock goes on, and the controller looks at it: tokio's time is paused, and goes on when everybody waits.
    async fn pass(&self, ms: u64) {
        self.now.fetch_add(ms, Ordering::Relaxed);
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    }

    /// Every decision of the ledger, once its server has stopped.
    fn decisions(&self) -> Vec<Decision> {
        let key = SignerKey::new(KeyName::new("test/ledger").unwrap(), &[1; 32]);
        let (store, _) = Store::open(&self.dir(), key).unwrap();
        let entries = store.read(0..store.size()).unwrap().map(Result::unwrap);
        let records = (0..).zip(entries).map(|(index, entry)| decode(index, &entry).unwrap());
        let decided = records.filter_map(|record| match record.body {
            Body::Decided(decision) => Some(*decision),
            _ => None,
        });
        decided.collect()
    }

    /// A rollout whose first weight is applied; the gateway knew the traces in flight for as long as the plan pins them.
    async fn shifted(&self, server: &Server) -> Report {
        server.start(PLAN).await.unwrap();
        server.apply().await;
        self.pass(1_000).await;
        server.apply().await
    }
}

fn alice() -> Principal {
    Principal::new("alice", vec![])
}

impl Server {
    async fn start(&self, plan: &str) -> Result<Box<Report>, StartError> {
        self.handle.start(plan.to_owned(), "/".into(), alice()).await
    }

    async fn command(&self, command: Command) -> Result<Box<Report>, CommandError> {
        self.handle.command(None, command, alice()).await
    }

    async fn report(&self) -> Report {
        *self.handle.report(None).await.unwrap()
    }

    /// The gateway applies what was published last.
    async fn apply(&self) -> Report {
        let (generation, routed) = (self.table.borrow().generation, self.table.borrow().routed());
        self.handle.tell(Input::Applied { generation, torn: 0, routed }).await;
        self.report().await
    }

    /// As a SIGKILL: nothing is closed in order.
    async fn kill(self) {
        self.task.abort();
        let _ = self.task.await;
    }

    async fn stop(self) {
        self.handle.tell(Input::Stop).await;
        self.task.await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_killed_controller_goes_on_from_its_records() {
    let bench = Bench::new();
    let server = bench.serve();
    assert_eq!(server.table.borrow().generation, 0, "before the first rollout everything goes to `serving`");
    let before = bench.shifted(&server).await;
    assert_eq!(before.headline, "step 2 of 4: pause until a person resumes");
    server.kill().await;

    let server = bench.serve();
    let after = server.report().await;
    assert_eq!((after.headline.as_str(), after.generation), (before.headline.as_str(), before.generation));
    assert_eq!(server.table.borrow().weight, BasisPoints::new(1_000).unwrap());
    assert_eq!(after.weight_observed, None, "nothing is observed before the gateway says so again");
    assert_eq!(server.apply().await.weight_observed, BasisPoints::new(1_000));
    server.command(Command::Resume).await.unwrap();
    assert_eq!(
        server.table.borrow().weight,
        BasisPoints::new(1_000).unwrap(),
        "the traces in flight are not known yet"
    );
    bench.pass(1_000).await;
    assert_eq!(server.table.borrow().weight, BasisPoints::ALL);
    server.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_rollback_is_durable_before_the_table_goes_out_and_ends_when_it_is_applied() {
    let bench = Bench::new();
    let server = bench.serve();
    bench.shifted(&server).await;
    let rolled_back =
        server.command(Command::Rollback { reason: "enough".into(), past_point_of_no_return: false }).await.unwrap();
    assert_eq!(rolled_back.progress, Progress::RollingBack);
    assert_eq!(server.table.borrow().weight, BasisPoints::ZERO);
    server.kill().await;

    let server = bench.serve();
    assert_eq!(server.report().await.progress, Progress::RollingBack);
    let ended = server.apply().await;
    assert_eq!(ended.headline, "rolled back: operator: alice asked for it: enough");
    let (generation, routed) = (ended.generation, server.table.borrow().routed());
    for (torn, expect) in [(0, 0), (7, 7), (7, 7), (3, 7), (9, 9)] {
        server.handle.tell(Input::Applied { generation, torn, routed }).await;
        assert_eq!(server.report().await.torn, expect, "torn traces are counted as they are seen again");
    }
    let again = server.start(PLAN).await.unwrap();
    assert!(again.generation > ended.generation, "generations grow over the life of the ledger");
    assert_eq!(again.rollout.0, "collectors.2");
    let (generation, routed) = (again.generation, server.table.borrow().routed());
    server.handle.tell(Input::Applied { generation, torn: 9, routed }).await;
    assert_eq!(server.report().await.torn, 0, "the gateway counts over all rollouts");
    assert_eq!(server.handle.list().await.len(), 2);
    server.stop().await;
}

/// What the judge said is kept whole, under the digest that the decision names.
#[tokio::test(start_paused = true)]
async fn a_verdict_leaves_the_evidence_that_it_was_made_from() {
    let bench = Bench::new();
    let server = bench.serve();
    let report = bench.shifted(&server).await;
    let (blue, green) = (Behaviour::healthy(), Behaviour::healthy().with(Check::LostSpan, 0.2));
    let mut traffic = Traffic::new(Random::new(1), blue, green);
    for _ in 0..20 {
        let from = UnixMillis(bench.now.load(Ordering::Relaxed));
        let observation = traffic.observation(PerEnvironment { blue: 900, green: 100 }, from, from.plus_ms(2_000));
        server.handle.tell(Input::Observed { rollout: report.rollout.clone(), observation: observation.into() }).await;
        bench.pass(2_000).await;
    }
    assert_eq!(server.report().await.progress, Progress::RollingBack);
    server.stop().await;

    let named: Vec<(String, Box<Assessment>)> = bench.decisions().into_iter().filter_map(evidence_of).collect();
    assert!(!named.is_empty());
    for (digest, assessment) in named {
        let hex = digest.strip_prefix("sha256:").unwrap();
        let blob = std::fs::read(bench.root.path().join("evidence").join(hex)).unwrap();
        let evidence = JudgeEvidence::from_bytes(&blob).unwrap();
        assert_eq!((evidence.digest(), evidence.judge.assess()), (digest, *assessment));
    }
}

fn evidence_of(decision: Decision) -> Option<(String, Box<Assessment>)> {
    match decision {
        Decision::Judged { assessment, evidence } => Some((evidence?, assessment)),
        _ => None,
    }
}

#[tokio::test(start_paused = true)]
async fn a_start_that_cannot_be_is_refused_and_changes_nothing() {
    let bench = Bench::new();
    let server = bench.serve();
    for (plan, expect) in [
        (PLAN.replace("14317", "14999"), "blue's endpoint is http://127.0.0.1:14999, but traffic is served by"),
        (PLAN.replace("24317\" }", "24317\" }, tap: purple"), "environments.green.tap is \"purple\""),
        (PLAN.replace("setWeight: 100%", "setWeight: 5%"), "the plan is refused"),
    ] {
        let error = server.start(&plan).await.unwrap_err().to_string();
        assert!(error.contains(expect), "{error}");
    }
    assert!(server.handle.report(None).await.is_none());
    server.start(PLAN).await.unwrap();
    assert!(matches!(server.start(PLAN).await, Err(StartError::Running { .. })));
    server.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_command_that_cannot_be_says_why() {
    let bench = Bench::new();
    let server = bench.serve();
    assert!(matches!(server.command(Command::Pause).await, Err(CommandError::Unknown { .. })));
    server.start(PLAN).await.unwrap();
    let refused = server.command(Command::Resume).await.unwrap_err().to_string();
    assert_eq!(refused, "resume was refused: nothing waits for it: the rollout goes on by itself");
    server.stop().await;
}

#[tokio::test(start_paused = true)]
async fn results_of_another_run_or_rollout_are_ignored() {
    let bench = Bench::new();
    let server = bench.serve();
    let rollout = server.start(PLAN).await.unwrap().rollout;
    let result = GateResult { verdict: GateVerdict::Fail, reasons: vec!["no".into()], evidence: None };
    for (rollout, run) in [(rollout.clone(), 9), (rollout::RolloutId("other.1".into()), 1)] {
        let result = result.clone();
        server.handle.tell(Input::GateFinished { rollout, gate: GateName::Probe, run, result, evidence: None }).await;
    }
    assert_eq!(server.report().await.progress, Progress::Progressing);
    server.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_the_ledger_does_not_take_is_not_done_and_is_done_when_it_is_mended() {
    let bench = Bench::new();
    let server = bench.serve();
    bench.shifted(&server).await;
    let moved = bench.dir().with_extension("moved");
    std::fs::rename(bench.dir(), &moved).unwrap();
    let refused = server.command(Command::Resume).await;
    assert!(matches!(refused, Err(CommandError::Ledger(_))), "{refused:?}");
    assert_eq!(server.table.borrow().weight, BasisPoints::new(1_000).unwrap(), "no record, no traffic");
    mend(&moved, &bench.dir());
    // The next tick opens the ledger again.
    bench.pass(1_000).await;
    server.command(Command::Resume).await.unwrap();
    server.apply().await;
    bench.pass(1_000).await;
    assert_eq!(server.table.borrow().weight, BasisPoints::ALL);
    assert_eq!(server.report().await.active, Environment::Blue);
    server.stop().await;
}

/// The plan with a metric of a Prometheus at this address.
fn with_metric(address: std::net::SocketAddr) -> String {
    let query = |what: &str| format!("'sum({what}_total{{env=\"{{{{environment}}}}\"}})'");
    let (events, total) = (query("errors"), query("requests"));
    let metric = format!(
        "metrics: [{{ name: checkout, prometheus: {{ url: \"http://{address}\" }}, events: {events}, total: {total}, \
         worseThanActiveBy: 1% }}]"
    );
    PLAN.replace("spanLoss: { atMost: 1% }", &format!("spanLoss: {{ atMost: 1% }}, {metric}"))
}

/// Everything comes in real time here, and is waited for.
async fn until(server: &Server, wanted: impl Fn(&Report) -> bool) -> Report {
    let looked = tokio::time::timeout(std::time::Duration::from_secs(60), async {
        loop {
            let report = server.report().await;
            if wanted(&report) {
                return report;
            }
            tokio::task::yield_now().await;
        }
    });
    looked.await.expect("what is waited for comes")
}

#[tokio::test]
async fn a_metric_is_asked_for_from_the_start_and_after_a_restart() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let bench = Bench::new();
    let server = bench.serve();
    server.start(&with_metric(address)).await.unwrap();
    let answer = |body: &str| format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    for body in [r#"{"status":"success","data":{"resultType":"vector","result":[]}}"#; 3] {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(answer(body).as_bytes()).await.unwrap();
        // Until it has read the answer.
        let _ = stream.read_to_end(&mut Vec::new()).await;
    }
    let held = until(&server, |report| report.progress == Progress::Held).await;
    assert_eq!(held.headline, "held at step 1: the source of metric checkout fails");
    assert!(held.waits_for[0].contains("no series for the `events` of blue"), "{held:?}");
    server.kill().await;

    let server = bench.serve();
    assert_eq!(server.report().await.headline, held.headline, "it is in the ledger");
    let element = |(part, value)| format!(r#"{{"metric":{{"verdigris":"{part}"}},"value":[1700000000,"{value}"]}}"#);
    let parts = [("blueEvents", 1), ("blueTotal", 100), ("greenEvents", 2), ("greenTotal", 50)].map(element).join(",");
    let body = format!(r#"{{"status":"success","data":{{"resultType":"vector","result":[{parts}]}}}}"#);
    let (mut stream, _) = listener.accept().await.unwrap();
    stream.write_all(answer(&body).as_bytes()).await.unwrap();
    until(&server, |report| report.progress == Progress::Progressing).await;
    server.command(Command::Rollback { reason: "enough".into(), past_point_of_no_return: false }).await.unwrap();
    assert_eq!(server.apply().await.progress, Progress::RolledBack);
    server.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_source_that_stays_away_fills_no_ledger() {
    let bench = Bench::new();
    let server = bench.serve();
    // Nobody listens at a port that was given back.
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    server.start(&with_metric(address)).await.unwrap();
    for _ in 0..100 {
        bench.pass(1_000).await;
    }
    assert_eq!(server.report().await.headline, "held at step 1: the source of metric checkout fails");
    server.stop().await;
    let told = bodies(&bench).iter().filter(|body| body.contains("Measured")).count();
    assert!((1..=3).contains(&told), "once for each reason: {told}");
}

/// How often the server's own records say that it started, and that it stopped.
fn starts_and_stops(bench: &Bench) -> (usize, usize) {
    let bodies = bodies(bench);
    let count = |name: &str| bodies.iter().filter(|body| body.starts_with(name)).count();
    (count("ServerStarted"), count("ServerStopped"))
}

/// What the ledger's records say.
fn bodies(bench: &Bench) -> Vec<String> {
    let key = SignerKey::new(KeyName::new("test/ledger").unwrap(), &[1; 32]);
    let reader = store::Reader::open(&bench.dir()).unwrap();
    let checkpoint = reader.checkpoint(key.verifier()).unwrap();
    let entries = reader.entries(&checkpoint, 0..checkpoint.size()).unwrap();
    let body = |entry: &[u8]| format!("{:?}", decode(0, entry).unwrap().body);
    entries.map(|entry| body(&entry.unwrap())).collect()
}

/// 100 traces of blue, of which one half has 50 and loses a span in all of them.
fn uneven(batch: u64) -> Box<Observation> {
    let arm = |traces| ArmCounts { traces, events: [(Check::LostSpan, 50)].into(), ..ArmCounts::default() };
    Box::new(Observation {
        arms: PerEnvironment { blue: arm(100), green: ArmCounts::default() },
        blue_half: Some(arm(50)),
        ..Observation::of_nothing(batch, UnixMillis(batch * 2_000), UnixMillis(batch * 2_000 + 2_000))
    })
}

/// How many observations the ledger has, and in how many of them blue can be compared with itself.
fn observations(bench: &Bench) -> (usize, usize) {
    let key = SignerKey::new(KeyName::new("test/ledger").unwrap(), &[1; 32]);
    let reader = store::Reader::open(&bench.dir()).unwrap();
    let checkpoint = reader.checkpoint(key.verifier()).unwrap();
    let entries = reader.entries(&checkpoint, 0..checkpoint.size()).unwrap();
    let halves = entries.filter_map(|entry| match decode(0, &entry.unwrap()).unwrap().body {
        Body::Happened(event) => match *event {
            Event::Observed(observation) => Some(observation.blue_half.is_some()),
            _ => None,
        },
        _ => None,
    });
    let halves: Vec<bool> = halves.collect();
    (halves.len(), halves.iter().filter(|half| **half).count())
}

#[tokio::test(start_paused = true)]
async fn a_broken_measurement_holds_through_a_restart_until_a_person_resumes() {
    let bench = Bench::new();
    let server = bench.serve();
    let plan = PLAN
        .replace("      - setWeight: 10%", "      - pause: {}\n      - mirror: { for: 60s }\n      - setWeight: 10%");
    let rollout = server.start(&plan).await.unwrap().rollout;
    server.apply().await;
    server.handle.tell(Input::Observed { rollout: rollout.clone(), observation: uneven(1) }).await;
    assert_eq!(server.report().await.noise, None, "green has no copies yet");
    server.command(Command::Resume).await.unwrap();
    server.apply().await;
    server.handle.tell(Input::Observed { rollout: rollout.clone(), observation: uneven(2) }).await;
    let held = server.report().await;
    assert_eq!(held.headline, "held at step 2: the measurement is broken: blue differs from blue");
    assert!(held.noise.unwrap().alarmed && held.needs_person);
    server.kill().await;

    let server = bench.serve();
    assert_eq!(server.report().await.headline, held.headline);
    server.apply().await;
    server.handle.tell(Input::Observed { rollout, observation: uneven(3) }).await;
    let refused = server.command(Command::Promote).await.unwrap_err().to_string();
    assert!(refused.starts_with("promote was refused: the measurement is broken"), "{refused}");
    let resumed = server.command(Command::Resume).await.unwrap();
    assert_eq!(resumed.headline, "step 2 of 6: mirror for 1m");
    assert_eq!(resumed.noise.unwrap().halves, [0, 0]);
    server.stop().await;
    assert_eq!(observations(&bench), (3, 2), "what no decision depends on is not recorded");
}

#[tokio::test(start_paused = true)]
async fn a_ledger_that_is_released_can_be_opened_and_is_taken_back_with_what_was_decided_there() {
    let bench = Bench::new();
    let server = bench.serve();
    bench.shifted(&server).await;
    server.handle.release().await.unwrap();
    let refused = server.command(Command::Resume).await;
    assert!(matches!(refused, Err(CommandError::Ledger(_))), "{refused:?}");
    bench.pass(60_000).await;
    assert_eq!(server.table.borrow().weight, BasisPoints::new(1_000).unwrap(), "nothing is decided");
    assert!(matches!(server.handle.release().await, Err(ReleaseError::Ledger(_))), "it has no ledger to release");

    let other = bench.serve();
    other.apply().await;
    other.command(Command::Rollback { reason: "enough".into(), past_point_of_no_return: false }).await.unwrap();
    // Not before the other process has closed it.
    server.handle.tell(Input::TakeBack).await;
    bench.pass(1_000).await;
    assert_eq!(server.table.borrow().weight, BasisPoints::new(1_000).unwrap());
    assert_eq!(server.watching.borrow().as_ref().unwrap().taken_back, 0);
    other.kill().await;
    bench.pass(1_000).await;
    assert_eq!(server.table.borrow().weight, BasisPoints::ZERO, "what the other decided is carried out here");
    assert_eq!(server.watching.borrow().as_ref().unwrap().taken_back, 1, "verification begins anew");
    assert_eq!(server.apply().await.progress, Progress::RolledBack);
    server.stop().await;
    assert_eq!(starts_and_stops(&bench), (3, 2), "the one that was killed did not stop");
}

#[tokio::test(start_paused = true)]
async fn a_controller_that_has_released_its_ledger_ends_without_it() {
    let bench = Bench::new();
    let server = bench.serve();
    server.handle.release().await.unwrap();
    let other = bench.serve();
    server.stop().await;
    assert_eq!(other.handle.list().await.len(), 0);
    other.stop().await;
    assert_eq!(starts_and_stops(&bench), (2, 2));
}

/// The ledger's files cannot be written, as on a full disk; the room in its write-ahead log is set aside.
#[tokio::test(start_paused = true)]
async fn without_room_nothing_is_promoted_and_a_rollback_is_recorded() {
    let bench = Bench::new();
    let server = bench.serve();
    bench.shifted(&server).await;
    let temporary = bench.dir().join("tmp");
    std::fs::remove_dir_all(&temporary).unwrap();
    std::fs::write(&temporary, "in the way").unwrap();
    let before = bodies(&bench).len();
    // That one's files were made before.
    server.command(Command::Pause).await.unwrap();
    for command in [Command::Resume, Command::Promote] {
        let refused = server.command(command).await;
        assert!(matches!(refused, Err(CommandError::Ledger(_))), "{refused:?}");
    }
    bench.pass(1_000).await;
    assert_eq!(server.table.borrow().weight, BasisPoints::new(1_000).unwrap(), "no record, no traffic");
    assert_eq!(server.watching.borrow().as_ref().unwrap().taken_back, 0);
    server
        .command(Command::Rollback { reason: "the disk is full".into(), past_point_of_no_return: false })
        .await
        .unwrap();
    assert_eq!(server.table.borrow().weight, BasisPoints::ZERO);
    assert_eq!(server.apply().await.progress, Progress::RolledBack);
    assert_eq!(bodies(&bench).len(), before, "readers of the files see it when there is room");
    std::fs::remove_file(&temporary).unwrap();
    std::fs::create_dir(&temporary).unwrap();
    let next = server.start(PLAN).await.unwrap();
    assert_eq!(next.rollout.0, "collectors.2");
    let said = bodies(&bench);
    assert!(said[before..].iter().any(|body| body.contains("the disk is full")), "{said:?}");
    server.stop().await;
    assert!(bench.decisions().iter().any(|decision| matches!(decision, Decision::RollbackOrdered(_))));
}

#[tokio::test(start_paused = true)]
async fn taps_change_unless_traffic_comes_in_there() {
    let bench = Bench::new();
    let server = bench.serve();
    let taps = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let refused = server.handle.taps(taps(&["green", "purple"])).await;
    assert!(matches!(refused, Err(TapsError::InUse { environment: Environment::Blue, ref tap }) if tap == "blue"));
    server.start(PLAN).await.unwrap();
    let refused = server.handle.taps(taps(&["blue", "purple"])).await;
    assert!(matches!(refused, Err(TapsError::InUse { environment: Environment::Green, .. })));
    server.command(Command::Rollback { reason: "enough".into(), past_point_of_no_return: false }).await.unwrap();
    server.apply().await;
    server.handle.taps(taps(&["blue", "green", "purple"])).await.unwrap();
    let plan = PLAN.replace("24317\" }", "24317\" }, tap: purple");
    assert_eq!(server.start(&plan).await.unwrap().rollout.0, "collectors.2");
    server.stop().await;
}

fn mend(moved: &Path, back: &Path) {
    if back.exists() {
        std::fs::remove_dir_all(back).unwrap();
    }
    std::fs::rename(moved, back).unwrap();
}
