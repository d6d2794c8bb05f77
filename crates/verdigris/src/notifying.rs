//! Notifications on their way: what the ledger says is to be told ([`notices::Outbox`]) is sent, tried again, and reported
//! back to the controller, which records it.
//!
//! At least once: what was sent and not recorded before a crash is sent again, under the same id. Follows no redirect, and
//! puts neither an address, nor a secret, nor what was sent into a log or a record.

mod post;
mod smtp;

use crate::clock;
use control::{Handle, Input};
use http::Uri;
use model::ClientTls;
use notices::{Event, Form, MAX_TRIES, Notice, Pending, SigningSecret, Template};
use rollout::NotificationTarget;
use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use zeroize::Zeroizing;

/// One try: connecting, sending and the answer together.
const TRY_LIMIT: Duration = Duration::from_secs(30);
/// Tries at the same time; more wait. Receivers that hang hold these up for 30 s at most.
const MAX_AT_ONCE: usize = 8;
/// A URL or a password.
const MAX_SECRET_BYTES: usize = 2_048;

/// Who is told of what, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Its name.
    pub name: String,
    /// What it is told of.
    pub on: BTreeSet<Event>,
    /// How.
    pub by: By,
    /// Where a person goes on from; `{rollout}` stands for the rollout's name.
    pub link: Option<String>,
    /// In which words.
    pub template: Template,
    /// How its server is verified.
    pub tls: ClientTls,
}

/// How somebody is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum By {
    /// By an HTTP POST.
    Post {
        /// In which form.
        form: Form,
        /// Where to.
        url: Place,
        /// The file with what it is signed with.
        secret: Option<PathBuf>,
    },
    /// By an e-mail.
    Email {
        /// `smtp://host:587` or `smtps://host:465`.
        server: String,
        /// The sender's address.
        from: String,
        /// The receivers' addresses.
        recipients: Vec<String>,
        /// The user's name at the server, and the file with the password.
        login: Option<(String, PathBuf)>,
    },
}

/// Where a URL is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the configuration.
    Url(String),
    /// In a file that nobody else may read.
    File(PathBuf),
}

/// Why a try failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// It may work later.
    #[error("{0}")]
    Again(String),
    /// It will not.
    #[error("{0}")]
    Never(String),
}

/// A file with a secret that cannot be used. Never says what is in it.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It cannot be read, or others may read it.
    #[error("{}", model::with_causes(.0))]
    Read(store::KeyFileError),
    /// It is not there.
    #[error("{} is not there", .0.display())]
    Missing(PathBuf),
    /// It is no single line of text.
    #[error("{}: expected one line of UTF-8", .0.display())]
    Line(PathBuf),
    /// It is no signing secret.
    #[error("{}: {source}", path.display())]
    Secret {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: notices::SecretError,
    },
    /// It is no URL to send to.
    #[error("{}: {why}", path.display())]
    Url {
        /// Which file.
        path: PathBuf,
        /// Why.
        why: String,
    },
}

impl Target {
    /// In a word.
    pub fn kind(&self) -> &'static str {
        match &self.by {
            By::Post { form: Form::Webhook, .. } => "webhook",
            By::Post { form: Form::Slack, .. } => "slack",
            By::Post { form: Form::Teams, .. } => "teams",
            By::Email { .. } => "email",
        }
    }

    /// What it is told of, in words.
    pub fn events(&self) -> String {
        self.on.iter().map(|event| event.name()).collect::<Vec<_>>().join(", ")
    }

    /// What the ledger says of it.
    pub fn named(&self) -> NotificationTarget {
        let on = self.on.iter().map(|event| event.name().to_owned()).collect();
        NotificationTarget { name: self.name.clone(), on }
    }

    /// Reads every file that it names, as sending does. Blocking.
    pub fn secrets(&self) -> Result<(), FileError> {
        match &self.by {
            By::Post { url, secret, .. } => {
                self::url(url)?;
                secret.as_deref().map(signing).transpose().map(drop)
            }
            By::Email { login, .. } => login.as_ref().map(|(_, file)| line(file)).transpose().map(drop),
        }
    }

    /// Where it is. May be a secret. Blocking.
    pub fn address(&self) -> Result<(String, ClientTls), FileError> {
        let url = match &self.by {
            By::Post { url, .. } => self::url(url)?.to_string(),
            By::Email { server, .. } => server.clone(),
        };
        Ok((url, self.tls.clone()))
    }

    fn link(&self, notice: &Notice) -> Option<String> {
        let link = self.link.as_ref()?;
        match &notice.rollout {
            Some(rollout) => Some(link.replace("{rollout}", &rollout.0)),
            // Of the server itself there is no page of a rollout.
            None => (!link.contains("{rollout}")).then(|| link.clone()),
        }
    }
}

