//! Real traces (IntelligentDDS/Nezha): xz-compressed CSV, a file a minute.

use anyhow::{Context, Result, ensure};
use lzma_rust2::XzReader;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

/// The two systems whose traces there are, by their folders.
pub(crate) const SYSTEMS: [&str; 2] = ["online-boutique-2022-08-22", "train-ticket-2023-01-29"];

/// The traces' folder: as told, beside the repository, or the sample in it.
pub(crate) fn folder(told: Option<&Path>) -> Result<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let choices = match told {
        Some(folder) => vec![folder.to_owned()],
        None => vec![root.join("../shared/data/nezha"), root.join("e2e/data/nezha")],
    };
    let found = choices.iter().find(|folder| SYSTEMS.iter().all(|system| folder.join(system).is_dir()));
    found.cloned().with_context(|| {
        let looked: Vec<String> = choices.iter().map(|folder| folder.display().to_string()).collect();
        format!("no Nezha traces in {}; name their folder with --nezha", looked.join(" or "))
    })
}

/// The largest file after decompression; the real ones have 6 MB.
const MAX_FILE_BYTES: u64 = 64 << 20;

const HEADER: &str = "TraceID";
const COLUMNS: usize = 8;

/// One span.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    /// Index of its parent among the trace's spans.
    pub(crate) parent: Option<usize>,
    pub(crate) service: String,
    pub(crate) pod: String,
    pub(crate) operation: String,
    pub(crate) start_ns: u64,
    pub(crate) end_ns: u64,
}

/// One trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Trace {
    /// When its first span began.
    pub(crate) assigned_ns: u64,
    pub(crate) spans: Vec<Span>,
}

/// All traces of a folder, in order of their assignment. Rows that stand twice are one.
pub(crate) fn traces(folder: &Path) -> Result<Vec<Trace>> {
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .with_context(|| format!("cannot list {}", folder.display()))?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_>>()?;
    files.retain(|file| file.to_string_lossy().ends_with(".csv.xz"));
    files.sort();
    let mut rows: BTreeMap<String, BTreeMap<String, Row>> = BTreeMap::new();
    for file in &files {
        read(file, &mut rows).with_context(|| format!("cannot read {}", file.display()))?;
    }
    let mut traces: Vec<Trace> = rows.into_values().filter_map(trace).collect();
    traces.sort_by_key(|trace| trace.assigned_ns);
    Ok(traces)
}

struct Row {
    parent: String,
    service: String,
    pod: String,
    operation: String,
    start_ns: u64,
    end_ns: u64,
}

fn read(file: &Path, rows: &mut BTreeMap<String, BTreeMap<String, Row>>) -> Result<()> {
    let mut text = String::new();
    let reader = XzReader::new(BufReader::new(File::open(file)?), true);
    reader.take(MAX_FILE_BYTES + 1).read_to_string(&mut text)?;
    ensure!(text.len() as u64 <= MAX_FILE_BYTES, "more than {MAX_FILE_BYTES} bytes");
    // A file holds several headers.
    for line in text.lines().filter(|line| !line.starts_with(HEADER)) {
        let columns: Vec<&str> = line.split(',').collect();
        // Operations hold commas: what is on both sides of them is counted from the ends.
        ensure!(columns.len() >= COLUMNS, "a row has {} columns: {line:?}", columns.len());
        let from_end = |back: usize| columns[columns.len() - back].parse::<u64>();
        let service = columns[3].rsplitn(3, '-').last().unwrap_or_default().to_owned();
        let row = Row {
            parent: columns[2].to_owned(),
            service,
            pod: columns[3].to_owned(),
            operation: columns[4..columns.len() - 3].join(","),
            start_ns: from_end(3)?,
            end_ns: from_end(2)?,
        };
        rows.entry(columns[0].to_owned()).or_default().entry(columns[1].to_owned()).or_insert(row);
    }
    Ok(())
}

/// Spans in order of their start, so that most parents come before their children.
fn trace(rows: BTreeMap<String, Row>) -> Option<Trace> {
    let mut ordered: Vec<(&String, &Row)> = rows.iter().collect();
    ordered.sort_by_key(|(_, row)| row.start_ns);
    let places: BTreeMap<&String, usize> = ordered.iter().enumerate().map(|(place, (id, _))| (*id, place)).collect();
    let span = |(_, row): &(&String, &Row)| Span {
        parent: places.get(&row.parent).copied(),
        service: row.service.clone(),
        pod: row.pod.clone(),
        operation: row.operation.clone(),
        start_ns: row.start_ns,
        end_ns: row.end_ns.max(row.start_ns),
    };
    let spans: Vec<Span> = ordered.iter().map(span).collect();
    Some(Trace { assigned_ns: spans.first()?.start_ns, spans })
}
