use serde::{Deserialize, Serialize};

/// Testers of one route at most: the gateway's pins have 16 places, of which two are the environments'.
pub const MAX_TESTERS: usize = 14;

/// New traces of all testers together that a minute lets through to green; what is more goes where its bucket says. Ten a
/// second are a person's clicks and a suite's requests, and no load: whoever can send OTLP can send the testers' header, and
/// must not shift the traffic by it.
pub const MAX_TESTER_TRACES_PER_MINUTE: u32 = 600;

/// Characters of the header's or the attribute's name.
pub const MAX_TESTER_ROUTE_CHARACTERS: usize = 100;

/// Whose traffic goes to the candidate whatever its weight, and how it is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Testers {
    /// By what a tester's traffic is known.
    pub route: TesterRoute,
    /// Who they are, at most [`MAX_TESTERS`]: the value of the header or the attribute is one of these names.
    pub names: Vec<String>,
}

/// By what a tester's traffic is known: the value is the tester's name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum TesterRoute {
    /// A header of the export request (gRPC: its metadata), in lower case.
    Header(String),
    /// A string attribute of the spans' resource.
    ResourceAttribute(String),
}

impl TesterRoute {
    /// Whether a header can be this: not one that HTTP, gRPC or OTLP means something by, and a token (RFC 9110, section 5.1)
    /// in lower case, as HTTP/2 wants it.
    pub fn is_header_name(text: &str) -> bool {
        let token = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_' | b'.');
        let reserved = ["grpc-", "content-", "accept", "transfer-", "proxy-", "sec-", "x-forwarded-"];
        let taken =
            ["host", "te", "connection", "authorization", "cookie", "user-agent", "via", "forwarded", "upgrade"];
        (1..=MAX_TESTER_ROUTE_CHARACTERS).contains(&text.len())
            && text.bytes().all(token)
            && text.as_bytes()[0].is_ascii_lowercase()
            && !text.ends_with("-bin")
            && !taken.contains(&text)
            && !reserved.iter().any(|prefix| text.starts_with(prefix))
    }
}

#[cfg(test)]
mod tests {
    use super::TesterRoute;

    fn check(name: &str, expect: bool) {
        assert_eq!(TesterRoute::is_header_name(name), expect, "{name:?}");
    }

    #[test]
    fn a_header_is_a_token_that_means_nothing_else() {
        check("x-verdigris-tester", true);
        check("baggage", true);
        for name in
            ["", "X-Tester", "x tester", "content-type", "grpc-timeout", "host", "x-tester-bin", "-x", "x\u{e9}"]
        {
            check(name, false);
        }
        check(&"x".repeat(101), false);
    }
}
