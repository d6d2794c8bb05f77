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
    // Most names are one short word in lower case, and none of the list.
    if name.len() < 3 {
        return false;
    }
    let words = words(name);
    let found = words.iter().any(|word| WORDS.contains(&word.as_str()))
        || words.windows(2).any(|pair| PAIRS.contains(&(pair[0].as_str(), pair[1].as_str())));
    found && !is_about(&words) && name != "imagePullSecrets"
}

fn is_about(words: &[String]) -> bool {
    let webhook = words.windows(2).any(|pair| pair == ["webhook", "url"]);
    !webhook && words.last().is_some_and(|word| ABOUT.contains(&word.as_str()))
}

/// Whether a name says something about a secret, or where it is (`secretKeyRef`, `password_file`).
pub(crate) fn is_reference(name: &str) -> bool {
    is_about(&words(name)) || name == "imagePullSecrets"
}

/// Whether the keys below this one are names that somebody chose.
pub(crate) fn holds_chosen(name: &str) -> bool {
    CHOSEN.contains(&name)
}

/// Whether a name is that of a connection, whose URL has a user and a host beside its password.
pub(crate) fn is_connection(name: &str) -> bool {
    let words = words(name);
    words.iter().any(|word| matches!(word.as_str(), "dsn" | "connection" | "conn" | "connectionstring"))
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

/// Words in lower case: divided at everything that is no letter or digit, and where a small letter meets a capital.
fn words(name: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut previous = ' ';
    let mut characters = name.chars().peekable();
    while let Some(character) = characters.next() {
        if !character.is_alphanumeric() {
            if !word.is_empty() {
                words.push(std::mem::take(&mut word));
            }
        } else {
            let begins = character.is_uppercase()
                && (previous.is_lowercase()
                    || previous.is_numeric()
                    || (previous.is_uppercase() && characters.peek().is_some_and(|next| next.is_lowercase())));
            if begins && !word.is_empty() {
                words.push(std::mem::take(&mut word));
            }
            word.extend(character.to_lowercase());
        }
        previous = character;
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}
