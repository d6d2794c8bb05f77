//! `notifications` in `verdigris.yaml`: who is told of what, and how they are reached.

use super::endpoint::RawClientTls;
use crate::notifying::{By, Place, Target, is_loopback, place};
use model::ClientTls;
use notices::{Event, Form, Template};
use rollout::MAX_TARGETS;
use serde::Deserialize;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// People that one e-mail goes to; more are a list of the mail server's.
const MAX_RECIPIENTS: usize = 16;
/// A name stands in every record of a delivery.
const MAX_NAME_BYTES: usize = 64;
/// The longest address (RFC 5321, errata 1690).
const MAX_ADDRESS_BYTES: usize = 254;

/// One of `notifications`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct RawNotification {
    name: String,
    to: RawKind,
    on: Vec<String>,
    #[serde(default)]
    url: Option<String>,
    #[serde(default)]
    url_file: Option<PathBuf>,
    #[serde(default)]
    secret_file: Option<PathBuf>,
    #[serde(default)]
    smtp: Option<String>,
    #[serde(default)]
    from: Option<String>,
    #[serde(default)]
    recipients: Vec<String>,
    #[serde(default)]
    user: Option<String>,
    #[serde(default)]
    link: Option<String>,
    #[serde(default)]
    template: Option<String>,
    #[serde(default)]
    tls: Option<RawClientTls>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
enum RawKind {
    Webhook,
    Slack,
    Teams,
    Email,
}

/// In the order of their names.
pub(super) fn targets(raw: Vec<RawNotification>, folder: &Path) -> Result<Vec<Target>, String> {
    if raw.len() > MAX_TARGETS {
        return Err(format!("notifications: found {}, expected {MAX_TARGETS} at most", raw.len()));
    }
    let mut targets: Vec<Target> = Vec::new();
    for (index, raw) in raw.into_iter().enumerate() {
        let target = raw.read(folder).map_err(|error| format!("notifications[{index}].{error}"))?;
        if targets.iter().any(|other| other.name == target.name) {
            return Err(format!("notifications[{index}].name: {:?} stands twice; expected it once", target.name));
        }
        targets.push(target);
    }
    targets.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(targets)
}

impl RawNotification {
    fn read(self, folder: &Path) -> Result<Target, String> {
        let fits = |character: char| character.is_ascii_alphanumeric() || "-_.".contains(character);
        if self.name.is_empty() || self.name.len() > MAX_NAME_BYTES || !self.name.chars().all(fits) {
            let expected = format!("1 to {MAX_NAME_BYTES} letters, digits, '-', '_' and '.'");
            return Err(format!("name: found {:?}, expected {expected}", self.name));
        }
        let template = self.template.as_deref().map(Template::parse).transpose();
        let template = template.map_err(|error| format!("template: {error}"))?.unwrap_or_default();
        let tls = match &self.tls {
            None => ClientTls::default(),
            Some(_) => self.tls_files(folder)?,
        };
        Ok(Target { on: self.events()?, link: self.link()?, template, tls, by: self.by(folder)?, name: self.name })
    }

    fn tls_files(&self, folder: &Path) -> Result<ClientTls, String> {
        let tls = self.tls.clone().expect("asked for where it is there");
        tls.files(folder).map_err(|error| format!("tls: {error}"))
    }

    fn events(&self) -> Result<BTreeSet<Event>, String> {
        let known = || Event::ALL.map(Event::name).join(", ");
        let one = |name: &String| {
            Event::named(name).ok_or_else(|| format!("on: found {name:?}, expected some of {}", known()))
        };
        let on: BTreeSet<Event> = self.on.iter().map(one).collect::<Result<_, _>>()?;
        if on.is_empty() { Err(format!("on: found nothing, expected some of {}", known())) } else { Ok(on) }
    }

    /// Where a person goes on from: the page of the rollout.
    fn link(&self) -> Result<Option<String>, String> {
        let Some(link) = &self.link else { return Ok(None) };
        let without = link.replace("{rollout}", "");
        if !(link.starts_with("https://") || link.starts_with("http://")) || without.contains(['{', '}', ' ', '"']) {
            return Err("link: expected a URL, with {rollout} where the rollout's name goes".to_owned());
        }
        Ok(Some(link.clone()))
    }

