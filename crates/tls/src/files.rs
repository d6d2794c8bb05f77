//! PEM files: read whole, within bounds, and parsed from the very bytes that their digest is of.

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::VerifierBuilderError;
use rustls::{RootCertStore, pki_types};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// A system's whole bundle of authorities has some 230 KB; a key or a chain has some KB.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// What a key file must not allow: anything to others, writing to the group. The group may read, because that is how a
/// key reaches a process that is not its owner (Kubernetes' `fsGroup`, Debian's `ssl-cert`).
const KEY_MODE_REFUSED: u32 = 0o027;

/// A file that cannot be used for TLS. Never says what is in it.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The system refused.
    #[error("{}: cannot be read: {source}", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is no key, certificate or list of authorities.
    #[error("{}: larger than {MAX_FILE_BYTES} bytes; expected a PEM file", path.display())]
    TooLarge {
        /// Which file.
        path: PathBuf,
    },
    /// Others may read or write the key.
    #[error(
        "{}: the private key may be read or written by others (mode {mode:03o}); expected 600, or 640 for a group that \
         needs it: chmod it, and make a new key if others could read this one",
        path.display()
    )]
    KeyOpen {
        /// Which file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// PEM of something else, or none.
    #[error("{}: holds no {expected} in PEM", path.display())]
    Missing {
        /// Which file.
        path: PathBuf,
        /// What it should hold.
        expected: &'static str,
    },
    /// PEM that is broken.
    #[error("{}: {expected} in PEM that cannot be read: {source}", path.display())]
    Pem {
        /// Which file.
        path: PathBuf,
        /// What it should hold.
        expected: &'static str,
        /// Where it stops being PEM.
        source: pki_types::pem::Error,
    },
    /// Certificate and key do not belong together, or rustls cannot use one of them.
    #[error("{} and {}: {}", cert.display(), key.display(), crate::words(source))]
    Pair {
        /// The certificate's file.
        cert: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// Why.
        source: rustls::Error,
    },
    /// A certificate among the authorities cannot be one.
    #[error("{}: a certificate that cannot be an authority: {}", path.display(), crate::words(source))]
    Authority {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: rustls::Error,
    },
    /// The authorities of clients cannot be used.
    #[error("{}: cannot be used to verify clients: {source}", path.display())]
    Verifier {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: VerifierBuilderError,
    },
    /// There is nothing to verify an endpoint with.
    #[error(
        "this system has no root certificates{why}: install its package of them (ca-certificates), set SSL_CERT_FILE, or \
         name the authorities in `tls.ca`"
    )]
    NoSystemRoots {
        /// What went wrong while they were looked for, if something did.
        why: String,
    },
}

/// The files of one end of TLS, as they were at one look.
pub(crate) struct Contents {
    pub(crate) pair: Option<Pair>,
    pub(crate) authorities: Option<(PathBuf, Vec<u8>)>,
    /// Of all of it.
    pub(crate) digest: [u8; 32],
}

pub(crate) struct Pair {
    cert_path: PathBuf,
    cert: Vec<u8>,
    key_path: PathBuf,
    key: Zeroizing<Vec<u8>>,
}

impl Contents {
    /// Reads the files. Content instead of times and sizes: some KB a second cost nothing, and no swap of links, copy
    /// with old times or write within a clock's tick goes unseen.
    pub(crate) fn read(pair: Option<(&Path, &Path)>, authorities: Option<&Path>) -> Result<Contents, FileError> {
        let pair = match pair {
            Some((cert, key)) => Some(Pair {
                cert: read(cert, false)?.to_vec(),
                cert_path: cert.to_owned(),
                key: read(key, true)?,
                key_path: key.to_owned(),
            }),
            None => None,
        };
        let authorities = match authorities {
            Some(path) => Some((path.to_owned(), read(path, false)?.to_vec())),
            None => None,
        };
        let mut digest = Sha256::new();
        let parts = pair.iter().flat_map(|pair| [&pair.cert[..], &pair.key]);
        for part in parts.chain(authorities.iter().map(|(_, bytes)| &bytes[..])) {
            digest.update((part.len() as u64).to_le_bytes());
            digest.update(part);
        }
        Ok(Contents { pair, authorities, digest: digest.finalize().into() })
    }
}

fn read(path: &Path, key: bool) -> Result<Zeroizing<Vec<u8>>, FileError> {
    let refused = |source| FileError::Read { path: path.to_owned(), source };
    let file = File::open(path).map_err(refused)?;
    let metadata = file.metadata().map_err(refused)?;
    if metadata.is_dir() {
        return Err(refused(io::ErrorKind::IsADirectory.into()));
    }
    let mode = metadata.permissions().mode() & 0o777;
    if key && mode & KEY_MODE_REFUSED != 0 {
        return Err(FileError::KeyOpen { path: path.to_owned(), mode });
    }
    // All the room at once: a buffer that grows would leave copies of a key behind.
    let room = metadata.len().min(MAX_FILE_BYTES) as usize + 1;
    let mut bytes = Zeroizing::new(Vec::with_capacity(room));
    file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(refused)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(FileError::TooLarge { path: path.to_owned() });
    }
    Ok(bytes)
}

const CERTIFICATE: &str = "certificate";
const KEY: &str = "private key (PKCS#8, PKCS#1 or SEC1, not encrypted)";

impl Pair {
    /// What stands in the two files; whether they belong together, rustls says.
    pub(crate) fn parse(&self) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), FileError> {
        let chain = certificates(&self.cert_path, &self.cert)?;
        let key = PrivateKeyDer::from_pem_slice(&self.key).map_err(|error| pem(&self.key_path, KEY, error))?;
        Ok((chain, key))
    }

    pub(crate) fn refused(&self, source: rustls::Error) -> FileError {
        FileError::Pair { cert: self.cert_path.clone(), key: self.key_path.clone(), source }
    }
}

/// The authorities in a file. One that rustls cannot use is refused: in a file that somebody named, each is meant.
pub(crate) fn roots(path: &Path, bytes: &[u8]) -> Result<RootCertStore, FileError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path, bytes)? {
        roots.add(certificate).map_err(|source| FileError::Authority { path: path.to_owned(), source })?;
    }
    Ok(roots)
}

/// The system's authorities. Those that rustls cannot use are left out, as everywhere.
pub(crate) fn system_roots() -> Result<RootCertStore, FileError> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        let why = found.errors.first().map_or_else(String::new, |error| format!(" ({error})"));
        return Err(FileError::NoSystemRoots { why });
    }
    Ok(roots)
}

/// The certificates of a PEM file, at least one; `path` says of which in errors.
pub fn certificates(path: &Path, bytes: &[u8]) -> Result<Vec<CertificateDer<'static>>, FileError> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(bytes).collect();
    let all = all.map_err(|error| pem(path, CERTIFICATE, error))?;
    if all.is_empty() {
        return Err(FileError::Missing { path: path.to_owned(), expected: CERTIFICATE });
    }
    Ok(all)
}

fn pem(path: &Path, expected: &'static str, source: pki_types::pem::Error) -> FileError {
    match source {
        pki_types::pem::Error::NoItemsFound => FileError::Missing { path: path.to_owned(), expected },
        source => FileError::Pem { path: path.to_owned(), expected, source },
    }
}
