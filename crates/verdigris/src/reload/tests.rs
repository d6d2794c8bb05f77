use super::*;
use std::io::Write;

const BEFORE: &str = "serving: {otlp: {grpc: 'http://127.0.0.1:14317'}}\n";

fn config(yaml: &str) -> Config {
    let mut file = tempfile::Builder::new().tempfile_in("/tmp").unwrap();
    file.write_all(yaml.as_bytes()).unwrap();
    Config::read(file.path()).unwrap()
}

#[test]
fn what_hangs_on_the_process_is_refused_by_its_name() {
    let before = config(BEFORE);
    let refused = |more: &str| check(&before, &config(&format!("{BEFORE}{more}"))).unwrap_err().to_string();
    for (key, more) in [
        ("data", "data: elsewhere"),
        ("socket", "socket: other.sock"),
        ("name", "name: a.b/c"),
        ("evidence", "evidence: {keep: 1h}"),
    ] {
        let said = refused(more);
        assert!(said.starts_with(&format!("{key}: found ")) && said.contains("cannot change while"), "{said}");
    }
    let said = check(&before, &config(&BEFORE.replace("14317", "14318"))).unwrap_err().to_string();
    assert!(said.starts_with("serving: found ") && said.contains("14318"), "{said}");
}

#[test]
fn ports_taps_and_principals_may_change() {
    let after = "listen: {grpc: '127.0.0.1:1', http: '127.0.0.1:2'}\n\
                 taps: {blue: {grpc: '127.0.0.1:3', http: '127.0.0.1:4'}}\n\
                 principals: [{name: ada, uids: [0]}]\n";
    check(&config(BEFORE), &config(&format!("{BEFORE}{after}"))).unwrap();
}
