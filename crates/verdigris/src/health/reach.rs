//! Who is reached from here: the environment that serves, the witnesses, the receivers of notifications, the issuer of access
//! tokens, and the server's own taps. Whoever says what time it is is held against this machine's clock. Nothing is sent to a receiver or a witness but a connection; an environment and a tap get an empty OTLP export, of
//! which nothing is stored.

use super::skew::skew;
use super::{Finding, web};
use crate::clock;
use crate::config::Config;
use crate::notifying::Target;
use crate::witness::Witness;
use gates::probe;
use model::{ClientTls, Protocol, Transport, Upstream};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tls::{Alpn, Client};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

/// For one connection with its handshake. The probe of an export has 5 s of its own.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// All of them, at once.
pub async fn reach(config: &Config) -> Vec<Finding> {
    let mut tasks = Vec::new();
    let serving = config.serving.clone();
    tasks.push(tokio::spawn(async move { environment(&serving).await }));
    if let Some(oidc) = config.web.as_ref().and_then(|web| web.oidc.clone()) {
        tasks.push(tokio::spawn(web::issuer(oidc)));
    }
    for witness in config.witnesses.asked.clone() {
        tasks.push(tokio::spawn(async move { vec![reached_witness(&witness).await] }));
    }
    for target in config.notifications.clone() {
        tasks.push(tokio::spawn(async move { vec![sender(&target).await] }));
    }
    // Without a server nobody can be at its taps.
    let answers = timeout(CONNECT_LIMIT, UnixStream::connect(&config.socket)).await;
    if answers.is_ok_and(|connected| connected.is_ok()) {
        for (name, listen) in config.taps.clone() {
            // A tap that asks for certificates lets the environment's collector in, and not this program.
            if listen.grpc.port() != 0 && listen.tls.is_none() {
                tasks.push(tokio::spawn(async move { vec![tap(&name, listen.grpc).await] }));
            }
        }
    }
    let mut found = Vec::new();
    for task in tasks {
        // Each is bounded in time itself; one that panicked says so on standard error.
        found.extend(task.await.unwrap_or_default());
    }
    found
}

async fn environment(upstream: &Upstream) -> Vec<Finding> {
    let what = format!("serving {}", upstream.endpoint);
    let asked = clock::now();
    match probe::one(upstream).await {
        Ok(date) => {
            let clocks = date.and_then(|date| skew(&what, &(date, 0), (asked, clock::now())));
            std::iter::once(Finding::ok(what, "took an empty OTLP export")).chain(clocks).collect()
        }
        Err(error) => {
            let does = "start the environment's collector, or mend serving.otlp in verdigris.yaml";
            vec![Finding::trouble(what, error, does)]
        }
    }
}

async fn tap(name: &str, address: SocketAddr) -> Finding {
    let what = format!("tap {name} at {address}");
    let local = SocketAddr::new(reachable(address.ip()), address.port());
    let upstream = Upstream {
        endpoint: format!("http://{local}"),
        others: Vec::new(),
        protocol: Protocol::Grpc,
        transport: Transport::default(),
        tap: name.to_owned(),
        backend: None,
        backend_transport: Transport::default(),
    };
    match probe::one(&upstream).await {
        Ok(_) => Finding::ok(what, "took an empty OTLP export"),
        Err(error) => Finding::trouble(what, error, "see the server's log"),
    }
}

/// Whoever listens everywhere listens at loopback.
fn reachable(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        other => other,
    }
}

async fn reached_witness(witness: &Witness) -> Finding {
    let what = format!("witness {}", witness.url);
    match connect(&witness.url, &witness.tls).await {
        Ok(()) => Finding::ok(what, "accepts connections"),
        Err(error) => Finding::warning(what, error, "tell whoever runs the witness; the ledger goes on without it"),
    }
}

/// Whether a receiver of notifications is there. Its address may be a secret, and is not shown.
pub async fn sender(target: &Target) -> Finding {
    let what = format!("notifications {}", target.name);
    let connected = match target.address() {
        Ok((url, tls)) => connect(&url, &tls).await,
        Err(error) => Err(error.to_string()),
    };
    match connected {
        Ok(()) => Finding::ok(what, "accepts connections"),
        Err(error) => Finding::warning(what, error, "look at the address and at what is between; nothing was sent"),
    }
}

/// TCP, and TLS where the URL says so.
async fn connect(url: &str, tls: &ClientTls) -> Result<(), String> {
    let (host, port, secure) = crate::notifying::place(url).ok_or("its address is no URL with a host")?;
    let connected = timeout(CONNECT_LIMIT, async {
        let stream = TcpStream::connect((host.as_str(), port)).await;
        let stream = stream.map_err(|error| format!("does not accept connections: {error}"))?;
        if secure {
            let client = Client::new(tls, &host, Alpn::Http1).map_err(|error| error.to_string())?;
            Arc::new(client).connect(stream).await.map_err(|error| error.to_string())?;
        }
        Ok(())
    });
    connected.await.unwrap_or_else(|_| Err(format!("did not answer within {} s", CONNECT_LIMIT.as_secs())))
}
