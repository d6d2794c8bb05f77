//! The files that readers see: tiles, bundles and the checkpoint. The writer's side of them: they are written under another
//! name first, so that a full disk shows before anything is logged, and get their names once the batch is durable.
//!
//! They are not synced then. What a loss of power does to them is made again from the write-ahead log, which holds every batch
//! until [`crate::settle`] has made their files durable. What cannot be written for want of room stays in memory, and readers of
//! the store find it there.

use crate::DiskError;
use crate::disk::{Disk, OpenFile, ReadDisk};
use crate::place::{CHECKPOINT, TEMPORARY, TEMPORARY_CHECKPOINT, directories_above, head_files, partial_files};
use crate::watch::{self, Tampered};
use ledger::MAX_BUNDLE_BYTES;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Directories that are known to be there, so that they need not be made again. An append touches at most 9 places, each with
/// up to 9 directories above its partial files; when there are more they are forgotten, and asked for again.
const MAX_KNOWN_DIRECTORIES: usize = 128;

/// The files of tiles, bundles and checkpoint.
pub(crate) struct Served {
    disk: Arc<dyn Disk>,
    /// What could not be written. At most what the write-ahead log holds and the incomplete bundle, 33 MB together, and tiles
    /// of a 32nd of that.
    unwritten: BTreeMap<String, Vec<u8>>,
    /// The checkpoint and its size, if it could not be written.
    unwritten_checkpoint: Option<(String, u64)>,
    /// The size of the checkpoint that is there, and of those that may be: what they need stays. After the first, one for each
    /// batch that took of the reserve.
    published: BTreeSet<u64>,
    /// Files and directories that changed since the last round of syncing began.
    unsynced: BTreeSet<String>,
    changed: BTreeSet<String>,
    known: BTreeSet<String>,
    /// Empty files under the first temporary names, and the next checkpoint's.
    spares: Vec<Box<dyn OpenFile>>,
    spare_checkpoint: Option<Box<dyn OpenFile>>,
    /// Partial files that are there.
    partials: BTreeSet<String>,
    /// The files of the newest head, kept open: at most 9, the checkpoint, and what one batch adds.
    watched: BTreeMap<String, Watched>,
}

struct Watched {
    file: Box<dyn OpenFile>,
    length: u64,
}

/// Files that are made before they are needed: the bundle and the tile that nearly every batch changes.
const SPARES: usize = 2;

/// A path and what belongs there.
pub(crate) type Content = (String, Vec<u8>);

fn temporary(number: usize) -> String {
    format!("{TEMPORARY}/{number}")
}

impl Served {
    pub fn new(disk: Arc<dyn Disk>) -> Served {
        Served {
            disk,
            unwritten: BTreeMap::new(),
            unwritten_checkpoint: None,
            published: BTreeSet::new(),
            unsynced: BTreeSet::new(),
            changed: BTreeSet::new(),
            known: BTreeSet::new(),
            spares: Vec::new(),
            spare_checkpoint: None,
            partials: BTreeSet::new(),
            watched: BTreeMap::new(),
        }
    }

    pub fn disk(&self) -> &Arc<dyn Disk> {
        &self.disk
    }

    /// The size of the checkpoint that was found.
    pub fn found_published(&mut self, size: u64) {
        self.published.insert(size);
    }

    /// Takes over the partial files of logs of these sizes, and begins to watch the files of the last.
    pub fn adopt(&mut self, sizes: &[u64]) -> Result<(), DiskError> {
        self.partials.extend(sizes.iter().flat_map(|size| partial_files(*size)));
        let newest = sizes.last().into_iter().flat_map(|size| head_files(*size));
        for path in newest.chain([CHECKPOINT.to_owned()]) {
            // What is not there under this name is there in a wider file, or could not be written.
            let Some(file) = self.disk.open(&path)? else { continue };
            let length = file.identity()?.length;
            self.watched.insert(path, Watched { file, length });
        }
        Ok(())
    }

    /// Whether the files of the newest head were altered behind the store's back.
    pub fn check(&self) -> Result<(), CheckError> {
        for (path, Watched { file, length }) in &self.watched {
            check_file(&*self.disk, path, &**file, *length)?;
        }
        Ok(())
    }

    /// Writes files under temporary names. If that fails nothing is left of it.
    pub fn stage(&mut self, contents: &[Content]) -> Result<Vec<Box<dyn OpenFile>>, DiskError> {
        let mut files = Vec::with_capacity(contents.len());
        let mut spares = std::mem::take(&mut self.spares).into_iter();
        for (number, (path, content)) in contents.iter().enumerate() {
            let made = self.make_directories(path);
            let written = made.and_then(|()| match spares.next() {
                Some(file) => file.write_at(0, content).map(|()| file),
                None => self.disk.write(&temporary(number), content),
            });
            match written {
                Ok(file) => files.push(file),
                Err(error) => {
                    self.known.clear();
                    // What stays is overwritten by the next batch, and removed when the ledger is opened.
                    (0..=number).for_each(|number| drop(self.disk.remove(&temporary(number))));
                    return Err(error);
                }
            }
        }
        Ok(files)
    }

