//! The pins on their way to a process that takes over: what is pinned here stays where it began there.
//!
//! ```text
//! "verdigris pins 1\n"   16 bytes: the route key   u64: slots   slots x u64, as in memory; all little-endian
//! ```

use super::{PinTable, PinTime, STEP_BACK_S, TENTATIVE, TICKS};
use crate::run::{Bound, Gateway};
use model::{RouteKey, RouteTable};
use std::io::{self, Read, Write};
use std::sync::atomic::Ordering::SeqCst;

const MAGIC: &[u8; 17] = b"verdigris pins 1\n";

/// For how long a process may go on serving after it has written its pins, in seconds: a pin that it renews then counts
/// as seen at the end of this. A gateway drains for 35 s at most.
const SERVES_ON_S: u64 = 40;
const _: () = assert!(SERVES_ON_S < STEP_BACK_S, "an entry from later than that would look expired");

/// Slots that are read or written at once.
const CHUNK: usize = 8_192;

/// Why pins of another process are not taken over.
#[derive(Debug, thiserror::Error)]
pub enum PinsError {
    /// It ended early, or could not be read.
    #[error("the pins cannot be read: {0}")]
    Io(#[from] io::Error),
    /// Another program's.
    #[error("these are no pins of this format; expected {:?}", String::from_utf8_lossy(MAGIC).trim_end())]
    Format,
    /// Of another rollout: nothing in them is about its traces.
    #[error("the pins were made with another route key, for another rollout")]
    Key,
    /// A slot's place in the table is a part of what it says.
    #[error("the pins are of a table of {found} slots; this one has {expected}")]
    Slots {
        /// What was found.
        found: u64,
        /// This table's.
        expected: u64,
    },
}

impl Bound {
    /// Takes over the pins of another process that still live, written a moment ago, and tells how many they are. `table`
    /// is what will apply first, `now_us` the time in Unix microseconds. What was read before an error stays: it is true.
    pub fn read_pins(&self, table: &RouteTable, now_us: u64, from: &mut impl Read) -> Result<u64, PinsError> {
        self.shared.pins.read(&table.key, PinTime::new(now_us, table.pin_ms), from)
    }
}

impl Gateway {
    /// Writes which traces are in flight and where they began, for [`Bound::read_pins`]: 16 MiB by default. `false`, and
    /// nothing written, while no rollout runs, for then none are kept.
    pub fn write_pins(&self, out: &mut impl Write) -> io::Result<bool> {
        match self.shared.snapshot.load_full() {
            Some(snapshot) if snapshot.candidate().is_some() => {
                self.shared.pins.write(&snapshot.table.key, out).map(|()| true)
            }
            Some(_) | None => Ok(false),
        }
    }
}

impl PinTable {
    pub(crate) fn write(&self, key: &RouteKey, out: &mut impl Write) -> io::Result<()> {
        out.write_all(MAGIC)?;
        out.write_all(&key.0)?;
        out.write_all(&(self.slots.len() as u64).to_le_bytes())?;
        let mut bytes = Vec::with_capacity(CHUNK * 8);
        for slots in self.slots.chunks(CHUNK) {
            bytes.clear();
            bytes.extend(slots.iter().flat_map(|slot| slot.load(SeqCst).to_le_bytes()));
            out.write_all(&bytes)?;
        }
        Ok(())
    }

    /// Takes live entries into a table that nobody uses yet, and tells how many.
    pub(crate) fn read(&self, key: &RouteKey, time: PinTime, from: &mut impl Read) -> Result<u64, PinsError> {
        let mut head = [0; MAGIC.len() + 16 + 8];
        from.read_exact(&mut head)?;
        let (magic, rest) = head.split_at(MAGIC.len());
        let (its_key, slots) = rest.split_at(16);
        if magic != MAGIC {
            return Err(PinsError::Format);
        }
        if its_key != key.0 {
            return Err(PinsError::Key);
        }
        let (found, expected) = (word(slots), self.slots.len() as u64);
        if found != expected {
            return Err(PinsError::Slots { found, expected });
        }
        let mut bytes = vec![0; CHUNK * 8];
        let mut taken = 0;
        for slots in self.slots.chunks(CHUNK) {
            let bytes = &mut bytes[..slots.len() * 8];
            from.read_exact(bytes)?;
            for (slot, bytes) in slots.iter().zip(bytes.chunks_exact(8)) {
                let entry = word(bytes);
                if entry & TENTATIVE == 0 && time.is_live(entry) {
                    let tick = (time.tick + SERVES_ON_S) % TICKS;
                    slot.store(entry - entry % TICKS + tick, SeqCst);
                    taken += 1;
                }
            }
        }
        Ok(taken)
    }
}

fn word(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte))
}
