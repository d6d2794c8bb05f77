use super::*;
use axum::body::to_bytes;
use axum::http::header::CONTENT_TYPE;
use control::rollout::approval::{ApproverKey, LogHead, PublicKey, Statement};
use control::rollout::plan::parse;
use control::rollout::{Configuration, Event, KnownPrincipal, Principal, Start, State as Rollout, report, start, step};
use control::{Handle, Input, Offer};
use model::{PerEnvironment, RouteKey, UnixMillis};
use std::sync::{Arc, Mutex};

const PLAN: &str = r#"
apiVersion: verdigris.dev/v1alpha1
kind: Rollout
metadata: { name: demo, reason: "a <test>", authors: [anna] }
spec:
  subject: pipeline
  environments:
    blue: { version: "1", otlp: { grpc: "http://127.0.0.1:14317" } }
    green: { version: "2", otlp: { grpc: "http://127.0.0.1:24317" }, config: [{ files: green }] }
  strategy:
    steps: [{ gate: approval }, { setWeight: 100% }, { bake: { for: 20s } }]
  gates:
    approval: { role: approver, count: 2, expires: 90s, breakGlass: { reviewWithin: 10m } }
  guards: { spanLoss: { atMost: 1% } }
"#;
const NOW: UnixMillis = UnixMillis(1_700_000_000_000);

fn at_the_gate() -> Rollout {
    let plan = parse(PLAN).unwrap();
    let begun = Start {
        rollout: RolloutId("demo.1".into()),
        plan_digest: plan.digest(),
        plan,
        by: Principal::new("alice", vec!["author".into()]),
        program: "test".into(),
        route_key: RouteKey([7; 16]),
        base_dir: "/".into(),
        log: "verdigris.example/ledger".into(),
        last_generation: 7,
    };
    let read = Configuration::Read { digest: "sha256:1".into() };
    let read = PerEnvironment { blue: Configuration::Undeclared, green: read };
    step(&start(&begun, NOW).state, &Event::ConfigurationsRead(read), NOW).state
}

/// A passkey of P-256's generator, whose private key is 1.
pub(crate) const PASSKEY: &str = "webauthn AQEBAQEBAQEBAQEBAQEBAQ \
     MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEaxfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiYwpZP40Li_hp_m47n60p8D54WK84zV2sxXs7LtkBoN79R9Q \
     localhost http://localhost:4321";

/// A server whose controller takes what is handed in, unless it is to refuse; and what it was handed.
fn serving(refuses: Option<&'static str>) -> (Api, Arc<Mutex<Vec<HandedIn>>>) {
    let (handle, mut queue) = Handle::new();
    let (taken, rollout) = (Arc::new(Mutex::new(Vec::new())), at_the_gate());
    let handed_in = Arc::clone(&taken);
    tokio::spawn(async move {
        while let Some(input) = queue.recv().await {
            match input {
                Input::Offer { act, reply, .. } => {
                    let head = LogHead { size: 7, root: "cm9vdA==".into() };
                    let offer = Statement::of(&rollout, act, head, NOW).map(|statement| {
                        let (plan, base_dir) = (rollout.plan.clone(), "/plans".to_owned());
                        Box::new(Offer { statement, plan, base_dir, report: report(&rollout, NOW) })
                    });
                    let refused = |reason| CommandError::Refused { command: "approve".into(), reason };
                    let _ = reply.send(offer.map_err(refused));
                }
                Input::HandIn { handed, reply } => {
                    let answer = match refuses {
                        None => Ok(Box::new(report(&rollout, NOW))),
                        Some(reason) => Err(CommandError::Refused { command: "approve".into(), reason: reason.into() }),
                    };
                    handed_in.lock().unwrap().push(*handed);
                    let _ = reply.send(answer);
                }
                other => panic!("nobody asks for {other:?}"),
            }
        }
    });
    (api(handle), taken)
}

