//! A disk in memory that fails at a chosen call, and that loses or tears what was not synced when the power goes.

use crate::DiskError;
use crate::disk::{Disk, Identity, OpenFile, ReadDisk};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

/// A handle: clones are the same disk.
#[derive(Clone)]
pub(crate) struct SimDisk(Arc<Mutex<Sim>>);

/// What is on the disk. A clone is another disk with the same content.
#[derive(Clone, Default)]
pub(crate) struct Sim {
    /// Names as processes see them, and names as they are after a power loss.
    live: BTreeMap<String, Node>,
    durable: BTreeMap<String, Node>,
    files: Vec<Content>,
    random: u64,
    /// Calls that change something or list a directory.
    calls: u64,
    /// Fails at this call.
    fail_at: Option<u64>,
    /// And at every later one, as for a process that has ended.
    fails_on: bool,
    /// Whether there is room for content that is not there yet.
    is_full: bool,
    /// Every content that the checkpoint had, for however short.
    pub published: BTreeSet<String>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Node {
    Directory,
    File(usize),
}

#[derive(Clone, Default)]
struct Content {
    live: Arc<Vec<u8>>,
    durable: Arc<Vec<u8>>,
}

/// What becomes of a call.
enum Call {
    Succeeds,
    /// It reports an error, and may have been carried out all the same.
    Fails {
        carried_out: bool,
    },
}

impl Sim {
    fn random(&mut self, below: u64) -> u64 {
        // SplitMix64 (Steele, Lea, Flood, 2014).
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % below
    }

    fn call(&mut self) -> Call {
        self.calls += 1;
        let fails = self.fail_at.is_some_and(|at| at == self.calls || self.fails_on && at < self.calls);
        let is_first = self.fail_at == Some(self.calls);
        if fails { Call::Fails { carried_out: is_first && self.random(2) == 0 } } else { Call::Succeeds }
    }

    /// Makes one call with an effect.
    fn carry_out<T>(&mut self, effect: impl FnOnce(&mut Sim) -> io::Result<T>) -> io::Result<T> {
        match self.call() {
            Call::Succeeds => effect(self),
            Call::Fails { carried_out } => {
                if carried_out {
                    effect(self)?;
                }
                Err(io::Error::other("injected"))
            }
        }
    }

    fn file(&self, path: &str) -> Option<usize> {
        match self.live.get(path) {
            Some(Node::File(file)) => Some(*file),
            Some(Node::Directory) | None => None,
        }
    }

    fn is_directory(&self, path: &str) -> bool {
        path.is_empty() || self.live.get(path) == Some(&Node::Directory)
    }

    /// Overwrites a part of a file, or adds to it; a failing call may have done some of it.
    fn write(&mut self, file: usize, offset: usize, content: &[u8]) -> io::Result<()> {
        let (written, result) = match self.call() {
            Call::Succeeds => (content.len(), Ok(())),
            Call::Fails { .. } if self.fail_at == Some(self.calls) => {
                (self.random(content.len() as u64 + 1) as usize, Err(io::Error::other("injected")))
            }
            Call::Fails { .. } => return Err(io::Error::other("injected")),
        };
        let live = Arc::make_mut(&mut self.files[file].live);
        if offset + written > live.len() {
            if self.is_full {
                return Err(io::Error::from_raw_os_error(28));
            }
            live.resize(offset + written, 0);
        }
        live[offset..offset + written].copy_from_slice(&content[..written]);
        result
    }

    /// The file of this name, empty.
    fn create(&mut self, path: &str) -> usize {
        let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
        assert!(self.is_directory(parent), "{parent} should be a directory");
        if let Some(file) = self.file(path) {
            self.files[file].live = Arc::default();
            return file;
        }
        self.files.push(Content::default());
        self.live.insert(path.to_owned(), Node::File(self.files.len() - 1));
        self.files.len() - 1
    }

    /// A file's content is forgotten once no name leads to it.
    pub fn forget_unnamed(&mut self) {
        let mut kept = BTreeMap::new();
        let mut files = Vec::new();
        for node in self.live.values_mut().chain(self.durable.values_mut()) {
            let Node::File(file) = node else { continue };
            let content = &self.files[*file];
            *file = *kept.entry(*file).or_insert_with(|| {
                files.push(content.clone());
                files.len() - 1
            });
        }
        self.files = files;
    }

