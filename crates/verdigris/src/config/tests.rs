use super::*;
use model::{Compression, TlsIdentity, Transport};

fn check(yaml: &str, expect: &str) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("verdigris.yaml");
    std::fs::write(&path, yaml).unwrap();
    let said = match Config::read(&path) {
        Ok(config) => format!("{} {} {}", config.serving.endpoint, config.listen.grpc, config.taps.len()),
        Err(error) => error.to_string().replace(&path.display().to_string(), "FILE"),
    };
    assert!(said.contains(expect), "{said}\ndoes not say\n{expect}");
}

#[test]
fn little_is_needed_and_everything_listens_on_loopback() {
    check("serving: {otlp: {grpc: 'http://127.0.0.1:14317'}}", "http://127.0.0.1:14317 127.0.0.1:4317 2");
}

#[test]
fn what_cannot_be_is_refused_with_its_place() {
    check("serving: {otlp: {}}", "expected exactly one of grpc and http");
    check("serving: {otlp: {grpc: 'ftp://x:1'}}", "serving");
    check(
        "serving: {otlp: {grpc: 'http://127.0.0.1:1'}, tap: red}",
        "found \"red\", expected one of the taps blue, green",
    );
    check("serving: {otlp: {grpc: 'http://127.0.0.1:1'}}\nname: a b", "without spaces");
    check("serving: {otlp: {grpc: 'http://127.0.0.1:1'}}\nlisen: {}", "lisen");
    check("serving: {otlp: {grpc: 'http://127.0.0.1:1'}}\nlisten: {grpc: here, http: there}", "line 2");
}

#[test]
fn ports_for_old_senders_are_there_when_they_are_named() {
    let fixed = |listen: &str| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("verdigris.yaml");
        let yaml = format!("serving: {{otlp: {{grpc: 'http://127.0.0.1:1'}}}}\n{listen}");
        std::fs::write(&path, yaml).unwrap();
        let fixed = Config::read(&path).unwrap().fixed;
        fixed.into_iter().map(|(name, address)| format!("{name} {address}")).collect::<Vec<_>>()
    };
    assert!(fixed("").is_empty());
    assert!(fixed("listen: {grpc: '127.0.0.1:1', http: '127.0.0.1:2'}").is_empty());
    let old = "zipkin: '127.0.0.1:9411', jaegerGrpc: '127.0.0.1:14250', jaegerHttp: '127.0.0.1:14268'";
    assert_eq!(
        fixed(&format!("listen: {{grpc: '127.0.0.1:1', http: '127.0.0.1:2', {old}}}")),
        ["jaegerGrpc 127.0.0.1:14250", "jaegerHttp 127.0.0.1:14268", "zipkin 127.0.0.1:9411"]
    );
}
fn read(yaml: &str) -> (tempfile::TempDir, Config) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("verdigris.yaml");
    std::fs::write(&path, yaml).unwrap();
    let config = Config::read(&path).unwrap();
    (folder, config)
}

#[test]
fn tls_is_read_and_its_paths_start_from_the_file() {
    let (folder, config) = read(
        "listen: { grpc: '127.0.0.1:1', http: '127.0.0.1:2', tls: { cert: a.pem, key: /k, clientCa: ca.pem } }\n\
         taps: { blue: { grpc: '127.0.0.1:3', http: '127.0.0.1:4', tls: { cert: b.pem, key: b.key } } }\n\
         serving:\n  otlp:\n    grpc: https://a:1\n    compression: zstd\n    tls: { ca: c.pem, cert: d.pem, key: d.key, \
         serverName: n }\n  backend: { grpc: 'https://b:1', compression: gzip, tls: { ca: e.pem } }\n",
    );
    let at = |name: &str| folder.path().join(name);
    let text = |name: &str| at(name).display().to_string();
    let listen = config.listen.tls.unwrap();
    assert_eq!((listen.cert, listen.key, listen.client_ca), (at("a.pem"), "/k".into(), Some(at("ca.pem"))));
    assert_eq!(config.taps["blue"].tls.as_ref().unwrap().client_ca, None);
    let Transport { tls, compression } = config.serving.transport;
    assert_eq!((tls.ca, tls.server_name, compression), (Some(text("c.pem")), Some("n".to_owned()), Compression::Zstd));
    assert_eq!(tls.identity, Some(TlsIdentity { cert: text("d.pem"), key: text("d.key") }));
    assert_eq!(config.serving.backend_transport.tls.ca, Some(text("e.pem")));
    assert_eq!(config.serving.backend_transport.compression, Compression::Gzip);
    let (_, config) = read("serving: {otlp: {grpc: 'https://a:1'}, backend: 'https://b:1'}");
    assert_eq!(
        (config.serving.backend.as_deref(), config.serving.transport),
        (Some("https://b:1"), Transport::default())
    );
}

