use crate::TlsVersion;

/// What is offered.
#[derive(Clone, Copy, Debug)]
pub struct ClientHello<'a> {
    /// This version alone.
    pub version: TlsVersion,
    /// These suites alone; 64 at most are offered.
    pub suites: &'a [u16],
    /// The name that is asked for (SNI); an IP address is none (RFC 6066, section 3).
    pub host: Option<&'a str>,
    /// The protocol above, `h2`; servers of gRPC may refuse who names none.
    pub alpn: &'a [u8],
    /// Any bytes: nothing is kept secret by them.
    pub random: [u8; 32],
}

/// Suites that are offered at once.
const MAX_SUITES: usize = 64;
/// A DNS name has no more (RFC 1035, section 2.3.4).
const MAX_HOST_BYTES: usize = 255;

const SERVER_NAME: u16 = 0;
const SUPPORTED_GROUPS: u16 = 10;
const POINT_FORMATS: u16 = 11;
const SIGNATURE_ALGORITHMS: u16 = 13;
const ALPN: u16 = 16;
const SUPPORTED_VERSIONS: u16 = 43;
const KEY_SHARE: u16 = 51;

/// One record that holds a ClientHello: at most 1 KiB, so every length fits.
pub fn client_hello(hello: &ClientHello<'_>) -> Vec<u8> {
    // TLS 1.3 calls itself 1.2 here, and says what it is in an extension (RFC 8446, section 4.1.2).
    let legacy = hello.version.min(TlsVersion::Tls12).code();
    let mut body = legacy.to_be_bytes().to_vec();
    body.extend(hello.random);
    // No session.
    body.push(0);
    let suites: Vec<u8> = hello.suites.iter().take(MAX_SUITES).flat_map(|suite| suite.to_be_bytes()).collect();
    body.extend(with_length(&suites));
    // No compression, the only method.
    body.extend([1, 0]);
    if hello.version > TlsVersion::Ssl3 {
        body.extend(with_length(&extensions(hello)));
    }
    // ClientHello is message 1, with a length of three bytes.
    let mut message = vec![1, 0];
    message.extend(with_length(&body));
    let record_version = hello.version.min(TlsVersion::Tls10).code().to_be_bytes();
    [&[22][..], &record_version, &with_length(&message)].concat()
}

fn extensions(hello: &ClientHello<'_>) -> Vec<u8> {
    let mut extensions = Vec::new();
    let mut add = |kind: u16, data: &[u8]| {
        extensions.extend(kind.to_be_bytes());
        extensions.extend(with_length(data));
    };
    if let Some(host) = hello.host.filter(|host| !host.is_empty() && host.len() <= MAX_HOST_BYTES) {
        add(SERVER_NAME, &with_length(&[&[0][..], &with_length(host.as_bytes())].concat()));
    }
    // X25519, P-256, P-384, P-521, and X25519MLKEM768.
    add(SUPPORTED_GROUPS, &with_length(&[0x11, 0xec, 0, 0x1d, 0, 0x17, 0, 0x18, 0, 0x19]));
    if hello.version <= TlsVersion::Tls12 {
        add(POINT_FORMATS, &[1, 0]);
    }
    if hello.version >= TlsVersion::Tls12 {
        // ECDSA, RSA-PSS and PKCS #1 with SHA-256 to SHA-512, Ed25519; then SHA-1, which old servers insist on.
        const SCHEMES: [u16; 12] =
            [0x0403, 0x0503, 0x0603, 0x0804, 0x0805, 0x0806, 0x0807, 0x0401, 0x0501, 0x0601, 0x0203, 0x0201];
        let schemes: Vec<u8> = SCHEMES.iter().flat_map(|scheme| scheme.to_be_bytes()).collect();
        add(SIGNATURE_ALGORITHMS, &with_length(&schemes));
    }
    if let Ok(length) = u8::try_from(hello.alpn.len())
        && length > 0
    {
        add(ALPN, &with_length(&[&[length][..], hello.alpn].concat()));
    }
    if hello.version == TlsVersion::Tls13 {
        add(SUPPORTED_VERSIONS, &[2, 0x03, 0x04]);
        // No share: the server asks for one (RFC 8446, section 4.2.8), and that says that it speaks TLS 1.3.
        add(KEY_SHARE, &[0, 0]);
    }
    extensions
}

/// The data behind its length in two bytes.
fn with_length(data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(data.len()).expect("a hello has a kilobyte at most");
    [&length.to_be_bytes()[..], data].concat()
}
