//! `verdigris redact scan`: which sensitive values a recording holds, by kind and place.

use super::recording::for_each_message;
use crate::cli::{Format, Redact, Scan};
use crate::clock;
use crate::describe::{Exit, Failed, say};
use anyhow::Context;
use otlp::{Place, Signal, edit_texts};
use redact::{Action, Class, Counts, Key, Policy, Redactor};
use serde_json::json;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};

/// Bytes of a line that are looked at together.
const MAX_LINE_BYTES: u64 = 16 << 20;
/// Places that are told apart: keys come from outside, and each may be another one.
const MAX_PLACES: usize = 10_000;
/// The place of what is found beyond that.
const ELSEWHERE: &str = "other places";

/// Runs it.
pub fn run(command: &Redact, format: Format) -> Result<Exit, Failed> {
    match command {
        Redact::Scan(scan) => self::scan(scan, format),
    }
}

/// How often a class was found in a place.
type Found = BTreeMap<(Class, String), u64>;

struct Scanning {
    redactor: Redactor,
    texts: u64,
    found: Found,
}

fn scan(command: &Scan, format: Format) -> Result<Exit, Failed> {
    let mut policy = Policy::default();
    if command.addresses {
        policy = policy.with(Class::Ipv4, Action::Mask).with(Class::Ipv6, Action::Mask);
    }
    let redactor = Redactor::new(&policy, &Key(clock::random()));
    let mut scanning = Scanning { redactor, texts: 0, found: Found::new() };
    if command.text {
        scanning.lines(command)?;
    } else {
        for_each_message(&command.file, |message| {
            edit_texts(Signal::Traces, message, |place, key, text| {
                scanning.text(key, text, || named(place, key));
                None
            })
            .map(drop)
        })?;
    }
    let Scanning { texts, found, .. } = scanning;
    match format {
        Format::Json => {
            let found = found
                .iter()
                .map(|((class, place), count)| json!({ "class": class.name(), "place": place, "values": count }));
            say(format_args!("{}", json!({ "texts": texts, "found": found.collect::<Vec<_>>() })));
        }
        Format::Text => print(texts, &found),
    }
    Ok(if found.is_empty() { Exit::Done } else { Exit::NotVerified })
}

impl Scanning {
    fn text(&mut self, key: Option<&str>, text: &str, place: impl FnOnce() -> String) {
        self.texts += 1;
        let mut counts = Counts::default();
        if self.redactor.text(key, text, &mut counts).is_none() {
            return;
        }
        let place = place();
        for class in Class::ALL.into_iter().filter(|class| counts.of(*class) > 0) {
            let is_known = self.found.contains_key(&(class, place.clone()));
            let place = if is_known || self.found.len() < MAX_PLACES { place.clone() } else { ELSEWHERE.to_owned() };
            *self.found.entry((class, place)).or_default() += counts.of(class);
        }
    }

    fn lines(&mut self, command: &Scan) -> Result<(), Failed> {
        let file = command.file.display();
        let usage = |error: anyhow::Error| Failed::usage(format!("{error:#}"));
        let opened = File::open(&command.file).with_context(|| format!("{file}: cannot be read")).map_err(usage)?;
        let mut reader = BufReader::new(opened);
        for number in 1_u64.. {
            let mut line = Vec::new();
            let read = reader.by_ref().take(MAX_LINE_BYTES).read_until(b'\n', &mut line);
            if read.with_context(|| format!("{file}:{number}: cannot be read")).map_err(usage)? == 0 {
                break;
            }
            self.text(None, &String::from_utf8_lossy(&line), || format!("line {number}"));
        }
        Ok(())
    }
}

fn named(place: Place, key: Option<&str>) -> String {
    let what = match place {
        Place::Key => "the name of an attribute",
        Place::Attribute => "attribute",
        Place::SpanName => "span name",
        Place::EventName => "event name",
        Place::StatusMessage => "status message",
        Place::TraceState => "trace state",
        Place::LogBody => "log body",
    };
    match (place, key) {
        // The name itself may be what was found.
        (Place::Attribute, Some(key)) => format!("{what} {}", key.escape_debug()),
        _ => what.to_owned(),
    }
}

fn print(texts: u64, found: &Found) {
    let values: u64 = found.values().sum();
    match values {
        0 => say(format_args!("no sensitive value in {texts} texts")),
        1 => say(format_args!("1 sensitive value in {texts} texts")),
        _ => say(format_args!("{values} sensitive values in {texts} texts")),
    }
    for ((class, place), count) in found {
        say(format_args!("  {count:>8}  {:<14}  {place}", class.name()));
    }
}
