//! What came to a sink, on disk before it is answered: so the record survives the sink's SIGKILL, and what a sink took and
//! did not answer is no loss.
//!
//! One file for each life of a sink. A record is, little-endian: how many spans (u32), when (Unix milliseconds, u64), and
//! the spans' numbers (u64 each). A record without spans is a request that could not be read. A record that was cut off
//! was not answered, and does not count. Nothing is synced: the page cache survives the process.

use anyhow::{Context, Result, ensure};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// In a number: the span that came was not as it was sent.
pub const CHANGED: u64 = 1 << 63;

const HEAD_BYTES: usize = 12;

/// Spans of one request. Rotel collects batches of up to 8,192.
const MAX_SPANS: usize = 1 << 20;

/// The sink's side.
pub struct Writer(File);

impl Writer {
    pub fn create(path: &Path) -> Result<Writer> {
        Ok(Writer(File::create_new(path).with_context(|| format!("cannot make {}", path.display()))?))
    }

    /// Appends a record in one write.
    pub fn append(&mut self, at_ms: u64, spans: &[u64]) -> Result<()> {
        ensure!(spans.len() <= MAX_SPANS, "{} spans in one request, more than {MAX_SPANS}", spans.len());
        let mut record = Vec::with_capacity(HEAD_BYTES + spans.len() * 8);
        record.extend((spans.len() as u32).to_le_bytes());
        record.extend(at_ms.to_le_bytes());
        record.extend(spans.iter().flat_map(|span| span.to_le_bytes()));
        self.0.write_all(&record).context("cannot write the sink's journal")
    }
}

/// A request that came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub at_ms: u64,
    pub spans: Vec<u64>,
}

/// The auditor's side: reads what is there, and later what came since.
pub struct Reader {
    path: PathBuf,
    read_bytes: u64,
}

impl Reader {
    pub fn new(path: PathBuf) -> Reader {
        Reader { path, read_bytes: 0 }
    }

    /// The whole records that were not read yet.
    pub fn read(&mut self) -> Result<Vec<Record>> {
        let shown = self.path.display();
        let mut file = File::open(&self.path).with_context(|| format!("cannot open {shown}"))?;
        file.seek(SeekFrom::Start(self.read_bytes))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).with_context(|| format!("cannot read {shown}"))?;
        let mut records = Vec::new();
        let mut rest = &bytes[..];
        while let Some((record, length)) = parse(rest).with_context(|| format!("{shown} is no journal"))? {
            records.push(record);
            rest = &rest[length..];
            self.read_bytes += length as u64;
        }
        Ok(records)
    }
}

/// The first record and its length, if it is whole.
fn parse(bytes: &[u8]) -> Result<Option<(Record, usize)>> {
    let Some((head, rest)) = bytes.split_first_chunk::<HEAD_BYTES>() else { return Ok(None) };
    let [a, b, c, d, at_ms @ ..] = *head;
    let count = u32::from_le_bytes([a, b, c, d]) as usize;
    ensure!(count <= MAX_SPANS, "a record of {count} spans, more than {MAX_SPANS}");
    let Some(spans) = rest.get(..count * 8) else { return Ok(None) };
    let (spans, _) = spans.as_chunks::<8>();
    let spans = spans.iter().map(|span| u64::from_le_bytes(*span)).collect();
    Ok(Some((Record { at_ms: u64::from_le_bytes(at_ms), spans }, HEAD_BYTES + count * 8)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_once_and_a_torn_end_is_not() {
        let path = std::env::temp_dir().join(format!("verdigris-soak-journal-{}", std::process::id()));
        let record = |at_ms, spans: &[u64]| Record { at_ms, spans: spans.to_vec() };
        let mut writer = Writer::create(&path).unwrap();
        let mut reader = Reader::new(path.clone());
        writer.append(7, &[1, 2, CHANGED | 3]).unwrap();
        writer.append(8, &[]).unwrap();
        assert_eq!(reader.read().unwrap(), [record(7, &[1, 2, CHANGED | 3]), record(8, &[])]);
        writer.append(9, &[4]).unwrap();
        // Killed in the middle of a record: 2 spans announced, one and a half there.
        writer.0.write_all(&[2, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 6, 0, 0]).unwrap();
        assert_eq!(reader.read().unwrap(), [record(9, &[4])]);
        assert_eq!(reader.read().unwrap(), []);
        assert_eq!(Reader::new(path.clone()).read().unwrap().len(), 3);
        assert!(Writer::create(&path).is_err(), "a life does not write over another one's journal");
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn another_file_is_refused() {
        assert!(parse(&[0xff; 64]).is_err());
        assert!(parse(&[]).unwrap().is_none());
    }
}
