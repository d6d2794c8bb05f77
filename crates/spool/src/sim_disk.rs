//! A disk in memory that fails or dies at a chosen call, fills up, and loses or tears what was not synced when the power
//! goes.

use crate::disk::{Disk, DiskFile, Listed};
use std::collections::BTreeMap;
use std::io::{self, ErrorKind, IoSlice};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

/// What is lost or kept as a whole.
const SECTOR: usize = 512;

/// A handle: clones are the same disk.
#[derive(Clone)]
pub(crate) struct SimDisk {
    sim: Arc<Mutex<Sim>>,
    /// A handle of a process that died does nothing any more.
    life: u64,
}

/// What is on the disk. A clone is another disk with the same content.
#[derive(Clone, Default)]
pub(crate) struct Sim {
    /// Names as processes see them, and as they are after a power loss.
    live: BTreeMap<String, usize>,
    durable: BTreeMap<String, usize>,
    files: Vec<Content>,
    random: u64,
    life: u64,
    /// Calls that change something.
    calls: u64,
    /// Fails once, at this call.
    pub fail_at: Option<u64>,
    /// The process dies at this call.
    pub die_at: Option<u64>,
    /// What all files may take.
    pub room: Option<u64>,
    /// Opening a file fails so many times, as without file handles.
    pub refuse_open: u32,
}

#[derive(Clone, Default)]
struct Content {
    live: Vec<u8>,
    durable: Vec<u8>,
}

/// What becomes of a call.
enum Call {
    Succeeds,
    /// It reports an error, and may have been carried out all the same.
    Fails {
        carried_out: bool,
    },
}

fn injected() -> io::Error {
    io::Error::other("injected")
}

fn no_space() -> io::Error {
    rustix::io::Errno::NOSPC.into()
}

impl Sim {
    pub(crate) fn random(&mut self, below: u64) -> u64 {
        // SplitMix64 (Steele, Lea, Flood, 2014).
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % below
    }

    fn call(&mut self) -> Call {
        self.calls += 1;
        if self.die_at == Some(self.calls) {
            self.life += 1;
        }
        let fails = self.fail_at == Some(self.calls) || self.die_at == Some(self.calls);
        if fails { Call::Fails { carried_out: self.random(2) == 0 } } else { Call::Succeeds }
    }

    fn carry_out<T>(&mut self, effect: impl FnOnce(&mut Sim) -> io::Result<T>) -> io::Result<T> {
        match self.call() {
            Call::Succeeds => effect(self),
            Call::Fails { carried_out } => {
                if carried_out {
                    effect(self)?;
                }
                Err(injected())
            }
        }
    }

    fn used(&self) -> u64 {
        self.live.values().map(|file| self.files[*file].live.len() as u64).sum()
    }

    /// The power goes: each name, and each sector that was not synced, is as it was or as it became.
    fn lose_power(&mut self) {
        self.life += 1;
        let mut names = self.durable.clone();
        let paths: Vec<_> = self.live.keys().chain(self.durable.keys()).cloned().collect();
        for path in paths {
            if self.live.get(&path) != self.durable.get(&path) && self.random(2) == 0 {
                match self.live.get(&path) {
                    Some(file) => names.insert(path, *file),
                    None => names.remove(&path),
                };
            }
        }
        (self.live, self.durable) = (names.clone(), names);
        for file in 0..self.files.len() {
            let Content { live, durable } = self.files[file].clone();
            let length = if self.random(2) == 0 { live.len() } else { durable.len() };
            let mut after: Vec<u8> = (0..length).map(|at| durable.get(at).copied().unwrap_or(0)).collect();
            for (sector, kept) in after.chunks_mut(SECTOR).enumerate() {
                let becomes = live.get(sector * SECTOR..).unwrap_or_default();
                if self.random(2) == 0 {
                    kept.iter_mut().zip(becomes).for_each(|(byte, becomes)| *byte = *becomes);
                }
            }
            self.files[file] = Content { live: after.clone(), durable: after };
        }
    }

    /// The content of a file, to damage it, or to add one.
    pub(crate) fn content(&mut self, name: &str) -> &mut Vec<u8> {
        let file = *self.live.entry(name.to_owned()).or_insert_with(|| {
            self.files.push(Content::default());
            self.files.len() - 1
        });
        self.durable.insert(name.to_owned(), file);
        &mut self.files[file].live
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.live.keys().cloned().collect()
    }

    pub(crate) fn calls(&self) -> u64 {
        self.calls
    }
}

