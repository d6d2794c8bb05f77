use crate::format::{
    BLOCK, BLOCK_BYTES, DIGEST_LEN, END, MAX_FRAME_HEAD_LEN, TOTALS_LEN, put_frame, put_header, put_totals,
};
use crate::{Frame, Header, MAX_BODY_BYTES, Totals};
use otlp::compression::zstd;
use sha2::{Digest, Sha256};
use std::io::{self, Write};

/// What the end takes: it is kept free.
const END_LEN: u64 = (1 + TOTALS_LEN + DIGEST_LEN) as u64;

/// A block's own bytes around its zstd frame, and what zstd may add to bytes that do not compress: its frame's head and
/// three bytes for each 128 KiB, less than 64 for a block of 256 KiB, and a 128th of larger ones.
const BLOCK_OVERHEAD: u64 = 9 + 64;

/// Writes a recording. A recording without [`Writer::finish`] is one that was cut off.
#[derive(Debug)]
pub struct Writer<W> {
    out: W,
    header: Header,
    hash: Sha256,
    /// Bytes that were written.
    written: u64,
    block: Vec<u8>,
    last_us: u64,
    totals: Totals,
}

/// What became of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pushed {
    /// It is recorded.
    Kept,
    /// It was dropped, and counted.
    Dropped(Bound),
}

/// Why a frame was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// The recording is as large as it may become.
    Bytes,
    /// It is as long as it may become.
    Time,
    /// The body is larger than [`MAX_BODY_BYTES`].
    Body,
}

impl<W: Write> Writer<W> {
    /// Begins a recording.
    pub fn new(out: W, header: Header) -> io::Result<Writer<W>> {
        let mut head = Vec::new();
        put_header(&header, &mut head);
        let (hash, block, totals) = (Sha256::new(), Vec::new(), Totals::default());
        let mut writer = Writer { out, header, hash, written: 0, block, last_us: 0, totals };
        writer.put(&head)?;
        Ok(writer)
    }

    /// Records a frame, or drops and counts it. Frames keep the order in which they are given; their times may go back a
    /// little, as requests that came on several connections do. Writes when a block is full.
    pub fn push(&mut self, frame: &Frame) -> io::Result<Pushed> {
        if let Some(bound) = self.bound(frame) {
            self.totals.dropped_frames += 1;
            self.totals.dropped_bytes += frame.body.len() as u64;
            return Ok(Pushed::Dropped(bound));
        }
        put_frame(frame, self.last_us, &mut self.block);
        self.last_us = frame.offset_us;
        self.totals.frames += 1;
        self.totals.body_bytes += frame.body.len() as u64;
        self.totals.duration_us = self.totals.duration_us.max(frame.offset_us);
        if self.block.len() >= BLOCK_BYTES {
            self.end_block()?;
        }
        Ok(Pushed::Kept)
    }

    /// Counts requests that came and never got here: there was no room for them, or they could not be redacted.
    pub fn count_dropped(&mut self, frames: u64, bytes: u64) {
        self.totals.dropped_frames += frames;
        self.totals.dropped_bytes += bytes;
    }

    /// Writes what is waiting for a full block: whoever records calls this about once a second, so that no more is lost
    /// when it is killed.
    pub fn flush(&mut self) -> io::Result<()> {
        self.end_block()?;
        self.out.flush()
    }

    /// What was recorded and dropped so far.
    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// Writes the end, and gives back what it was written to.
    pub fn finish(mut self) -> io::Result<(W, Totals)> {
        self.end_block()?;
        let mut end = vec![END];
        put_totals(&self.totals, &mut end);
        self.put(&end)?;
        let digest = self.hash.finalize();
        self.out.write_all(&digest)?;
        self.out.flush()?;
        Ok((self.out, self.totals))
    }

    fn bound(&self, frame: &Frame) -> Option<Bound> {
        let bounds = self.header.bounds;
        // As if nothing of the block that is waiting compressed.
        let block = (self.block.len() + MAX_FRAME_HEAD_LEN + frame.body.len()) as u64;
        let needed = self.written.saturating_add(block + block / 128 + BLOCK_OVERHEAD + END_LEN);
        match () {
            () if frame.body.len() > MAX_BODY_BYTES => Some(Bound::Body),
            () if frame.offset_us / 1_000 > bounds.max_ms => Some(Bound::Time),
            () if needed > bounds.max_bytes => Some(Bound::Bytes),
            () => None,
        }
    }

    fn end_block(&mut self) -> io::Result<()> {
        if self.block.is_empty() {
            return Ok(());
        }
        let stored = zstd(&self.block);
        let length = |bytes: &[u8]| u32::try_from(bytes.len()).expect("a block is below 65 MiB").to_le_bytes();
        let head = [&[BLOCK][..], &length(&self.block), &length(&stored)].concat();
        self.put(&head)?;
        self.put(&stored)?;
        self.block.clear();
        // A large body does not keep its memory.
        self.block.shrink_to(2 * BLOCK_BYTES);
        Ok(())
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hash.update(bytes);
        self.written += bytes.len() as u64;
        self.out.write_all(bytes)
    }
}