#[test]
fn tls_that_cannot_be_is_refused_with_its_place() {
    check(
        "serving: {otlp: {grpc: 'http://a:1', tls: {ca: x}}}",
        "serving.otlp.tls: found tls for an endpoint without https://, expected none at line 1, column 43",
    );
    check("serving: {otlp: {grpc: 'https://a:1', tls: {cert: x}}}", "serving.otlp.tls: found cert without key");
    check("serving: {otlp: {grpc: 'https://a:1', tls: {key: x}}}", "serving.otlp.tls: found key without cert");
    check("serving: {otlp: {grpc: 'https://a:1', tls: {insecure: true}}}", "insecure");
    check("serving: {otlp: {grpc: 'https://a:1', tls: {serverName: a b}}}", "neither a DNS name nor an IP address");
    check("serving: {otlp: {grpc: 'https://a:1', compression: br}}", "line 1, column 52");
    check("serving: {otlp: {grpc: 'http://a:1'}, backend: {http: 'http://b:1'}}", "serving.backend: found http");
    let serving = "serving: {otlp: {grpc: 'http://a:1'}}\n";
    let listen = |tls: &str| format!("{serving}listen: {{grpc: '127.0.0.1:1', http: '127.0.0.1:2', tls: {tls}}}");
    check(&listen("{cert: x}"), "line 2");
    check(&listen("{cert: x, key: y, ca: z}"), "line 2");
}

/// As `serve` without `--config` has it: the file's folder is where the server was started.
#[test]
fn a_bare_file_name_has_a_folder() {
    let raw = read_yaml("serving: {otlp: {grpc: 'https://a:1', tls: {ca: c.pem}}}").unwrap();
    let config = parse(raw, Path::new("")).unwrap();
    let here = std::env::current_dir().unwrap();
    assert_eq!(config.serving.transport.tls.ca, Some(here.join("c.pem").display().to_string()));
}

#[test]
fn evidence_is_kept_for_a_month_and_up_to_a_gibibyte_unless_something_else_is_said() {
    let serving = "serving: {otlp: {grpc: 'http://127.0.0.1:1'}}";
    let retention = |more: &str| {
        let Retention { keep_ms, max_bytes } = read(&format!("{serving}\n{more}")).1.retention;
        (keep_ms / 3_600_000, max_bytes >> 20)
    };
    assert_eq!(retention(""), (30 * 24, 1_024));
    assert_eq!(retention("evidence: {}"), (30 * 24, 1_024));
    assert_eq!(retention("evidence: { keep: 12h }"), (12, 1_024));
    assert_eq!(retention("evidence: { keep: 90d, maxSize: 16MiB }"), (90 * 24, 16));
    for (evidence, expect) in [
        ("keep: 30", "evidence.keep: found \"30\", expected a duration with its unit from 1h to 3650d"),
        ("keep: 59m", "evidence.keep: found \"59m\", expected a duration from 1h to 3650d"),
        ("maxSize: 15MiB", "evidence.maxSize: found \"15MiB\", expected 16MiB to 256GiB, such as 1GiB"),
        ("atMost: 1GiB", "unknown field `atMost`"),
    ] {
        check(&format!("{serving}\nevidence: {{ {evidence} }}"), expect);
    }
}

/// Where the keys are, in words, with the folder as FOLDER; or what is said instead.
#[test]
fn entries_are_kept_for_ever_or_as_long_as_is_said() {
    let serving = "serving: { otlp: { grpc: 'http://127.0.0.1:1' } }";
    let kept = |ledger: &str| read(&format!("{serving}\nledger: {ledger}")).1.keep_entries_ms;
    assert_eq!((kept("{}"), kept("{ keepEntries: 365d }")), (None, Some(365 * 24 * 3_600_000)));
    for (ledger, expect) in [
        ("{ keepEntries: 364d }", "ledger.keepEntries: found \"364d\", expected a duration from 365d to 36500d"),
        (
            "{ keepEntries: 7 }",
            "ledger.keepEntries: found \"7\", expected a duration with its unit from 365d to 36500d",
        ),
    ] {
        check(&format!("{serving}\nledger: {ledger}"), expect);
    }
}

