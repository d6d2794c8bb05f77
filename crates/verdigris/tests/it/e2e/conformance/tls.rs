//! Certificates of one run: an authority, the gateway's and a client's, as PEM files.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Where the files are.
pub(super) struct Tls {
    pub(super) ca: PathBuf,
    pub(super) client_cert: PathBuf,
    pub(super) client_key: PathBuf,
    server_cert: PathBuf,
    server_key: PathBuf,
}

impl Tls {
    /// Makes them in a folder.
    pub(super) fn make(folder: &Path) -> Tls {
        let write = |name: &str, pem: String| {
            let path = folder.join(name);
            std::fs::write(&path, pem).expect("the folder is ours");
            // A key that others can read is refused.
            std::fs::set_permissions(&path, Permissions::from_mode(0o600)).expect("the file is ours");
            path
        };
        let mut authority = CertificateParams::default();
        // OpenSSL takes a certificate whose issuer has its own name for one that signed itself.
        authority.distinguished_name.push(DnType::CommonName, "authority");
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(authority, key()).expect("good parameters");
        let issue = |name: &str, purpose| {
            let mut params = CertificateParams::new(["127.0.0.1".to_owned()]).expect("a good name");
            params.distinguished_name.push(DnType::CommonName, name);
            params.extended_key_usages = vec![purpose];
            let key = key();
            let cert = params.signed_by(&key, &authority).expect("good parameters");
            (write(&format!("{name}.pem"), cert.pem()), write(&format!("{name}.key"), key.serialize_pem()))
        };
        let (server_cert, server_key) = issue("server", ExtendedKeyUsagePurpose::ServerAuth);
        let (client_cert, client_key) = issue("client", ExtendedKeyUsagePurpose::ClientAuth);
        Tls { ca: write("ca.pem", authority.pem()), client_cert, client_key, server_cert, server_key }
    }

    /// Members of `listen` in verdigris.yaml: clients must show a certificate.
    pub(super) fn listen(&self) -> String {
        let path = |path: &Path| path.display().to_string();
        format!(
            ", tls: {{ cert: \"{}\", key: \"{}\", clientCa: \"{}\" }}",
            path(&self.server_cert),
            path(&self.server_key),
            path(&self.ca)
        )
    }
}

fn key() -> KeyPair {
    KeyPair::generate().expect("randomness")
}
