//! `verdigris demo`: a whole rollout on this machine, the real system between a simulated shop and two small pipelines.

mod cast;
mod outcome;
mod page;

use crate::cli::{Demo, Format};
use crate::clock;
use crate::config::DEFAULT_RETENTION;
use crate::describe::{Exit, Failed, printable, say, say_as_is, thousands};
use crate::system::{Ground, Inherited, KEY_FILE, PUBLIC_KEY_FILE, Ports, System};
use crate::view::{Flow, Screen, View};
use crate::witness::Witnesses;
use anyhow::{Context, anyhow};
use cast::Cast;
use control::Persons;
use gateway::Listen;
use keys::{KeySource, Keyring};
use ledger::KeyName;
use model::{BasisPoints, Protocol, UnixMillis, Upstream};
use outcome::Outcome;
use page::Page;
use rollout::{Principal, Progress, Report};
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

/// How often the view is drawn and the rollout asked.
const FRAME: Duration = Duration::from_millis(100);
/// The demo ends within two minutes: the plan's steps at their longest are 100 s, and stopping takes a few more.
const LIMIT_MS: u64 = 110_000;
/// Traffic before the rollout starts, so that there are traces in flight.
const WARM_UP_MS: u64 = 1_500;
/// The crash comes so long after a shift, in the middle of the step.
const CRASH_AFTER_MS: u64 = 2_500;

/// Runs it.
pub async fn run(command: &Demo, format: Format) -> Result<Exit, Failed> {
    let data = match &command.keep {
        Some(dir) => std::path::absolute(dir)?,
        // It stays among the temporary files: the demo ends with the command that verifies its ledger.
        None => tempfile::Builder::new().prefix("verdigris-demo-").tempdir().context("a folder for the ledger")?.keep(),
    };
    let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let any = || Listen { grpc: any_port, http: any_port, tls: None };
    let taps = BTreeMap::from([("blue".to_owned(), any()), ("green".to_owned(), any())]);
    let ports = Ports::bind(any(), BTreeMap::new(), taps, Vec::new()).await?;
    let cast = Cast::start(command, ports.addresses()).await?;
    let serving = Upstream::plain(cast.blue.endpoint(), Protocol::Grpc, "blue");
    let name = "demo.verdigris.local/ledger".to_owned();
    // Nothing of the demo may be left on the disk, and its clients can wait.
    let key = KeySource::File { path: data.join(KEY_FILE), passphrase: None };
    let keyring = Keyring::open(&key, None, &data.join(PUBLIC_KEY_FILE), KeyName::new(&name)?)?;
    let ground = Ground {
        data: data.clone(),
        keyring,
        serving,
        spool_bytes: None,
        retention: DEFAULT_RETENTION,
        commands: Vec::new(),
        keep_entries_ms: None,
        witnesses: Witnesses::default(),
        notifications: Vec::new(),
        principals: Vec::new(),
        persons: Persons::new(),
    };
    let system = System::start(ports, ground, Inherited::nothing()).await?;
    let shop = cast.open_shop(command, system.gateway.addresses().gateway.grpc);
    let page = Page::open(&system, &data).await?;
    let mut show = Show::new(command, format, (&system, &cast), &page);
    let report = show.run(&shop).await?;
    drop(show.view);
    let stats = system.gateway.stats();
    let (shop_stats, acknowledged) = shop.stop().await;
    cast.drain().await;
    if command.hold {
        let at = format!("{}/rollouts/{}", page.url(), report.rollout);
        beside(format, &printable(&report.headline));
        beside(format, &format!("  look at it  {at}"));
        beside(format, &format!("  sign in     with the token in {}", page.token().display()));
        beside(format, "press Enter to end the demo");
        page::enter().await;
    }
    page.close().await;
    let (ledger_dir, verifier_key) = (system.ledger_dir.clone(), system.verifier_key.to_string());
    system.stop().await?;
    let outcome = Outcome::of(&report, &stats, &cast, shop_stats, &acknowledged);
    let ledger = outcome::LedgerLine::read(&ledger_dir, &verifier_key)?;
    match format {
        Format::Json => say(format_args!("{}", outcome.json(&ledger))),
        Format::Text => say_as_is(format_args!("{}", outcome.text(&ledger))),
    }
    Ok(crate::commands::rollout::exit(report.progress))
}

/// What is said beside the result: a program that reads the result must not find it there.
fn beside(format: Format, line: &str) {
    match format {
        Format::Text => say(line),
        Format::Json => eprintln!("{line}"),
    }
}

/// The rollout as it goes, from the warm-up to its end.
struct Show<'s> {
    url: String,
    view: Option<View>,
    system: &'s System,
    cast: &'s Cast,
    crash: bool,
}

impl<'s> Show<'s> {
    fn new(command: &Demo, format: Format, (system, cast): (&'s System, &'s Cast), page: &Page) -> Show<'s> {
        let url = page.url();
        let said = format!("the pages are at {url}: sign in with the token in {}", page.token().display());
        let mut view = match format {
            Format::Text => Some(View::open(command.plain, Screen::default())),
            Format::Json => None,
        };
        match &mut view {
            // What is written before it the live view covers.
            Some(View::Live(terminal)) => terminal.screen.tell([said]),
            Some(View::Plain(_)) | None => beside(format, &said),
        }
        let crash = command.fault == crate::cli::Fault::Crash;
        Show { url, view, system, cast, crash }
    }

    async fn run(&mut self, shop: &crate::demo::shop::Shop) -> Result<Report, Failed> {
        tokio::time::sleep(Duration::from_millis(WARM_UP_MS)).await;
        let plan = self.cast.plan();
        let by = Principal::new("demo", Vec::new());
        let started = self.system.handle.start(plan, "/".to_owned(), by).await;
        let started = started.map_err(|error| match error {
            control::StartError::Plan(errors) => anyhow!("the demo's plan:\n{errors}"),
            other => anyhow!(other),
        })?;
        let begun = clock::now();
        let mut crash_at: Option<UnixMillis> = None;
        loop {
            tokio::time::sleep(FRAME).await;
            let now = clock::now();
            let report = self.system.handle.report(Some(started.rollout.clone())).await;
            let report = *report.ok_or_else(|| anyhow!("the controller has stopped; see VERDIGRIS_LOG=info"))?;
            if self.crash && report.weight_observed.is_some_and(|weight| weight > BasisPoints::ZERO) {
                let at = *crash_at.get_or_insert(now.plus_ms(CRASH_AFTER_MS));
                if now >= at {
                    self.cast.green.kill().await;
                    self.crash = false;
                }
            }
            let stats = shop.stats();
            let note = format!(
                "pages: {}   shop: {} traces, {} spans acknowledged; fault: {}",
                self.url,
                thousands(stats.traces_started),
                thousands(stats.spans_acknowledged),
                self.cast.fault_words
            );
            let flow = self.view.as_mut().map_or(Flow::GoOn, |view| view.show(&report, &note, now));
            let ended = matches!(report.progress, Progress::Promoted | Progress::RolledBack);
            if ended || report.needs_person || flow == Flow::Quit || now.since_ms(begun) > LIMIT_MS {
                return Ok(report);
            }
        }
    }
}
