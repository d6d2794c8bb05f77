//! Where traces in flight began: what makes that a shift never tears a trace, nor a changed set of endpoints.
//!
//! A table of a fixed number of slots, eight bytes each, without locks and without allocation after its start. A slot
//! holds a fingerprint of a trace, the place where the trace began, and when a span of it came last, in seconds.
//! It never forgets a live trace to take another one: where there is no room, that is said, and counted.

mod carry;

pub use carry::PinsError;

use model::Pins;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use zerocopy::FromZeros;

/// Slots in which a trace may be, one after the other: two cache lines. At half load a window of 16 is full of live
/// entries about once in 10^5 (Poisson, mean 8); that trace is routed by its bucket.
const WINDOW: usize = 16;

/// How often a decision is tried again after another thread changed the slot in between, at some 20 ns each. Nobody is in
/// the way for longer than one try unless its thread is suspended in the middle.
const SPINS: usize = 64;

/// After that, how often the processor is left to the suspended thread. A trace that it still holds then goes by its
/// bucket, as all of its threads do: they disagree only if the route table changes in just that moment as well.
const YIELDS: usize = 64;

/// Slots that [`PinTable::live`] looks at, at most: the sample of 32,768 knows a share of 1 % within 6 % of itself.
const SAMPLE: usize = 1 << 15;

/// How far back the clock may step before its old entries look expired, in seconds.
const STEP_BACK_S: u64 = 60;

const TICK_BITS: u32 = 15;
const TICKS: u64 = 1 << TICK_BITS;
const PLACE_BITS: u32 = 4;
const TENTATIVE: u64 = 1 << (TICK_BITS + PLACE_BITS);
const FINGERPRINT_SHIFT: u32 = TICK_BITS + PLACE_BITS + 1;

/// Where a trace can be, below [`PLACES`]: an environment, or one of its endpoints.
pub(crate) type Place = u8;

/// How many places there can be.
pub(crate) const PLACES: usize = 1 << PLACE_BITS;

/// The longest time that a trace can stay pinned after its last span, in seconds: half the range of the tick, 4.5 hours.
pub const MAX_PIN_S: u64 = TICKS / 2 - 1;

/// A slot is 0, or 44 bits of fingerprint (never 0), 1 bit "tentative", 4 bits of place, 15 bits of seconds.
pub(crate) struct PinTable {
    slots: Box<[AtomicU64]>,
}

/// The time of one request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PinTime {
    tick: u64,
    life: u64,
}

/// What became of a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Settled {
    /// It was in the table, or is now, with this place.
    Pinned(Place),
    /// It had begun at another place, and was moved to the wanted one.
    Torn,
    /// It is not in the table, and there was no room for it (or it was not to be recorded): the wanted place.
    Unpinned,
    /// As `Unpinned`, for want of room, or because a suspended thread was in the way.
    Full,
}

impl PinTime {
    /// `now_us` are Unix microseconds.
    pub(crate) fn new(now_us: u64, pin_ms: u64) -> PinTime {
        PinTime { tick: now_us / 1_000_000 % TICKS, life: pin_ms.div_ceil(1000).min(MAX_PIN_S) }
    }

    fn is_live(self, word: u64) -> bool {
        let age = self.tick.wrapping_sub(word) % TICKS;
        word != 0 && (word & TENTATIVE != 0 || age <= self.life || age >= TICKS - STEP_BACK_S)
    }
}

/// What a look at a trace's window found.
enum Look {
    /// Its entry.
    Entry { slot: usize, word: u64 },
    /// Another thread is about to enter it.
    Tentative,
    /// It is not there; this slot can be had.
    Free { slot: usize, word: u64 },
    /// It is not there, and every slot is another live trace's.
    Full,
}

impl PinTable {
    /// A table of `slots` slots, rounded up to a power of two.
    pub(crate) fn new(slots: usize) -> PinTable {
        let slots = slots.max(WINDOW).next_power_of_two();
        // From the system as zeros: a page that no trace needed yet takes no memory.
        let slots = <[AtomicU64]>::new_box_zeroed_with_elems(slots).expect("the bound of pins is far below all memory");
        PinTable { slots }
    }

