//! The files that pages need, in the program itself: nothing comes from elsewhere. A file's address holds its hash, so that a
//! browser may keep it for ever, and the pages' Content-Security-Policy lets nothing else in.

use axum::Router;
use axum::extract::{Path, Request};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::sync::LazyLock;

/// Styles and scripts from here alone, none of them in the page; no frame, no plug-in, no form that leads elsewhere.
pub(crate) const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
    connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// Bytes of the hash in an address: 48 bits, for a handful of files that nobody chooses against us.
const HASH_BYTES: usize = 6;

/// A file, and under which name it is asked for.
pub(crate) struct Asset {
    name: &'static str,
    kind: &'static str,
    body: &'static [u8],
}

/// Every file. Whoever adds a page's module adds a line here.
pub(crate) const ASSETS: &[Asset] = &[
    Asset { name: "style.css", kind: "text/css; charset=utf-8", body: include_bytes!("../assets/style.css") },
    Asset { name: "live.js", kind: "text/javascript; charset=utf-8", body: include_bytes!("../assets/live.js") },
    Asset { name: "traces.css", kind: "text/css; charset=utf-8", body: include_bytes!("../assets/traces.css") },
    Asset {
        name: "treegrid.js",
        kind: "text/javascript; charset=utf-8",
        body: include_bytes!("../assets/treegrid.js"),
    },
    Asset { name: "verify.js", kind: "text/javascript; charset=utf-8", body: include_bytes!("../assets/verify.js") },
    Asset { name: "passkey.js", kind: "text/javascript; charset=utf-8", body: include_bytes!("../assets/passkey.js") },
    Asset { name: "icon.svg", kind: "image/svg+xml", body: include_bytes!("../assets/icon.svg") },
];

/// Each file's address, in the order of [`ASSETS`].
static ADDRESSES: LazyLock<Vec<String>> = LazyLock::new(|| ASSETS.iter().map(Asset::address).collect());

impl Asset {
    fn address(&self) -> String {
        let hash = Sha256::digest(self.body);
        let hex = hash.iter().take(HASH_BYTES).fold(String::new(), |mut hex, byte| {
            // Writing into a string cannot fail.
            let _ = write!(hex, "{byte:02x}");
            hex
        });
        let (stem, extension) = self.name.rsplit_once('.').unwrap_or((self.name, ""));
        format!("/assets/{stem}-{hex}.{extension}")
    }

    /// How many bytes it adds to a page.
    #[cfg(test)]
    pub(crate) fn weight(name: &str) -> usize {
        ASSETS.iter().find(|asset| asset.name == name).map_or(0, |asset| asset.body.len())
    }
}

/// Where a page finds this file.
///
/// # Panics
/// If there is none of this name: the names stand in the program.
pub(crate) fn address(name: &str) -> &'static str {
    let at = ASSETS.iter().position(|asset| asset.name == name).expect("pages name files that are in ASSETS");
    &ADDRESSES[at]
}

/// The files. They are the same for everybody and say nothing of the server's work, so nobody need be known.
pub(crate) fn router<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new().route("/assets/{file}", get(asset)).route("/favicon.ico", get(icon))
}

async fn asset(Path(file): Path<String>) -> Response {
    let known = ADDRESSES.iter().position(|address| address.strip_prefix("/assets/") == Some(file.as_str()));
    match known {
        Some(at) => served(&ASSETS[at], "public, max-age=31536000, immutable"),
        None => (StatusCode::NOT_FOUND, "there is no such file\n").into_response(),
    }
}

/// Browsers ask for it where a page names none: errors, and answers of the API.
async fn icon() -> Response {
    let icon = ASSETS.iter().find(|asset| asset.name == "icon.svg").expect("the icon is in ASSETS");
    served(icon, "public, max-age=86400")
}

fn served(asset: &Asset, cache: &'static str) -> Response {
    let headers = [
        (header::CONTENT_TYPE, asset.kind),
        (header::CACHE_CONTROL, cache),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // An SVG is a document of its own where it is opened by itself.
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
    ];
    (headers, asset.body).into_response()
}

/// Puts the policy on a page, whatever comes of the request.
pub(crate) async fn with_policy(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let policy = HeaderValue::from_static(CONTENT_SECURITY_POLICY);
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_holds_the_hash_of_what_is_there_and_is_of_one_file() {
        for (at, asset) in ASSETS.iter().enumerate() {
            let address = address(asset.name);
            assert!(!ADDRESSES[..at].contains(&address.to_owned()), "{address} twice");
            let hash = address.rsplit_once('-').and_then(|(_, rest)| rest.split_once('.')).map(|(hash, _)| hash.len());
            assert_eq!(hash, Some(2 * HASH_BYTES), "{address}");
        }
    }
}