    /// From now on somebody may have seen it.
    fn note_published(&mut self, path: &str) {
        if path == crate::place::CHECKPOINT {
            let file = self.file(path).expect("it was just named");
            let text = String::from_utf8(self.files[file].live.to_vec()).unwrap();
            self.published.insert(text);
        }
    }

    fn sync(&mut self, file: usize) -> io::Result<()> {
        self.carry_out(|sim| {
            sim.files[file].durable = sim.files[file].live.clone();
            Ok(())
        })
    }

    /// The power goes: each name and each content that was not synced is as it was, as it became, or torn.
    fn lose_power(&mut self) {
        let mut names = self.durable.clone();
        let paths: Vec<_> = self.live.keys().chain(self.durable.keys()).cloned().collect();
        for path in paths {
            if self.live.get(&path) != self.durable.get(&path) && self.random(2) == 0 {
                match self.live.get(&path) {
                    Some(node) => names.insert(path, *node),
                    None => names.remove(&path),
                };
            }
        }
        let all = names.clone();
        let reachable = |path: &str| crate::place::directories_above(path).all(|directory| all.contains_key(directory));
        names.retain(|path, _| reachable(path));
        (self.live, self.durable) = (names.clone(), names);
        for file in 0..self.files.len() {
            let Content { live, durable } = self.files[file].clone();
            if live == durable {
                continue;
            }
            let after = match self.random(3) {
                0 => live,
                1 => durable,
                _ => Arc::new(self.tear(&live, &durable)),
            };
            self.files[file] = Content { live: after.clone(), durable: after };
        }
    }

    /// Of what was not synced some reached the disk, up to somewhere, but for a stretch. What was synced stays.
    fn tear(&mut self, live: &[u8], durable: &[u8]) -> Vec<u8> {
        let shorter = live.len().min(durable.len());
        let same = live.iter().zip(durable).position(|(live, durable)| live != durable).unwrap_or(shorter);
        let end = same + self.random((live.len() - same) as u64 + 1) as usize;
        let hole = same + self.random((end - same) as u64 + 1) as usize;
        let hole_end = (hole + self.random(64) as usize).min(end);
        let mut torn = durable.to_vec();
        torn.resize(torn.len().max(end), 0);
        torn[same..hole].copy_from_slice(&live[same..hole]);
        torn[hole_end..end].copy_from_slice(&live[hole_end..end]);
        // A file that was shortened is as long as it was, or as it became, or in between.
        let lengths = (torn.len().max(live.len()) - live.len()) as u64;
        torn.truncate(live.len().max(end) + self.random(lengths + 1) as usize);
        torn
    }

    /// All paths of files, to count what is in a directory.
    pub fn paths(&self) -> Vec<String> {
        self.live.iter().filter(|(_, node)| **node != Node::Directory).map(|(path, _)| path.clone()).collect()
    }

    /// What is in a file, to be altered.
    pub fn content(&mut self, path: &str) -> &mut Vec<u8> {
        let file = self.file(path).unwrap_or_else(|| panic!("no file {path}"));
        Arc::make_mut(&mut self.files[file].live)
    }

    /// Gives the name to another file with the same content.
    pub fn replace(&mut self, path: &str) {
        let content = self.content(path).clone();
        self.live.remove(path);
        let file = self.create(path);
        self.files[file].live = Arc::new(content);
    }

    /// Alters a byte of a file, or takes the file away.
    pub fn damage(&mut self, path: &str, at: Option<usize>) {
        match (self.file(path), at) {
            (Some(file), Some(at)) => Arc::make_mut(&mut self.files[file].live)[at] ^= 1,
            (Some(_), None) => drop(self.live.remove(path)),
            (None, _) => panic!("no file {path}"),
        }
    }
}

impl SimDisk {
    pub(crate) fn new(sim: Sim, seed: u64) -> SimDisk {
        SimDisk(Arc::new(Mutex::new(Sim { random: seed, ..sim })))
    }

