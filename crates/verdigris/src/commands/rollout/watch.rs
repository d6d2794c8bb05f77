//! `verdigris rollout watch`: a rollout until it ends. On a terminal the server is asked in a task of its own, so that keys
//! and the window are answered at once whatever the server does.

use super::{exit, path, show};
use crate::api::ApiClient;
use crate::cli::Format;
use crate::clock;
use crate::describe::{Exit, Failed};
use crate::view::{Action, Ask, Flow, Screen, Terminal, View};
use rollout::{Progress, Report};
use std::time::Duration;
use tokio::sync::mpsc;

/// How often the server is asked.
const POLL: Duration = Duration::from_millis(200);
/// How long a script waits for a server that went away, such as one that is restarted. A person says when they have waited
/// enough.
const RECONNECT_LIMIT: Duration = Duration::from_secs(60);
/// How often keys are looked at: what is typed shows within this.
const KEYS: Duration = Duration::from_millis(40);
/// Answers on their way to the screen, which takes them every [`KEYS`]; the task waits when it is full.
const MAX_ANSWERS: usize = 8;
/// What a person asked for and the server has not answered: one at a time, and keys are faster than a server that hangs.
const MAX_ASKED: usize = 1;

/// Shows a rollout until it ends or stands still for good; the exit code says how.
pub(super) async fn follow(api: ApiClient, rollout: &str, format: Format, plain: bool) -> Result<Exit, Failed> {
    let view = match format {
        Format::Text => Some(View::open(plain, Screen::with_controls())),
        Format::Json => None,
    };
    let report = match view {
        Some(View::Live(terminal)) => live(*terminal, api, rollout).await?,
        view => lines(view, &api, rollout).await?,
    };
    show(&report, format)?;
    Ok(exit(report.progress))
}

fn ended(report: &Report) -> bool {
    matches!(report.progress, Progress::Promoted | Progress::RolledBack)
}

/// A script must be told when a person is needed.
async fn lines(mut view: Option<View>, api: &ApiClient, rollout: &str) -> Result<Report, Failed> {
    let mut unanswered = Duration::ZERO;
    loop {
        match api.get::<Report>(&path(rollout)).await {
            Ok(report) => {
                unanswered = Duration::ZERO;
                let flow = view.as_mut().map_or(Flow::GoOn, |view| view.show(&report, "", clock::now()));
                if ended(&report) || flow == Flow::Quit || report.needs_person {
                    return Ok(report);
                }
            }
            Err(error) if error.exit == Exit::Other && unanswered < RECONNECT_LIMIT => unanswered += POLL,
            Err(error) => return Err(error),
        }
        tokio::time::sleep(POLL).await;
    }
}

/// What the task that talks to the server found.
enum Answer {
    Report(Result<Box<Report>, Failed>),
    Done(Ask, Result<Box<Report>, Failed>),
}

/// Somebody at the terminal can act and go on looking.
async fn live(mut terminal: Terminal, api: ApiClient, rollout: &str) -> Result<Report, Failed> {
    let (asked, asks) = mpsc::channel(MAX_ASKED);
    let (answers, mut answered) = mpsc::channel(MAX_ANSWERS);
    let mut name = path(rollout);
    let talking = tokio::spawn(talk(api, name.clone(), asks, answers));
    let mut last: Option<Box<Report>> = None;
    let mut ticks = tokio::time::interval(KEYS);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let result = loop {
        tokio::select! {
            answer = answered.recv() => match answer {
                Some(Answer::Report(Ok(report))) => {
                    terminal.learn(&report, "", clock::now());
                    name = path(&report.rollout.0);
                    if ended(&report) {
                        break Ok(*report);
                    }
                    last = Some(report);
                }
                // A server that is not there at the start will not be there for a person who mistyped its socket.
                Some(Answer::Report(Err(error))) if last.is_none() || error.exit != Exit::Other => break Err(error),
                Some(Answer::Report(Err(error))) => terminal.screen.silent(&error.to_string()),
                Some(Answer::Done(ask, Ok(report))) => {
                    terminal.screen.say(format!("{}: done as asked", ask.verb()));
                    terminal.learn(&report, "", clock::now());
                    last = Some(report);
                }
                Some(Answer::Done(ask, Err(error))) => terminal.screen.say(format!("{}: {error}", ask.verb())),
                None => break Err(anyhow::anyhow!("the task that asks the server has ended").into()),
            },
            _ = ticks.tick() => {}
        }
        match terminal.keys(last.as_deref()) {
            Some(Action::Quit) => match last {
                Some(report) => break Ok(*report),
                None => break Err(Failed { exit: Exit::Interrupted, error: anyhow::anyhow!("no answer yet") }),
            },
            Some(Action::Do(ask)) => {
                let said = match asked.try_send((name.clone(), ask)) {
                    Ok(()) => format!("{}: asked for", ask.verb()),
                    Err(_) => format!("{}: not asked for, the server has not answered the last wish", ask.verb()),
                };
                terminal.screen.say(said);
            }
            None => {}
        }
        if let Some(report) = &last {
            terminal.draw(report, clock::now());
        }
    };
    talking.abort();
    result
}

/// Asks again and again where the rollout stands, and for what the person wants in between. A rollout that is named is
/// commanded by its name, so that another one that starts meanwhile is not meant.
async fn talk(api: ApiClient, at: String, mut asks: mpsc::Receiver<(String, Ask)>, answers: mpsc::Sender<Answer>) {
    loop {
        let report = api.get(&at).await.map(Box::new);
        if answers.send(Answer::Report(report)).await.is_err() {
            return;
        }
        tokio::select! {
            asked = asks.recv() => {
                let Some((name, ask)) = asked else { return };
                let done = api.post(&format!("{name}/commands"), &ask.command()).await.map(Box::new);
                if answers.send(Answer::Done(ask, done)).await.is_err() {
                    return;
                }
            }
            () = tokio::time::sleep(POLL) => {}
        }
    }
}