    fn by(&self, folder: &Path) -> Result<By, String> {
        let form = match self.to {
            RawKind::Email => return self.email(folder),
            RawKind::Webhook => Form::Webhook,
            RawKind::Slack => Form::Slack,
            RawKind::Teams => Form::Teams,
        };
        if self.smtp.is_some() || self.from.is_some() || self.user.is_some() || !self.recipients.is_empty() {
            return Err("to: found smtp, from, user or recipients, expected them with `to: email` alone".to_owned());
        }
        let url = match (&self.url, &self.url_file) {
            (Some(url), None) => {
                check_url(url).map_err(|error| format!("url: {error}"))?;
                Place::Url(url.clone())
            }
            (None, Some(file)) => Place::File(folder.join(file)),
            (Some(_), Some(_)) | (None, None) => {
                return Err("url: expected exactly one of url and urlFile; the address of Slack and Teams is a \
                            secret, and belongs into a file"
                    .to_owned());
            }
        };
        if form != Form::Webhook && matches!(url, Place::Url(_)) {
            return Err("url: expected urlFile: whoever knows this address can write there".to_owned());
        }
        let secret = self.secret_file.as_ref().map(|file| folder.join(file));
        match (form, &secret) {
            (Form::Webhook, None) => Err("secretFile: expected one, to sign what is sent with".to_owned()),
            (Form::Slack | Form::Teams, Some(_)) => Err("secretFile: found one, expected none".to_owned()),
            _ => Ok(By::Post { form, url, secret }),
        }
    }

    fn email(&self, folder: &Path) -> Result<By, String> {
        if self.url.is_some() || self.url_file.is_some() {
            return Err("url: found one, expected smtp for an e-mail".to_owned());
        }
        let server = self.smtp.clone().ok_or("smtp: expected smtp://host:587 or smtps://host:465")?;
        let smtp = server.starts_with("smtp://") || server.starts_with("smtps://");
        if !smtp || place(&server).is_none() {
            return Err(format!("smtp: found {server:?}, expected smtp://host:587 or smtps://host:465"));
        }
        let from = self.from.clone().ok_or("from: expected the address that it comes from")?;
        address(&from).map_err(|error| format!("from: {error}"))?;
        self.recipients.iter().try_for_each(|to| address(to).map_err(|error| format!("recipients: {error}")))?;
        if self.recipients.is_empty() || self.recipients.len() > MAX_RECIPIENTS {
            let found = self.recipients.len();
            return Err(format!("recipients: found {found}, expected 1 to {MAX_RECIPIENTS}"));
        }
        let login = match (&self.user, &self.secret_file) {
            (Some(user), Some(file)) => Some((user.clone(), folder.join(file))),
            (None, None) => None,
            (Some(_), None) | (None, Some(_)) => {
                return Err("user: expected user and secretFile (its password), or neither".to_owned());
            }
        };
        Ok(By::Email { server, from, recipients: self.recipients.clone(), login })
    }
}

/// What is told is for the receiver alone.
pub(crate) fn check_url(url: &str) -> Result<(), String> {
    let (host, _, secure) =
        place(url).filter(|_| url.starts_with("http")).ok_or("expected https:// and a host, without a user")?;
    if secure || is_loopback(&host) {
        return Ok(());
    }
    Err("found http:// to another machine, expected https://: what is told is not for whoever is in between".to_owned())
}

fn address(text: &str) -> Result<(), String> {
    let fits = |character: char| character.is_ascii_graphic() && !"<>()[],;:\\\"".contains(character);
    let (local, domain) = text.split_once('@').unwrap_or_default();
    if local.is_empty()
        || domain.is_empty()
        || domain.contains('@')
        || text.len() > MAX_ADDRESS_BYTES
        || !text.chars().all(fits)
    {
        return Err(format!("found {text:?}, expected an address such as team@example.com"));
    }
    Ok(())
}
