//! One environment's configuration: its documents by what they are, not by which file they stand in.

use crate::error::{FileError, ReadError};
use crate::format::{self, Budget};
use crate::limits::{MAX_FILE_BYTES, MAX_FILES, MAX_TREE_BYTES, MAX_TREE_VALUES};
use crate::normal;
use crate::seal;
use crate::secret::SecretKey;
use crate::value::Node;
use std::collections::BTreeMap;

/// One environment's configuration, read and brought into a form in which what means the same is the same. It holds no
/// secret, only their seals.
#[derive(Clone, Debug)]
pub struct Tree {
    pub(crate) documents: BTreeMap<DocumentId, Document>,
}

/// What a document is compared by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum DocumentId {
    /// A Kubernetes object, `Deployment/default/checkout`, in whichever file it stands.
    Object {
        name: String,
        /// From 0, for an object that stands in several places: the order of the files numbers them.
        number: usize,
    },
    /// A document of a file; objects are not counted.
    File { name: String, index: usize },
}

/// A document in its normal form.
#[derive(Clone, Debug)]
pub(crate) struct Document {
    pub(crate) file: String,
    pub(crate) root: Node,
}

impl Tree {
    /// Reads both environments' files at once, for reading is most of what a comparison takes.
    ///
    /// # Errors
    /// Each for itself, as [`Tree::read`].
    pub fn read_two(
        blue: &BTreeMap<String, Vec<u8>>,
        green: &BTreeMap<String, Vec<u8>>,
        key: &SecretKey,
    ) -> (Result<Tree, ReadError>, Result<Tree, ReadError>) {
        std::thread::scope(|scope| {
            let reading = scope.spawn(|| Tree::read(blue, key));
            let green = Tree::read(green, key);
            // A panic goes on where it is looked for.
            (reading.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)), green)
        })
    }

    /// Reads one environment's files; the names are relative to the environment's folder, with `/` between.
    ///
    /// # Errors
    /// If a bound is passed, or a file is not what its name says. No error carries text of a file.
    pub fn read(files: &BTreeMap<String, Vec<u8>>, key: &SecretKey) -> Result<Tree, ReadError> {
        if files.len() > MAX_FILES {
            return Err(ReadError::TooManyFiles { found: files.len() });
        }
        if files.values().map(Vec::len).sum::<usize>() > MAX_TREE_BYTES {
            return Err(ReadError::TreeTooLarge);
        }
        let mut documents = BTreeMap::new();
        let mut numbers: BTreeMap<String, usize> = BTreeMap::new();
        let mut values = 0;
        for (file, bytes) in files {
            let in_file = |reason| ReadError::File { file: file.clone(), reason };
            if bytes.len() > MAX_FILE_BYTES {
                return Err(in_file(FileError::TooLarge { bytes: bytes.len() }));
            }
            let mut budget = Budget::new();
            let read = format::read(file, bytes, &mut budget).map_err(in_file)?;
            let mut index = 0;
            for raw in read {
                for (object, raw) in normal::documents(file, raw, &mut budget) {
                    let root = seal::seal(raw, key);
                    let id = match object {
                        Some(object) => {
                            let name = seal::name(object, key);
                            let next = numbers.entry(name.clone()).or_default();
                            *next += 1;
                            DocumentId::Object { name, number: *next - 1 }
                        }
                        None => {
                            index += 1;
                            DocumentId::File { name: file.clone(), index: index - 1 }
                        }
                    };
                    documents.insert(id, Document { file: file.clone(), root });
                }
            }
            values += budget.used();
            if values > MAX_TREE_VALUES {
                return Err(ReadError::TooManyValues);
            }
        }
        Ok(Tree { documents })
    }

    /// How many documents it has: objects, and documents of files.
    pub fn len(&self) -> usize {
        self.documents.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.documents.is_empty()
    }
}
