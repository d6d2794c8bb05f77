//! What the gateway receives, for whoever records it: best effort, bounded, counted, and never in the way of it. Without
//! anybody who records it costs one load of a pointer a request.

use crate::run::Gateway;
use crate::stats::Held;
use bytes::Bytes;
use model::Protocol;
use otlp::Signal;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use tokio::sync::mpsc;

/// Requests that wait to be recorded: some 200 bytes each, so 1 MB beside their messages.
pub const MAX_WAITING: usize = 4_096;
/// Bytes of messages that wait to be recorded, and of those that are being written: 64 MiB, one of the largest that a gateway
/// takes.
const MAX_WAITING_BYTES: u64 = 64 << 20;

/// One request that came to the gateway's ports, not to a tap.
pub struct Received {
    /// What it carries.
    pub signal: Signal,
    /// How it came; JSON and old formats over HTTP, as HTTP.
    pub protocol: Protocol,
    /// An `Export…ServiceRequest`, decompressed. It was not looked at yet, and may be malformed.
    pub message: Bytes,
    /// When it was there whole, in Unix microseconds.
    pub at_us: u64,
    /// Its bytes are counted until it is dropped.
    _held: Held,
}

/// Where requests go while somebody records.
pub(crate) struct Recorder {
    sender: mpsc::Sender<Received>,
    waiting_bytes: Arc<AtomicU64>,
    dropped: AtomicU64,
    dropped_bytes: AtomicU64,
}

/// What is received, from when it was asked for until this is dropped.
pub struct Receiving {
    gateway: Gateway,
    recorder: Arc<Recorder>,
    receiver: mpsc::Receiver<Received>,
}

impl Gateway {
    /// Begins to give copies of what is received. `None` if somebody has them already.
    pub fn receive(&self) -> Option<Receiving> {
        let (sender, receiver) = mpsc::channel(MAX_WAITING);
        let (dropped, dropped_bytes) = Default::default();
        let recorder = Arc::new(Recorder { sender, waiting_bytes: Arc::default(), dropped, dropped_bytes });
        let before = self.shared.recorder.compare_and_swap(&None::<Arc<Recorder>>, Some(Arc::clone(&recorder)));
        if before.is_some() {
            return None;
        }
        Some(Receiving { gateway: self.clone(), recorder, receiver })
    }
}

impl Receiving {
    /// Waits for the next request.
    pub async fn next(&mut self) -> Option<Received> {
        self.receiver.recv().await
    }

    /// The next request, if one waits.
    pub fn ready(&mut self) -> Option<Received> {
        self.receiver.try_recv().ok()
    }

    /// Requests that were dropped for want of room since this was called last, and their bytes.
    pub fn take_dropped(&self) -> (u64, u64) {
        (self.recorder.dropped.swap(0, Relaxed), self.recorder.dropped_bytes.swap(0, Relaxed))
    }
}

impl Drop for Receiving {
    fn drop(&mut self) {
        // Nobody else's is there while this one is.
        self.gateway.shared.recorder.store(None);
    }
}

impl Recorder {
    /// Takes a copy if there is room, and counts it otherwise. Never waits. The copy shares the request's bytes.
    pub(crate) fn offer(&self, signal: Signal, grpc: bool, message: &Bytes, at_us: u64) {
        let bytes = message.len() as u64;
        let mut held = Held::none(&self.waiting_bytes);
        if held.grow(bytes, MAX_WAITING_BYTES)
            && let Ok(place) = self.sender.try_reserve()
        {
            let protocol = if grpc { Protocol::Grpc } else { Protocol::Http };
            place.send(Received { signal, protocol, message: message.clone(), at_us, _held: held });
            return;
        }
        self.dropped.fetch_add(1, Relaxed);
        self.dropped_bytes.fetch_add(bytes, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Config, Limits, Listen};
    use std::collections::BTreeMap;
    use std::net::{Ipv4Addr, SocketAddr};

    async fn gateway() -> Gateway {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let listen = Listen { grpc: any, http: any, tls: None };
        let (fixed, taps) = (BTreeMap::new(), BTreeMap::new());
        Gateway::bind(Config { listen, fixed, taps, limits: Limits::default() }).await.unwrap().gateway()
    }

    fn offer(gateway: &Gateway, length: usize) {
        if let Some(recorder) = &*gateway.shared.recorder.load() {
            recorder.offer(Signal::Logs, true, &Bytes::from(vec![0; length]), 7);
        }
    }

    #[tokio::test]
    async fn one_records_at_a_time_and_what_has_no_room_is_counted() {
        let gateway = gateway().await;
        offer(&gateway, 1);
        let mut receiving = gateway.receive().unwrap();
        assert!(gateway.receive().is_none(), "one at a time");
        for _ in 0..=MAX_WAITING {
            offer(&gateway, 1);
        }
        assert_eq!((receiving.take_dropped(), receiving.take_dropped()), ((1, 1), (0, 0)));
        let first = receiving.next().await.unwrap();
        assert_eq!((first.signal, first.protocol, first.at_us), (Signal::Logs, Protocol::Grpc, 7));
        while receiving.ready().is_some() {}
        // What is still being written counts as well.
        offer(&gateway, MAX_WAITING_BYTES as usize);
        assert_eq!(receiving.take_dropped(), (1, MAX_WAITING_BYTES));
        drop(first);
        offer(&gateway, MAX_WAITING_BYTES as usize);
        assert!(receiving.ready().is_some());
        drop(receiving);
        assert!(gateway.shared.recorder.load().is_none() && gateway.receive().is_some());
    }
}
