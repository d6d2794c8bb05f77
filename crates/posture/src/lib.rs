//! How safe an environment is set up, as facts, and whether green is set up less safely than blue: what the security gate
//! decides from.
//!
//! Pure: nothing is connected to, read from a disk or asked of a clock. Probes are the shell's (`gates::security`); the
//! same facts give the same assessment, byte for byte. Facts say what a server does, never what it keeps secret: no key, no
//! token, no body of an answer.
//!
//! [`Setting`] and [`Value`] are the order, [`Facts`] what was found, [`assess`] the verdict. [`hello`] and
//! [`Certificate`] read bytes of servers; [`import`] reads scanners' reports; [`rules`] runs policies in Rego.

mod assess;
mod certificate;
mod compare;
mod facts;
pub mod hello;
pub mod import;
pub mod rules;
mod setting;
mod value;
mod vulnerability;

pub use assess::{Assessment, Question, assess};
pub use certificate::{Certificate, CertificateError, MAX_CERTIFICATE_BYTES};
pub use compare::{Difference, Outcome, differences};
pub use facts::{Fact, Facts, MAX_SURFACES};
pub use setting::Setting;
pub use value::{Order, TlsVersion, Validity, Value};
pub use vulnerability::{Excepted, Exception, New, Package, Severity, Vulnerability, excepted, newly};
