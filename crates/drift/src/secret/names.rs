//! Which names make a value secret. A name is taken apart into words (`apiKey`, `API_KEY` and `x-api-key` have the same
//! ones), so that `token` is found in `accessToken` and not in `tokenizer`.

/// One of these words makes a name secret.
const WORDS: &[&str] = &[
    "password",
    "passwords",
    "passwd",
    "passphrase",
    "pwd",
    "pass",
    "secret",
    "secrets",
    "token",
    "tokens",
    "apikey",
    "apikeys",
    "credential",
    "credentials",
    "creds",
    "authorization",
    "cookie",
    "cookies",
    "jwt",
    "bearer",
    "dsn",
    "privatekey",
    "accesskey",
    "secretkey",
    "connectionstring",
    "htpasswd",
    "authtoken",
    "accesstoken",
    "userpass",
    "clientsecret",
    "kubeconfig",
    "dockerconfigjson",
    "dockercfg",
    "sas",
    "otp",
    "pin",
    "salt",
    "hmac",
];

/// Two of these words in a row do too.
const PAIRS: &[(&str, &str)] = &[
    ("api", "key"),
    ("api", "keys"),
    ("access", "key"),
    ("private", "key"),
    ("secret", "key"),
    ("signing", "key"),
    ("encryption", "key"),
    ("auth", "key"),
    ("account", "key"),
    ("license", "key"),
    ("ingest", "key"),
    ("ingestion", "key"),
    ("write", "key"),
    ("shared", "key"),
    ("master", "key"),
    ("app", "key"),
    ("application", "key"),
    ("key", "pem"),
    ("connection", "string"),
    ("conn", "str"),
    ("honeycomb", "team"),
    ("webhook", "url"),
    ("storage", "key"),
    ("ssh", "key"),
    ("session", "key"),
    ("host", "key"),
    ("basic", "auth"),
    ("instrumentation", "key"),
];

/// A last word that makes the value say something about a secret, or where it is, instead.
const ABOUT: &[&str] = &[
    "file",
    "files",
    "path",
    "paths",
    "dir",
    "directory",
    "name",
    "names",
    "ref",
    "refs",
    "seconds",
    "minutes",
    "ttl",
    "expiration",
    "expiry",
    "timeout",
    "interval",
    "url",
    "uri",
    "endpoint",
    "type",
    "enabled",
    "required",
    "length",
    "limit",
    "count",
    "policy",
    "provider",
    "source",
    "algorithm",
    "mode",
    "namespace",
    "version",
    "kind",
    "header",
    "audience",
    "issuer",
    "authenticator",
    "optional",
    "mount",
    "format",
];

/// Keys whose entries have names that somebody chose: such a name says what a component is called (a service
/// `token-issuer`), and makes nothing below it secret.
const CHOSEN: &[&str] = &[
    "services",
    "receivers",
    "processors",
    "exporters",
    "extensions",
    "connectors",
    "pipelines",
    "volumes",
    "networks",
    "configs",
    "data",
    "protocols",
    "telemetry",
];

/// HTTP headers whose values are none; of all others under `headers` the values are secret.
const OPEN_HEADERS: &[&str] = &[
    "accept",
    "accept-encoding",
    "content-type",
    "content-encoding",
    "user-agent",
    "host",
    "x-scope-orgid",
    "x-forwarded-proto",
    "connection",
    "cache-control",
    "x-honeycomb-dataset",
    "stream-name",
    "organization",
];

/// Whether a key's name makes its value secret.
pub(crate) fn is_secret(name: &str) -> bool {
    let mut found = false;
    let mut about = false;
    let mut previous = "";
    for word in words(name) {
        let pair =
            |(first, second): &(&str, &str)| second.eq_ignore_ascii_case(word) && first.eq_ignore_ascii_case(previous);
        found |=
            (WORDS_INDEX.may_hold(word) && is_one_of(word, WORDS)) || (!previous.is_empty() && PAIRS.iter().any(pair));
        // The last word alone counts; the URL of a webhook is its secret.
        about = ABOUT_INDEX.may_hold(word) && is_one_of(word, ABOUT) && !previous.eq_ignore_ascii_case("webhook");
        previous = word;
    }
    found && !about && name != "imagePullSecrets"
}

/// Whether what stands below a name only says where a secret is (`secretKeyRef: {name, key}`).
pub(crate) fn is_reference(name: &str) -> bool {
    name == "imagePullSecrets" || words(name).last().is_some_and(|word| is_one_of(word, &["ref", "refs"]))
}

/// Whether the keys below this one are names that somebody chose.
pub(crate) fn holds_chosen(name: &str) -> bool {
    CHOSEN.contains(&name)
}

/// Whether a name is that of a connection, whose URL has a user and a host beside its password.
pub(crate) fn is_connection(name: &str) -> bool {
    words(name).any(|word| is_one_of(word, &["dsn", "connection", "conn", "connectionstring"]))
}

/// Whether a key holds headers: a map of them, or OpenTelemetry's `name=value,…`.
pub(crate) fn holds_headers(name: &str) -> bool {
    let last = name.rsplit(['_', '-', '.']).next().unwrap_or(name);
    last.eq_ignore_ascii_case("headers")
}

/// Whether the values of a header are secret.
pub(crate) fn is_secret_header(name: &str) -> bool {
    !OPEN_HEADERS.contains(&name.to_ascii_lowercase().as_str())
}

/// The words of a name: divided at everything that is no letter or digit, and where a small letter meets a capital.
/// Words of other alphabets stay whole.
fn words(name: &str) -> impl Iterator<Item = &str> {
    name.split(|character: char| !character.is_alphanumeric()).flat_map(|part| Humps { rest: part })
}

/// The words of `camelCase` and `HTTPServer`.
struct Humps<'a> {
    rest: &'a str,
}

impl<'a> Iterator for Humps<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        if self.rest.is_empty() {
            return None;
        }
        let bytes = self.rest.as_bytes();
        let begins = |at: usize| {
            let small_before = bytes[at - 1].is_ascii_lowercase() || bytes[at - 1].is_ascii_digit();
            let small_after = bytes.get(at + 1).is_some_and(u8::is_ascii_lowercase);
            bytes[at].is_ascii_uppercase() && (small_before || (bytes[at - 1].is_ascii_uppercase() && small_after))
        };
        // Capitals of ASCII are characters of one byte, so this divides between characters.
        let end = (1..bytes.len()).find(|at| begins(*at)).unwrap_or(bytes.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        Some(word)
    }
}

/// Which lengths the words of a list have, by their first letter: most words of a configuration are in no list, and
/// every key is asked about.
struct Index([u32; 26]);

impl Index {
    const fn of(list: &[&str]) -> Index {
        let mut lengths = [0; 26];
        let mut at = 0;
        while at < list.len() {
            let word = list[at].as_bytes();
            lengths[(word[0] - b'a') as usize] |= 1 << word.len();
            at += 1;
        }
        Index(lengths)
    }

    fn may_hold(&self, word: &str) -> bool {
        let first = word.as_bytes().first().map(u8::to_ascii_lowercase).filter(u8::is_ascii_lowercase);
        word.len() < 32 && first.is_some_and(|first| self.0[usize::from(first - b'a')] & (1 << word.len()) != 0)
    }
}

const WORDS_INDEX: Index = Index::of(WORDS);
const ABOUT_INDEX: Index = Index::of(ABOUT);

fn is_one_of(word: &str, list: &[&str]) -> bool {
    list.iter().any(|one| one.eq_ignore_ascii_case(word))
}
