//! A preview as people read it.

use super::{EnvironmentPreview, Evidence, Preview, StepPreview};
use model::{Environment, PerEnvironment, Protocol, ShortDuration};
use std::fmt;

/// Characters of an artifact's digest that the table shows; the JSON has all of them.
const SHOWN_DIGEST_CHARACTERS: usize = 19;

/// A fraction as a percentage, without needless zeros.
pub(super) struct Percent(pub(super) f64);

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", trimmed(&format!("{:.6}", self.0 * 100.0)))
    }
}

/// A number with at most two decimals, without needless zeros.
pub(super) struct Number(pub(super) f64);

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            little if little > 0.0 && little < 0.01 => f.write_str("less than 0.01"),
            number => f.write_str(trimmed(&format!("{number:.2}"))),
        }
    }
}

fn trimmed(number: &str) -> &str {
    number.trim_end_matches('0').trim_end_matches('.')
}

impl fmt::Display for Preview {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {}", self.name, self.reason)?;
        for (label, text) in
            [("change", &self.change), ("impact", &self.impact), ("digest", &Some(self.digest.clone()))]
        {
            if let Some(text) = text {
                writeln!(f, "  {label:<9} {text}")?;
            }
        }
        writeln!(f)?;
        environments(f, &self.environments.blue, &self.environments.green)?;
        transformations(f, &self.environments)?;
        writeln!(f, "\nWhat happens")?;
        self.steps.iter().try_for_each(|step| self::step(f, step))?;
        writeln!(f, "\nRolls back on")?;
        self.rolls_back.iter().try_for_each(|cause| writeln!(f, "  - {cause}"))?;
        writeln!(f, "\nWithout a proof\n  {}", self.on_inconclusive)?;
        let (shortest, longest) = (ShortDuration(self.shortest_ms), ShortDuration(self.longest_ms));
        write!(f, "\nTime\n  {shortest} at least, {longest} at most if nothing is held")?;
        match self.waits_for_people {
            0 => writeln!(f)?,
            1 => writeln!(f, ", and 1 wait for people")?,
            waits => writeln!(f, ", and {waits} waits for people")?,
        }
        if !self.notes.is_empty() {
            writeln!(f, "\nNote")?;
        }
        self.notes.iter().try_for_each(|note| writeln!(f, "  - {note}"))
    }
}

fn step(f: &mut fmt::Formatter<'_>, step: &StepPreview) -> fmt::Result {
    writeln!(f, "{:>3}. {}", step.number, step.does)?;
    step.effects.iter().try_for_each(|effect| writeln!(f, "       {effect}"))?;
    step.evidence.iter().flat_map(Evidence::lines).try_for_each(|line| writeln!(f, "       {line}"))?;
    step.warnings.iter().try_for_each(|warning| writeln!(f, "       WARNING {warning}"))
}

impl Evidence {
    /// What is proved and what would be seen, and when: a line each.
    pub fn lines(&self) -> Vec<String> {
        let after = |ms: Option<u64>| match ms {
            Some(0) => "had from the steps before".to_owned(),
            Some(ms) => format!("after about {}", ShortDuration(ms)),
            None => "never with this traffic".to_owned(),
        };
        let proofs = self.proofs.iter().map(|proof| {
            let late = if proof.in_time { "" } else { " (too late)" };
            format!("proves {}: {}{late}", proof.of, after(proof.after_ms))
        });
        let detections = self.detections.iter().map(|detection| {
            let tolerated = if detection.tolerated { ", and tolerates it" } else { "" };
            format!("sees {}: {}{tolerated}", detection.of, after(detection.after_ms))
        });
        proofs.chain(detections).collect()
    }
}

fn environments(f: &mut fmt::Formatter<'_>, blue: &EnvironmentPreview, green: &EnvironmentPreview) -> fmt::Result {
    let cells = |environment: &EnvironmentPreview| -> [String; 9] {
        let none = || "-".to_owned();
        let listed = |sources: &[String]| if sources.is_empty() { none() } else { sources.join(", ") };
        let protocol = match environment.protocol {
            Protocol::Grpc => "grpc",
            Protocol::Http => "http",
        };
        [
            String::new(),
            environment.version.clone(),
            environment.artifact.as_deref().map_or_else(none, shortened),
            format!("{protocol} {}", environment.endpoint),
            environment.tap.clone(),
            environment.backend.clone().unwrap_or_else(none),
            environment.query.clone().unwrap_or_else(none),
            listed(&environment.config),
            listed(&environment.live),
        ]
    };
    let labels = ["", "version", "artifact", "otlp", "tap", "backend", "query", "config", "live"];
    let (mut blue, mut green) = (cells(blue), cells(green));
    (blue[0], green[0]) = ("blue".to_owned(), "green".to_owned());
    let width = blue.iter().map(|cell| cell.chars().count()).max().unwrap_or(0);
    let rows = labels.iter().zip(blue.iter().zip(&green));
    // A row in which neither has anything says nothing.
    rows.filter(|(_, (blue, green))| *blue != "-" || *green != "-")
        .try_for_each(|(label, (blue, green))| writeln!(f, "  {label:<9} {blue:<width$}  {green}"))
}

fn shortened(digest: &str) -> String {
    let shown: String = digest.chars().take(SHOWN_DIGEST_CHARACTERS).collect();
    format!("{shown}…")
}

fn transformations(f: &mut fmt::Formatter<'_>, environments: &PerEnvironment<EnvironmentPreview>) -> fmt::Result {
    let declared = |environment: &Environment| !environments[*environment].transformations.is_empty();
    if Environment::BOTH.iter().any(declared) {
        writeln!(f, "\nMeant to change, so that it is no finding")?;
    }
    for environment in Environment::BOTH {
        let lines = &environments[environment].transformations;
        lines.iter().try_for_each(|line| writeln!(f, "  {:<6} {line}", environment.name()))?;
    }
    Ok(())
}