/// A URL's host without brackets, its port, and whether TLS comes first. None if it is no URL that is sent to.
pub fn place(url: &str) -> Option<(String, u16, bool)> {
    let parsed: Uri = url.parse().ok()?;
    let authority = parsed.authority()?;
    if authority.as_str().contains('@') {
        return None;
    }
    let (port, secure) = match parsed.scheme_str()? {
        "http" => (80, false),
        "https" => (443, true),
        "smtp" => (587, false),
        "smtps" => (465, true),
        _ => return None,
    };
    let host = parsed.host()?.trim_matches(['[', ']']).to_owned();
    (!host.is_empty()).then(|| (host, parsed.port_u16().unwrap_or(port), secure))
}

/// Whether a host is this machine by its very name.
pub fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

fn line(path: &Path) -> Result<Zeroizing<String>, FileError> {
    let bytes = store::read_secret(path, MAX_SECRET_BYTES).map_err(FileError::Read)?;
    let bytes = bytes.ok_or_else(|| FileError::Missing(path.to_owned()))?;
    let text = std::str::from_utf8(&bytes).map_err(|_| FileError::Line(path.to_owned()))?.trim_end();
    if text.is_empty() || text.contains(|character: char| character.is_control()) {
        return Err(FileError::Line(path.to_owned()));
    }
    Ok(Zeroizing::new(text.to_owned()))
}

fn url(place: &Place) -> Result<Zeroizing<String>, FileError> {
    match place {
        Place::Url(url) => Ok(Zeroizing::new(url.clone())),
        Place::File(path) => {
            let url = line(path)?;
            crate::config::check_url(&url).map_err(|why| FileError::Url { path: path.clone(), why })?;
            Ok(url)
        }
    }
}

fn signing(path: &Path) -> Result<SigningSecret, FileError> {
    SigningSecret::parse(&line(path)?).map_err(|source| FileError::Secret { path: path.to_owned(), source })
}

/// How long to wait after so many failed tries of a notice, in milliseconds: [`notices::wait_ms`], and less in tests.
pub type Wait = fn(&str, u32) -> Option<u64>;

