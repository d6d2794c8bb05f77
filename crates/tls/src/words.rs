//! rustls' errors, for people.

use rustls::{AlertDescription, CertificateError, Error, InvalidMessage};

/// What went wrong, and what to do where that is known. A few of rustls' own words say too little to somebody who does
/// not know TLS by heart.
pub fn words(error: &Error) -> String {
    let more = match error {
        Error::InvalidMessage(InvalidMessage::InvalidContentType) => "the other side does not speak TLS here",
        Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
            "its certificate was signed by none of the authorities that are trusted here; check `ca`, and that the other \
             side sends its whole chain"
        }
        Error::InconsistentKeys(_) => "the private key is not that of the certificate",
        Error::NoCertificatesPresented => "the client showed no certificate, and one is required",
        Error::AlertReceived(AlertDescription::CertificateRequired) => {
            "the other side requires a certificate of ours; set `cert` and `key`"
        }
        Error::AlertReceived(AlertDescription::UnknownCA) => {
            "the other side does not trust the authority that signed our certificate"
        }
        Error::AlertReceived(AlertDescription::CertificateExpired) => "our certificate has expired",
        Error::AlertReceived(AlertDescription::BadCertificate | AlertDescription::CertificateUnknown) => {
            "the other side does not take our certificate"
        }
        Error::AlertReceived(AlertDescription::NoApplicationProtocol) => {
            "the other side does not offer the HTTP version that this protocol needs (ALPN)"
        }
        _ => return error.to_string(),
    };
    format!("{more} ({error})")
}

/// The words for an error of a stream: rustls' own are inside of it.
pub(crate) fn io_words(error: &std::io::Error) -> String {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
        Some(inner) => words(inner),
        None if error.kind() == std::io::ErrorKind::UnexpectedEof => "the other side closed the connection".to_owned(),
        None => error.to_string(),
    }
}
