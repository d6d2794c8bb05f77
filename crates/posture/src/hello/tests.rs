use super::*;
use proptest::prelude::*;

/// A server's hello as records of `size` bytes.
fn server(version: u16, extension: Option<u16>, suite: u16, size: usize) -> Vec<u8> {
    let mut body = [&version.to_be_bytes()[..], &[7; 32], &[2, 1, 1], &suite.to_be_bytes(), &[0]].concat();
    if let Some(version) = extension {
        body.extend([0, 6, 0, 43, 0, 2]);
        body.extend(version.to_be_bytes());
    }
    let message = [&[2, 0, 0, u8::try_from(body.len()).unwrap()][..], &body].concat();
    let record = |part: &[u8]| [&[22, 3, 3, 0, u8::try_from(part.len()).unwrap()][..], part].concat();
    message.chunks(size).flat_map(record).collect()
}

fn check(bytes: &[u8], expect: Result<Option<Answer>, HelloError>) {
    assert_eq!(read(bytes), expect, "{bytes:02x?}");
}

fn hello(version: TlsVersion, suite: u16) -> Result<Option<Answer>, HelloError> {
    Ok(Some(Answer::Hello { version: Some(version), suite }))
}

#[test]
fn a_hello_says_which_version_and_suite_go_on() {
    check(&server(0x0303, None, 0xc02f, 200), hello(TlsVersion::Tls12, 0xc02f));
    check(&server(0x0301, None, 0x000a, 200), hello(TlsVersion::Tls10, 0x000a));
    check(&server(0x0303, Some(0x0304), 0x1301, 200), hello(TlsVersion::Tls13, 0x1301));
    check(&server(0x0303, Some(0x0304), 0x1301, 3), hello(TlsVersion::Tls13, 0x1301));
    check(&server(0x0399, None, 1, 200), Ok(Some(Answer::Hello { version: None, suite: 1 })));
    check(&[21, 3, 1, 0, 2, 2, 70], Ok(Some(Answer::Alert { description: 70 })));
    let warned = [&[21, 3, 3, 0, 2, 1, 112][..], &server(0x0303, None, 0xc02f, 200)].concat();
    check(&warned, hello(TlsVersion::Tls12, 0xc02f));
}

#[test]
fn what_is_no_answer_is_refused() {
    check(b"HTTP/1.1 400 Bad Request\r\n\r\n", Err(HelloError::NotTls));
    check(b"H", Err(HelloError::NotTls));
    check(&[22, 3, 3, 0, 0], Err(HelloError::Length { field: "record" }));
    check(&[22, 3, 3, 0xff, 0xff], Err(HelloError::Length { field: "record" }));
    check(&[21, 3, 3, 0, 3, 1, 1, 1], Err(HelloError::Length { field: "alert" }));
    check(&[22, 3, 3, 0, 1, 1], Err(HelloError::Message { kind: 1 }));
    let mut long = server(0x0303, Some(0x0304), 0x1301, 200);
    let extensions = long.len() - 8;
    long[extensions + 1] = 7;
    check(&long, Err(HelloError::Length { field: "extensions" }));
}

#[test]
fn every_beginning_needs_more() {
    for size in [3, 200] {
        let bytes = server(0x0303, Some(0x0304), 0x1301, size);
        for end in 0..bytes.len() {
            check(&bytes[..end], Ok(None));
        }
    }
}

/// The lengths inside of a hello hold together, whatever is offered.
fn well_formed(bytes: &[u8]) {
    let number = |at: usize| usize::from(u16::from_be_bytes([bytes[at], bytes[at + 1]]));
    assert_eq!((bytes[0], number(3)), (22, bytes.len() - 5));
    assert_eq!((bytes[5], bytes[6], number(7)), (1, 0, bytes.len() - 9));
    let suites = number(44);
    let extensions = 46 + suites + 2;
    if extensions < bytes.len() {
        assert_eq!(number(extensions), bytes.len() - extensions - 2);
        let mut at = extensions + 2;
        while at < bytes.len() {
            at += 4 + number(at + 2);
        }
        assert_eq!(at, bytes.len());
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = read(&bytes);
        let _ = read(&[&[22, 3, 3, 0, 100][..], &bytes].concat());
    }

    #[test]
    fn a_hello_is_well_formed(
        version in prop::sample::select(&TlsVersion::ALL[..]),
        host in "[a-z.]{0,300}",
        suites in prop::collection::vec(any::<u16>(), 0..80),
        random: [u8; 32],
    ) {
        well_formed(&client_hello(&ClientHello { version, suites: &suites, host: Some(&host), alpn: b"h2", random }));
    }
}
