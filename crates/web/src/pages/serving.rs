//! For tests: the pages over a real ledger, with somebody who asks.

use crate::api::learning::Stops;
use crate::{Api, Caller, LedgerFiles, SeenCalls, fixture, site};
use access::Role;
use axum::Extension;
use control::rollout::{Body, Principal, Record, RolloutId, State};
use control::{Handle, Input, LookError};
use ledger::{KeyName, SignerKey, VerifierKey};
use model::UnixMillis;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use store::Store;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

pub(super) struct Served {
    folder: TempDir,
    _stops: watch::Sender<bool>,
    address: SocketAddr,
}

fn signer(seed: u8) -> SignerKey {
    SignerKey::new(KeyName::new("verdigris.example/test").unwrap(), &[seed; 32])
}

impl Served {
    /// Has another key sign the ledger from here on, while the pages are served; gives that key.
    pub(super) fn rotate_key(&self, old: u8, new: u8) -> VerifierKey {
        let (mut store, _) = Store::open(&self.folder.path().join("ledger"), signer(old)).unwrap();
        let at = UnixMillis(1_797_000_000_000);
        control::rotate_key(&mut store, signer(new).into(), at, "ada".to_owned()).unwrap();
        // The checkpoint over the change itself is signed by both.
        let body = Body::ServerStarted { version: "after".to_owned() };
        let record = Record { version: 1, rollout: None, sequence: store.size(), at, by: "ada".to_owned(), body };
        store.append(&[serde_json::to_vec(&record).unwrap()]).unwrap();
        store.close().unwrap();
        signer(new).verifier().clone()
    }

    /// Another log of the same name, signed by a key to which no way leads.
    pub(super) fn replace_by_another(&self, seed: u8) {
        let dir = self.folder.path().join("ledger");
        std::fs::remove_dir_all(&dir).unwrap();
        Store::create(&dir, signer(seed)).unwrap().close().unwrap();
    }

    /// A ledger with so many records of servers that started.
    pub(super) async fn start(entries: u64, roles: &[Role]) -> Served {
        let body = |index: u64| Body::ServerStarted { version: format!("0.0.{index}") };
        Served::with((0..entries).map(|index| (None, body(index))).collect(), BTreeMap::new(), roles).await
    }

    /// A ledger with these records, and these blobs of evidence.
    pub(super) async fn with(
        bodies: Vec<(Option<RolloutId>, Body)>,
        evidence: BTreeMap<String, Vec<u8>>,
        roles: &[Role],
    ) -> Served {
        Served::with_calls(bodies, evidence, roles, None).await
    }

    /// With what verification counted of the calls between services, too.
    pub(super) async fn with_calls(
        bodies: Vec<(Option<RolloutId>, Body)>,
        evidence: BTreeMap<String, Vec<u8>>,
        roles: &[Role],
        calls: Option<SeenCalls>,
    ) -> Served {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("ledger");
        let signer = signer(7);
        let key = signer.verifier().clone();
        let mut store = Store::create(&dir, signer).unwrap();
        let record = |(sequence, (rollout, body)): (u64, (Option<RolloutId>, Body))| {
            let (version, at, by) = (1, UnixMillis(1_796_000_000_000 + sequence), "ada".to_owned());
            serde_json::to_vec(&Record { version, rollout, sequence, at, by, body }).unwrap()
        };
        let started = |(_, body): &(Option<RolloutId>, Body)| match body {
            Body::Started(start) => Some(control::rollout::start(start, UnixMillis(1_796_000_000_000)).state),
            _ => None,
        };
        let rollouts: Vec<State> = bodies.iter().filter_map(started).collect();
        store.append(&(0..).zip(bodies).map(record).collect::<Vec<_>>()).unwrap();
        store.close().unwrap();
        let (handle, mut inputs) = Handle::new();
        tokio::spawn(async move {
            while let Some(input) = inputs.recv().await {
                match input {
                    Input::Look { digest, reply, .. } => {
                        let blob = evidence.get(&digest).cloned();
                        let _ = reply.send(blob.ok_or(LookError::NotThere { digest }));
                    }
                    Input::Report { rollout, reply } => {
                        let state = rollouts.iter().find(|state| Some(&state.rollout) == rollout.as_ref());
                        let now = UnixMillis(1_796_000_001_000);
                        let _ = reply.send(state.map(|state| Box::new(control::rollout::report(state, now))));
                    }
                    Input::Plan { rollout, reply } => {
                        let state = rollouts.iter().find(|state| Some(&state.rollout) == rollout.as_ref());
                        let _ = reply.send(state.map(|state| Box::new(state.plan.clone())));
                    }
                    _ => {}
                }
            }
        });
        let export: crate::Export = Arc::new(|rollout: &RolloutId| Ok(format!("bundle of {rollout}").into_bytes()));
        let words = |body: &Body| serde_json::to_string(body).unwrap();
        let ledger = LedgerFiles { dir, key, words, time: |at| at.to_string(), export };
        let calls = calls.map(Arc::new);
        let api = Api { ledger, calls: Arc::new(move |_| calls.clone()), ..Api::fixture(handle) };
        let caller = Caller::named(Principal::new("ada", Vec::new())).also(roles.iter().copied());
        let (stops, stopped) = watch::channel(false);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = site::router(api, Stops(stopped)).layer(Extension(caller));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Served { folder, _stops: stops, address }
    }

    /// Status, headers and body.
    pub(super) async fn get(&self, path: &str) -> String {
        self.ask(&format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")).await
    }

    pub(super) async fn post(&self, path: &str, form: &str) -> String {
        let kind = "application/x-www-form-urlencoded";
        let length = form.len();
        self.ask(&format!(
            "POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\r\n{form}"
        ))
        .await
    }

    async fn ask(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    }
}

/// How a rollout begins whose plan has this step before its shifts, and these gates below `gates:`.
pub(super) fn started(rollout: &str, step: &str, gates: &str) -> Body {
    let gates = if gates.is_empty() { String::new() } else { format!("  gates:{gates}") };
    let yaml = format!(
        r#"
apiVersion: verdigris.dev/v1alpha1
kind: Rollout
metadata: {{ name: demo, reason: "a <b>test</b>" }}
spec:
  subject: pipeline
  environments:
    blue: {{ version: "1", otlp: {{ grpc: "http://127.0.0.1:14317" }}, config: [{{ files: ./blue }}] }}
    green: {{ version: "2", otlp: {{ grpc: "http://127.0.0.1:24317" }}, config: [{{ files: ./green }}], live: [{{ files: ./live }}] }}
  strategy:
    steps:
      - {step}
      - setWeight: 10%
      - setWeight: 100%
      - bake: {{ for: 20s }}
{gates}
  guards: {{ spanLoss: {{ atMost: 1% }} }}
  pin: 1s
"#
    );
    Body::Started(Box::new(fixture::start(rollout, &yaml)))
}

/// What stands on a page, and what does not.
pub(super) fn check(page: &str, stands: &[&str], missing: &[&str]) {
    assert!(page.contains("200 OK") && !page.contains(" style="), "{page}");
    for part in stands {
        assert!(page.contains(part), "{part:?} is not in {page}");
    }
    for part in missing {
        assert!(!page.contains(part), "{part:?} is in {page}");
    }
}
