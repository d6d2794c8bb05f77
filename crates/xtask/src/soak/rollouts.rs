//! Rollouts of a run: their plans, and the commands of `verdigris rollout`.

use super::schedule::{Rollout, Sink};
use crate::process;
use anyhow::{Context, Result};
use serde_json::Value;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A command that is not answered in time ends: the server may be dead, or its disk full.
const COMMAND_LIMIT_S: &str = "5";

const NAME: &str = "soak-";

/// Orders rollouts.
pub struct Rollouts {
    verdigris: PathBuf,
    socket: PathBuf,
    folder: PathBuf,
    sinks: [SocketAddr; 2],
    pin_ms: u64,
    /// Blue of each rollout that was ordered, the refused ones too: `soak-1` is the first.
    blues: Vec<Sink>,
    /// Commands that the server did not carry out, because it was down, or they did not fit.
    pub refused: u64,
}

impl Rollouts {
    pub fn new(verdigris: &Path, socket: PathBuf, folder: &Path, sinks: [SocketAddr; 2], pin_ms: u64) -> Rollouts {
        let (verdigris, folder) = (verdigris.to_owned(), folder.to_owned());
        Rollouts { verdigris, socket, folder, sinks, pin_ms, blues: Vec::new(), refused: 0 }
    }

    /// Starts a rollout from whatever is active now to the other sink. Says why, if it was refused.
    pub fn start(&mut self, rollout: &Rollout) -> Result<Option<String>> {
        let blue = self.status().map_or(Sink::One, |status| active(&status, &self.blues));
        self.blues.push(blue);
        let name = format!("{NAME}{}", self.blues.len());
        let path = self.folder.join(format!("{name}.yaml"));
        fs::write(&path, plan(&name, rollout, blue, self.sinks, self.pin_ms))?;
        let path = path.to_str().context("the temporary folder's name is no UTF-8")?.to_owned();
        Ok(self.order(&["start", &path]))
    }

    /// `verdigris rollout …` for the rollout that started last. Says why, if it was refused.
    pub fn order(&mut self, words: &[&str]) -> Option<String> {
        let refused = self.read(words).err().map(|error| format!("{error:#}"));
        self.refused += u64::from(refused.is_some());
        refused
    }

    /// None if the server does not answer, or has had no rollout yet.
    pub fn status(&self) -> Option<Value> {
        serde_json::from_str(&self.read(&["status"]).ok()?).ok()
    }

    fn read(&self, words: &[&str]) -> Result<String> {
        let mut command = Command::new("timeout");
        command.arg(COMMAND_LIMIT_S).arg(&self.verdigris).args(["rollout", "--format", "json"]).args(words);
        process::read(command.arg("--socket").arg(&self.socket))
    }
}

/// Who is active after a rollout.
fn active(status: &Value, blues: &[Sink]) -> Sink {
    // `soak-7.3`: the third of the ledger, ordered as the seventh.
    let name = status["rollout"].as_str().and_then(|name| name.strip_prefix(NAME)?.split('.').next());
    let number = name.and_then(|number| number.parse::<usize>().ok()).unwrap_or(0);
    let blue = number.checked_sub(1).and_then(|index| blues.get(index)).copied().unwrap_or(Sink::One);
    if status["progress"] == "promoted" { other(blue) } else { blue }
}

fn other(sink: Sink) -> Sink {
    match sink {
        Sink::One => Sink::Two,
        Sink::Two => Sink::One,
    }
}

/// Sink one takes OTLP/gRPC and sink two OTLP/HTTP, so that both of the gateway's clients are used. Nothing comes out of
/// the sinks into the taps: until the horizon, a day, that is no loss, so no guard rolls back, and nothing is proved
/// either; the bake is ended by `promote`. Sinks take no span that no client sent, so nothing is planted.
fn plan(name: &str, rollout: &Rollout, blue: Sink, sinks: [SocketAddr; 2], pin_ms: u64) -> String {
    let otlp = |sink: Sink| match sink {
        Sink::One => format!("{{ version: one, otlp: {{ grpc: \"http://{}\" }} }}", sinks[0]),
        Sink::Two => format!("{{ version: two, otlp: {{ http: \"http://{}\" }} }}", sinks[1]),
    };
    let pause_s = rollout.pause_s;
    let shifts: String = rollout
        .weights
        .iter()
        .map(|weight| format!("      - setWeight: {weight}%\n      - pause: {{ for: {pause_s}s }}\n"))
        .collect();
    format!(
        r#"apiVersion: verdigris.dev/v1alpha1
kind: Rollout
metadata: {{ name: {name}, change: SOAK, reason: moves the weight, impact: none }}
spec:
  subject: pipeline
  pin: {pin_ms}ms
  environments:
    blue: {}
    green: {}
  strategy:
    steps:
{shifts}      - setWeight: 100%
      - bake: {{ for: 1h }}
  verification: {{ horizon: 1d }}
  canary: off
  guards:
    spanLoss: {{ atMost: 50% }}
"#,
        otlp(blue),
        otlp(other(blue)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn who_is_active_follows_from_the_last_rollout_that_started() {
        let blues = [Sink::One, Sink::Two, Sink::Two];
        let check = |name: &str, progress: &str, expected| {
            assert_eq!(active(&json!({ "rollout": name, "progress": progress }), &blues), expected);
        };
        check("soak-1.1", "promoted", Sink::Two);
        check("soak-1.1", "rolledBack", Sink::One);
        // The second was refused.
        check("soak-3.2", "promoted", Sink::One);
        check("soak-3.2", "progressing", Sink::Two);
        check("another.9", "rolledBack", Sink::One);
    }
}
