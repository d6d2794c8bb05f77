//! Where a call goes: a host and a port, as allow-lists and URLs name them.

use http::Uri;
use model::quoted;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// The longest DNS name (RFC 1035, section 2.3.4), and a dot at its end.
const MAX_HOST_BYTES: usize = 254;

/// A host, in lower case and without brackets, and a port.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Address {
    /// A DNS name or an IP address.
    pub host: String,
    /// 1 to 65535.
    pub port: u16,
}

/// Text that is no address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{found:?} is no address; expected {expected}")]
pub struct AddressError {
    /// What was found.
    pub found: String,
    /// What was expected.
    pub expected: &'static str,
}

impl Address {
    /// A host as a plan names it.
    pub fn new(host: &str, port: u16) -> Result<Address, AddressError> {
        let refused = |expected| AddressError { found: quoted(host), expected };
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let is_name = bare.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
        if bare.is_empty() || bare.len() > MAX_HOST_BYTES || !(is_name || bare.parse::<IpAddr>().is_ok()) {
            return Err(refused("a DNS name of letters, digits, dots and hyphens, or an IP address"));
        }
        if port == 0 {
            return Err(refused("a port from 1 to 65535"));
        }
        // A dot at the end is the same name, only that nothing is searched for.
        Ok(Address { host: bare.strip_suffix('.').unwrap_or(bare).to_ascii_lowercase(), port })
    }

    /// Of an `http` or `https` URL, with the scheme's port where it names none; and whether it is `https`. A URL with a user
    /// in it is refused: that is a secret.
    pub fn of_url(url: &str) -> Result<(Address, bool), AddressError> {
        // What is wrong with a URL must not be told by repeating its secrets.
        let shown = url.split(['?', '#']).next().unwrap_or_default();
        let shown = if shown.contains('@') { "a URL with a user" } else { shown };
        let refused = |expected| AddressError { found: quoted(shown), expected };
        let parsed: Uri = url.parse().map_err(|_| refused("http://host[:port]/path or https://host[:port]/path"))?;
        let secure = match parsed.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            Some(_) | None => return Err(refused("http:// or https://")),
        };
        if parsed.authority().is_some_and(|authority| authority.as_str().contains('@')) {
            return Err(refused("none: what a server must be shown does not belong in a plan"));
        }
        let host = parsed.host().ok_or_else(|| refused("a host"))?;
        let port = parsed.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let address = Address::new(host, port).map_err(|error| AddressError { found: quoted(shown), ..error })?;
        Ok((address, secure))
    }

    /// The host as an IP address, if it is one.
    pub fn ip(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }
}

/// `host:port`, `[2001:db8::1]:443`.
impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Address, AddressError> {
        let refused = || AddressError { found: quoted(text), expected: "host:port" };
        let (host, port) = text.rsplit_once(':').ok_or_else(refused)?;
        if host.contains(':') && !host.starts_with('[') {
            return Err(refused());
        }
        let address = Address::new(host, port.parse().map_err(|_| refused())?);
        address.map_err(|error| AddressError { found: quoted(text), ..error })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Address { host, port } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}
