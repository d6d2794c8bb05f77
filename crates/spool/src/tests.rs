//! A spool over a simulated disk, whose threads are moved by hand: each test is deterministic.

mod behaviour;
mod crash;
mod damage;
mod format;
mod model;

use crate::open::{OpenError, Recovered};
use crate::sim_disk::{Sim, SimDisk};
use crate::take::serve;
use crate::writer::Writer;
use crate::{AppendError, EntryId, Limits, ReadError, Spool, Taken};
use bytes::Bytes;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

/// Two slots and about 8 KiB of frames in a segment; six segments.
const SMALL: Limits =
    Limits { max_bytes: 6 * 16_384, segment_bytes: 16_384, max_entries: 1000, max_waiting_bytes: 64 * 1024 };

/// An open spool and the disk beneath it.
struct Rig {
    disk: SimDisk,
    spool: Spool,
    writer: Writer,
    recovered: Recovered,
}

impl Rig {
    fn open(disk: SimDisk, limits: Limits) -> Result<Rig, OpenError> {
        let (spool, writer, recovered) = Spool::open_on(Box::new(disk.clone()), limits, None)?;
        Ok(Rig { disk, spool, writer, recovered })
    }

    /// An empty spool.
    fn new(limits: Limits) -> Rig {
        Rig::open(SimDisk::new(Sim::default(), 7), limits).unwrap()
    }

    /// Ends as `Spool`'s drop does, and opens it again.
    fn close(mut self, limits: Limits) -> Rig {
        self.writer.finish();
        Rig::open(self.disk.kill(), limits).unwrap()
    }

    /// Appends entries that wait together.
    fn append_group(&mut self, entries: &[(u64, &[u8], Bytes)]) -> Vec<Result<EntryId, AppendError>> {
        let append = |(at_ms, tag, payload): &(u64, &[u8], Bytes)| {
            let (spool, at_ms, tag, payload) = (&self.spool, *at_ms, tag.to_vec(), payload.clone());
            Box::pin(async move { spool.append(at_ms, &tag, payload).await })
        };
        let mut appends: Vec<_> = entries.iter().map(append).collect();
        let context = &mut Context::from_waker(Waker::noop());
        let mut answers: Vec<_> = appends.iter_mut().map(|append| append.as_mut().poll(context)).collect();
        // Groups are bounded, so one step may not take all.
        while self.spool.stats().waiting_bytes > 0 {
            self.writer.step();
        }
        for (answer, append) in answers.iter_mut().zip(&mut appends) {
            if answer.is_pending() {
                *answer = append.as_mut().poll(context);
            }
        }
        let ready = |answer| match answer {
            Poll::Ready(answer) => answer,
            Poll::Pending => panic!("an append was not answered"),
        };
        answers.into_iter().map(ready).collect()
    }

    fn append(&mut self, at_ms: u64, tag: &[u8], payload: &[u8]) -> Result<EntryId, AppendError> {
        self.append_group(&[(at_ms, tag, Bytes::copy_from_slice(payload))]).remove(0)
    }

    /// The next entry, if there is one now.
    fn next(&self) -> Option<Result<Taken, ReadError>> {
        let mut next = pin!(self.spool.next());
        let context = &mut Context::from_waker(Waker::noop());
        if let Poll::Ready(next) = next.as_mut().poll(context) {
            return Some(next);
        }
        while let Some(job) = { self.spool.shared.lock().reads.pop_front() } {
            serve(&self.spool.shared, job);
        }
        match next.poll(context) {
            Poll::Ready(next) => Some(next),
            Poll::Pending => None,
        }
    }

    fn take(&self) -> Taken {
        self.next().expect("there is an entry").expect("it can be read")
    }

    /// All entries that can be read, held.
    fn take_all(&self) -> Vec<Taken> {
        let mut taken = Vec::new();
        while let Some(next) = self.next() {
            match next {
                Ok(entry) => taken.push(entry),
                Err(ReadError::Lost { .. }) => {}
                Err(error) => panic!("{error}"),
            }
        }
        taken
    }
}

/// Bytes that no other number has.
fn payload(number: u64, length: usize) -> Bytes {
    let mut sim = (number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let next = |_| {
        sim ^= sim << 13;
        sim ^= sim >> 7;
        sim ^= sim << 17;
        sim as u8
    };
    (0..length).map(next).collect()
}
