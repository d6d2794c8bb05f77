//! A line for each thing that happens.

use crate::describe::{printable, time_of_day};
use model::{BasisPoints, UnixMillis};
use rollout::{Progress, Report};

/// Remembers what was said, so that each thing is said once.
#[derive(Default)]
pub struct PlainView {
    headline: String,
    observed: Option<(BasisPoints, bool)>,
    waits_for: Vec<String>,
    cause: Option<String>,
    exceptions: usize,
}

impl PlainView {
    /// What is new since the last time.
    pub fn lines(&mut self, report: &Report, now: UnixMillis) -> Vec<String> {
        let time = time_of_day(now);
        let mut lines = Vec::new();
        if report.headline != self.headline {
            self.headline.clone_from(&report.headline);
            lines.push(format!("{time} {}", printable(&report.headline)));
        }
        // Once: how long is left for a review changes all the time.
        if report.exceptions.len() > self.exceptions {
            lines.extend(report.exceptions.iter().map(|exception| format!("{time} ! {}", printable(exception))));
        }
        self.exceptions = report.exceptions.len();
        let observed = report.green_serves.map(|share| (share, report.mirror));
        if observed != self.observed {
            if let Some((weight, mirror)) = observed {
                let copies = if mirror { ", and gets copies of the rest" } else { "" };
                lines.push(format!(
                    "{time}   observed: green serves {weight}{copies} (generation {})",
                    report.generation
                ));
            }
            self.observed = observed;
        }
        // While it advances the numbers in what is waited for change with every batch; they are for the live view.
        if matches!(report.progress, Progress::Held | Progress::Paused) && report.waits_for != self.waits_for {
            lines.extend(report.waits_for.iter().map(|what| format!("{time}   waits for: {}", printable(what))));
        }
        self.waits_for.clone_from(&report.waits_for);
        if let Some(cause) = &report.cause
            && self.cause.as_ref() != Some(&cause.finding)
        {
            self.cause = Some(cause.finding.clone());
            lines.extend(cause.reasons.iter().map(|reason| format!("{time}   because: {}", printable(reason))));
            lines.extend(cause.example_trace.map(|trace| format!("{time}   for example: trace {trace}")));
        }
        lines
    }
}
