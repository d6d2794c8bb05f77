//! Taking entries out, as callers see it, and the thread that reads them.

use crate::disk::{Disk, DiskError};
use crate::frame::{HEADER_BYTES, Header, content_checksum};
use crate::index::Location;
use crate::shared::Shared;
use crate::writer::{MAX_UNSAVED, SAVE_EVERY};
use crate::{EntryId, Spool};
use bytes::Bytes;
use std::io::{self, ErrorKind};
use std::pin::pin;
use std::sync::Arc;
use tokio::sync::oneshot;

/// An entry that could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// What is on the disk is not what was written. The entry is lost, and counted ([`crate::Stats::lost_entries`]);
    /// the next call goes on behind it.
    #[error("entry {id} of {bytes} bytes is lost: what is on the disk is not what was written")]
    Lost {
        /// The entry.
        id: EntryId,
        /// The length of its frame.
        bytes: u64,
        /// What is wrong.
        #[source]
        source: DiskError,
    },
    /// The entry could not be read now, and stays: try again after a while.
    #[error("entry {id} cannot be read now, and stays in the spool")]
    Disk {
        /// The entry.
        id: EntryId,
        /// What is wrong.
        #[source]
        source: DiskError,
    },
    /// The spool is being closed.
    #[error("the spool is closed")]
    Closed,
}

/// An entry that was taken out to be delivered. Dropped, it is given back, to be taken again in its place.
#[derive(Debug)]
#[must_use = "dropped, it is given back: say `done` when it was delivered"]
pub struct Taken {
    hold: Hold,
    at_ms: u64,
    tag: Bytes,
    payload: Bytes,
}

impl Taken {
    /// Which entry it is.
    pub fn id(&self) -> EntryId {
        self.hold.id
    }

    /// When it was appended, as the caller of [`Spool::append`] said.
    pub fn at_ms(&self) -> u64 {
        self.at_ms
    }

    /// Its tag.
    pub fn tag(&self) -> &[u8] {
        &self.tag
    }

    /// Its payload.
    pub fn payload(&self) -> &Bytes {
        &self.payload
    }

    /// Says that it was delivered, or need not be: it is not kept any more. Before the spool is dropped; after that
    /// it is forgotten, and the entry comes again.
    pub fn done(mut self) {
        self.hold.finish(|_| {});
    }
}

/// An entry that is taken, and that is given back if nothing else is said.
struct Hold {
    shared: Arc<Shared>,
    id: EntryId,
    is_finished: bool,
}

impl std::fmt::Debug for Hold {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.id)
    }
}

impl Hold {
    fn finish(&mut self, count: impl FnOnce(&mut crate::shared::Counters)) {
        self.is_finished = true;
        let mut state = self.shared.lock();
        state.index.done(self.id);
        count(&mut state.counters);
        let has_work = state.index.has_complete() || state.index.totals().unsaved >= SAVE_EVERY;
        drop(state);
        if has_work {
            self.shared.wake_writer();
        }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        if !self.is_finished {
            self.shared.lock().index.give_back(self.id);
            self.shared.readable.notify_waiters();
        }
    }
}

/// What the reading thread is asked for.
pub(crate) struct ReadJob {
    location: Location,
    reply: oneshot::Sender<Result<Entry, Unreadable>>,
}

/// An entry that is taken in the index, and whose bytes are asked for.
struct Picked {
    hold: Hold,
    bytes: u64,
    answer: oneshot::Receiver<Result<Entry, Unreadable>>,
}

/// An entry from the disk.
struct Entry {
    at_ms: u64,
    tag: Bytes,
    payload: Bytes,
}

/// Why an entry cannot be read.
enum Unreadable {
    /// It never will be.
    Lost(DiskError),
    Now(DiskError),
}

impl Spool {
    /// The oldest entry that nobody has taken; waits until there is one. Several may be taken at once: how many, and so
    /// how much memory their payloads need, is the caller's bound. Dropping the future gives back what it had taken.
    ///
    /// It also waits while progress is being written: see the crate's header for the bound on duplicates.
    pub async fn next(&self) -> Result<Taken, ReadError> {
        let Picked { mut hold, bytes, answer } = self.pick().await?;
        match answer.await {
            Ok(Ok(Entry { at_ms, tag, payload })) => Ok(Taken { hold, at_ms, tag, payload }),
            Ok(Err(Unreadable::Lost(source))) => {
                hold.finish(|counters| {
                    counters.lost_entries += 1;
                    counters.lost_bytes += bytes;
                });
                Err(ReadError::Lost { id: hold.id, bytes, source })
            }
            Ok(Err(Unreadable::Now(source))) => Err(ReadError::Disk { id: hold.id, source }),
            Err(_) => Err(ReadError::Closed),
        }
    }

    async fn pick(&self) -> Result<Picked, ReadError> {
        loop {
            let mut readable = pin!(self.shared.readable.notified());
            // Before looking, so that nothing that comes after it is missed.
            readable.as_mut().enable();
            match self.try_pick()? {
                Some(picked) => return Ok(picked),
                None => readable.await,
            }
        }
    }

    fn try_pick(&self) -> Result<Option<Picked>, ReadError> {
        let mut state = self.shared.lock();
        if state.closed {
            return Err(ReadError::Closed);
        }
        if state.index.totals().unsaved >= MAX_UNSAVED {
            return Ok(None);
        }
        let Some((id, location)) = state.index.take() else { return Ok(None) };
        let hold = Hold { shared: self.shared.clone(), id, is_finished: false };
        let bytes = u64::from(location.length);
        let (reply, answer) = oneshot::channel();
        state.reads.push_back(ReadJob { location, reply });
        drop(state);
        self.shared.wake_reader();
        Ok(Some(Picked { hold, bytes, answer }))
    }
}

/// Reads one entry, and answers.
pub(crate) fn serve(shared: &Shared, job: ReadJob) {
    // Who stopped waiting has given the entry back.
    if !job.reply.is_closed() {
        drop(job.reply.send(read(&*shared.disk, &job.location)));
    }
}

fn read(disk: &dyn Disk, location: &Location) -> Result<Entry, Unreadable> {
    let mut frame = vec![0; location.length as usize];
    let read = disk.open(&location.name).and_then(|file| file.read_exact_at(&mut frame, location.place.offset));
    let failed = |source| disk.failed("read", &location.name, source);
    read.map_err(
        |error| if is_for_good(&error) { Unreadable::Lost(failed(error)) } else { Unreadable::Now(failed(error)) },
    )?;
    decode(frame.into(), location).ok_or_else(|| {
        let found = format!("the frame at {} does not hold against its checksum", location.place.offset);
        Unreadable::Lost(failed(io::Error::new(ErrorKind::InvalidData, found)))
    })
}

/// Whether reading again gives nothing either. Anything else (no file handles left, for instance) passes.
fn is_for_good(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::UnexpectedEof)
        || error.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error())
}

fn decode(frame: Bytes, location: &Location) -> Option<Entry> {
    let header = Header::decode(frame.first_chunk()?, location.place)?;
    let tag_end = HEADER_BYTES + usize::from(header.tag_length);
    let end = HEADER_BYTES + usize::try_from(header.content_bytes()).ok()?;
    if header.index != location.index || header.frame_bytes() != frame.len() as u64 {
        return None;
    }
    let (tag, payload) = (frame.slice(HEADER_BYTES..tag_end), frame.slice(tag_end..end));
    let holds = content_checksum(&tag, &payload) == header.content_checksum;
    holds.then_some(Entry { at_ms: header.at_ms, tag, payload })
}
