use super::*;
use crate::observe::tests::{table, watching};
use bytes::Bytes;
use gateway::{Outcome, PartialSuccess, Role};
use model::RouteKey;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value::StringValue;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;
use rollout::plan::{StoreApi, StoreQuery};

const START: UnixMillis = UnixMillis(1_000_000);
const ASKED: LearnRequest =
    LearnRequest { environment: None, for_ms: 10_000, horizon_ms: 1_000, least_share: 0.05, least_spans: 1 };

/// A server's ends of it.
struct Fixture {
    learning: Learning,
    lessons: Lessons,
    table: watch::Sender<Arc<RouteTable>>,
    watching: watch::Sender<Option<Watching>>,
    alone: watch::Sender<bool>,
    share: ViewShare,
}

impl Fixture {
    fn new() -> Fixture {
        let (table, tables) = watch::channel(Arc::new(table(false)));
        let (watching, watched) = watch::channel(None);
        let (alone, is_alone) = watch::channel(true);
        let (learning, taught) = Learning::new(tables, watched, is_alone);
        let lessons = Lessons::new(taught, 1_000_000);
        Fixture { learning, lessons, table, watching, alone, share: ViewShare::default() }
    }

    fn ask(&self, request: LearnRequest) -> Result<watch::Receiver<Value>, LearnError> {
        self.learning.begin(request, &Principal::new("ada", Vec::new()))
    }

    /// Somebody learns, from [`START`] on.
    async fn begun(&mut self) -> watch::Receiver<Value> {
        let told = self.ask(ASKED).expect("nobody learns yet");
        let asked = self.lessons.asked().await;
        self.lessons.begin(asked, START);
        self.show();
        told
    }

    fn show(&mut self) {
        self.lessons.show(&self.share, None, START);
    }

    /// What was told last, at this time.
    fn told(&mut self, told: &mut watch::Receiver<Value>, after_ms: u64) -> Value {
        self.lessons.advance(START.plus_ms(after_ms));
        told.borrow_and_update().clone()
    }
}

/// An export of traces of one span with one attribute.
fn message(traces: std::ops::Range<u64>, key: &str) -> Bytes {
    let value = AnyValue { value: Some(StringValue("GET".to_owned())) };
    let attribute = KeyValue { key: key.to_owned(), value: Some(value), ..KeyValue::default() };
    let span = |trace: u64| Span {
        trace_id: [[1; 8], trace.to_be_bytes()].concat(),
        span_id: vec![1; 8],
        name: "order".to_owned(),
        kind: 2,
        attributes: vec![attribute.clone()],
        ..Span::default()
    };
    let scope = ScopeSpans { spans: traces.map(span).collect(), ..ScopeSpans::default() };
    let resource = ResourceSpans { scope_spans: vec![scope], ..ResourceSpans::default() };
    ExportTraceServiceRequest { resource_spans: vec![resource] }.encode_to_vec().into()
}

fn sent(environment: Environment, traces: std::ops::Range<u64>) -> View {
    let (handed_over_us, answered_us) = (START.0 * 1_000, START.0 * 1_000);
    let (role, generation, message) = (Role::Serving, 1, message(traces, "http.method"));
    let outcome = Outcome::Acknowledged(PartialSuccess::default());
    View::Sent { environment, role, message, handed_over_us, answered_us, outcome, generation }
}

fn out(environment: Environment, traces: std::ops::Range<u64>) -> View {
    View::Out { environment, message: message(traces, "http.request.method"), at_us: START.0 * 1_000 }
}

#[tokio::test]
async fn it_tells_what_it_learned_every_second_until_the_time_is_over() {
    let mut fixture = Fixture::new();
    assert_eq!(fixture.learning.status(), Value::Null);
    let mut told = fixture.begun().await;
    let first = fixture.told(&mut told, 0);
    assert_eq!((&first["spans"]["compared"], &first["isOver"]), (&0.into(), &false.into()));
    for view in [sent(Environment::Blue, 0..40), out(Environment::Blue, 0..30), out(Environment::Green, 30..40)] {
        fixture.lessons.take(&view);
    }
    assert_eq!(fixture.told(&mut told, 999), first, "not yet");
    let second = fixture.told(&mut told, 1_000);
    assert_eq!((&second["spans"]["compared"], &second["traces"]["awaited"]), (&30.into(), &40.into()), "{second}");
    let status = fixture.learning.status();
    assert_eq!((&status["spans"], &status["environment"]), (&second["spans"], &"blue".into()));
    let yaml = |told: &Value| told["yaml"].as_str().expect("it is text").to_owned();
    assert!(yaml(&second).contains("http.method: http.request.method  # 100.0%"), "{}", yaml(&second));
    assert!(!yaml(&second).contains("samples") && yaml(&second).contains("no trace had waited for the horizon of 1s"));
    let last = fixture.told(&mut told, 10_000);
    assert!(yaml(&last).contains("samples: true  # 25.0% of the traces: 10 of 40"), "{}", yaml(&last));
    assert_eq!((&last["isOver"], &last["isWhole"], &last["leftMs"]), (&true.into(), &true.into(), &0.into()));
    assert!(told.changed().await.is_err(), "it is over");
    assert_eq!(fixture.learning.status(), Value::Null);
    fixture.begun().await;
}