fn keys_of(ledger: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("verdigris.yaml");
    std::fs::write(&path, format!("serving: {{otlp: {{grpc: 'http://127.0.0.1:1'}}}}\nledger: {ledger}\n")).unwrap();
    let said = match Config::read(&path) {
        Ok(Config { key, next_key: None, .. }) => key.to_string(),
        Ok(Config { key, next_key: Some(next), .. }) => format!("{key}; then {next}"),
        Err(error) => error.to_string(),
    };
    said.replace(&folder.path().display().to_string(), "FOLDER")
}

#[test]
fn the_signing_key_is_in_a_file_or_in_a_token() {
    let token =
        |pin: &str| format!("{{ pkcs11: {{ module: /usr/lib/hsm.so, token: verdigris, key: k1, pin: {pin} }} }}");
    for (ledger, place) in [
        ("{}".to_owned(), "FOLDER/verdigris-data/ledger.key"),
        ("{ key: { file: keys/a } }".to_owned(), "FOLDER/keys/a"),
        (
            "{ key: { passphrase: prompt } }".to_owned(),
            "FOLDER/verdigris-data/ledger.key, encrypted, with its passphrase from the terminal",
        ),
        (
            "{ key: { file: a, passphrase: { file: b } } }".to_owned(),
            "FOLDER/a, encrypted, with its passphrase from the file FOLDER/b",
        ),
        (
            format!("{{ key: {}, nextKey: {{ file: b }} }}", token("{ env: PIN }")),
            "key \"k1\" of the token \"verdigris\" (/usr/lib/hsm.so), with its PIN from the environment variable PIN; then \
             FOLDER/b",
        ),
    ] {
        assert_eq!(keys_of(&ledger), place, "{ledger}");
    }
}

#[test]
fn a_key_in_no_place_or_in_two_is_refused() {
    let token = "pkcs11: { module: m.so, token: t, key: k, pin: prompt }";
    for (ledger, words) in [
        (format!("{{ key: {{ file: a, {token} }} }}"), "ledger.key: found pkcs11 beside file or passphrase"),
        (format!("{{ key: {{ passphrase: prompt, {token} }} }}"), "ledger.key: found pkcs11 beside file or passphrase"),
        ("{ nextKey: {} }".to_owned(), "ledger.nextKey: expected file or pkcs11"),
        ("{ nextKey: { passphrase: prompt } }".to_owned(), "ledger.nextKey: expected file or pkcs11"),
        ("{ key: { file: a }, nextKey: { file: a } }".to_owned(), "ledger.nextKey: it is ledger.key too"),
        ("{ key: { pkcs11: { module: m, token: ' ', key: k, pin: prompt } } }".to_owned(), "expected the labels"),
        ("{ key: { pkcs11: { module: m, token: t, key: k } } }".to_owned(), "pin"),
        ("{ key: { passphrase: secret } }".to_owned(), "line 2"),
        ("{ key: { passphrase: { text: secret } } }".to_owned(), "line 2"),
    ] {
        let said = keys_of(&ledger);
        assert!(said.contains(words), "{said}\ndoes not say\n{words}");
    }
}

const SERVING: &str = "serving: {otlp: {grpc: 'http://127.0.0.1:1'}}\n";

#[test]
fn the_web_port_is_on_loopback_unless_it_speaks_tls() {
    let web = |section: &str| read(&format!("{SERVING}{section}")).1.web;
    let plain = web("").unwrap();
    assert_eq!(plain.listen.to_string(), "127.0.0.1:4321");
    assert!(plain.operator_token && plain.tls.is_none() && plain.oidc.is_none());
    assert_eq!(web("web: {enabled: false}"), None);
    let open =
        web("web: {listen: '192.0.2.1:443', tls: {cert: c, key: k, clientCa: ca}, operatorToken: false}").unwrap();
    assert_eq!(open.names, ["192.0.2.1"]);
    let sso = "issuer: 'https://sso.example', audience: verdigris";
    let oidc = web(&format!("web: {{oidc: {{{sso}, keys: 'https://sso.example/keys', tls: {{ca: a.pem}}}}}}")).unwrap();
    let (pinned, at) = oidc.oidc.unwrap();
    assert_eq!((pinned.claim.as_str(), pinned.types, pinned.algorithms.len()), ("sub", vec!["at+jwt".to_owned()], 4));
    assert!(matches!(at, ::web::KeysAt::Url { .. }));
    let refused = |section: &str, expect: &str| check(&format!("{SERVING}web: {{{section}}}"), expect);
    refused("listen: '0.0.0.0:4321'", "web.listen: found 0.0.0.0:4321 without web.tls");
    refused("listen: '192.0.2.1:4321'", "would pass in clear text");
    refused("listen: '0.0.0.0:443', tls: {cert: c, key: k}", "web.names: found none for 0.0.0.0:443");
    refused("names: ['verdigris.example:443']", "web.names: found \"verdigris.example:443\"");
    refused("operatorToken: false", "web.operatorToken: found false");
    refused(
        &format!("oidc: {{{sso}, keys: 'http://sso.example/keys'}}"),
        "web.oidc.keys: found \"http://sso.example/keys\"",
    );
    for algorithm in ["HS256", "none", "RS512"] {
        refused(&format!("oidc: {{{sso}, keys: k, algorithms: [{algorithm}]}}"), "line 2");
    }
}

