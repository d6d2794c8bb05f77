use super::super::audit::{Arrivals, Disturbances, Findings, audit};
use super::super::book::Book;
use super::super::client::Protocol;
use super::super::exporter::{Exporter, Ground};
use super::super::journal::Reader;
use super::super::numbering::Part;
use super::*;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use tokio::task::JoinSet;

/// A sink and exporters of both protocols before it, in one process.
struct Pair {
    sink: Rc<Sink>,
    journal: PathBuf,
    ground: Rc<Ground>,
    exporters: [Exporter; 2],
    next: u64,
    /// Kept: they end when this is dropped.
    _workers: JoinSet<()>,
}

impl Pair {
    async fn start() -> Pair {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("verdigris-soak-sink-{}-{}", std::process::id(), COUNT.fetch_add(1, Relaxed));
        let journal = std::env::temp_dir().join(name);
        let sink = Rc::new(Sink::new(Writer::create(&journal).unwrap()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let to = listener.local_addr().unwrap();
        tokio::task::spawn_local(accept(Rc::clone(&sink), listener));
        let book = RefCell::new(Book::default());
        let ground = Rc::new(Ground { book, valve: Valve::open(), pending: Cell::new(0) });
        let mut workers = JoinSet::new();
        let exporters =
            [Protocol::Grpc, Protocol::Http].map(|protocol| Exporter::start(protocol, to, &ground, &mut workers));
        Pair { sink, journal, ground, exporters, next: 0, _workers: workers }
    }

    /// Each exporter sends a whole trace.
    fn send(&mut self) {
        for exporter in &self.exporters {
            let parts = Part::of(self.next).collect();
            exporter.push(self.ground.book.borrow_mut().open(0, parts, unix_ms()));
            self.next += 1;
        }
    }

    /// Until a condition of the book holds.
    async fn until(&self, holds: impl Fn(&Book) -> bool) {
        while !holds(&self.ground.book.borrow()) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    fn findings(&self) -> Findings {
        let mut arrivals = Arrivals::default();
        for record in Reader::new(self.journal.clone()).read().unwrap() {
            arrivals.take(0, &record);
        }
        audit(&self.ground.book.borrow(), &arrivals, &Disturbances::default())
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        std::fs::remove_file(&self.journal).unwrap();
    }
}

#[tokio::test]
async fn what_is_refused_is_sent_again_and_recorded_once() {
    let run = async {
        let mut pair = Pair::start().await;
        for order in [Order::Exhausted { retry_after_ms: 1 }, Order::Unavailable] {
            let before = pair.ground.book.borrow().counts;
            pair.sink.obey(order);
            pair.send();
            pair.until(|book| book.counts.refused >= before.refused + 2).await;
            assert_eq!(pair.findings().arrived, before.spans, "a refusal records nothing");
            pair.sink.obey(Order::Take);
            pair.until(|book| book.acknowledged.len() == book.counts.spans).await;
        }
        let found = pair.findings();
        assert_eq!((found.acknowledged, found.arrived, found.lost, found.duplicates), (80, 80, 0, 0));
        assert_eq!((found.changed, found.malformed, pair.ground.book.borrow().counts.never), (0, 0, 0));
    };
    LocalSet::new().run_until(run).await;
}

#[tokio::test]
async fn what_a_stall_holds_back_is_recorded_before_it_is_acknowledged() {
    let run = async {
        let mut pair = Pair::start().await;
        pair.send();
        pair.until(|book| book.acknowledged.len() == 40).await;
        pair.sink.obey(Order::StallAnswers);
        pair.send();
        while pair.findings().arrived < 80 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(pair.findings().acknowledged, 40);
        pair.sink.obey(Order::Take);
        pair.until(|book| book.acknowledged.len() == 80).await;
        assert_eq!(pair.findings().lost, 0);
    };
    LocalSet::new().run_until(run).await;
}

#[test]
fn a_span_that_was_never_sent_is_no_request_of_ours() {
    let mut request = numbering::request(0, &[Part { trace: 3, part: 0 }]);
    assert_eq!(numbers(&request.encode_to_vec(), false, false).unwrap(), [60, 61, 62, 63]);
    request.resource_spans[0].scope_spans[0].spans[0].name.clear();
    assert_eq!(numbers(&request.encode_to_vec(), false, false).unwrap(), [60 | CHANGED, 61, 62, 63]);
    request.resource_spans[0].scope_spans[0].spans[1].trace_id = vec![1; 16];
    assert!(numbers(&request.encode_to_vec(), false, false).is_err());
    assert!(numbers(b"no protobuf", false, false).is_err());
}
