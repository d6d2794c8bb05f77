//! How the demo ended, counted by those who took part in it.

use super::cast::Cast;
use crate::demo::backend::Backend;
use crate::demo::keys::SpanKeys;
use crate::demo::shop::ShopStats;
use crate::describe::{printable, thousands};
use gateway::Stats;
use rollout::{Progress, Report};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use store::Reader;

/// What the demo says at its end.
pub(super) struct Outcome {
    report: Report,
    shop: ShopStats,
    torn: u64,
    delivered: u64,
    detection_ms: Option<u64>,
    rollback_ms: Option<f64>,
}

/// Where the ledger is, and what it holds.
pub(super) struct LedgerLine {
    dir: PathBuf,
    size: u64,
    root: String,
    verifier_key: String,
}

impl LedgerLine {
    /// Reads the signed checkpoint, as anybody could.
    pub(super) fn read(dir: &Path, verifier_key: &str) -> anyhow::Result<LedgerLine> {
        let checkpoint = Reader::open(dir)?.checkpoint(&verifier_key.parse()?)?;
        Ok(LedgerLine {
            dir: dir.to_owned(),
            size: checkpoint.size(),
            root: checkpoint.root().to_string(),
            verifier_key: verifier_key.to_owned(),
        })
    }
}

impl Outcome {
    pub(super) fn of(report: &Report, stats: &Stats, cast: &Cast, shop: ShopStats, acknowledged: &SpanKeys) -> Outcome {
        let rolled_back = report.progress == Progress::RolledBack;
        let decided = report.decided_at.filter(|_| rolled_back);
        // The pipeline itself says when it first did harm; the judge had to find out.
        let first_fault_us = cast.green.stats().first_fault_us;
        let last_routed_us = stats.environments.green.last_routed_us;
        Outcome {
            report: report.clone(),
            shop,
            torn: stats.torn_traces,
            delivered: Backend::delivered_of(acknowledged, &[&cast.blue_backend, &cast.green_backend]),
            detection_ms: decided.zip(first_fault_us).map(|(at, fault_us)| at.0.saturating_sub(fault_us / 1_000)),
            rollback_ms: decided.map(|at| last_routed_us.saturating_sub(at.0 * 1_000) as f64 / 1_000.0),
        }
    }

    fn word(&self) -> &'static str {
        match self.report.progress {
            Progress::Promoted | Progress::Promoting => "promoted",
            Progress::RolledBack | Progress::RollingBack => "rolled_back",
            Progress::Held | Progress::Paused | Progress::Progressing => "held",
        }
    }

    fn lost(&self) -> u64 {
        self.shop.spans_acknowledged.saturating_sub(self.delivered)
    }

    /// One object, as the issue tracker's users script against it.
    pub(super) fn json(&self, ledger: &LedgerLine) -> Value {
        let cause = self.report.cause.as_ref().map(
            |cause| json!({ "guard": cause.guard, "finding": cause.finding, "example_trace": cause.example_trace }),
        );
        json!({
            "outcome": self.word(),
            "cause": cause,
            "traces": { "sent": self.shop.traces_started, "torn": self.torn },
            "spans": {
                "sent": self.shop.spans_sent,
                "acknowledged": self.shop.spans_acknowledged,
                "delivered": self.delivered,
                "lost": self.lost(),
            },
            "detection_ms": self.detection_ms,
            "rollback_ms": self.rollback_ms,
            "ledger": {
                "dir": ledger.dir,
                "size": ledger.size,
                "root": ledger.root,
                "verifier_key": ledger.verifier_key,
            },
        })
    }

    /// The same for people.
    pub(super) fn text(&self, ledger: &LedgerLine) -> String {
        let mut lines = vec![String::new(), printable(&self.report.headline)];
        if let Some(cause) = &self.report.cause {
            lines.extend(cause.reasons.iter().map(|reason| format!("  because     {}", printable(reason))));
            lines.extend(cause.example_trace.map(|trace| format!("  for example trace {trace}")));
        } else {
            lines.extend(self.report.waits_for.iter().map(|what| format!("  waits for   {}", printable(what))));
        }
        lines.push(format!(
            "  traces      {} sent, {} torn",
            thousands(self.shop.traces_started),
            thousands(self.torn)
        ));
        lines.push(format!(
            "  spans       {} sent, {} acknowledged, {} of these delivered, {} lost",
            thousands(self.shop.spans_sent),
            thousands(self.shop.spans_acknowledged),
            thousands(self.delivered),
            thousands(self.lost())
        ));
        if let Some(ms) = self.detection_ms {
            lines.push(format!("  detection   {} ms from the first bad span to the verdict", thousands(ms)));
        }
        if let Some(ms) = self.rollback_ms {
            lines.push(format!("  rollback    {ms:.1} ms from the verdict to the last trace routed to green"));
        }
        lines.push(format!("  ledger      {} records, root {}", ledger.size, ledger.root));
        let dir = ledger.dir.display();
        lines.push(format!("  verify it   verdigris ledger verify --dir {dir} --key '{}'", ledger.verifier_key));
        lines.join("\n") + "\n"
    }
}
