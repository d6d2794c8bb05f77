//! When a connection is closed after its port has stopped: between two requests, in such a way that its client knows.
//!
//! An HTTP/2 client is told by GOAWAY, and what it has sent by then is answered. HTTP/1.1 has no such message outside of
//! an answer: a connection that is closed between two requests may cross with the next one, which is then reset, and its
//! client cannot know whether it was taken. So the next request is waited for and answered with `connection: close`.
//! A connection that has asked nothing yet was most likely made to ask, so it is waited for as well.

use crate::listen::stopped;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;
use tokio::sync::{Notify, watch};

/// What a connection is kept for when its port has stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Until {
    /// HTTP/1.1: until a request is under way, for its answer says that the connection closes.
    Answering,
    /// HTTP/2: until there was a request at all.
    Asked,
    /// No request can be under way: for as long as an idle connection is kept.
    Idle,
}

/// The end of one connection.
pub(crate) struct Closing {
    stop: watch::Receiver<bool>,
    grace: Duration,
    requests: Requests,
}

/// The requests of one connection.
#[derive(Clone)]
pub(crate) struct Requests(Arc<Counted>);

#[derive(Default)]
struct Counted {
    asked: AtomicUsize,
    under_way: AtomicUsize,
    begun: Notify,
}

/// A request, until it is answered.
pub(crate) struct UnderWay(Requests);

impl Closing {
    pub(crate) fn new(stop: watch::Receiver<bool>, grace: Duration) -> Closing {
        Closing { stop, grace, requests: Requests(Arc::default()) }
    }

    pub(crate) fn requests(&self) -> Requests {
        self.requests.clone()
    }

    /// Ends when the connection is to be closed in order: after its port has stopped, and its client is best told.
    pub(crate) async fn due(&mut self, until: Until) {
        stopped(&mut self.stop).await;
        let counted = &self.requests.0;
        let told = async {
            loop {
                match until {
                    Until::Answering if counted.under_way.load(SeqCst) > 0 => return,
                    Until::Asked if counted.asked.load(SeqCst) > 0 => return,
                    // A permit that an earlier request left ends one turn.
                    Until::Answering | Until::Asked | Until::Idle => counted.begun.notified().await,
                }
            }
        };
        let _ = tokio::time::timeout(self.grace, told).await;
    }
}

impl Requests {
    pub(crate) fn begin(&self) -> UnderWay {
        self.0.asked.fetch_add(1, SeqCst);
        self.0.under_way.fetch_add(1, SeqCst);
        self.0.begun.notify_one();
        UnderWay(self.clone())
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.0.under_way.fetch_sub(1, SeqCst);
    }
}