    pub(crate) fn sim(&self) -> MutexGuard<'_, Sim> {
        self.0.lock().unwrap()
    }

    pub(crate) fn lose_power(&self) {
        self.sim().lose_power();
    }

    /// Fails at the call so many calls from now.
    pub(crate) fn fail_in(&self, calls: Option<u64>) {
        let mut sim = self.sim();
        sim.fail_at = calls.map(|calls| sim.calls + calls);
        sim.fails_on = false;
    }

    /// Fails at the call so many calls from now, and at each after it: nothing more that the process does has an effect, but
    /// perhaps that one call.
    pub(crate) fn end_in(&self, calls: u64) {
        self.fail_in(Some(calls));
        self.sim().fails_on = true;
    }

    /// Whether what would make files longer fails with ENOSPC.
    pub(crate) fn set_full(&self, is_full: bool) {
        self.sim().is_full = is_full;
    }

    /// Whether the failure came to pass.
    pub(crate) fn failed(&self) -> bool {
        let sim = self.sim();
        sim.fail_at.is_some_and(|at| at <= sim.calls)
    }

    pub(crate) fn random(&self, below: u64) -> u64 {
        self.sim().random(below)
    }

    fn on<T>(
        &self,
        doing: &'static str,
        path: &str,
        run: impl FnOnce(&mut Sim) -> io::Result<T>,
    ) -> Result<T, DiskError> {
        run(&mut self.sim()).map_err(|source| DiskError { doing, path: path.into(), source })
    }
}

fn not_found<T>() -> io::Result<T> {
    Err(io::ErrorKind::NotFound.into())
}

/// A file of it that is kept open.
struct SimFile {
    disk: SimDisk,
    file: usize,
    path: String,
}

fn identity(sim: &Sim, file: usize) -> Identity {
    Identity { device: 0, inode: file as u64, length: sim.files[file].live.len() as u64 }
}

impl ReadDisk for SimDisk {
    fn read(&self, path: &str, at_most: usize) -> Result<Option<Vec<u8>>, DiskError> {
        self.on("read", path, |sim| {
            let content = sim.file(path).map(|file| sim.files[file].live.to_vec());
            assert!(content.as_ref().is_none_or(|content| content.len() <= at_most));
            Ok(content)
        })
    }

    fn length(&self, path: &str) -> Result<Option<u64>, DiskError> {
        self.on("look at", path, |sim| Ok(sim.file(path).map(|file| sim.files[file].live.len() as u64)))
    }

    fn list(&self, path: &str) -> Result<Option<Vec<String>>, DiskError> {
        self.on("list", path, |sim| {
            sim.carry_out(|sim| {
                if !sim.is_directory(path) {
                    return Ok(None);
                }
                let prefix = if path.is_empty() { String::new() } else { format!("{path}/") };
                let beneath = sim.live.range(prefix.clone()..).map_while(|(name, _)| name.strip_prefix(&prefix));
                Ok(Some(beneath.filter(|name| !name.contains('/')).map(str::to_owned).collect()))
            })
        })
    }
}

impl Disk for SimDisk {
    fn create_dir(&self, path: &str) -> Result<bool, DiskError> {
        self.on("make the directory", path, |sim| {
            sim.carry_out(|sim| {
                let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
                assert!(sim.is_directory(parent), "{parent} should be a directory");
                if sim.is_directory(path) {
                    return Ok(false);
                }
                if sim.is_full {
                    return Err(io::Error::from_raw_os_error(28));
                }
                sim.live.insert(path.to_owned(), Node::Directory);
                Ok(true)
            })
        })
    }

    fn write(&self, path: &str, content: &[u8]) -> Result<Box<dyn OpenFile>, DiskError> {
        self.on("write", path, |sim| {
            let file = sim.carry_out(|sim| Ok(sim.create(path)))?;
            sim.write(file, 0, content)?;
            Ok(Box::new(SimFile { disk: self.clone(), file, path: path.to_owned() }) as Box<dyn OpenFile>)
        })
    }

    fn write_synced(&self, path: &str, content: &[u8]) -> Result<(), DiskError> {
        self.on("write", path, |sim| {
            let file = sim.carry_out(|sim| Ok(sim.create(path)))?;
            sim.write(file, 0, content)?;
            sim.sync(file)
        })
    }

