//! A new year's part of the ledger begins while nothing runs, and old entries go with what they say of people.

use super::*;
use rollout::KnownPrincipal;
use store::Reader;

/// From November 2023, where these tests begin, to some days into 2024.
const INTO_2024_MS: u64 = 60 * 24 * 3_600_000;
const YEAR_MS: u64 = 366 * 24 * 3_600_000;

fn records(dir: &Path) -> Vec<rollout::Record> {
    let entries = Reader::open(dir).unwrap();
    let entries = entries.own_entries().unwrap().map(Result::unwrap).collect::<Vec<_>>();
    (0..).zip(entries).map(|(index, entry)| decode(index, &entry).unwrap()).collect()
}

impl Bench {
    fn ended(&self) -> Vec<u16> {
        Shards::of(&self.dir()).ended().unwrap().iter().map(|ended| ended.year).collect()
    }

    /// A rollout that was rolled back.
    async fn rolled_back(&self, server: &Server) -> Report {
        self.shifted(server).await;
        server.command(Command::Rollback { reason: "enough".into(), past_point_of_no_return: false }).await.unwrap();
        server.apply().await
    }
}

#[tokio::test(start_paused = true)]
async fn a_part_begins_with_the_year_and_goes_on_from_what_was() {
    let bench = Bench::new();
    let server = bench.serve();
    let ended = bench.rolled_back(&server).await;
    let table = server.table.borrow().clone();
    bench.pass(INTO_2024_MS).await;
    assert_eq!(bench.ended(), [2023]);
    assert_eq!(*server.table.borrow(), table, "traffic does not notice");
    server.kill().await;

    let server = bench.serve();
    assert_eq!(*server.table.borrow(), table, "the table is known again from the new part alone");
    let again = server.start(PLAN).await.unwrap();
    assert_eq!(again.rollout.0, "collectors.2", "no two rollouts have one name");
    assert!(again.generation > ended.generation, "generations grow over the life of the ledger");
    assert_eq!(server.handle.list().await.len(), 1, "what ended stands in the part that ended");
    server.stop().await;

    let new = records(&bench.dir());
    let Body::ShardBegan(start) = &new[0].body else { panic!("{:?}", new[0]) };
    let old = bench.root.path().join("ledger-2023");
    let key = SignerKey::new(KeyName::new("test/ledger").unwrap(), &[1; 32]);
    let checkpoint = ledger::Checkpoint::open(&start.checkpoint, key.verifier()).unwrap();
    let report = Reader::open(&old).unwrap().verify(key.verifier()).unwrap();
    assert_eq!((checkpoint.size(), checkpoint.root()), (report.size, report.root), "it ended as it is said to");
    assert_eq!(new[0].sequence, records(&old).iter().filter(|it| it.rollout.is_none()).count() as u64);
    let of = new.iter().find_map(|record| match &record.body {
        Body::Started(start) => Some(start.log.clone()),
        _ => None,
    });
    assert_eq!(of.as_deref(), Some("test/ledger/2024"));
    rollout::replay(&new).unwrap();
    assert!(rollout::replay(&[records(&old), new].concat()).is_err(), "no part begins in the midst of another");
}

#[tokio::test(start_paused = true)]
async fn a_rollout_stands_in_one_part() {
    let bench = Bench::new();
    let server = bench.serve();
    bench.shifted(&server).await;
    bench.pass(INTO_2024_MS).await;
    assert_eq!(bench.ended(), [0u16; 0], "it goes on where it began");
    server.command(Command::Rollback { reason: "enough".into(), past_point_of_no_return: false }).await.unwrap();
    server.apply().await;
    bench.pass(3_600_000).await;
    assert_eq!(bench.ended(), [2023]);
    bench.pass(YEAR_MS).await;
    assert_eq!(bench.ended(), [2023, 2024]);
    let start = server.start(PLAN).await.unwrap();
    assert_eq!(start.rollout.0, "collectors.2", "what a part carries is carried on");
    server.stop().await;
}

/// The record of a part that cannot begin is in no part, and the ledger goes on.
#[tokio::test(start_paused = true)]
async fn a_part_that_cannot_begin_leaves_the_ledger_as_it_was() {
    let bench = Bench::new();
    let in_the_way = bench.root.path().join("ledger-2023");
    std::fs::create_dir(&in_the_way).unwrap();
    let server = bench.serve();
    bench.pass(INTO_2024_MS).await;
    bench.pass(1_000).await;
    server.start(PLAN).await.unwrap();
    server.stop().await;
    assert!(records(&bench.dir()).iter().any(|record| matches!(record.body, Body::Started(_))));
    std::fs::remove_dir(in_the_way).unwrap();
}

#[tokio::test(start_paused = true)]
async fn entries_go_after_their_time_with_what_only_they_name() {
    let (roles, uids, keys) = (Vec::new(), Vec::new(), Vec::new());
    let known = KnownPrincipal { name: "ada".to_owned(), roles, uids, keys, person: None };
    let persons = [("ada".to_owned(), "Ada Lovelace".to_owned())];
    let bench = Bench {
        keep_entries_ms: Some(YEAR_MS),
        principals: vec![known],
        persons: persons.into_iter().collect(),
        ..Bench::new()
    };
    let server = bench.serve();
    server.stop().await;
    let sealed = || std::fs::read_dir(bench.root.path().join("subjects")).unwrap().count() / 2;
    assert_eq!(sealed(), 1);
    // Nobody named is nobody in the new part.
    let bench = Bench { principals: Vec::new(), persons: Persons::default(), ..bench };
    bench.now.fetch_add(INTO_2024_MS, Ordering::Relaxed);
    let server = bench.serve();
    assert_eq!(bench.ended(), [2023]);
    let old = bench.root.path().join("ledger-2023");
    let key = SignerKey::new(KeyName::new("test/ledger").unwrap(), &[1; 32]);
    let root = Reader::open(&old).unwrap().verify(key.verifier()).unwrap().root;
    bench.pass(YEAR_MS - INTO_2024_MS).await;
    assert!(!Reader::open(&old).unwrap().is_pruned().unwrap(), "2023 ended less than a year ago");
    bench.pass(INTO_2024_MS).await;
    bench.pass(3_600_000).await;
    assert!(Reader::open(&old).unwrap().is_pruned().unwrap());
    assert_eq!(std::fs::read_dir(bench.root.path().join("subjects")).unwrap().count(), 0);
    assert_eq!(Reader::open(&old).unwrap().verify_pruned(key.verifier()).unwrap().root, root);
    let names: Vec<String> =
        bench.ended().iter().map(|year| format!("ledger-{year}")).chain(["ledger".into()]).collect();
    let all = names.iter().skip(1).flat_map(|name| records(&bench.root.path().join(name)));
    let pruned = all.filter_map(|record| match record.body {
        Body::EntriesPruned { ended, persons, .. } => Some((ended, persons.len())),
        _ => None,
    });
    assert_eq!(pruned.collect::<Vec<_>>(), [(2023, 1)]);
    server.stop().await;
}
