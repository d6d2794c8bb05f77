//! The ports of a gateway that runs, and how they change: what is new accepts before what is old stops.

use crate::config::{Config, Listen};
use crate::listen::{self, Addresses, BindError, Listener, Socket};
use crate::run::{Gateway, Running};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Why a gateway goes on to listen where it did.
#[derive(Debug)]
pub enum NotMoved<E> {
    /// A port cannot be had.
    Bind(BindError),
    /// The caller's own reason.
    Refused(E),
}

/// The loops that accept, and those that only finish what they accepted.
pub(crate) struct Accepting {
    running: Arc<Running>,
    open: Vec<(Listener, watch::Sender<bool>)>,
    loops: JoinSet<()>,
}

impl Accepting {
    pub(crate) fn new(running: Arc<Running>) -> Accepting {
        Accepting { running, open: Vec::new(), loops: JoinSet::new() }
    }

    /// Accepts at these and at no other: a loop whose port and socket stay is left alone.
    pub(crate) fn change(&mut self, wanted: &[Listener]) {
        let secure = |it: &Listener| it.secure.as_ref().map(Arc::as_ptr);
        let same = |a: &Listener, b: &Listener| {
            a.role == b.role && Arc::ptr_eq(&a.socket, &b.socket) && secure(a) == secure(b)
        };
        for listener in wanted {
            if !self.open.iter().any(|(open, _)| same(open, listener)) {
                let (stop, stopping) = watch::channel(false);
                self.loops.spawn(listen::accept(Arc::clone(&self.running), listener.clone(), stopping));
                self.open.push((listener.clone(), stop));
            }
        }
        let stays = |(open, _): &(Listener, watch::Sender<bool>)| wanted.iter().any(|listener| same(open, listener));
        let (open, closed) = std::mem::take(&mut self.open).into_iter().partition(stays);
        self.open = open;
        for (listener, stop) in closed {
            // The loop must be the last that has the socket: it closes it when its queue is empty.
            drop(listener);
            stop.send_replace(true);
        }
        // Those that have finished.
        while self.loops.try_join_next().is_some() {}
    }

    /// Follows the changes; never ends.
    pub(crate) async fn follow(&mut self, mut wanted: watch::Receiver<Vec<Listener>>) {
        loop {
            let listeners = wanted.borrow_and_update().clone();
            self.change(&listeners);
            drop(listeners);
            if wanted.changed().await.is_err() {
                // The sender is a part of what runs.
                std::future::pending::<()>().await;
            }
        }
    }

    /// Stops accepting, and ends when every connection has.
    pub(crate) async fn finish(mut self) {
        self.change(&[]);
        while self.loops.join_next().await.is_some() {}
    }
}

impl Gateway {
    /// The real addresses.
    pub fn addresses(&self) -> Addresses {
        listen::addresses(&self.shared.listeners.borrow())
    }

    /// The sockets, for another process: whoever holds one accepts from the same queue.
    pub fn sockets(&self) -> io::Result<Vec<Socket>> {
        self.shared.listeners.borrow().iter().map(Listener::duplicate).collect()
    }

    /// Listens elsewhere from now on, or goes on as before. New ports are bound before `consent` is awaited, and old
    /// ones given up after it; their connections are finished within the drain timeout. A port whose address stays
    /// keeps its socket, and a socket that a service manager gave stays where it is.
    ///
    /// While `consent` is awaited, route tables may name old and new taps.
    pub async fn listen<E>(
        &self,
        gateway: Listen,
        fixed: BTreeMap<String, SocketAddr>,
        taps: BTreeMap<String, Listen>,
        consent: impl Future<Output = Result<(), E>>,
    ) -> Result<Addresses, NotMoved<E>> {
        let shared = &self.shared;
        let _one_at_a_time = shared.moving.lock().await;
        let config = Config { listen: gateway, fixed, taps, limits: shared.limits.clone() };
        let there = shared.listeners.borrow().clone();
        let listeners = listen::bind(&config, &there).await.map_err(NotMoved::Bind)?;
        drop(there);
        let names: BTreeSet<String> = config.taps.keys().cloned().collect();
        let before = shared.taps.load_full();
        shared.taps.store(Arc::new(before.union(&names).cloned().collect()));
        if let Err(refused) = consent.await {
            shared.taps.store(before);
            return Err(NotMoved::Refused(refused));
        }
        shared.taps.store(Arc::new(names));
        let addresses = listen::addresses(&listeners);
        shared.listeners.send_replace(listeners);
        Ok(addresses)
    }
}
