use super::*;

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
    check("serving: {otlp: {grpc: 'https://x:1'}}", "serving");
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