impl SimDisk {
    pub(crate) fn new(sim: Sim, seed: u64) -> SimDisk {
        let life = sim.life;
        SimDisk { sim: Arc::new(Mutex::new(Sim { random: seed, ..sim })), life }
    }

    pub(crate) fn sim(&self) -> MutexGuard<'_, Sim> {
        self.sim.lock().unwrap()
    }

    /// The process is killed; the next one's handle comes back. What was written stays, synced or not.
    pub(crate) fn kill(&self) -> SimDisk {
        let mut sim = self.sim();
        sim.life += 1;
        (sim.fail_at, sim.die_at) = (None, None);
        SimDisk { sim: self.sim.clone(), life: sim.life }
    }

    /// The power goes, and comes back.
    pub(crate) fn lose_power(&self) -> SimDisk {
        self.sim().lose_power();
        self.kill()
    }

    fn alive(&self) -> io::Result<MutexGuard<'_, Sim>> {
        let sim = self.sim();
        if sim.life == self.life { Ok(sim) } else { Err(injected()) }
    }

    fn handle(&self, sim: &Sim, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let file = *sim.live.get(name).ok_or(ErrorKind::NotFound)?;
        Ok(Box::new(SimFile { disk: self.clone(), file }))
    }
}

impl Disk for SimDisk {
    fn root(&self) -> &Path {
        Path::new("simulated")
    }

    fn list(&self, _: usize) -> io::Result<Vec<Listed>> {
        let sim = self.alive()?;
        let listed = |(name, file): (&String, &usize)| {
            // A name in capitals stands for a directory, or what else is no file.
            let is_file = name.chars().any(|character| !character.is_uppercase());
            Listed { name: name.clone(), length: is_file.then_some(sim.files[*file].live.len() as u64) }
        };
        Ok(sim.live.iter().map(listed).collect())
    }

    fn create(&self, name: &str, bytes: u64) -> io::Result<Box<dyn DiskFile>> {
        let mut sim = self.alive()?;
        let room = sim.room;
        sim.carry_out(|sim| {
            if sim.live.contains_key(name) {
                return Err(ErrorKind::AlreadyExists.into());
            }
            if room.is_some_and(|room| sim.used() + bytes > room) {
                return Err(no_space());
            }
            sim.files.push(Content { live: vec![0; bytes as usize], durable: Vec::new() });
            sim.live.insert(name.to_owned(), sim.files.len() - 1);
            Ok(())
        })?;
        self.handle(&sim, name)
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let mut sim = self.alive()?;
        if sim.refuse_open > 0 {
            sim.refuse_open -= 1;
            return Err(rustix::io::Errno::MFILE.into());
        }
        self.handle(&sim, name)
    }

    fn open_to_write(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let sim = self.alive()?;
        self.handle(&sim, name)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.alive()?.carry_out(|sim| sim.live.remove(name).map(drop).ok_or(ErrorKind::NotFound.into()))
    }

    fn sync_dir(&self) -> io::Result<()> {
        self.alive()?.carry_out(|sim| {
            sim.durable = sim.live.clone();
            Ok(())
        })
    }
}

struct SimFile {
    disk: SimDisk,
    file: usize,
}

impl DiskFile for SimFile {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let sim = self.disk.alive()?;
        let from = sim.files[self.file].live.get(offset as usize..).unwrap_or_default();
        let found = from.get(..buffer.len()).ok_or(ErrorKind::UnexpectedEof)?;
        buffer.copy_from_slice(found);
        Ok(())
    }

    fn write_all_at(&self, slices: &mut [IoSlice<'_>], offset: u64) -> io::Result<()> {
        let bytes: Vec<u8> = slices.iter().flat_map(|slice| slice.to_vec()).collect();
        let mut sim = self.disk.alive()?;
        let (written, result) = match sim.call() {
            Call::Succeeds => (bytes.len(), Ok(())),
            Call::Fails { .. } => (sim.random(bytes.len() as u64 + 1) as usize, Err(injected())),
        };
        let (live, offset) = (&mut sim.files[self.file].live, offset as usize);
        if live.len() < offset + written {
            live.resize(offset + written, 0);
        }
        live[offset..offset + written].copy_from_slice(&bytes[..written]);
        result
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        self.disk.alive()?.carry_out(|sim| {
            sim.files[self.file].live.truncate(length as usize);
            Ok(())
        })
    }

    fn sync(&self) -> io::Result<()> {
        self.disk.alive()?.carry_out(|sim| {
            sim.files[self.file].durable = sim.files[self.file].live.clone();
            Ok(())
        })
    }
}