#[test]
fn what_somebody_shows_is_of_one_principal() {
    let (_folder, config) = read(&format!(
        "{SERVING}principals:\n  - {{name: ada, oidc: ['a@b@https://sso.example'], subjects: ['CN=ada']}}\n  \
         - {{name: ci, roles: [pipeline], spiffe: ['spiffe://corp.example/ci']}}\n"
    ));
    let oidc = ::web::Identity::Oidc { subject: "a@b".to_owned(), issuer: "https://sso.example".to_owned() };
    assert_eq!(config.identities.get(&oidc).map(String::as_str), Some("ada"));
    assert_eq!(config.identities.len(), 3);
    let refused = |principals: &str, expect: &str| check(&format!("{SERVING}principals: [{principals}]"), expect);
    let twice = |key: &str, value: &str| format!("{{name: a, {key}: ['{value}']}}, {{name: b, {key}: ['{value}']}}");
    refused(&twice("oidc", "s@https://i"), "principals: oidc: s@https://i stands twice, of a and of b");
    refused(&twice("spiffe", "spiffe://d/p"), "spiffe: spiffe://d/p stands twice");
    refused(&twice("subjects", "CN=x"), "subjects: CN=x stands twice");
    refused("{name: a, subjects: ['spiffe://d/p']}", "principals[0].subjects[0]");
    refused("{name: a, spiffe: ['CN=x']}", "principals[0].spiffe[0]");
    refused("{name: a, oidc: [ada]}", "expected SUBJECT@https://issuer");
    refused("{name: operator-token}", "which the server itself gives");
}

#[test]
fn who_may_send_is_named_by_certificates_and_tokens() {
    let tap = |more: &str| {
        let tls = "tls: {cert: c, key: k, clientCa: ca}";
        format!(
            "{SERVING}taps: {{blue: {{grpc: '127.0.0.1:1', http: '127.0.0.1:2', {tls}, {more}}}}}\nprincipals:\n  \
             - {{name: pipes, roles: [pipeline], spiffe: ['spiffe://d/blue'], subjects: ['CN=blue']}}\n"
        )
    };
    let (folder, config) = read(&tap("clients: ['CN=other', 'principal:pipes'], tokens: [t]"));
    let blue = &config.sending.taps["blue"];
    let clients: Vec<_> = blue.clients.iter().filter_map(tls::Names::as_str).collect();
    assert_eq!(clients, ["spiffe://d/blue", "CN=blue", "CN=other"]);
    let path = folder.path().join("t");
    let senders = |text: &str, mode: u32| {
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
        config.sending.senders().map_err(|error| format!("{error:#}"))
    };
    let token = "0123456789abcdef0123456789abcdef";
    assert_eq!(senders(&format!("{token}\n"), 0o600).unwrap().taps["blue"].tokens, [gateway::Admission::digest(token)]);
    assert!(senders(token, 0o640).unwrap_err().contains("may be read by others (mode 640)"));
    assert!(senders("short", 0o600).unwrap_err().contains("expected one token of 32 to 1024 letters"));
    check(&tap("clients: [blue]"), "taps.blue.clients[0]: found \"blue\", expected spiffe://");
    check(&tap("clients: ['principal:nobody']"), "taps.blue.clients[0]: found \"principal:nobody\"");
    check(
        &format!("{SERVING}listen: {{grpc: '127.0.0.1:1', http: '127.0.0.1:2', clients: ['CN=a']}}"),
        "listen.clients: found names without tls.clientCa",
    );
}
