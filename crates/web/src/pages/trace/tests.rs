use crate::pages::serving::Served;
use access::Role;
use control::rollout::{Body, RolloutId};
use model::TraceId;
use serde_json::json;
use std::collections::BTreeMap;

/// Bytes of a page, whatever the trace: 250 rows of 2.4 kB, without compression.
const MAX_PAGE_BYTES: usize = 600_000;

const TRACE: TraceId = TraceId([0xab; 16]);

fn blob(environment: &str, spans: &[serde_json::Value]) -> Vec<u8> {
    let example = json!([{ "trace": TRACE, "environment": environment, "spans": spans, "omitted": 0 }]);
    serde_json::to_vec(&example).unwrap()
}

/// A span of a chain of services, below the one before it; lost if it came out no time.
fn span(number: u64, parent: u64, out: u32) -> serde_json::Value {
    let id = |number: u64| format!("{number:016x}");
    json!({
        "span": id(number), "parent": id(parent), "kind": 2, "service": format!("shop-{}", number % 7), "operation": "GET <b>",
        "sent": true, "out": out, "missingKeys": if number == 3 { vec!["user.id"] } else { vec![] },
        "cameOutParent": (out > 0).then(|| id(parent)), "startUs": number, "durationUs": 1000, "differences": [],
    })
}

async fn served(blobs: &[(&str, Vec<u8>)], roles: &[Role]) -> Served {
    let rollout = Some(RolloutId("demo.1".into()));
    let body = |digest: &str| Body::EvidenceKept { digest: digest.to_owned(), trace: TRACE, findings: Vec::new() };
    let bodies = blobs.iter().map(|(digest, _)| (rollout.clone(), body(digest))).collect();
    let evidence: BTreeMap<String, Vec<u8>> = blobs
        .iter()
        .filter(|(_, blob)| !blob.is_empty())
        .map(|(digest, blob)| ((*digest).to_owned(), blob.clone()))
        .collect();
    Served::with(bodies, evidence, roles).await
}

fn path() -> String {
    format!("/rollouts/demo.1/traces/{TRACE}")
}

#[tokio::test]
async fn what_was_sent_stands_beside_what_came_out_of_each() {
    let blue = blob("blue", &[span(1, 0, 1), span(2, 1, 1), span(3, 1, 0)]);
    let green = blob("green", &[span(1, 0, 1), span(2, 1, 0), span(3, 1, 1)]);
    let served = served(&[("sha256:b", blue), ("sha256:g", green)], &[Role::Operator]).await;
    let page = served.get(&path()).await;
    for part in [
        "200 OK",
        "3 spans were sent; 1 differ out of blue; 2 differ out of green",
        "Out of blue",
        "Out of green",
        "✕ lost",
        "attribute user.id is missing",
        "on the critical path",
        "GET &lt;b&gt;",
        "sha256:g",
    ] {
        assert!(page.contains(part), "{part:?} is not in {page}");
    }
    assert!(!page.contains(" style="), "the policy for content allows no style attributes");
}

#[tokio::test]
async fn a_long_trace_is_closed_where_nothing_differs_and_goes_on_by_pages() {
    // 50 branches of 100 spans, one span of which is lost.
    let spans: Vec<_> = (1..=5_000u64)
        .map(|number| {
            span(
                number,
                if number == 1 {
                    0
                } else if number % 100 == 2 {
                    1
                } else {
                    number - 1
                },
                u32::from(number != 4_321),
            )
        })
        .collect();
    let served = served(&[("sha256:g", blob("green", &spans))], &[Role::Auditor]).await;
    let closed = served.get(&path()).await;
    assert!(closed.contains("and 99 below, none differs"), "{}", closed.len());
    assert!(closed.contains("✕ lost"));
    let all = served.get(&format!("{}?all=1&from=250", path())).await;
    assert!(all.contains("Spans 251 to 500 of 5000"));
    let below = served.get(&format!("{}?below={:016x}&all=1", path(), 102)).await;
    assert!(below.contains("of 100</h2>"));
    for page in [closed, all, below] {
        assert!(page.len() <= MAX_PAGE_BYTES, "{} bytes", page.len());
    }
    for odd in ["?from=99999999", "?below=zz", "?below=ffffffffffffffff"] {
        assert!(served.get(&format!("{}{odd}", path())).await.contains("200 OK"), "{odd}");
    }
}

