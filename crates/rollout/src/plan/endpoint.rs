//! Where something is reached, and how requests travel there: TLS and compression.

use super::problems::{Place, Problems};
use super::quantity::{MAX_PATH_CHARACTERS, compression, endpoint, line, same_endpoint, server_name};
use super::raw::{RawBackend, RawOtlp, RawTls, Section, Text};
use super::text_or::TextOr;
use model::{ClientTls, Compression, MAX_ENDPOINTS, Protocol, TlsIdentity, Transport};
use serde_saphyr::Spanned;

/// An endpoint, and where its URL stands.
pub(super) struct Endpoint {
    pub(super) at: Place,
    pub(super) url: String,
    pub(super) transport: Transport,
}

/// An environment's `otlp`.
pub(super) fn otlp(
    problems: &mut Problems,
    parent: &Place,
    raw: &Section<RawOtlp>,
) -> Option<(Protocol, Endpoint, Vec<String>)> {
    let wanted = "one endpoint, `grpc` or `http`, such as { grpc: \"http://127.0.0.1:4317\" }";
    let (at, raw) = problems.section(parent, "otlp", raw, wanted)?;
    let (key, protocol, url) = match (&raw.grpc, &raw.http) {
        (Some(_), None) => ("grpc", Protocol::Grpc, &raw.grpc),
        (None, Some(_)) => ("http", Protocol::Http, &raw.http),
        (None, None) => {
            problems.refuse(&at, "nothing", wanted);
            return None;
        }
        (Some(_), Some(_)) => {
            problems.refuse(&at, "`grpc` and `http`", wanted);
            return None;
        }
    };
    let first = keys(problems, &at, (key, url), &raw.tls, &raw.compression)?;
    let others = others(problems, &at, &raw.others, &first.url)?;
    Some((protocol, first, others))
}

/// The other endpoints of an environment: all different, and of one scheme, for they share the transport.
fn others(
    problems: &mut Problems,
    parent: &Place,
    raw: &Section<Vec<Spanned<String>>>,
    first: &str,
) -> Option<Vec<String>> {
    let Some(section) = raw else { return Some(Vec::new()) };
    let list = parent.key("others", section);
    if section.value.len() >= MAX_ENDPOINTS {
        let found = format!("{} endpoints in all", section.value.len() + 1);
        problems.refuse(&list, found, format!("at most {MAX_ENDPOINTS}: put a load balancer before them"));
        return None;
    }
    let scheme = |url: &str| url.starts_with("https://");
    let mut known = vec![first.to_owned()];
    for (index, other) in section.value.iter().enumerate() {
        let at = list.item(index, other);
        match endpoint(&other.value) {
            Err(expected) => {
                problems.refuse(&at, super::error::quoted(&other.value), expected);
                return None;
            }
            Ok(url) if scheme(&url) != scheme(first) => {
                problems.refuse(&at, url, format!("the scheme of {first}: they share TLS and compression"));
                return None;
            }
            Ok(url) if known.iter().any(|known| same_endpoint(known, &url)) => {
                problems.refuse(&at, format!("{url} twice"), "each endpoint once");
                return None;
            }
            Ok(url) => known.push(url),
        }
    }
    Some(known.split_off(1))
}

/// An environment's `backend`: a URL, or keys as `otlp` has them.
pub(super) fn backend(
    problems: &mut Problems,
    parent: &Place,
    raw: &Section<TextOr<RawBackend>>,
) -> Option<Option<Endpoint>> {
    let Some(section) = raw else { return Some(None) };
    let at = parent.key("backend", section);
    match &*section.value {
        TextOr::Text(text) => match endpoint(text) {
            Ok(url) => Some(Some(Endpoint { at, url, transport: Transport::default() })),
            Err(expected) => {
                problems.refuse(&at, super::error::quoted(text), expected);
                None
            }
        },
        TextOr::Keys(raw) => {
            if raw.grpc.is_none() {
                problems.refuse(
                    &at,
                    "no `grpc`",
                    "the back end's endpoint, such as { grpc: \"https://backend:4317\" }",
                );
                return None;
            }
            keys(problems, &at, ("grpc", &raw.grpc), &raw.tls, &raw.compression).map(Some)
        }
    }
}

fn keys(
    problems: &mut Problems,
    at: &Place,
    (key, url): (&str, &Text),
    tls: &Section<RawTls>,
    compressed: &Text,
) -> Option<Endpoint> {
    let place = url.as_ref().map_or_else(|| at.missing(key), |url| at.key(key, url));
    let url = problems.optional(at, key, url, endpoint);
    let compression = problems.or(at, "compression", compressed, Compression::None, compression);
    let clear_text = matches!(&url, Some(Some(url)) if url.starts_with("http://"));
    let tls = client_tls(problems, at, tls, clear_text);
    let (Some(Some(url)), Some(compression), Some(tls)) = (url, compression, tls) else { return None };
    Some(Endpoint { at: place, url, transport: Transport { tls, compression } })
}

/// The `tls` beside a URL.
pub(super) fn client_tls(
    problems: &mut Problems,
    parent: &Place,
    raw: &Section<RawTls>,
    clear_text: bool,
) -> Option<ClientTls> {
    let Some(section) = raw else { return Some(ClientTls::default()) };
    let (at, raw) = (parent.key("tls", section), &section.value);
    let path = |text: &str| line(text, MAX_PATH_CHARACTERS);
    let ca = problems.optional(&at, "ca", &raw.ca, path);
    let cert = problems.optional(&at, "cert", &raw.cert, path);
    let key = problems.optional(&at, "key", &raw.key, path);
    let server_name = problems.optional(&at, "serverName", &raw.server_name, server_name);
    if clear_text {
        let help = "without TLS the files would not be used, and the traffic could be read";
        problems.refuse_because(&at, "`tls` beside an http:// endpoint", "an https:// endpoint, or no `tls`", help);
        return None;
    }
    let identity = match (cert?, key?) {
        (Some(cert), Some(key)) => Some(TlsIdentity { cert, key }),
        (None, None) => None,
        (cert, _) => {
            let (found, missing) = if cert.is_some() { ("cert", "key") } else { ("key", "cert") };
            problems.refuse(&at, format!("`{found}` without `{missing}`"), "both `cert` and `key`, or neither");
            return None;
        }
    };
    Some(ClientTls { ca: ca?, identity, server_name: server_name? })
}
