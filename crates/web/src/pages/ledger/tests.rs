use crate::pages::serving::Served;
use access::Role;

fn check(page: &str, has: &[&str]) {
    for part in has {
        assert!(page.contains(part), "{part:?} is not in {page}");
    }
}

#[tokio::test]
async fn records_are_shown_with_their_proof_the_newest_first() {
    let served = Served::start(300, &[Role::Auditor]).await;
    let page = served.get("/ledger").await;
    check(&page, &["200 OK", "verdigris.example/test", "/ledger/299", "/ledger/250", "before=250", "nobody"]);
    assert!(page.find("/ledger/299\"") < page.find("/ledger/298\""));
    assert!(!page.contains("/ledger/249\""));
    let last = served.get("/ledger?before=20").await;
    check(&last, &["/ledger/0\"", "There are no older ones"]);
    let entry = served.get("/ledger/7").await;
    check(
        &entry,
        &["Ledger entry 7", "&quot;version&quot;", "id=\"verify-run\" hidden", "data-index=\"7\"", "Entry 8"],
    );
}

#[tokio::test]
async fn filters_find_what_they_ask_for_and_nothing_else() {
    let served = Served::start(300, &[Role::Viewer]).await;
    let server = served.get("/ledger?kind=serverStarted&text=0.0.3").await;
    check(&server, &["/ledger/3\""]);
    assert!(!server.contains("/ledger/4\""));
    check(&served.get("/ledger?rollout=nobody.1").await, &["No record matches"]);
    check(&served.get("/ledger?since=2000-01-01T00:00&until=1999-01-01T00:00").await, &["No record matches"]);
    check(&served.get("/ledger?kind=x").await, &["400 Bad Request", "expected one of"]);
    check(&served.get("/ledger?since=yesterday").await, &["400 Bad Request", "such as 2026"]);
}

#[tokio::test]
async fn any_tlog_client_finds_its_files() {
    let served = Served::start(300, &[Role::Viewer]).await;
    check(&served.get("/ledger/tiles/checkpoint").await, &["200 OK", "verdigris.example/test\n300\n", "no-store"]);
    check(&served.get("/ledger/tiles/tile/0/000").await, &["200 OK", "content-length: 8192", "immutable"]);
    check(&served.get("/ledger/tiles/tile/0/001.p/44").await, &["200 OK", "content-length: 1408"]);
    check(&served.get("/ledger/tiles/tile/entries/001.p/44").await, &["200 OK", "serverStarted"]);
    for path in [
        "tile/0/002",
        "tile/9/000",
        "tile/0/../../wal",
        "tile/0/%2e%2e/%2e%2e/wal",
        "tile/64/000",
        "wal",
        "tile/0/001.p/256",
    ] {
        check(&served.get(&format!("/ledger/tiles/{path}")).await, &["404 Not Found"]);
    }
}

#[tokio::test]
async fn a_change_of_the_key_is_followed_without_a_restart() {
    let served = Served::start(3, &[Role::Viewer]).await;
    check(&served.get("/ledger").await, &["200 OK"]);
    let first = served.rotate_key(7, 8);
    let signed_by = format!("<dt>Signed by</dt><dd><code class=\"digest\">{first}<");
    check(&served.get("/ledger").await, &["200 OK", "/ledger/4\"", &signed_by]);
    // And the way has more than one step.
    let second = served.rotate_key(8, 9);
    check(&served.get("/ledger/tiles/checkpoint").await, &["200 OK", "verdigris.example/test\n7\n"]);
    check(&served.get("/ledger/1").await, &["200 OK", &format!("data-key=\"{second}\"")]);
}

#[tokio::test]
async fn another_log_in_its_place_is_none() {
    let served = Served::start(3, &[Role::Viewer]).await;
    served.replace_by_another(8);
    check(&served.get("/ledger").await, &["503 Service Unavailable", "does not hold"]);
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let served = Served::start(3, &[Role::Viewer]).await;
    for path in ["/ledger/3", "/ledger/18446744073709551615", "/ledger/x", "/ledger/-1"] {
        check(&served.get(path).await, &["404 Not Found"]);
    }
}

#[tokio::test]
async fn whoever_may_not_is_refused() {
    let gateway = Served::start(3, &[Role::Gateway]).await;
    for path in [
        "/ledger",
        "/ledger/0",
        "/ledger/tiles/checkpoint",
        "/ledger/tiles/tile/0/000.p/3",
        "/map",
        "/rollouts/a/traces/b",
    ] {
        check(&gateway.get(path).await, &["403 Forbidden"]);
    }
    let viewer = Served::start(3, &[Role::Viewer]).await;
    check(&viewer.post("/ledger/export", "rollout=demo.1").await, &["403 Forbidden"]);
    assert!(!viewer.get("/ledger").await.contains("/ledger/export"));
    let auditor = Served::start(3, &[Role::Auditor]).await;
    check(&auditor.get("/ledger").await, &["/ledger/export"]);
    check(
        &auditor.post("/ledger/export", "rollout=demo.1&csrf=x").await,
        &["200 OK", "attachment", "bundle of demo.1"],
    );
    check(&auditor.post("/ledger/export", "rollout=").await, &["422 Unprocessable"]);
}
