use crate::pages::serving::{Served, started};
use access::Role;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use control::rollout::{Body, RolloutId};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

const APPROVAL: &str = "
    approval: { role: approver, count: 2, expires: 4h, breakGlass: { reviewWithin: 24h } }
";

async fn served(step: &str, gates: &str, roles: &[Role]) -> (Served, String) {
    let start = started("demo.1", step, gates);
    let Body::Started(begun) = &start else { unreachable!("it is a start") };
    let digest = begun.plan_digest.clone();
    (Served::with(vec![(Some(RolloutId("demo.1".into())), start)], BTreeMap::new(), roles).await, digest)
}

#[tokio::test]
async fn a_plan_is_shown_with_its_steps_its_guards_its_approvals_and_its_digest() {
    let (served, digest) = served("gate: approval", APPROVAL, &[Role::Approver]).await;
    let page = served.get("/rollouts/demo.1/plan").await;
    for part in [
        "200 OK",
        &digest,
        "a &lt;b&gt;test&lt;/b&gt;",
        "gate approval",
        "setWeight 10%",
        "more than 1% of green's traces lose a span",
        "2 people of the role",
        "somebody else must review that within 1d",
        "http://127.0.0.1:24317",
        "What there is to sign",
        "Without a proof: hold",
    ] {
        assert!(page.contains(part), "{part:?} is not in {page}");
    }
    assert!(!page.contains(" style=") && !page.contains("<script"));
    let file = page.split("data:application/json;base64,").nth(1).and_then(|rest| rest.split('"').next());
    let bytes = STANDARD.decode(file.expect("the file is in the page")).unwrap();
    let hex = Sha256::digest(bytes).iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
    assert_eq!(digest, format!("sha256:{hex}"), "whoever saves the file can compute the digest");
}

#[tokio::test]
async fn a_viewer_sees_the_plan_and_no_way_to_sign() {
    let (served, _) = served("gate: probe", "", &[Role::Viewer]).await;
    let page = served.get("/rollouts/demo.1/plan").await;
    assert!(
        page.contains("Nobody: the plan has no approval gate.") && !page.contains("What there is to sign"),
        "{page}"
    );
    assert!(served.get("/rollouts/other.1/plan").await.contains("404 Not Found"));
}
