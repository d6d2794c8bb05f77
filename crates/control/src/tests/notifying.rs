//! What is to be told follows from the records, and what became of it stands among them.

use super::*;

fn pager() -> NotificationTarget {
    NotificationTarget { name: "pager".to_owned(), on: vec!["rolloutStarted".to_owned(), "paused".to_owned()] }
}

/// The events that wait, once the controller has looked.
async fn waits(bench: &Bench, server: &Server) -> Vec<(String, String)> {
    bench.pass(1_000).await;
    let pending = server.notices.borrow().clone();
    pending.iter().map(|notice| (notice.event.name().to_owned(), notice.id.clone())).collect()
}

#[tokio::test(start_paused = true)]
async fn a_notice_waits_through_a_restart_until_it_is_recorded_as_delivered() {
    let bench = Bench { notifications: vec![pager()], ..Bench::new() };
    let server = bench.serve();
    server.start(PLAN).await.unwrap();
    let before = waits(&bench, &server).await;
    assert_eq!(before.iter().map(|(event, _)| event.as_str()).collect::<Vec<_>>(), ["rolloutStarted"]);
    server.kill().await;

    let server = bench.serve();
    assert_eq!(waits(&bench, &server).await, before, "under the same id");
    let id = before[0].1.clone();
    server.handle.tell(Input::Notified { id: id.clone(), tries: 2, gave_up: None }).await;
    server.handle.tell(Input::Notified { id, tries: 2, gave_up: None }).await;
    assert_eq!(waits(&bench, &server).await, []);
    server.stop().await;

    let server = bench.serve();
    assert_eq!(waits(&bench, &server).await, []);
    server.stop().await;
    let said = bodies(&bench);
    let count = |what: &str| said.iter().filter(|body| body.contains(what)).count();
    assert_eq!((count("NotificationsRead"), count("Notified {")), (1, 1), "{said:?}");
}

#[tokio::test(start_paused = true)]
async fn another_configuration_tells_others_from_then_on_and_stands_in_the_ledger() {
    let bench = Bench::new();
    let server = bench.serve();
    server.start(PLAN).await.unwrap();
    server.handle.tell(Input::Notifications(vec![pager()])).await;
    assert_eq!(waits(&bench, &server).await, [], "what was before is not told");
    server.command(Command::Pause).await.unwrap();
    assert_eq!(waits(&bench, &server).await[0].0, "paused");
    let gave_up = Some("HTTP status 500".repeat(100));
    let id = waits(&bench, &server).await[0].1.clone();
    server.handle.tell(Input::Notified { id, tries: 8, gave_up }).await;
    assert_eq!(waits(&bench, &server).await, []);
    server.stop().await;
    let said = bodies(&bench);
    assert!(said.iter().any(|body| body.contains("Notified {") && body.len() < 600), "{said:?}");
}
