use super::*;
use gateway::ServerFiles;

fn listen(address: &str, client_ca: Option<bool>) -> Listen {
    let files =
        |client_ca: bool| ServerFiles { cert: "c".into(), key: "k".into(), client_ca: client_ca.then(|| "ca".into()) };
    let address = address.parse().unwrap();
    Listen { grpc: address, http: address, tls: client_ca.map(files) }
}

#[test]
fn what_others_reach_without_protection_is_said() {
    let check = |name: &str, address: &str, tls: Option<bool>, expected: Option<&str>| {
        let said = exposed(name, &listen(address, tls));
        assert_eq!(said.is_some(), expected.is_some(), "{name} {address} {tls:?}: {said:?}");
        assert!(said.unwrap_or_default().contains(expected.unwrap_or_default()));
    };
    check("listen", "127.0.0.1:4317", None, None);
    check("listen", "[::1]:4317", None, None);
    check("listen", "0.0.0.0:4317", None, Some("listen listens on 0.0.0.0:4317 without TLS"));
    check("listen", "[::]:4317", None, Some("set listen.tls"));
    check("listen", "10.0.0.1:4317", Some(false), None);
    check("taps.green", "10.0.0.1:4317", None, Some("set taps.green.tls"));
    check("taps.green", "10.0.0.1:4317", Some(false), Some("set taps.green.tls.clientCa"));
    check("taps.green", "10.0.0.1:4317", Some(true), None);
}
