//! A table that raises the candidate's weight waits for its proof, where the plan asks for one.

use crate::handle::{Handle, Input};
use rollout::ProofRecords;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

/// Between attempts: a witness that is there cosigns within some tens of milliseconds.
const PAUSE: Duration = Duration::from_millis(200);

/// What is to be proved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// The generation that is ordered.
    pub generation: u64,
    /// The records that the proof shows.
    pub shows: ProofRecords,
    /// So many witnesses must have cosigned them.
    pub cosignatures: u32,
}

/// Makes a proof of what is durable and cosigned at the moment, as text; or says what is missing. Blocking.
pub type Prover = Arc<dyn Fn(&Order) -> Result<Arc<str>, String> + Send + Sync>;

/// The task that waits for a proof. Dropped, it ends.
pub(crate) struct Proving {
    _task: JoinSet<()>,
}

impl Proving {
    /// Tells the controller when there is one.
    pub(crate) fn start(order: Order, prover: Prover, handle: &Handle) -> Proving {
        let (mut task, handle) = (JoinSet::new(), handle.clone());
        task.spawn(async move {
            let mut said = None;
            loop {
                let (asked, prover) = (order.clone(), prover.clone());
                let proved = tokio::task::spawn_blocking(move || prover(&asked)).await;
                let missing = match proved.unwrap_or_else(|error| Err(error.to_string())) {
                    Ok(proof) => {
                        handle.tell(Input::Proved { generation: order.generation, proof }).await;
                        return;
                    }
                    Err(missing) => missing,
                };
                if said.as_ref() != Some(&missing) {
                    tracing::info!(generation = order.generation, "the shift waits for its proof: {missing}");
                    said = Some(missing);
                }
                tokio::time::sleep(PAUSE).await;
            }
        });
        Proving { _task: task }
    }
}
