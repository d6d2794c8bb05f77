//! What a pipeline puts out a second time: the sink hands what it took on to a tap, as a collector's second exporter
//! does. Nothing is dropped: while the tap is behind, the sink's acknowledgements wait.

use super::exporter::{Exporter, GrpcExporter};
use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use tokio::sync::Semaphore;

/// The second exporter of one sink.
pub struct Copies {
    exporters: Vec<GrpcExporter>,
    next: AtomicUsize,
    room: Arc<Semaphore>,
    fate: Arc<Fate>,
}

#[derive(Default)]
struct Fate {
    acknowledged: AtomicU64,
    /// Why the first copy that the tap did not take was not taken.
    refusal: Mutex<Option<String>>,
}

/// Copies under way: twice what the OpenTelemetry Collector's exporter has (10 consumers). The largest requests are
/// 530 KB, so 11 MB.
const COPIES_AT_ONCE: u32 = 20;
const CONNECTIONS: usize = 2;

const UNPOISONED: &str = "nobody panics with the lock";

impl Copies {
    /// Connects to a tap over gRPC.
    pub async fn to(tap: SocketAddr) -> Result<Copies> {
        let mut exporters = Vec::with_capacity(CONNECTIONS);
        for _ in 0..CONNECTIONS {
            let exporter = GrpcExporter::connect(tap).await;
            exporters.push(exporter.with_context(|| format!("cannot connect to the tap at {tap}"))?);
        }
        let room = Arc::new(Semaphore::new(COPIES_AT_ONCE as usize));
        Ok(Copies { exporters, next: AtomicUsize::new(0), room, fate: Arc::default() })
    }

    /// Takes a gRPC body as soon as there is room.
    pub async fn hand_on(&self, body: Bytes) {
        // It is never closed.
        let Ok(room) = Arc::clone(&self.room).acquire_owned().await else { return };
        let exporter = &self.exporters[self.next.fetch_add(1, Relaxed) % self.exporters.len()];
        let (mut exporter, fate) = (Exporter::Grpc(exporter.clone()), Arc::clone(&self.fate));
        tokio::spawn(async move {
            match exporter.export(body).await {
                Ok(()) => _ = fate.acknowledged.fetch_add(1, Relaxed),
                Err(error) => _ = fate.refusal.lock().expect(UNPOISONED).get_or_insert_with(|| format!("{error:#}")),
            }
            drop(room);
        });
    }

    /// Waits until all copies are answered, which has its limit for each; how many requests the tap took. Fails if it
    /// did not take one.
    pub async fn finish(&self) -> Result<u64> {
        let _all = self.room.acquire_many(COPIES_AT_ONCE).await?;
        let refusal = self.fate.refusal.lock().expect(UNPOISONED).take();
        ensure!(refusal.is_none(), "the tap did not take a copy: {}", refusal.unwrap_or_default());
        Ok(self.fate.acknowledged.load(Relaxed))
    }
}
