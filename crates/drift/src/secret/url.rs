//! Passwords in URLs (RFC 3986): only they are hidden, the rest is what an operator must see.

use super::{HIDDEN, is_reference, names};

/// A text whose URLs have lost their secrets.
pub(super) struct Masked {
    pub(super) shown: String,
    /// The secrets, one after the other, divided by a byte that no URL holds.
    pub(super) secret: String,
}

/// Takes the passwords out of every URL of a text; `None` where there is none.
pub(super) fn mask(text: &str) -> Option<Masked> {
    let mut masked = Masked { shown: String::with_capacity(text.len()), secret: String::new() };
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        masked.shown.push_str(before);
        // Another URL after a comma, or as a parameter, has a password of its own.
        let next_url = after.find("://").map(|at| {
            let letters = after[..at].bytes().rev().take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'+');
            at - letters.count()
        });
        let until = next_url.unwrap_or(after.len());
        let outside = |character: char| character.is_whitespace() || matches!(character, '"' | '\'' | '<' | '>');
        let (url, next) = after.split_at(after[..until].find(outside).unwrap_or(until));
        let web = before.ends_with("http://") || before.ends_with("https://");
        mask_one(url, web, &mut masked);
        rest = next;
    }
    masked.shown.push_str(rest);
    (!masked.secret.is_empty()).then_some(masked)
}

impl Masked {
    fn hide(&mut self, secret: &str) {
        if secret.is_empty() || is_reference(secret) {
            self.shown.push_str(secret);
        } else {
            self.shown.push_str(HIDDEN);
            self.secret.push_str(secret);
            self.secret.push('\0');
        }
    }
}

/// What follows `://`. A password may hold `/` and `@` that should have been escaped, so the last `@` counts.
fn mask_one(url: &str, web: bool, masked: &mut Masked) {
    let (main, query) = match url.find('?') {
        Some(at) => url.split_at(at),
        None => (url, ""),
    };
    // An `@` in the path of a URL without userinfo: `host/@scope`.
    let authority = main.find('/').unwrap_or(main.len());
    let userinfo = match main[..authority].rfind('@') {
        Some(at) => Some(at),
        None => main.rfind('@').filter(|at| main[..*at].contains(':') && !main[..*at].contains("/@")),
    };
    let rest = match userinfo {
        None => main,
        Some(at) => {
            match main[..at].split_once(':') {
                Some((user, password)) => {
                    masked.shown.push_str(user);
                    masked.shown.push(':');
                    masked.hide(password);
                }
                // Of the web a user without a password is a token.
                None if web => masked.hide(&main[..at]),
                None => masked.shown.push_str(&main[..at]),
            }
            &main[at..]
        }
    };
    masked.shown.push_str(rest);
    mask_query(query, masked);
}

fn mask_query(query: &str, masked: &mut Masked) {
    for (index, parameter) in query.split('&').enumerate() {
        if index > 0 {
            masked.shown.push('&');
        }
        match parameter.split_once('=') {
            Some((name, value)) if is_secret_parameter(name.trim_start_matches('?')) => {
                masked.shown.push_str(name);
                masked.shown.push('=');
                masked.hide(value);
            }
            Some(_) | None => masked.shown.push_str(parameter),
        }
    }
}

/// `sig` signs Azure's URLs, `X-Amz-Signature` those of S3.
fn is_secret_parameter(name: &str) -> bool {
    names::is_secret(name)
        || matches!(name, "sig" | "signature" | "key" | "X-Amz-Signature" | "X-Goog-Signature" | "code")
}