#[tokio::test]
async fn what_was_in_flight_when_views_were_missed_is_left_out_and_said() {
    let mut fixture = Fixture::new();
    let mut told = fixture.begun().await;
    let not_mirrored = View::NotMirrored { environment: Environment::Blue, message: message(50..53, "http.method") };
    for view in [sent(Environment::Blue, 0..40), out(Environment::Blue, 0..30), View::Missed { views: 7 }, not_mirrored]
    {
        fixture.lessons.take(&view);
    }
    let last = fixture.told(&mut told, 10_000);
    assert_eq!(
        (&last["traces"]["settled"], &last["traces"]["leftOut"], &last["gaps"]),
        (&0.into(), &43.into(), &1.into())
    );
    let yaml = last["yaml"].as_str().expect("it is text");
    assert!(yaml.contains("43 traces were left out, of which not all was seen (1 times it could not look)."), "{yaml}");
    assert!(yaml.contains("30 of 30"), "pairs that were seen are facts: {yaml}");
    assert_eq!(last["isWhole"], false);
}

#[tokio::test]
async fn one_learns_at_a_time_and_it_ends_when_nobody_hears_it() {
    let mut fixture = Fixture::new();
    let told = fixture.begun().await;
    assert_eq!(fixture.ask(ASKED).err(), Some(LearnError::Busy));
    fixture.lessons.advance(START);
    drop(told);
    assert_eq!(fixture.ask(ASKED).err(), Some(LearnError::Busy), "until the thread has seen it");
    fixture.lessons.advance(START);
    assert_eq!(fixture.learning.status(), Value::Null);
    fixture.begun().await;
}

#[tokio::test]
async fn another_route_key_begins_anew() {
    let mut fixture = Fixture::new();
    let mut told = fixture.begun().await;
    fixture.lessons.take(&sent(Environment::Blue, 0..40));
    let next = RouteTable { generation: 2, key: RouteKey([8; 16]), ..table(true) };
    fixture.table.send_replace(Arc::new(next));
    fixture.show();
    fixture.lessons.take(&sent(Environment::Blue, 40..50));
    let last = fixture.told(&mut told, 10_000);
    assert_eq!((&last["traces"]["leftOut"], &last["traces"]["settled"]), (&40.into(), &10.into()), "{last}");
}

#[test]
fn where_nothing_can_be_learned_it_does_not_begin() {
    let fixture = Fixture::new();
    let green = LearnRequest { environment: Some(Environment::Green), ..ASKED };
    let not_there = LearnError::NotThere { environment: Environment::Green, active: Environment::Blue };
    assert_eq!(fixture.ask(green).err(), Some(not_there));
    fixture.alone.send_replace(false);
    assert_eq!(fixture.ask(ASKED).err(), Some(LearnError::NotAlone));
    fixture.alone.send_replace(true);
    let query = StoreQuery {
        api: StoreApi::Jaeger,
        url: "http://127.0.0.1:1".to_owned(),
        tls: model::ClientTls::default(),
        bearer_token_file: None,
        share: BasisPoints::ALL,
        settle_ms: 1_000,
        replaces_tap: true,
    };
    fixture.watching.send_replace(watching(0).map(|mut watching| {
        watching.queries.blue = Some(query);
        watching
    }));
    assert_eq!(fixture.ask(ASKED).err(), Some(LearnError::NoTap { environment: Environment::Blue }));
    fixture.watching.send_replace(None);
    assert!(fixture.ask(ASKED).is_ok());
    let Fixture { learning, lessons, .. } = Fixture::new();
    drop(lessons);
    let by = Principal::new("ada", Vec::new());
    assert_eq!(learning.begin(ASKED, &by).err(), Some(LearnError::Stopped));
}
