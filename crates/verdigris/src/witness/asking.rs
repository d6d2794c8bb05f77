//! The ledger's side: each witness is asked for a cosignature of the newest durable checkpoint, one request at a time, with
//! the proof from what it cosigned last. What comes back is verified, and kept beside the checkpoint.
//!
//! It reads the ledger's files as any auditor does, so that it never holds up an append.

use super::client::{Answer, AnswerError, UrlError, WitnessClient};
use super::{Witness, Witnesses, quorum_size};
use crate::describe::timestamp;
use control::Extent;
use ledger::{AddCheckpoint, Checkpoint, Head, Note, ParseAddCheckpointError, VerifierKey, WitnessKey};
use model::{UnixMillis, with_causes};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use store::{CosignatureError, Cosignatures, DiskError, OpenReaderError, ReadCheckpointError, Reader, VerifyError};
use tokio::sync::{Mutex as AsyncMutex, watch};
use tokio::task::{JoinError, JoinSet, spawn_blocking};

/// Between a cosignature and the next request: checkpoints that come meanwhile are passed over for the newest.
const PAUSE: Duration = Duration::from_millis(100);
/// After the first failure; doubled up to the most.
const FIRST_BACKOFF: Duration = Duration::from_secs(1);
const MOST_BACKOFF: Duration = Duration::from_secs(60);

/// The tasks that ask, one for each witness.
pub struct Witnessing {
    log: Arc<Log>,
    quorum: Option<usize>,
    ledger: watch::Receiver<Extent>,
    running: AsyncMutex<Option<Running>>,
}