    fn allocate(&self, path: &str, length: u64) -> Result<(), DiskError> {
        self.write_synced(path, &vec![0; length as usize])
    }

    fn open(&self, path: &str) -> Result<Option<Box<dyn OpenFile>>, DiskError> {
        let file = self.sim().file(path);
        Ok(file.map(|file| Box::new(SimFile { disk: self.clone(), file, path: path.to_owned() }) as Box<dyn OpenFile>))
    }

    fn sync_file(&self, path: &str) -> Result<(), DiskError> {
        self.on("sync", path, |sim| {
            let Some(file) = sim.file(path) else { return not_found() };
            sim.sync(file)
        })
    }

    fn identity(&self, path: &str) -> Result<Option<Identity>, DiskError> {
        let sim = self.sim();
        Ok(sim.file(path).map(|file| identity(&sim, file)))
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), DiskError> {
        self.on("rename a file to", to, |sim| {
            sim.carry_out(|sim| {
                let parent = to.rsplit_once('/').map_or("", |(parent, _)| parent);
                assert!(sim.is_directory(parent), "{parent} should be a directory");
                let Some(node) = sim.live.remove(from) else { return not_found() };
                sim.live.insert(to.to_owned(), node);
                sim.note_published(to);
                Ok(())
            })
        })
    }

    fn replace(&self, from: &str, to: &str) -> Result<(), DiskError> {
        self.on("rename a file to", to, |sim| {
            sim.carry_out(|sim| {
                let (Some(new), Some(old)) = (sim.file(from), sim.file(to)) else { return not_found() };
                sim.live.insert(from.to_owned(), Node::File(old));
                sim.live.insert(to.to_owned(), Node::File(new));
                sim.note_published(to);
                Ok(())
            })?;
            // Whether that works makes no difference.
            let _ = sim.carry_out(|sim| Ok(sim.live.remove(from)));
            Ok(())
        })
    }

    fn sync_dir(&self, path: &str) -> Result<bool, DiskError> {
        self.on("sync the directory", path, |sim| {
            sim.carry_out(|sim| {
                if !sim.is_directory(path) {
                    return Ok(false);
                }
                let is_child = |name: &str| name.rsplit_once('/').map_or("", |(parent, _)| parent) == path;
                sim.durable.retain(|name, _| !is_child(name));
                let children = sim.live.iter().filter(|(name, _)| is_child(name));
                sim.durable.extend(children.map(|(name, node)| (name.clone(), *node)));
                Ok(true)
            })
        })
    }

    fn remove(&self, path: &str) -> Result<(), DiskError> {
        self.on("remove", path, |sim| {
            sim.carry_out(|sim| if sim.live.remove(path).is_some() { Ok(()) } else { not_found() })
        })
    }

    fn remove_dir(&self, path: &str) -> Result<(), DiskError> {
        self.on("remove the directory", path, |sim| {
            sim.carry_out(|sim| {
                let prefix = format!("{path}/");
                if sim.live.keys().any(|name| name.starts_with(&prefix)) {
                    return Err(io::ErrorKind::DirectoryNotEmpty.into());
                }
                if sim.live.remove(path).is_some() { Ok(()) } else { not_found() }
            })
        })
    }
}

impl OpenFile for SimFile {
    fn read_at(&self, offset: u64, length: usize) -> Result<Vec<u8>, DiskError> {
        let sim = self.disk.sim();
        let content = &sim.files[self.file].live;
        let from = content.len().min(offset as usize);
        Ok(content[from..content.len().min(from + length)].to_vec())
    }

    fn write_at(&self, offset: u64, content: &[u8]) -> Result<(), DiskError> {
        self.disk.on("write to", &self.path, |sim| sim.write(self.file, offset as usize, content))
    }

    fn sync_data(&self) -> Result<(), DiskError> {
        self.disk.on("sync", &self.path, |sim| sim.sync(self.file))
    }

    fn identity(&self) -> Result<Identity, DiskError> {
        Ok(identity(&self.disk.sim(), self.file))
    }
}
