//! The first message of a handshake and the first answer to it, as bytes: which versions and ciphers a server accepts,
//! also those that no library of today speaks. No handshake is finished, and nothing is encrypted here.
//!
//! RFC 8446 for the shapes; RFC 5246, 4346 and 2246 have the same ones.

mod client;
mod server;

pub use client::{ClientHello, client_hello};
pub use server::{Answer, HelloError, MAX_ANSWER_BYTES, read};

use crate::TlsVersion;

/// Families of ciphers that nobody should accept any more, with the suites that a server is offered to find out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Family {
    /// As facts have it.
    pub name: &'static str,
    /// Codes of the IANA registry "TLS Cipher Suites".
    pub suites: &'static [u16],
}

/// Weak families, worst first; each is offered alone. Of TLS 1.2 and older: TLS 1.3 has none (RFC 8446, appendix B.4).
pub const WEAK: [Family; 8] = [
    // Nothing is encrypted (RFC 9325, section 4.1).
    Family { name: "NULL", suites: &[0x0001, 0x0002, 0x003b, 0xc006, 0xc010, 0xc001, 0xc00b] },
    // Nobody is authenticated.
    Family {
        name: "anonymous",
        suites: &[0x0034, 0x003a, 0x006c, 0x006d, 0x00a6, 0x00a7, 0xc018, 0xc019, 0xc017, 0xc016, 0x0018, 0x001b],
    },
    // 40 and 56 bits.
    Family { name: "EXPORT", suites: &[0x0003, 0x0006, 0x0008, 0x000b, 0x000e, 0x0011, 0x0014, 0x0017, 0x0019] },
    Family { name: "DES", suites: &[0x0009, 0x000c, 0x000f, 0x0012, 0x0015] },
    // RFC 7465.
    Family { name: "RC4", suites: &[0x0004, 0x0005, 0xc007, 0xc011, 0xc002, 0xc00c] },
    // Blocks of 64 bits (SWEET32).
    Family { name: "3DES", suites: &[0x000a, 0x000d, 0x0010, 0x0013, 0x0016, 0xc008, 0xc012, 0xc003, 0xc00d] },
    // No forward secrecy (RFC 9325, section 4.1).
    Family {
        name: "RSA key exchange",
        suites: &[0x009c, 0x009d, 0x003c, 0x003d, 0x002f, 0x0035, 0x0041, 0x0084, 0xc09c, 0xc09d],
    },
    // Encrypted after the checksum is made (Lucky Thirteen).
    Family {
        name: "CBC",
        suites: &[0xc009, 0xc00a, 0xc013, 0xc014, 0xc023, 0xc024, 0xc027, 0xc028, 0x0033, 0x0039, 0x0067, 0x006b],
    },
];

/// What clients of their time offered: enough to find a suite with any server of that version.
pub fn usual_suites(version: TlsVersion) -> &'static [u16] {
    match version {
        TlsVersion::Tls13 => &[0x1301, 0x1302, 0x1303],
        TlsVersion::Tls12 => &[
            0xc02b, 0xc02c, 0xc02f, 0xc030, 0xcca9, 0xcca8, 0x009e, 0x009f, 0xc023, 0xc024, 0xc027, 0xc028, 0xc009,
            0xc00a, 0xc013, 0xc014, 0x0033, 0x0039, 0x009c, 0x009d, 0x003c, 0x003d, 0x002f, 0x0035, 0x000a,
        ],
        TlsVersion::Tls11 | TlsVersion::Tls10 | TlsVersion::Ssl3 => &[
            0xc009, 0xc00a, 0xc013, 0xc014, 0x0033, 0x0039, 0x0032, 0x0038, 0x002f, 0x0035, 0x000a, 0xc012, 0xc008,
            0x0016, 0x0005, 0x0004,
        ],
    }
}

#[cfg(test)]
mod tests;
