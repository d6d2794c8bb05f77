//! TLS that is on in blue and off in green.

use super::services::Variable;
use super::{Report, Rule, is_true};
use crate::value::{Node, Value};

/// What turns off an exporter's TLS, or the check of the certificate: the path below the component, and in words.
pub(super) fn exporter(blue: &Node, green: &Node) -> Vec<(&'static [&'static str], &'static str)> {
    let mut found: Vec<(&'static [&'static str], &'static str)> = Vec::new();
    if is_encrypted(blue) && !is_encrypted(green) {
        let by_scheme = endpoint(green).starts_with("http://");
        let path: &[&str] = if by_scheme { &["endpoint"] } else { &["tls", "insecure"] };
        found.push((path, "exports without TLS in green, and with it in blue"));
    }
    let skips = |node: &Node| is_true(node.at(&["tls", "insecure_skip_verify"]));
    if skips(green) && !skips(blue) {
        found.push((&["tls", "insecure_skip_verify"], "does not verify certificates in green, and does in blue"));
    }
    found
}

fn endpoint(node: &Node) -> String {
    node.get("endpoint").and_then(Node::shown).unwrap_or_default().to_ascii_lowercase()
}

fn is_encrypted(node: &Node) -> bool {
    node.get("endpoint").is_some() && !endpoint(node).starts_with("http://") && !is_true(node.at(&["tls", "insecure"]))
}

/// The protocols of a receiver that have TLS in blue and none in green; or clients' certificates, likewise.
pub(super) fn receiver(blue: &Node, green: &Node) -> Vec<(Vec<String>, &'static str)> {
    let mut found = Vec::new();
    let mut hold = |blue: Option<&Node>, green: Option<&Node>, at: Vec<String>| {
        let has = |node: Option<&Node>, key: &str| node.and_then(|node| node.at(&["tls", key])).is_some();
        let serves = |node| has(node, "cert_file") || has(node, "cert_pem");
        let asks = |node| has(node, "client_ca_file");
        if green.is_none() {
            return;
        }
        if serves(blue) && !serves(green) {
            found.push((at, "receives without TLS in green, and with it in blue"));
        } else if asks(blue) && !asks(green) {
            found.push((at, "asks for no client certificate in green, and does in blue"));
        }
    };
    hold(Some(blue), Some(green), Vec::new());
    for (protocol, node) in blue.get("protocols").and_then(Value::entries).into_iter().flatten() {
        let at = vec!["protocols".to_owned(), protocol.clone()];
        hold(Some(node), green.at(&["protocols", protocol]), at);
    }
    found
}

/// An endpoint that went from `https` to `http`, and `…_INSECURE`.
pub(super) fn variable(name: &str, blue: &Variable<'_>, green: &Variable<'_>, service: &str, report: &mut Report) {
    let starts = |variable: &Variable<'_>, scheme: &str| {
        variable.value.shown().is_some_and(|text| text.to_ascii_lowercase().starts_with(scheme))
    };
    let scheme = name.ends_with("_ENDPOINT") && starts(blue, "https://") && starts(green, "http://");
    let flag = name.ends_with("_INSECURE") && !is_true(Some(blue.value)) && is_true(Some(green.value));
    if scheme || flag {
        let what = format!("service {service} exports without TLS in green, and with it in blue: {name}");
        report.push(Rule::TlsWeakened, green.file, green.path.clone(), &what);
    }
}