/// Sends what waits, for as long as it is not stopped.
pub struct Notifying {
    targets: watch::Sender<Vec<Target>>,
    pending: watch::Receiver<Pending>,
    handle: Handle,
    wait: Wait,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Notifying {
    /// Begins to.
    pub fn start(targets: Vec<Target>, pending: watch::Receiver<Pending>, handle: Handle, wait: Wait) -> Notifying {
        let targets = watch::Sender::new(targets);
        let notifying = Notifying { targets, pending, handle, wait, task: Mutex::new(None) };
        notifying.go_on();
        notifying
    }

    /// Others are told from now on; also what waits already.
    pub fn change(&self, targets: Vec<Target>) {
        self.targets.send_replace(targets);
    }

    /// Sends no more: another process does, or nobody. What is under way is given up, and waits.
    pub fn stop(&self) {
        if let Some(task) = self.task().take() {
            task.abort();
        }
    }

    /// The opposite.
    pub fn go_on(&self) {
        let (targets, pending, handle) = (self.targets.subscribe(), self.pending.clone(), self.handle.clone());
        if let Some(before) = self.task().replace(tokio::spawn(send_all(targets, pending, (handle, self.wait)))) {
            before.abort();
        }
    }

    fn task(&self) -> std::sync::MutexGuard<'_, Option<JoinHandle<()>>> {
        self.task.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends with whoever drops it.
struct UnderWay(JoinHandle<()>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A task for each notice that waits: at most [`notices::MAX_PENDING`].
async fn send_all(
    targets: watch::Receiver<Vec<Target>>,
    mut pending: watch::Receiver<Pending>,
    (handle, wait): (Handle, Wait),
) {
    let at_once = Arc::new(Semaphore::new(MAX_AT_ONCE));
    let mut under_way: HashMap<String, UnderWay> = HashMap::new();
    loop {
        let waiting = pending.borrow_and_update().clone();
        under_way.retain(|id, _| waiting.iter().any(|notice| notice.id == *id));
        for notice in waiting.iter() {
            under_way.entry(notice.id.clone()).or_insert_with(|| {
                let sending = send(notice.clone(), targets.clone(), (handle.clone(), wait), at_once.clone());
                UnderWay(tokio::spawn(sending))
            });
        }
        if pending.changed().await.is_err() {
            return;
        }
    }
}

/// Tries until it is delivered, or not to be. The target is looked up anew for each try, for a configuration that was wrong
/// may be mended meanwhile.
async fn send(
    notice: Notice,
    targets: watch::Receiver<Vec<Target>>,
    (handle, wait): (Handle, Wait),
    at_once: Arc<Semaphore>,
) {
    let (id, to, event) = (notice.id.clone(), notice.to.clone(), notice.event.name());
    let mut tries = 0;
    let gave_up = loop {
        let target = targets.borrow().iter().find(|target| target.name == notice.to).cloned();
        let Some(target) = target else { break Some("verdigris.yaml does not name it any more".to_owned()) };
        let Ok(permit) = at_once.acquire().await else { return };
        tries += 1;
        let tried = timeout(TRY_LIMIT, deliver(&target, &notice)).await;
        drop(permit);
        let failure = match tried {
            Ok(Ok(())) => break None,
            Ok(Err(failure)) => failure,
            Err(_) => Failure::Again(format!("no answer within {} s", TRY_LIMIT.as_secs())),
        };
        let waits = match &failure {
            Failure::Never(_) => None,
            Failure::Again(_) => wait(&id, tries),
        };
        match waits {
            Some(ms) => {
                tracing::warn!(%to, event, %id, "a notification failed, {tries} of {MAX_TRIES} tries: {failure}");
                tokio::time::sleep(Duration::from_millis(ms)).await;
            }
            None => break Some(failure.to_string()),
        }
    };
    match &gave_up {
        None => tracing::info!(%to, event, %id, "notified"),
        Some(why) => tracing::error!(%to, event, %id, "a notification was given up after {tries} tries: {why}"),
    }
    handle.tell(Input::Notified { id, tries, gave_up }).await;
}

/// One try. The files are read anew, so that a secret that was changed is the one that is used.
async fn deliver(target: &Target, notice: &Notice) -> Result<(), Failure> {
    let link = target.link(notice);
    match &target.by {
        By::Post { form, url, secret } => {
            let (url, secret) = (self::url(url).map_err(again)?, secret.as_deref().map(signing).transpose());
            let body = notices::payload(*form, notice, &target.template, link.as_deref());
            let signed = secret.map_err(again)?.map(|secret| {
                let at = clock::now().0 / 1_000;
                (notice.id.clone(), at, secret.sign(&notice.id, at, &body))
            });
            post::post(&url, &target.tls, signed, body).await
        }
        By::Email { server, from, recipients, login } => {
            let (subject, text) = notices::email(notice, &target.template, link.as_deref());
            let login = match login {
                Some((user, file)) => Some((user.as_str(), line(file).map_err(again)?)),
                None => None,
            };
            let message = smtp::message((from, recipients), &notice.id, clock::now(), (&subject, &text));
            smtp::send(server, &target.tls, login, (from, recipients), &message).await
        }
    }
}

/// Who operates the server mends it meanwhile, perhaps.
fn again(error: FileError) -> Failure {
    Failure::Again(error.to_string())
}

#[cfg(test)]
mod tests;