    /// Makes empty files for the next batch. That takes longer than to fill them, so it is done when nobody waits.
    pub fn prepare(&mut self) {
        if self.is_behind() {
            return;
        }
        while self.spares.len() < SPARES {
            // What cannot be made now is made, or refused, with the batch.
            let Ok(file) = self.disk.write(&temporary(self.spares.len()), &[]) else { break };
            self.spares.push(file);
        }
        if self.spare_checkpoint.is_none() {
            self.spare_checkpoint = self.disk.write(TEMPORARY_CHECKPOINT, &[]).ok();
        }
    }

    /// Removes what was made for a next batch.
    pub fn discard_spares(&mut self) {
        self.spare_checkpoint = None;
        self.spares.clear();
        for path in (0..SPARES).map(temporary).chain([TEMPORARY_CHECKPOINT.to_owned()]) {
            // What stays is removed when the ledger is opened.
            let _ = self.disk.remove(&path);
        }
    }

    /// Gives files that were staged, if they were, their names, and then writes the checkpoint that needs them. What fails is
    /// kept in memory, and tried again before the next batch.
    pub fn publish(&mut self, contents: Vec<Content>, staged: Vec<Box<dyn OpenFile>>, checkpoint: (String, u64)) {
        let mut staged = staged.into_iter();
        for (number, (path, content)) in contents.into_iter().enumerate() {
            let file = staged.next();
            let renamed = file.and_then(|file| self.disk.rename(&temporary(number), &path).ok().map(|()| file));
            match renamed {
                Some(file) => {
                    self.unwritten.remove(&path);
                    self.written(path, file, content.len());
                }
                None => drop(self.unwritten.insert(path, content)),
            }
        }
        self.unwritten_checkpoint = Some(checkpoint);
        let _ = self.write_checkpoint();
    }

    /// Whether something could not be written.
    pub fn is_behind(&self) -> bool {
        !self.unwritten.is_empty() || self.unwritten_checkpoint.is_some()
    }

    /// Writes what could not be written before.
    pub fn catch_up(&mut self) -> Result<(), DiskError> {
        if self.is_behind() {
            self.spares.clear();
        }
        while let Some((path, content)) = self.unwritten.pop_first() {
            let write = |served: &mut Served| {
                served.make_directories(&path)?;
                let file = served.disk.write(&temporary(0), &content)?;
                served.disk.rename(&temporary(0), &path)?;
                Ok(file)
            };
            match write(self) {
                Ok(file) => self.written(path, file, content.len()),
                Err(error) => {
                    self.known.clear();
                    self.unwritten.insert(path, content);
                    return Err(error);
                }
            }
        }
        self.write_checkpoint()
    }

    /// Writes files that may be there already, while an opened ledger is completed. What there is no room for stays in memory.
    pub fn write_again(&mut self, contents: Vec<Content>) {
        for (path, content) in contents {
            let found = self.disk.read(&path, MAX_BUNDLE_BYTES).ok().flatten();
            if found.as_ref() == Some(&content) {
                // There, but nobody knows whether durable.
                self.named(&path);
            } else {
                self.unwritten.insert(path, content);
                let _ = self.catch_up();
            }
        }
    }

    /// Replaces the checkpoint, if all the files that it needs are there.
    fn write_checkpoint(&mut self) -> Result<(), DiskError> {
        let Some((text, size)) = self.unwritten_checkpoint.as_ref().filter(|_| self.unwritten.is_empty()) else {
            return Ok(());
        };
        // If it fails nobody knows which of the two is there.
        self.watched.remove(CHECKPOINT);
        self.published.insert(*size);
        let name = |file| self.disk.replace(TEMPORARY_CHECKPOINT, CHECKPOINT).map(|()| file);
        let spare = self.spare_checkpoint.take();
        let from_spare = spare.and_then(|file| file.write_at(0, text.as_bytes()).and_then(|()| name(file)).ok());
        let file = match from_spare {
            Some(file) => file,
            // There was none, or it is gone.
            None => self.disk.write(TEMPORARY_CHECKPOINT, text.as_bytes()).and_then(name)?,
        };
        self.watched.insert(CHECKPOINT.to_owned(), Watched { file, length: text.len() as u64 });
        self.published = BTreeSet::from([*size]);
        self.unwritten_checkpoint = None;
        Ok(())
    }

