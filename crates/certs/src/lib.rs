//! Certificates for tests, made on the spot: an authority, and what it signs. Development only; no key that it makes
//! leaves the machine, and nothing that is released depends on it.

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Who signs.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

/// A certificate and its key, as PEM.
#[derive(Clone)]
pub struct Identity {
    /// The certificate.
    pub cert: String,
    /// Its private key, PKCS#8.
    pub key: String,
}

/// From when to when a certificate holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Validity {
    /// For longer than this code will be run.
    Long,
    /// Until the end of the year 2000.
    Over,
}

impl Authority {
    /// An authority of this name. Its certificate holds for long.
    pub fn new(name: &str) -> Authority {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().expect("a P-256 key can be made");
        let pem = params.self_signed(&key).expect("the parameters are good").pem();
        Authority { issuer: Issuer::new(params, key), pem }
    }

    /// Its own certificate.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// A server's certificate for these names, DNS or IP.
    pub fn server(&self, names: &[&str], validity: Validity) -> Identity {
        self.sign(names, validity, ExtendedKeyUsagePurpose::ServerAuth)
    }

    /// A client's certificate.
    pub fn client(&self, name: &str) -> Identity {
        self.sign(&[name], Validity::Long, ExtendedKeyUsagePurpose::ClientAuth)
    }

    /// A client's certificate with this common name and these URIs.
    pub fn named(&self, common_name: &str, uris: &[&str], validity: Validity) -> Identity {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, common_name);
        let uri = |uri: &&str| SanType::URI((*uri).try_into().expect("a URI of a test is ASCII"));
        params.subject_alt_names = uris.iter().map(uri).collect();
        self.finish(params, validity, ExtendedKeyUsagePurpose::ClientAuth)
    }

    fn sign(&self, names: &[&str], validity: Validity, purpose: ExtendedKeyUsagePurpose) -> Identity {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let params = CertificateParams::new(names).expect("the names are DNS names or IP addresses");
        self.finish(params, validity, purpose)
    }

    fn finish(&self, mut params: CertificateParams, validity: Validity, purpose: ExtendedKeyUsagePurpose) -> Identity {
        params.insert_extended_key_usage(purpose);
        params.use_authority_key_identifier_extension = true;
        if validity == Validity::Over {
            params.not_before = rcgen::date_time_ymd(2000, 1, 1);
            params.not_after = rcgen::date_time_ymd(2000, 12, 31);
        }
        let key = KeyPair::generate().expect("a P-256 key can be made");
        let cert = params.signed_by(&key, &self.issuer).expect("the parameters are good");
        Identity { cert: cert.pem(), key: key.serialize_pem() }
    }

    /// Writes its certificate into the folder.
    pub fn write(&self, folder: &Path, name: &str) -> PathBuf {
        place(folder, name, &self.pem, 0o644)
    }
}

impl Identity {
    /// Writes `STEM.pem` and `STEM.key` into the folder. What was there is replaced whole, first the certificate and then
    /// the key, as tools that renew certificates do it.
    pub fn write(&self, folder: &Path, stem: &str) -> (PathBuf, PathBuf) {
        let cert = place(folder, &format!("{stem}.pem"), &self.cert, 0o644);
        (cert, place(folder, &format!("{stem}.key"), &self.key, 0o600))
    }
}

/// Puts a file with these permissions in the place of what is there, whole.
pub fn place(folder: &Path, name: &str, text: &str, mode: u32) -> PathBuf {
    let (path, beside) = (folder.join(name), folder.join(format!(".{name}.new")));
    fs::write(&beside, text).expect("the folder is the test's");
    fs::set_permissions(&beside, Permissions::from_mode(mode)).expect("the file is the test's");
    fs::rename(&beside, &path).expect("the folder is the test's");
    path
}
