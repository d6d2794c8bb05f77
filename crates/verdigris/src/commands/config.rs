//! `verdigris config check`: what `serve` would read, and what it would do, before a port is opened.

use crate::cli::{ConfigAt, Format};
use crate::config::{Config, Web};
use crate::describe::{Exit, Failed, printable, say};
use crate::health::{self, Level};
use gateway::Listen;
use serde_json::{Value, json};

/// Runs it. A configuration that cannot be read is refused with exit code 2, as is one with a file that cannot be used.
pub fn run(command: &ConfigAt, format: Format) -> Result<Exit, Failed> {
    let config = Config::read(&command.config)?;
    let findings = health::files(&config);
    let would = would(&config);
    if format == Format::Text {
        for (what, value) in would.as_object().into_iter().flatten() {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            say(format_args!("{what:<14} {}", printable(&text)));
        }
    }
    health::print(&findings, json!({ "config": command.config, "would": would }), format);
    let bad = health::worst(&findings) == Level::Trouble;
    if format == Format::Text {
        let words = if bad { "cannot be served with: see TROUBLE above" } else { "can be served with" };
        say(format_args!("{} {words}", command.config.display()));
    }
    Ok(if bad { Exit::Usage } else { Exit::Done })
}

/// Where the pages and the API are, and by what people and programs show who they are.
fn web(web: &Web) -> String {
    let scheme = if web.tls.is_some() { "https" } else { "http" };
    let verifies = web.tls.as_ref().is_some_and(|tls| tls.client_ca.is_some());
    let shown = [
        web.operator_token.then(|| "operator token".to_owned()),
        web.oidc.as_ref().map(|(pinned, _)| format!("access tokens of {}", pinned.issuer)),
        verifies.then(|| "certificates".to_owned()),
    ];
    format!("{scheme}://{}, {}", web.listen, shown.into_iter().flatten().collect::<Vec<_>>().join(", "))
}

/// In words, and without a secret.
fn would(config: &Config) -> Value {
    let protected = |listen: &Listen| match &listen.tls {
        None => "plain text",
        Some(tls) if tls.client_ca.is_some() => "mTLS",
        Some(_) => "TLS",
    };
    let pair = |listen: &Listen| format!("OTLP/gRPC {}, OTLP/HTTP {}, {}", listen.grpc, listen.http, protected(listen));
    let mut would = serde_json::Map::new();
    let mut add = |what: String, value: String| would.insert(what, Value::String(value));
    add("gateway".to_owned(), pair(&config.listen));
    for (name, address) in &config.fixed {
        add(name.clone(), address.to_string());
    }
    for (name, listen) in &config.taps {
        add(format!("tap {name}"), pair(listen));
    }
    add("web".to_owned(), config.web.as_ref().map_or_else(|| "none".to_owned(), web));
    add("serving".to_owned(), config.serving.endpoints().collect::<Vec<_>>().join(", "));
    add("data".to_owned(), config.data.display().to_string());
    add("socket".to_owned(), config.socket.display().to_string());
    add("ledger".to_owned(), format!("{}, signed with {}", config.name, config.key));
    let asked = config.witnesses.asked.len();
    let quorum = config.witnesses.quorum.map_or(String::new(), |quorum| format!(", quorum {quorum}"));
    add("witnesses".to_owned(), format!("{asked}{quorum}"));
    let spool = config.spool_bytes.map_or("none".to_owned(), |bytes| format!("{} MiB", bytes >> 20));
    add("spool".to_owned(), spool);
    let (days, mib) = (config.retention.keep_ms / (24 * 3_600_000), config.retention.max_bytes >> 20);
    add("evidence".to_owned(), format!("{days} days, {mib} MiB at most"));
    let person = |it: &rollout::KnownPrincipal| format!("{} ({})", it.name, it.roles.join(", "));
    add("principals".to_owned(), config.principals.iter().map(person).collect::<Vec<_>>().join("; "));
    for target in &config.notifications {
        add(format!("notify {}", target.name), format!("by {}: {}", target.kind(), target.events()));
    }
    Value::Object(would)
}