pub(crate) fn api(handle: Handle) -> Api {
    let person = |name: &str, keys| KnownPrincipal {
        name: name.to_owned(),
        roles: vec!["approver".to_owned()],
        uids: Vec::new(),
        keys,
        person: None,
    };
    let passkey = PublicKey::from_line(PASSKEY).unwrap();
    let people = vec![person("anna", vec![]), person("bob", vec![key().public(), passkey]), person("carol", vec![])];
    let known = people.clone();
    Api {
        signers: Arc::new(move |key| {
            let person = people.iter().find(|person| person.keys.contains(key))?;
            Some(Principal::new(person.name.clone(), person.roles.clone()))
        }),
        known: Arc::new(move || known.clone()),
        ..Api::fixture(handle)
    }
}

fn key() -> ApproverKey {
    ApproverKey::from_seed(&[7; 32])
}

pub(crate) fn caller(name: &str, role: &str) -> Caller {
    Caller::named(Principal::new(name, vec![role.to_owned()])).with_csrf("token-of-the-session".into())
}

async fn body(response: Response) -> String {
    String::from_utf8(to_bytes(response.into_body(), 1 << 20).await.unwrap().to_vec()).unwrap()
}

async fn shown(name: &str, asked: Asked) -> String {
    let (api, _) = serving(None);
    let response = offer(State(api), caller(name, "approver"), Path("demo.1".into()), Ok(Query(asked))).await.unwrap();
    body(response).await
}

fn check(page: &str, wanted: &[&str], not: &[&str]) {
    wanted.iter().for_each(|it| assert!(page.contains(it), "{it:?} is not in {page}"));
    not.iter().for_each(|it| assert!(!page.contains(it), "{it:?} is in {page}"));
}

#[tokio::test]
async fn the_page_shows_what_is_signed_and_who_may() {
    let page = shown("bob", Asked::default()).await;
    let (plan, head) = (at_the_gate(), LogHead { size: 7, root: "cm9vdA==".into() });
    let statement = Statement::of(&plan, Act::Approve, head, NOW).unwrap().to_text();
    let escaped = maud::html! { (statement) }.into_string();
    let digest = plan.plan_digest.as_str();
    let wanted = [escaped.as_str(), digest, "bob, carol", "anna", "a &lt;test&gt;", "2023-11-14T22:14:50Z"];
    check(&page, &wanted, &["style=", "onclick", "<script>"]);
    check(&page, &["data-passkey=\"sign\"", "value=\"token-of-the-session\"", "localhost:4321"], &[]);
    check(&shown("anna", Asked::default()).await, &["your approval does not count", "href=\"/passkeys\""], &[]);
}

#[tokio::test]
async fn the_glass_is_broken_with_a_reason_only() {
    let asked = |reason: &str| Asked { act: Which::BreakGlass, reason: reason.to_owned() };
    check(
        &shown("bob", asked("  ")).await,
        &["why nobody else can approve"],
        &["data-passkey=\"sign\"", "breakGlass&quot;:{"],
    );
    check(
        &shown("bob", asked("payments are down")).await,
        &["breakGlass&quot;:{&quot;reason&quot;:&quot;payments are down"],
        &[],
    );
    let review = Asked { act: Which::Review, ..Asked::default() };
    check(&shown("bob", review).await, &["&quot;act&quot;:&quot;review&quot;"], &[]);
}

