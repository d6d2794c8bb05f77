//! Makes durable what was written since the last time: tiles, bundles, their names, the checkpoint, and then a new base in the
//! write-ahead log, which frees the half that had those batches. Beside the appends, or between two of them.
//!
//! What is synced here was written before, and a file whose writing back failed in the meantime says so now. Then the ledger
//! takes no more, and opening it writes the files again from the write-ahead log.

use crate::DiskError;
use crate::disk::Disk;
use crate::place::CHECKPOINT;
use crate::wal::NextBase;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};

/// What is to be synced, and the base that says that it was.
pub(crate) struct Settling {
    pub disk: Arc<dyn Disk>,
    pub files: BTreeSet<String>,
    pub directories: BTreeSet<String>,
    pub next: NextBase,
}

/// When it is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HowToSettle {
    /// By the append that needs it.
    AtOnce,
    /// On a thread, while appends go on.
    Aside,
    /// When the room is needed at the latest: an order of events that a thread can have too.
    #[cfg(test)]
    Late,
}

/// What is being done, or will be.
pub(crate) enum InFlight {
    Thread {
        size: u64,
        thread: JoinHandle<Result<u64, DiskError>>,
    },
    #[cfg(test)]
    Late(Settling),
}

impl Settling {
    /// All of it. Returns the size of the log that is durable then.
    pub fn run(&self) -> Result<u64, DiskError> {
        for file in &self.files {
            self.disk.sync_file(file)?;
        }
        // A newer one may have replaced it. Then its name may become durable before its content: opening makes a torn
        // checkpoint again, from the base.
        self.disk.sync_file(CHECKPOINT)?;
        for directory in &self.directories {
            self.disk.sync_dir(directory)?;
        }
        self.disk.sync_dir("")?;
        self.next.write()?;
        Ok(self.next.size())
    }
}

impl HowToSettle {
    /// Begins, and returns what is not done yet.
    pub fn begin(self, settling: Settling) -> Result<Option<InFlight>, DiskError> {
        match self {
            HowToSettle::AtOnce => settling.run().map(|_| None),
            HowToSettle::Aside => {
                let size = settling.next.size();
                let settling = Arc::new(settling);
                let aside = settling.clone();
                match Builder::new().name("ledger-settle".to_owned()).spawn(move || aside.run()) {
                    Ok(thread) => Ok(Some(InFlight::Thread { size, thread })),
                    // Without a thread it takes longer.
                    Err(_) => settling.run().map(|_| None),
                }
            }
            #[cfg(test)]
            HowToSettle::Late => Ok(Some(InFlight::Late(settling))),
        }
    }
}

impl InFlight {
    /// The size of the log that will be durable.
    pub fn size(&self) -> u64 {
        match self {
            InFlight::Thread { size, .. } => *size,
            #[cfg(test)]
            InFlight::Late(settling) => settling.next.size(),
        }
    }

    /// Whether there is nothing to wait for any more.
    pub fn is_done(&self) -> bool {
        match self {
            InFlight::Thread { thread, .. } => thread.is_finished(),
            #[cfg(test)]
            InFlight::Late(_) => false,
        }
    }

    /// Waits until it is done.
    pub fn finish(self) -> Result<u64, DiskError> {
        match self {
            InFlight::Thread { thread, .. } => thread.join().expect("syncing does not panic"),
            #[cfg(test)]
            InFlight::Late(settling) => settling.run(),
        }
    }

    /// Waits until nothing is written any more.
    pub fn abandon(self) -> Result<(), DiskError> {
        match self {
            InFlight::Thread { .. } => self.finish().map(drop),
            #[cfg(test)]
            InFlight::Late(_) => Ok(()),
        }
    }
}