    /// Decides where a trace goes that by its bucket would go to `wanted`.
    ///
    /// [`Pins::Keep`]: where it began. The first thread to enter a trace decides, and all others get the same answer.
    /// [`Pins::Tear`]: to `wanted`; the entry is changed, so that a torn trace is told once.
    /// Without `record` a trace that is not there is not entered.
    pub(crate) fn settle(&self, trace: PinHash, wanted: Place, pins: Pins, time: PinTime, record: bool) -> Settled {
        for attempt in 0..SPINS + YIELDS {
            if attempt >= SPINS {
                std::thread::yield_now();
            }
            match self.look(trace, time) {
                Look::Entry { slot, word } => {
                    let (live, began) = (time.is_live(word), place(word));
                    let (to, settled) = match pins {
                        Pins::Keep if live => (began, Settled::Pinned(began)),
                        Pins::Tear if live && began != wanted => (wanted, Settled::Torn),
                        Pins::Keep | Pins::Tear => (wanted, Settled::Pinned(wanted)),
                    };
                    let new = trace.word(to, time);
                    // If another thread was first, what it made of the slot counts.
                    if new == word || self.replace(slot, word, new) {
                        return settled;
                    }
                }
                Look::Tentative => std::hint::spin_loop(),
                Look::Free { .. } | Look::Full if !record => return Settled::Unpinned,
                Look::Free { slot, word } => {
                    if self.enter(slot, word, trace, wanted, time) {
                        return Settled::Pinned(wanted);
                    }
                }
                Look::Full => return Settled::Full,
            }
        }
        Settled::Full
    }

    /// Where a trace began, without a change of anything: by an entry that is live at this time, or by any that is left.
    pub(crate) fn peek(&self, trace: PinHash, live_at: Option<PinTime>) -> Option<Place> {
        let words = self.window(trace).map(|slot| self.slots[slot].load(SeqCst));
        let mut own = words.filter(|word| trace.is_in(*word) && word & TENTATIVE == 0);
        own.find(|word| live_at.is_none_or(|time| time.is_live(*word))).map(place)
    }

    /// How many traces are pinned now; estimated from a sample if the table is large.
    pub(crate) fn live(&self, time: PinTime) -> u64 {
        let sample = self.slots.len().min(SAMPLE);
        let live = self.slots[..sample].iter().filter(|slot| time.is_live(slot.load(SeqCst))).count();
        (live * (self.slots.len() / sample)) as u64
    }

    /// Enters a trace in two steps, for two threads may take two different slots for it (a slot expires between their
    /// looks). Each writes a tentative entry, and then looks for another one: as all of it is sequentially consistent,
    /// the later of two sees the earlier, and takes its own back. Nobody follows a tentative entry. So there are never
    /// two entries that were followed.
    fn enter(&self, slot: usize, word: u64, trace: PinHash, wanted: Place, time: PinTime) -> bool {
        let entry = trace.word(wanted, time);
        if !self.replace(slot, word, entry | TENTATIVE) {
            return false;
        }
        let alone = self.window(trace).all(|other| other == slot || !trace.is_in(self.slots[other].load(SeqCst)));
        let settled = self.replace(slot, entry | TENTATIVE, if alone { entry } else { 0 });
        assert!(settled, "nobody else changes a tentative entry");
        alone
    }

    fn look(&self, trace: PinHash, time: PinTime) -> Look {
        let (mut free, mut tentative) = (None, false);
        for slot in self.window(trace) {
            let word = self.slots[slot].load(SeqCst);
            if trace.is_in(word) {
                if word & TENTATIVE == 0 {
                    return Look::Entry { slot, word };
                }
                tentative = true;
            } else if free.is_none() && !time.is_live(word) {
                free = Some((slot, word));
            }
        }
        match (tentative, free) {
            (true, _) => Look::Tentative,
            (false, Some((slot, word))) => Look::Free { slot, word },
            (false, None) => Look::Full,
        }
    }

    fn window(&self, trace: PinHash) -> impl Iterator<Item = usize> {
        let mask = self.slots.len() - 1;
        (0..WINDOW).map(move |step| (trace.0 as usize).wrapping_add(step) & mask)
    }

    fn replace(&self, slot: usize, old: u64, new: u64) -> bool {
        self.slots[slot].compare_exchange(old, new, SeqCst, SeqCst).is_ok()
    }
}

/// A trace's [`model::RouteKey::mark`]: keyed, so that nobody can choose trace ids that fill one window.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PinHash(pub(crate) u64);

impl PinHash {
    /// The low bits choose the window, the high 44 tell the trace from the others there: two live traces are taken for
    /// one with a probability of 16 / 2^44 a look at most.
    fn fingerprint(self) -> u64 {
        (self.0 >> FINGERPRINT_SHIFT).max(1)
    }

    fn word(self, place: Place, time: PinTime) -> u64 {
        debug_assert!(usize::from(place) < PLACES, "a place has four bits");
        self.fingerprint() << FINGERPRINT_SHIFT | u64::from(place) << TICK_BITS | time.tick
    }

    fn is_in(self, word: u64) -> bool {
        word >> FINGERPRINT_SHIFT == self.fingerprint()
    }
}

fn place(word: u64) -> Place {
    (word >> TICK_BITS) as Place % PLACES as Place
}

#[cfg(test)]
mod tests;
