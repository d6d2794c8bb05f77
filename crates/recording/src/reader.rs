use crate::format::{
    BLOCK, DIGEST_LEN, END, HEAD_LEN, MAGIC, MAX_PLAIN_LEN, MAX_STORED_LEN, TOTALS_LEN, read_frame, read_header,
    read_totals,
};
use crate::{Frame, Header, Totals};
use otlp::compression::unzstd;
use sha2::{Digest, Sha256};
use std::io::{self, Read};

/// A recording that cannot be read, or not to its end.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It does not begin as one.
    #[error("this is no recording of version 1; expected what `verdigris` recorded, opened with its identity")]
    NotARecording,
    /// It was cut off.
    #[error(
        "the recording was cut off after {frames} requests; they are as they came, but how many more there were is not known"
    )]
    CutOff {
        /// Frames that were read.
        frames: u64,
    },
    /// It is not what was written.
    #[error("the recording is damaged after {frames} requests: {what}; use another copy")]
    Damaged {
        /// Frames that were read.
        frames: u64,
        /// What is wrong.
        what: &'static str,
    },
    /// What it is read from fails; age fails so where a sealed recording was altered or cut off.
    #[error("the recording cannot be read after {frames} requests: {source}")]
    Read {
        /// Frames that were read.
        frames: u64,
        /// Why.
        source: io::Error,
    },
}

/// Reads a recording, frame after frame, with one block in memory: 129 MiB at the very worst, and some 300 KiB of most.
///
/// Frames are handed out before the end is known: after the last one [`Reader::totals`] says that it was a whole recording.
/// After an error nothing follows.
#[derive(Debug)]
pub struct Reader<R> {
    input: R,
    header: Header,
    hash: Sha256,
    block: Vec<u8>,
    at: usize,
    last_us: u64,
    read: Totals,
    ended: Option<Totals>,
    failed: bool,
}

impl<R: Read> Reader<R> {
    /// Reads the head.
    pub fn new(mut input: R) -> Result<Reader<R>, ReadError> {
        let mut head = [0; HEAD_LEN];
        input.read_exact(&mut head).map_err(|source| match source.kind() {
            io::ErrorKind::UnexpectedEof => ReadError::NotARecording,
            _ => ReadError::Read { frames: 0, source },
        })?;
        let (magic, rest) = head.split_first_chunk().expect("the head begins with the magic");
        let rest = rest.first_chunk().expect("the head is as long as it is");
        let header = (*magic == MAGIC).then(|| read_header(rest)).flatten().ok_or(ReadError::NotARecording)?;
        let (hash, read) = (Sha256::new_with_prefix(head), Totals::default());
        Ok(Reader { input, header, hash, block: Vec::new(), at: 0, last_us: 0, read, ended: None, failed: false })
    }

    /// What was known when it began.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// What is in it, once it was read to its end and is whole.
    pub fn totals(&self) -> Option<Totals> {
        self.ended
    }

    fn read(&mut self) -> Result<Option<Frame>, ReadError> {
        while self.at == self.block.len() {
            match self.take::<1>()? {
                [BLOCK] => self.read_block()?,
                [END] => return self.read_end().map(|()| None),
                _ => return Err(self.damaged("neither a block nor the end begins there")),
            }
        }
        let mut rest = &self.block[self.at..];
        let frame = read_frame(&mut rest, self.last_us).map_err(|what| self.damaged(what))?;
        self.at = self.block.len() - rest.len();
        self.last_us = frame.offset_us;
        self.read.frames += 1;
        self.read.body_bytes += frame.body.len() as u64;
        self.read.duration_us = self.read.duration_us.max(frame.offset_us);
        Ok(Some(frame))
    }

    fn read_block(&mut self) -> Result<(), ReadError> {
        let mut lengths = [0; 2];
        for length in &mut lengths {
            *length = u32::from_le_bytes(self.take()?) as usize;
        }
        let [plain, stored] = lengths;
        if plain == 0 || plain > MAX_PLAIN_LEN || stored > MAX_STORED_LEN {
            return Err(self.damaged("a block of a size that is never written"));
        }
        let mut bytes = Vec::new();
        // Grows with what is there, and not with what is claimed.
        let read = self.input.by_ref().take(stored as u64).read_to_end(&mut bytes);
        read.map_err(|source| self.failed(source))?;
        if bytes.len() < stored {
            return Err(ReadError::CutOff { frames: self.read.frames });
        }
        self.hash.update(&bytes);
        let block = unzstd(&bytes, plain).map_err(|_| self.damaged("a block does not decompress"))?;
        if block.len() != plain {
            return Err(self.damaged("a block has another size than it says"));
        }
        (self.block, self.at) = (block, 0);
        Ok(())
    }

    fn read_end(&mut self) -> Result<(), ReadError> {
        let totals = read_totals(&self.take::<TOTALS_LEN>()?);
        let expected = self.hash.clone().finalize();
        let digest = self.take::<DIGEST_LEN>()?;
        let read = Totals { dropped_frames: totals.dropped_frames, dropped_bytes: totals.dropped_bytes, ..self.read };
        if digest[..] != expected[..] || totals != read {
            return Err(self.damaged("its totals or its digest do not hold"));
        }
        // Also makes age look at its last chunk.
        match self.input.read(&mut [0]) {
            Ok(0) => {}
            Ok(_) => return Err(self.damaged("bytes follow its end")),
            Err(source) => return Err(self.failed(source)),
        }
        self.ended = Some(totals);
        Ok(())
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], ReadError> {
        let mut bytes = [0; N];
        self.input.read_exact(&mut bytes).map_err(|source| self.failed(source))?;
        self.hash.update(bytes);
        Ok(bytes)
    }

    fn failed(&self, source: io::Error) -> ReadError {
        let frames = self.read.frames;
        match source.kind() {
            io::ErrorKind::UnexpectedEof => ReadError::CutOff { frames },
            _ => ReadError::Read { frames, source },
        }
    }

    fn damaged(&self, what: &'static str) -> ReadError {
        ReadError::Damaged { frames: self.read.frames, what }
    }
}

impl<R: Read> Iterator for Reader<R> {
    type Item = Result<Frame, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed || self.ended.is_some() {
            return None;
        }
        let read = self.read();
        self.failed = read.is_err();
        read.transpose()
    }
}
