//! What the security gate reads from others: servers' first answers, certificates, scanners' reports. And facts from a
//! seed, for comparing implementations of Rego.

use model::{PerEnvironment, UnixMillis};
use posture::hello::read;
use posture::import::{Format, MAX_FEW, MAX_ITEMS, Report, import};
use posture::{
    Certificate, Fact, Facts, Question, Setting, Severity, TlsVersion, Validity, Value, Vulnerability, assess,
};
use serde_json::{Map, json};
use std::collections::BTreeSet;

/// Two quotations of 160 characters of at most four bytes, and the words around them.
const MAX_WORDS: usize = 1_600;
/// Characters of a name, by what `posture::import` says of itself.
const MAX_NAME_CHARACTERS: usize = 512;

fn held(words: &str) {
    assert!(!words.is_empty() && words.len() < MAX_WORDS, "{} bytes", words.len());
    assert!(!words.contains(char::is_control), "{words:?}");
}

/// The target `hello`: what is decided of the beginning of an answer stays so, whatever follows. The first byte says where
/// the beginning ends.
pub(crate) fn hello(bytes: &[u8]) {
    let Some((end, bytes)) = bytes.split_first() else { return };
    let (first, all) = (read(&bytes[..bytes.len().min((*end).into())]), read(bytes));
    if first != Ok(None) {
        assert_eq!(first, all, "more bytes changed the answer");
    }
    if let Err(error) = all {
        held(&error.to_string());
    }
}

/// The target `certificates`: what is read can be kept, and is bounded.
pub(crate) fn certificates(bytes: &[u8]) {
    match Certificate::read(bytes) {
        Ok(certificate) => {
            let text = serde_json::to_string(&certificate).expect("facts are JSON");
            assert_eq!(serde_json::from_str::<Certificate>(&text).expect("facts are read again"), certificate);
            for name in &certificate.names {
                held(name);
            }
            let now = certificate.not_after;
            assert!(certificate.not_before > now || certificate.validity(now) != Validity::Valid);
            let _ = certificate.facts("localhost", now);
        }
        Err(error) => held(&error.to_string()),
    }
}

/// The target `reports`: what is read is bounded and printable, what is refused is refused in such words.
pub(crate) fn reports(bytes: &[u8]) {
    match import(bytes) {
        Ok(report) => {
            assert!(report.vulnerabilities.len() <= MAX_ITEMS + MAX_FEW);
            let names = report
                .vulnerabilities
                .iter()
                .flat_map(|one| one.ids().chain([one.component.as_str(), one.version.as_str(), one.source.as_str()]));
            let packages = report.packages.iter().flat_map(|one| [one.name.as_str(), one.version.as_str()]);
            for name in names.chain(packages) {
                assert!(name.chars().count() <= MAX_NAME_CHARACTERS && !name.contains(char::is_control), "{name:?}");
            }
        }
        Err(error) => held(&error.to_string()),
    }
}

/// What the gate hands to its policies (`input` in Rego), made from a seed: the same seed gives the same facts. Each
/// setting has values of its own kind: regorus ends with an error where Rego says that nothing is denied (`some x in 1`).
/// No name has a quotation mark: rego-cpp 1.5 writes it into its answers as it is.
pub fn policy_input(seed: u64) -> serde_json::Value {
    let mut random = SplitMix(seed);
    let facts = PerEnvironment::from_fn(|_| random.facts());
    let reports = PerEnvironment::from_fn(|_| vec![random.report()]);
    let mut context = Map::new();
    for name in ["maxNewHigh", "minCertificateDays"] {
        if random.below(2) == 0 {
            context.insert(name.to_owned(), json!(random.below(90)));
        }
    }
    let mut assessment = assess(&Question {
        facts: PerEnvironment { blue: &facts.blue, green: &facts.green },
        reports: PerEnvironment { blue: &reports.blue, green: &reports.green },
        at_least: Severity::Low,
        exceptions: &[],
        policies: &[],
        context: &context,
        now: NOW,
    });
    assessment.evidence["input"].take()
}

const NOW: UnixMillis = UnixMillis(1_790_000_000_000);
const DAY_MS: u64 = 24 * 60 * 60 * 1_000;

/// SplitMix64 (Steele, Lea, Flood 2014).
struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn choose<T: Copy>(&mut self, among: &[T]) -> T {
        among[usize::try_from(self.below(among.len() as u64)).expect("an index fits")]
    }

    fn some(&mut self, among: &[&str]) -> BTreeSet<String> {
        among.iter().filter(|_| self.below(3) == 0).map(|one| (*one).to_owned()).collect()
    }

    fn value(&mut self, setting: Setting) -> Value {
        match setting {
            Setting::TlsMinVersion | Setting::TlsMaxVersion => Value::Version(self.choose(&TlsVersion::ALL)),
            Setting::TlsCiphers => Value::Accepts(self.some(&["NULL", "RC4", "3DES", "CBC", "RSA key exchange"])),
            Setting::PortsDebug => Value::Accepts(self.some(&["1777 (pprof)", "55679 (zPages)"])),
            Setting::TlsKeyBits | Setting::CertificateSignature => {
                Value::Strength(self.choose(&[40, 63, 80, 111, 112, 128, 256]))
            }
            Setting::CertificateValidity => {
                Value::Validity(self.choose(&[Validity::Invalid, Validity::EndsSoon, Validity::Valid]))
            }
            Setting::TlsOffered
            | Setting::TlsRequired
            | Setting::ClientCertificateRequired
            | Setting::AuthRequired
            | Setting::CertificateTrusted
            | Setting::CertificateNames
            | Setting::RedactionKeyedHash
            | Setting::BannerVersion => Value::Holds(self.below(2) == 0),
        }
    }

    fn facts(&mut self) -> Facts {
        let mut facts = Facts::default();
        for surface in ["OTLP/gRPC", "OTLP/HTTP", "büro %d"] {
            if self.below(4) == 0 {
                continue;
            }
            for setting in Setting::ALL {
                let fact = match self.below(10) {
                    0 => continue,
                    1 => Fact::Unknown { why: "a seed says so".to_owned() },
                    2 => Fact::Failed { why: "a seed says so".to_owned() },
                    3 => Fact::Absent,
                    _ => Fact::known(self.value(setting), "a seed says so"),
                };
                facts.add(surface, setting, fact);
            }
            for _ in 0..self.below(3) {
                facts.add_certificate(surface, self.certificate());
            }
        }
        facts
    }

    fn certificate(&mut self) -> Certificate {
        Certificate {
            not_before: UnixMillis(NOW.0 - self.below(400 * DAY_MS)),
            not_after: UnixMillis(NOW.0 - 20 * DAY_MS + self.below(120 * DAY_MS)),
            names: self.some(&["localhost", "*.example.com", "10.0.0.1"]),
            key: "EC P-256".to_owned(),
            key_bits: Some(128),
            signature: "SHA-256 with ECDSA".to_owned(),
            signature_bits: None,
            self_signed: self.below(2) == 0,
        }
    }

    fn report(&mut self) -> Report {
        let severities = [Severity::Unrated, Severity::Low, Severity::Medium, Severity::High, Severity::Critical];
        let vulnerabilities = (0..self.below(6)).map(|_| Vulnerability {
            id: format!("CVE-{}", self.below(8)),
            aliases: BTreeSet::new(),
            severity: self.choose(&severities),
            component: self.choose(&["zlib", "openssl", ""]).to_owned(),
            version: String::new(),
            source: "seed".to_owned(),
        });
        Report { format: Format::Grype, vulnerabilities: vulnerabilities.collect(), packages: Vec::new() }
    }
}