async fn handed(refuses: Option<&'static str>, rollout: &str, change: impl FnOnce(&mut Signed)) -> (Response, usize) {
    let (api, taken) = serving(refuses);
    let head = LogHead { size: 7, root: "cm9vdA==".into() };
    let signed = key().sign(&Statement::of(&at_the_gate(), Act::Approve, head, NOW).unwrap());
    // As a form sends it.
    let signature = signed.signature.replace('\n', "\r\n") + "\r\n";
    let mut form = Signed { statement: signed.statement + "\r\n", signature };
    change(&mut form);
    let by = caller("carol", "approver");
    let Signed { statement, signature } = form;
    let fields = [("statement", statement), ("signature", String::new()), ("signatureFile", signature)];
    let part = |(name, value): (&str, String)| {
        format!("--x\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    let body = format!("{}--x--\r\n", fields.map(part).concat());
    let headers = [(CONTENT_TYPE, "multipart/form-data; boundary=x".parse().unwrap())].into_iter().collect();
    let response = match hand_in(State(api), by, Path(rollout.to_owned()), headers, Ok(body.into())).await {
        Ok(response) => response,
        Err(problem) => problem.into_response(),
    };
    let taken = taken.lock().unwrap();
    for HandedIn { signed, signer, by } in taken.iter() {
        signed.open().unwrap();
        assert_eq!((signer.as_ref().unwrap().name.as_str(), by.name.as_str()), ("bob", "carol"));
    }
    (response, taken.len())
}

/// Whether a body of this kind is read, and what as.
fn check_form(kind: &str, body: &str, expected: Option<(&str, &str)>) {
    let headers = [(CONTENT_TYPE, kind.parse().unwrap())].into_iter().collect();
    let read = Signed::read(&headers, body.as_bytes());
    let read = read.as_ref().map(|it| (it.statement.as_str(), it.signature.as_str()));
    assert_eq!(read, expected, "{kind}: {body}");
}

#[test]
fn a_signature_is_pasted_or_a_file_of_its_own() {
    let form = "application/x-www-form-urlencoded";
    check_form(form, "csrf=a&statement=%7B%7D&signature=b", Some(("{}", "b")));
    check_form(form, "statement=%7B%7D", None);
    check_form(form, "signature=b", None);
    check_form("application/json", "{}", None);
    let part =
        |name: &str, value: &str| format!("--x\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
    let parts = |file: &str, pasted: &str| {
        let all = [part("statement", "{}"), part("signatureFile", file), part("signature", pasted)];
        format!("{}--x--\r\n", all.concat())
    };
    let kind = "multipart/form-data; boundary=x";
    check_form(kind, &parts("", "b"), Some(("{}", "b")));
    check_form(kind, &parts("c", ""), Some(("{}", "c")));
    check_form(kind, &parts("c", "b"), Some(("{}", "c")));
}

#[tokio::test]
async fn a_signature_in_a_file_is_handed_in_for_whoever_signed() {
    let (response, taken) = handed(None, "demo.1", |_| {}).await;
    assert_eq!((response.status(), taken), (StatusCode::SEE_OTHER, 1));
    assert_eq!(response.headers()["location"], "/rollouts/demo.1/approvals#given");
}

#[tokio::test]
async fn what_does_not_hold_is_said_and_not_handed_in() {
    let (response, taken) =
        handed(None, "demo.1", |form| form.statement = form.statement.replace("demo", "deno")).await;
    assert_eq!((response.status(), taken), (StatusCode::CONFLICT, 0));
    check(&body(response).await, &["role=\"alert\"", "the signature does not hold"], &[]);
    let (response, taken) = handed(None, "demo.2", |_| {}).await;
    assert_eq!((response.status(), taken), (StatusCode::CONFLICT, 0));
    check(&body(response).await, &["It is of another rollout."], &[]);
    let (response, taken) = handed(Some("bob approved already"), "demo.1", |_| {}).await;
    assert_eq!((response.status(), taken), (StatusCode::CONFLICT, 1));
    check(&body(response).await, &["bob approved already"], &[]);
    let (response, taken) = handed(None, "demo.1", |form| form.signature = "x".repeat(5_000)).await;
    assert_eq!((response.status(), taken), (StatusCode::PAYLOAD_TOO_LARGE, 0));
}

#[tokio::test]
async fn who_may_not_approve_sees_no_statement() {
    for role in ["viewer", "author", "operator", "auditor", "gateway", "pipeline", "other"] {
        let (api, _) = serving(None);
        let seen = offer(State(api), caller("dave", role), Path("demo.1".into()), Ok(Query(Asked::default()))).await;
        assert_eq!(seen.unwrap_err().status, 403, "{role}");
    }
}

#[test]
fn a_name_in_a_path_stays_in_its_part() {
    for (name, expected) in [("demo.1", "demo.1"), ("a/../b?c#d", "a%2F..%2Fb%3Fc%23d"), ("é", "%C3%A9")] {
        assert_eq!(crate::pages::encoded(name), expected);
    }
}
