//! The web port of a server: the operator token, a session, what is refused, and what of it stands in the ledger.

use crate::server::{Config, Server, try_serve};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;

/// An answer as it came; the connection is closed after it.
pub(crate) fn ask(address: SocketAddr, head: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("the web port listens");
    let request = format!(
        "{head}\r\nHost: {address}\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).expect("it takes a request");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    answer
}

fn address(server: &Server) -> SocketAddr {
    let url = server.said["web"]["url"].as_str().expect("serve says where the web port is");
    url.strip_prefix("http://").expect("it is on loopback").parse().expect("an address")
}

#[test]
fn the_operator_token_opens_the_web_port_and_nothing_else_does() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut server = Server::start(folder.path(), &Config::of("http://127.0.0.1:9"));
    let path = server.said["web"]["operatorToken"].as_str().expect("serve says where the token is").to_owned();
    let mode = std::fs::metadata(&path).expect("the token is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let token = std::fs::read_to_string(&path).expect("it is ours").trim().to_owned();
    assert!(
        !server.said.to_string().contains(&token) && !server.log().contains(&token),
        "the token is shown to nobody"
    );

    let status =
        |address, token: &str| ask(address, &format!("GET /v1/status HTTP/1.1\r\nAuthorization: Bearer {token}"), "");
    assert!(status(address(&server), &token).starts_with("HTTP/1.1 200 "));
    assert!(status(address(&server), "wrong").starts_with("HTTP/1.1 401 "));
    let same = format!("Origin: http://{}", address(&server));
    let signed_in = ask(address(&server), &format!("POST /sign-in HTTP/1.1\r\n{same}"), &format!("token={token}"));
    assert!(signed_in.starts_with("HTTP/1.1 303 "), "{signed_in}");
    let set = signed_in.lines().find_map(|line| line.strip_prefix("set-cookie: ")).expect("a cookie is set");
    let cookie = set.split(';').next().expect("a cookie has a value");
    let page = ask(address(&server), &format!("GET / HTTP/1.1\r\nCookie: {cookie}"), "");
    assert!(page.starts_with("HTTP/1.1 200 ") && page.contains("operator-token"), "{page}");

    // The token stays when the server comes again, sessions do not.
    server.kill_and_start();
    assert!(status(address(&server), &token).starts_with("HTTP/1.1 200 "));
    let again = ask(address(&server), &format!("GET / HTTP/1.1\r\nCookie: {cookie}\r\nAccept: text/html"), "");
    assert!(again.contains("location: /sign-in"), "{again}");
    assert!(status(address(&server), "wrong").starts_with("HTTP/1.1 401 "));
    let shown = server.ledger_command(&["show"]).expect(0).stdout;
    assert!(shown.contains("unknown token") && !shown.contains(&token), "{shown}");
}

#[test]
fn another_process_takes_the_web_port_over_too() {
    let folder = tempfile::tempdir().expect("a folder");
    let free = std::net::TcpListener::bind("127.0.0.1:0").and_then(|it| it.local_addr()).expect("a port is free");
    let path = Config::of("http://127.0.0.1:9").write(folder.path());
    let yaml = std::fs::read_to_string(&path).expect("it was written");
    let with_port = yaml.replace("web: { listen: \"127.0.0.1:0\" }", &format!("web: {{ listen: \"{free}\" }}"));
    std::fs::write(&path, with_port).expect("the folder is ours");
    let mut server = try_serve(&path).unwrap_or_else(|ran| panic!("serve ended with {}: {}", ran.code, ran.stderr));
    assert_eq!(address(&server), free);
    let token = std::fs::read_to_string(folder.path().join("data/operator.token")).expect("the token is there");
    let status = format!("GET /v1/status HTTP/1.1\r\nAuthorization: Bearer {}", token.trim());
    assert!(ask(free, &status, "").starts_with("HTTP/1.1 200 "));
    let before = server.take_over();
    before.wait(crate::wait::seconds(60)).expect(0);
    assert_eq!(address(&server), free);
    assert!(ask(free, &status, "").starts_with("HTTP/1.1 200 "));

    // Somebody else's port is an error that says whose setting it is.
    let other = tempfile::tempdir().expect("a folder");
    let config = Config::of("http://127.0.0.1:9").write(other.path());
    let yaml = std::fs::read_to_string(&config).expect("it was written");
    std::fs::write(
        &config,
        yaml.replace("web: { listen: \"127.0.0.1:0\" }", &format!("web: {{ listen: \"{free}\" }}")),
    )
    .expect("the folder is ours");
    let refused = try_serve(&config).err().expect("the port is taken");
    refused.expect(1).says(&["web.listen", &free.to_string(), "set another address"]);
}
