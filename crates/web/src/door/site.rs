//! From which site a request comes, and to which host it goes: what a browser says of that, and what it must say.
//! Pure.

use axum::http::header::{HOST, ORIGIN};
use axum::http::{HeaderMap, HeaderName, Method, Uri};

/// Names that are this machine's, whatever the configuration says.
const LOOPBACK: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// The host and port that a request goes to, as its client says (HTTP/2 has it in the URI).
pub(super) fn host<'r>(uri: &'r Uri, headers: &'r HeaderMap) -> Option<&'r str> {
    let mut hosts = headers.get_all(HOST).iter();
    match (uri.authority(), hosts.next(), hosts.next()) {
        (_, _, Some(_)) => None,
        (Some(authority), _, None) => Some(authority.as_str()),
        (None, Some(host), None) => host.to_str().ok(),
        (None, None, None) => None,
    }
}

/// Whether it is one of this server's names. A page of another site can have its name point to this machine, and then
/// ask this server as its own (DNS rebinding): the name stays that site's.
pub(super) fn is_ours(host: &str, names: &[String]) -> bool {
    let name = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((inner, _)) => &host[..inner.len() + 2],
        None => host.split_once(':').map_or(host, |(name, _)| name),
    };
    let is = |known: &str| known.eq_ignore_ascii_case(name);
    LOOPBACK.into_iter().any(is) || names.iter().any(|known| is(known))
}

/// Whether a request changes nothing (RFC 9110, section 9.2.1).
pub(super) fn is_safe(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

/// What a browser says of the page that a request comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Site {
    /// A page of this server.
    Same,
    /// Anything else.
    Other,
    /// Nothing: it is no browser, or one that is too old to say.
    Unsaid,
}

/// `Sec-Fetch-Site` cannot be set by a page, and says it best. `Origin: null` is what a page says that sends no referrer,
/// and what a sandbox says: alone it counts for nothing.
pub(super) fn site(headers: &HeaderMap, host: &str, is_tls: bool) -> Site {
    let scheme = if is_tls { "https" } else { "http" };
    let is_same =
        |origin: &str| origin.split_once("://").is_some_and(|(of, at)| of == scheme && at.eq_ignore_ascii_case(host));
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or("other"));
    match (text(SEC_FETCH_SITE), text(ORIGIN)) {
        (Some("same-origin"), None | Some("null")) => Site::Same,
        (Some("same-origin") | None, Some(origin)) if is_same(origin) => Site::Same,
        (None, None) => Site::Unsaid,
        (_, _) => Site::Other,
    }
}

/// Whether a path is in its shortest form: without empty or relative parts, also behind percent signs. No route has any.
pub(super) fn is_plain(path: &str) -> bool {
    let decoded = percent_encoding::percent_decode_str(path).collect::<Vec<u8>>();
    let is_part = |part: &[u8]| !matches!(part, b"." | b"..");
    // A percent sign that is left would be decoded once more by whoever is careless.
    !decoded.contains(&b'%')
        && !decoded.iter().any(|byte| byte.is_ascii_control() || *byte == b'\\')
        && !decoded.windows(2).any(|pair| pair == b"//")
        && decoded.split(|byte| *byte == b'/').all(is_part)
        // A slash behind a percent sign would be a part's letter to the router, and a slash to a file system.
        && !path.to_ascii_lowercase().contains("%2f")
}

/// Whether somebody can be sent there after they have signed in: a path of this server.
pub(super) fn is_local(path: &str) -> bool {
    let (path, _) = path.split_once('?').unwrap_or((path, ""));
    path.starts_with('/') && path.len() <= 512 && path.is_ascii() && is_plain(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_ours_by_its_name_alone() {
        let names = ["verdigris.example".to_owned()];
        for ours in ["localhost", "LOCALHOST:4321", "127.0.0.1:1", "[::1]:4321", "[::1]", "Verdigris.Example:443"] {
            assert!(is_ours(ours, &names), "{ours}");
        }
        let others = ["", "evil.example", "localhost.evil.example", "127.0.0.1.evil.example:4321", "[::2]", "[::1"];
        for other in others.into_iter().chain(["verdigris.example.evil", "xlocalhost"]) {
            assert!(!is_ours(other, &names), "{other}");
        }
    }

    fn check(said: &[(&'static str, &'static str)], expected: Site) {
        let header =
            |(name, value): &(&'static str, &'static str)| (HeaderName::from_static(name), value.parse().unwrap());
        assert_eq!(site(&said.iter().map(header).collect(), "localhost:4321", false), expected, "{said:?}");
    }

    #[test]
    fn what_another_site_asks_for_is_told_from_what_ours_does() {
        check(&[], Site::Unsaid);
        check(&[("sec-fetch-site", "same-origin")], Site::Same);
        check(&[("sec-fetch-site", "same-origin"), ("origin", "null")], Site::Same);
        check(&[("sec-fetch-site", "same-origin"), ("origin", "http://localhost:4321")], Site::Same);
        check(&[("origin", "http://localhost:4321")], Site::Same);
        check(&[("origin", "null")], Site::Other);
        check(&[("origin", "http://localhost")], Site::Other);
        check(&[("origin", "https://localhost:4321")], Site::Other);
        check(&[("origin", "http://localhost:4322")], Site::Other);
        check(&[("origin", "http://evil.example")], Site::Other);
        check(&[("sec-fetch-site", "same-origin"), ("origin", "http://evil.example")], Site::Other);
        for other in ["cross-site", "same-site", "none", ""] {
            check(&[("sec-fetch-site", other)], Site::Other);
            check(&[("sec-fetch-site", other), ("origin", "http://localhost:4321")], Site::Other);
        }
    }

    #[test]
    fn a_path_with_relative_or_empty_parts_is_none() {
        for plain in ["/", "/v1/rollouts", "/assets/live.js", "/a..b/.c", "/rollouts/r%20x"] {
            assert!(is_plain(plain), "{plain}");
        }
        let dots = ["/assets/../operator.token", "/assets/%2e%2e/x", "/assets/%2E./x", "/..", "/a/./b", "/.."];
        let slashes = ["//", "//evil.example", "/a//b", "/a%2fb", "/a%2F..%2Fb", "/a\\..\\b", "/a%5c..", "/a%00"];
        for bad in dots.into_iter().chain(slashes).chain(["/%252e%252e/x", "/a%0d%0aset-cookie"]) {
            assert!(!is_plain(bad), "{bad}");
        }
    }

    #[test]
    fn nobody_is_sent_to_another_site() {
        assert!(is_local("/rollouts/r-1?tab=gates") && is_local("/"));
        for other in ["", "//evil.example", "https://evil.example", "/\\evil.example", "/%2fevil", "javascript:x"] {
            assert!(!is_local(other), "{other}");
        }
    }
}