struct Running {
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

/// The ledger and those who witness it.
struct Log {
    dir: PathBuf,
    key: VerifierKey,
    witnesses: Vec<Asked>,
}

struct Asked {
    witness: Witness,
    client: WitnessClient,
    standing: Mutex<Standing>,
}

/// Where a witness stands.
#[derive(Clone, Default)]
struct Standing {
    size: u64,
    at_s: Option<u64>,
    /// Why the last request came to nothing.
    problem: Option<String>,
}

/// Witnesses that cannot be asked.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A URL is none.
    #[error("ledger.witnesses: {0}")]
    Url(#[from] UrlError),
    /// The folder for cosignatures cannot be made.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

/// Why there is no cosignature.
#[derive(Debug, thiserror::Error)]
enum AskError {
    #[error("{0}")]
    Answer(#[from] AnswerError),
    #[error("refused with status {status}: {words}")]
    Refused { status: u16, words: String },
    #[error("its size changed again while it was asked: does another process ask for the same ledger?")]
    Moving,
    #[error("answered without a cosignature of its own that fits")]
    NotCosigned,
    #[error(
        "has cosigned {cosigned} entries, but the ledger has {size}: THE LEDGER WAS SET BACK; restore it, or find out who did it"
    )]
    SetBack { cosigned: u64, size: u64 },
    #[error(
        "says that this ledger does not continue what it cosigned: THE LEDGER WAS FORKED or rewritten; find out who did it"
    )]
    Forked,
    #[error("the ledger cannot be read: {0}")]
    Reader(#[from] OpenReaderError),
    #[error("the checkpoint cannot be read: {0}")]
    Checkpoint(#[from] ReadCheckpointError),
    #[error("no proof can be made: {0}")]
    Proof(#[from] VerifyError),
    #[error("what is there cannot be shown: {0}")]
    Request(#[from] ParseAddCheckpointError),
    #[error("the cosignature cannot be kept: {0}")]
    Keep(#[from] DiskError),
    #[error("the reading task ended: {0}")]
    Task(#[from] JoinError),
}

/// A checkpoint that a witness cosigned, with the log's signature and its own.
struct Cosigned {
    note: Note,
    size: u64,
    at_s: u64,
}

impl Witnessing {
    /// Begins to ask. `ledger` says which part is being written, and how many entries are under a durable checkpoint.
    pub async fn start(
        witnesses: Witnesses,
        dir: &Path,
        key: VerifierKey,
        ledger: watch::Receiver<Extent>,
    ) -> Result<Witnessing, OpenError> {
        let Witnesses { asked, quorum } = witnesses;
        let asked = asked.into_iter().map(|witness| {
            let client = WitnessClient::new(&witness.url, &witness.tls)?;
            Ok(Asked { witness, client, standing: Mutex::default() })
        });
        let witnesses = asked.collect::<Result<Vec<Asked>, UrlError>>()?;
        if !witnesses.is_empty() {
            drop(Cosignatures::open(dir)?);
        }
        let log = Arc::new(Log { dir: dir.to_owned(), key, witnesses });
        let witnessing = Witnessing { log, quorum, ledger, running: AsyncMutex::new(None) };
        witnessing.go_on().await;
        Ok(witnessing)
    }

    /// Begins again after a stop.
    pub async fn go_on(&self) {
        let (stop, stopped) = watch::channel(false);
        let mut tasks = JoinSet::new();
        for index in 0..self.log.witnesses.len() {
            tasks.spawn(keep_asking(self.log.clone(), index, self.ledger.clone(), stopped.clone()));
        }
        *self.running.lock().await = Some(Running { stop, tasks });
    }

    /// Ends; afterwards nothing more is written. What is asked at the moment is given up.
    pub async fn stop(&self) {
        if let Some(Running { stop, mut tasks }) = self.running.lock().await.take() {
            stop.send_replace(true);
            while tasks.join_next().await.is_some() {}
        }
    }

    /// What the API says of the witnesses, of those that cosigned something or failed to.
    pub fn status(&self) -> impl Fn() -> Value + Send + Sync + 'static {
        let (log, quorum) = (self.log.clone(), self.quorum);
        move || {
            let standings: Vec<Standing> = log.witnesses.iter().map(Asked::standing).collect();
            let each = log.witnesses.iter().zip(&standings).map(|(asked, standing)| {
                json!({
                    "name": asked.witness.key.name().as_str(),
                    "url": asked.witness.url,
                    "size": standing.size,
                    "at": standing.at_s.map(|at_s| timestamp(UnixMillis(at_s.saturating_mul(1_000)))),
                    "problem": standing.problem,
                })
            });
            let sizes = standings.iter().map(|standing| standing.size).collect();
            json!({
                "witnesses": each.collect::<Vec<Value>>(),
                "quorum": quorum,
                "quorumSize": quorum.map(|quorum| quorum_size(sizes, quorum).unwrap_or(0)),
            })
        }
    }
}

impl Asked {
    fn standing(&self) -> Standing {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn stands(&self, standing: Standing) {
        *self.standing.lock().unwrap_or_else(PoisonError::into_inner) = standing;
    }

    fn name(&self) -> &str {
        self.witness.key.name().as_str()
    }
}

impl AskError {
    /// What somebody must look at, and no retry mends.
    fn is_grave(&self) -> bool {
        matches!(self, AskError::SetBack { .. } | AskError::Forked)
    }
}

/// Asks one witness for as long as it is not told to stop.
async fn keep_asking(
    log: Arc<Log>,
    index: usize,
    mut ledger: watch::Receiver<Extent>,
    mut stop: watch::Receiver<bool>,
) {
    let asked = &log.witnesses[index];
    let mut part = ledger.borrow().year;
    let mut known = log.known(index).await;
    let mut backoff = FIRST_BACKOFF;
    loop {
        tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => return,
            grown = ledger.wait_for(|it| it.year != part || it.size > known) => match grown {
                // A part of the ledger is a log of its own, of which no witness knows anything yet.
                Ok(now) if now.year != part => (part, known) = (now.year, 0),
                Ok(_) => {}
                Err(_) => return,
            },
        }
        let cosigned = tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => return,
            cosigned = log.ask(asked, known) => cosigned,
        };
        // Outside of the choice above: what is being written is waited for.
        let kept = match cosigned {
            Ok(cosigned) => log.keep(&asked.witness.key, cosigned).await,
            Err(error) => Err(error),
        };
        let pause = match kept {
            Ok((size, at_s)) => {
                if asked.standing().problem.is_some() {
                    tracing::info!("the witness {} cosigns again: {size} entries", asked.name());
                }
                asked.stands(Standing { size, at_s: Some(at_s), problem: None });
                (known, backoff) = (size, FIRST_BACKOFF);
                PAUSE
            }
            // What it was asked about has ended meanwhile.
            Err(_) if ledger.borrow().year != part => Duration::ZERO,
            Err(error) => {
                let before = asked.standing();
                let words = with_causes(&error);
                if before.problem.as_ref() != Some(&words) {
                    match error.is_grave() {
                        true => tracing::error!("the witness {} at {} {words}", asked.name(), asked.witness.url),
                        false => tracing::warn!("the witness {} at {} {words}", asked.name(), asked.witness.url),
                    }
                }
                asked.stands(Standing { problem: Some(words), ..before });
                let pause = if error.is_grave() { MOST_BACKOFF } else { backoff };
                backoff = MOST_BACKOFF.min(backoff * 2);
                pause
            }
        };
        tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

impl Log {
    /// How many entries a witness has cosigned, as the file beside the checkpoint says; 0 if there is none that holds: the
    /// witness itself says then what it knows.
    async fn known(&self, index: usize) -> u64 {
        let asked = &self.witnesses[index];
        let (dir, key, witness) = (self.dir.clone(), self.key.clone(), asked.witness.key.clone());
        let read = spawn_blocking(move || -> Result<Option<(Head, u64)>, CosignatureError> {
            let Ok(reader) = Reader::open(&dir) else { return Ok(None) };
            // A key that signed before this one may have signed what was cosigned. Files that hold no keys say that elsewhere.
            let keys = reader.keys(&key, control::key_change).map_or_else(|_| vec![key], |known| known.keys);
            let heads = reader.cosigned(&keys, std::slice::from_ref(&witness))?;
            Ok(heads.first().map(|it| (it.head, it.at_s)))
        });
        match read.await {
            Ok(Ok(Some((head, at_s)))) => {
                asked.stands(Standing { size: head.size, at_s: Some(at_s), problem: None });
                head.size
            }
            Ok(Ok(None)) | Err(_) => 0,
            Ok(Err(error)) => {
                tracing::error!("{}", with_causes(&error));
                0
            }
        }
    }

    /// Shows a witness the newest checkpoint, and once more if it knows another size than the ledger thought.
    async fn ask(&self, asked: &Asked, known: u64) -> Result<Cosigned, AskError> {
        let mut old = known;
        for may_ask_again in [true, false] {
            let request = self.request(old).await?;
            let size = request.checkpoint().size();
            match asked.client.add_checkpoint(&request).await? {
                Answer::Cosigned(signatures) => {
                    return self.verify(&asked.witness.key, &request, signatures).ok_or(AskError::NotCosigned);
                }
                Answer::Conflict(cosigned) if cosigned > size => return Err(AskError::SetBack { cosigned, size }),
                // From this very size, so the roots differ.
                Answer::Conflict(cosigned) if cosigned == request.old_size() => return Err(AskError::Forked),
                Answer::Conflict(cosigned) if may_ask_again => old = cosigned,
                Answer::Conflict(_) => return Err(AskError::Moving),
                // The proof was made of tiles that lead to the signed root, from the size that the witness named.
                Answer::Refused { status: 422, .. } => return Err(AskError::Forked),
                Answer::Refused { status, words } => return Err(AskError::Refused { status, words }),
            }
        }
        Err(AskError::Moving)
    }

    /// The newest checkpoint with the proof from the first `old` entries.
    async fn request(&self, old: u64) -> Result<AddCheckpoint, AskError> {
        let (dir, key) = (self.dir.clone(), self.key.clone());
        let read = spawn_blocking(move || {
            let reader = Reader::open(&dir)?;
            let (checkpoint, note) = reader.signed_checkpoint(&key)?;
            let size = checkpoint.size();
            if old > size {
                return Err(AskError::SetBack { cosigned: old, size });
            }
            let proof = reader.consistency_proof(&checkpoint, old)?;
            Ok(AddCheckpoint::new(old, proof, note)?)
        });
        read.await?
    }

    /// The checkpoint with the log's signature and the witness', if there is one that fits.
    fn verify(
        &self,
        witness: &WitnessKey,
        request: &AddCheckpoint,
        signatures: Vec<ledger::NoteSignature>,
    ) -> Option<Cosigned> {
        let text = request.note().text();
        let fits = |signature: &ledger::NoteSignature| {
            witness.made(signature) && witness.cosigned_at(text, &signature.signature).is_some()
        };
        let cosignature = signatures.into_iter().find(fits)?;
        let by_log =
            |signature: &ledger::NoteSignature| signature.name == *self.key.name() && signature.id == self.key.id();
        let note = request.note().retaining(by_log).with_signatures([cosignature])?;
        let (checkpoint, cosigned) = Checkpoint::open_cosigned(&note, &self.key, &[witness]).ok()?;
        let at_s = cosigned.first()?.at_s;
        Some(Cosigned { note, size: checkpoint.size(), at_s })
    }

    /// Keeps it beside the checkpoint.
    async fn keep(&self, witness: &WitnessKey, cosigned: Cosigned) -> Result<(u64, u64), AskError> {
        let Cosigned { note, size, at_s } = cosigned;
        let (dir, witness) = (self.dir.clone(), witness.clone());
        spawn_blocking(move || Cosignatures::open(&dir)?.keep(&witness, &note)).await??;
        Ok((size, at_s))
    }
}
