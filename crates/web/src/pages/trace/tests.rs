use crate::pages::serving::Served;
use access::Role;
use control::rollout::{Body, RolloutId};
use model::TraceId;
use serde_json::json;
use std::collections::BTreeMap;

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
        assert!(page.len() < 1_000_000, "{} bytes", page.len());
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