#[tokio::test]
async fn what_was_not_kept_or_deleted_is_said() {
    let served = served(&[("sha256:gone", Vec::new())], &[Role::Operator]).await;
    assert!(served.get(&path()).await.contains("the evidence of trace"));
    assert!(served.get(&format!("/rollouts/other.1/traces/{TRACE}")).await.contains("no example of trace"));
    assert!(served.get("/rollouts/demo.1/traces/xyz").await.contains("404 Not Found"));
}

#[tokio::test]
async fn values_of_the_traffic_are_for_whom_they_are_for() {
    let served = served(&[("sha256:g", blob("green", &[span(1, 0, 1)]))], &[Role::Viewer]).await;
    assert!(served.get(&path()).await.contains("403 Forbidden"));
}

/// Names as long as any that are kept, and in every span as much that differs as is named.
fn heavy(number: u64, environment: &str) -> serde_json::Value {
    let id = |number: u64| format!("{number:016x}");
    let out = u32::from(!number.is_multiple_of(5) || environment == "blue");
    let keys: Vec<String> = (0..8).map(|key| format!("{}.{key}", "k".repeat(60))).collect();
    json!({
        "span": id(number), "parent": id(if number == 1 { 0 } else { number / 2 }), "kind": 2,
        "service": format!("{}-{}", "s".repeat(120), number % 40), "operation": format!("GET /{}", "o".repeat(120)),
        "sent": true, "out": out, "missingKeys": if environment == "green" { keys } else { Vec::new() },
        "cameOutParent": (out > 0).then(|| id(if number == 1 { 0 } else { number / 2 })),
        "startUs": number, "durationUs": 10_000 - number, "differences": [],
    })
}

/// The bytes of the heaviest page of a trace of so many spans, of two environments. Every span stands on one page.
async fn heaviest_page(span: impl Fn(u64, &str) -> serde_json::Value, spans: u64) -> usize {
    let blob = |environment| blob(environment, &(1..=spans).map(|it| span(it, environment)).collect::<Vec<_>>());
    let served = served(&[("sha256:b", blob("blue")), ("sha256:g", blob("green"))], &[Role::Auditor]).await;
    let (mut next, mut rows, mut pages, mut heaviest) = (Some(format!("{}?all=1", path())), 0, 0, 0);
    let began = tokio::time::Instant::now();
    while let Some(address) = next {
        let page = served.get(&address).await;
        assert!(page.contains("200 OK"), "{address}");
        rows += page.matches("data-level=").count();
        heaviest = heaviest.max(page.len());
        pages += 1;
        let link = page.split("<a rel=\"next\" href=\"").nth(1).and_then(|rest| rest.split(['#', '"']).next());
        next = link.map(|link| link.replace("&amp;", "&"));
    }
    assert_eq!((rows as u64, u64::from(pages)), (spans, spans.div_ceil(250)));
    let each = began.elapsed() / pages;
    println!("{spans} spans, {pages} pages: {heaviest} bytes at most, {each:?} each with reading and joining");
    heaviest
}

/// Evidence keeps at most 512 spans of a trace, so that this is about joining, drawing and paging.
#[tokio::test]
async fn five_thousand_spans_come_by_pages_none_of_which_is_heavy() {
    let usual = heaviest_page(|number, _| span(number, number / 2, u32::from(!number.is_multiple_of(97))), 5_000).await;
    assert!(usual <= MAX_PAGE_BYTES / 2, "{usual} bytes");
    let worst = heaviest_page(heavy, 5_000).await;
    assert!(worst <= MAX_PAGE_BYTES, "{worst} bytes");
}