    /// Writes the checkpoint of an opened ledger, once all its files are there.
    pub fn write_checkpoint_again(&mut self, checkpoint: (String, u64)) {
        self.unwritten_checkpoint = Some(checkpoint);
        let _ = self.write_checkpoint();
    }

    fn written(&mut self, path: String, file: Box<dyn OpenFile>, length: usize) {
        self.named(&path);
        self.watched.insert(path, Watched { file, length: length as u64 });
    }

    fn named(&mut self, path: &str) {
        self.changed.extend(directories_above(path).next().map(str::to_owned));
        self.unsynced.insert(path.to_owned());
        if path.contains(".p/") {
            self.partials.insert(path.to_owned());
        }
    }

    fn make_directories(&mut self, path: &str) -> Result<(), DiskError> {
        if self.known.len() > MAX_KNOWN_DIRECTORIES {
            self.known.clear();
        }
        let above: Vec<_> = directories_above(path).collect();
        for directory in above.into_iter().rev() {
            if self.known.contains(directory) {
                continue;
            }
            if self.disk.create_dir(directory)? {
                self.changed.insert(parent(directory).to_owned());
            }
            self.known.insert(directory.to_owned());
        }
        Ok(())
    }

    /// Removes partial files that logs of these sizes do not need, the newest size last, nor the checkpoint that is there. A
    /// removal that fails, or that a crash undoes, costs nothing but the file's space.
    pub fn sweep(&mut self, sizes: &[u64]) {
        let sizes_needed = sizes.iter().chain(&self.published).copied();
        let needed: BTreeSet<_> = sizes_needed.flat_map(partial_files).collect();
        let stale: Vec<_> = self.partials.iter().filter(|path| !needed.contains(*path)).cloned().collect();
        for path in stale {
            let _ = self.disk.remove(&path);
            self.partials.remove(&path);
            self.unsynced.remove(&path);
            let directory = parent(&path).to_owned();
            let is_in_it = |other: &String| parent(other) == directory;
            if !self.partials.iter().any(is_in_it) && !needed.iter().any(is_in_it) {
                let _ = self.disk.remove_dir(&directory);
                self.known.remove(&directory);
                self.changed.remove(&directory);
                self.changed.insert(parent(&directory).to_owned());
            }
        }
        self.unwritten.retain(|path, _| !path.contains(".p/") || needed.contains(path));
        let newest: BTreeSet<_> = sizes.last().into_iter().flat_map(|size| head_files(*size)).collect();
        self.watched.retain(|path, _| path == CHECKPOINT || newest.contains(path));
    }

    /// Hands over the files and directories that changed since this was last called.
    pub fn take_unsynced(&mut self) -> (BTreeSet<String>, BTreeSet<String>) {
        assert!(!self.is_behind(), "what was not written cannot be synced");
        (std::mem::take(&mut self.unsynced), std::mem::take(&mut self.changed))
    }

    /// A directory whose names may not be durable.
    pub fn has_changed(&mut self, directory: String) {
        self.changed.insert(directory);
    }
}

fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(parent, _)| parent)
}

/// Why a watched file does not pass.
pub(crate) enum CheckError {
    Tampered(Tampered),
    Disk(DiskError),
}

impl From<DiskError> for CheckError {
    fn from(error: DiskError) -> CheckError {
        CheckError::Disk(error)
    }
}

/// Whether the path still leads to this file, and it has this length.
pub(crate) fn check_file(disk: &dyn Disk, path: &str, file: &dyn OpenFile, length: u64) -> Result<(), CheckError> {
    watch::compare(path, disk.identity(path)?, file.identity()?, length).map_err(CheckError::Tampered)
}

/// What could not be written is found in memory.
impl ReadDisk for Served {
    fn read(&self, path: &str, at_most: usize) -> Result<Option<Vec<u8>>, DiskError> {
        match self.unwritten.get(path) {
            Some(content) => Ok(Some(content.clone())),
            None => self.disk.read(path, at_most),
        }
    }

    fn length(&self, path: &str) -> Result<Option<u64>, DiskError> {
        match self.unwritten.get(path) {
            Some(content) => Ok(Some(content.len() as u64)),
            None => self.disk.length(path),
        }
    }

    fn list(&self, path: &str) -> Result<Option<Vec<String>>, DiskError> {
        let unwritten: BTreeSet<_> = self.unwritten.keys().filter_map(|name| name.rsplit_once('/')).collect();
        let mut names = self.disk.list(path)?;
        for (_, name) in unwritten.into_iter().filter(|(directory, _)| *directory == path) {
            let names = names.get_or_insert_default();
            if !names.iter().any(|known| known == name) {
                names.push(name.to_owned());
            }
        }
        Ok(names)
    }
}
