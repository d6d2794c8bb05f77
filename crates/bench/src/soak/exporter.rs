//! An exporter as a good OTLP client is: a bounded queue, few requests at once, each sent again until it is taken or
//! refused for good, after the delay that the server named or with a growing one of its own; connections made anew.

use super::book::{Attempt, Book, End, RequestId};
use super::client::{Answer, Connection, Protocol};
use super::line::Valve;
use super::numbering::{self, mix};
use super::unix_ms;
use bytes::Bytes;
use prost::Message;
use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;

/// Requests that wait: at one every 100 ms, 100 s of them.
const QUEUE_REQUESTS: usize = 1_000;

/// Requests at once, each on a connection of its own.
const WORKERS: usize = 2;

/// The own delay: from 250 ms on half as much again each time, to 4 s at most, and up to a fifth more. Below every `pin`
/// of the soak test, so that a trace whose requests are refused stays where it began.
const FIRST_DELAY_MS: u64 = 250;
const MAX_DELAY_MS: u64 = 4_000;

/// What all exporters of a process share.
pub struct Ground {
    pub book: RefCell<Book>,
    pub valve: Valve,
    /// Requests that are queued or under way.
    pub pending: Cell<usize>,
}

/// The near end of an exporter's queue.
pub struct Exporter {
    queue: mpsc::Sender<RequestId>,
    ground: Rc<Ground>,
}

impl Exporter {
    /// Must be called within a `LocalSet`.
    pub fn start(protocol: Protocol, to: SocketAddr, ground: &Rc<Ground>, workers: &mut JoinSet<()>) -> Exporter {
        let (queue, requests) = mpsc::channel(QUEUE_REQUESTS);
        let requests = Rc::new(Mutex::new(requests));
        for _ in 0..WORKERS {
            let worker = Worker { protocol, to, ground: Rc::clone(ground), connection: None };
            workers.spawn_local(worker.run(Rc::clone(&requests)));
        }
        Exporter { queue, ground: Rc::clone(ground) }
    }

    /// Queues a request, or throws it away if the queue is full.
    pub fn push(&self, id: RequestId) {
        if self.queue.try_send(id).is_ok() {
            self.ground.pending.set(self.ground.pending.get() + 1);
        } else {
            self.ground.book.borrow_mut().counts.overflowed += 1;
        }
    }
}

struct Worker {
    protocol: Protocol,
    to: SocketAddr,
    ground: Rc<Ground>,
    connection: Option<Connection>,
}

impl Worker {
    async fn run(mut self, requests: Rc<Mutex<mpsc::Receiver<RequestId>>>) {
        loop {
            let next = requests.lock().await.recv().await;
            let Some(id) = next else { return };
            self.deliver(id).await;
            self.ground.pending.set(self.ground.pending.get() - 1);
        }
    }

    /// Sends a request until it is taken or refused for good.
    async fn deliver(&mut self, id: RequestId) {
        let message: Bytes = {
            let book = self.ground.book.borrow();
            let request = book.request(id);
            numbering::request(request.exporter, &request.parts).encode_to_vec().into()
        };
        for tried in 0.. {
            let sent_ms = unix_ms();
            let (end, answer) = self.attempt(&message).await;
            self.ground.book.borrow_mut().note(id, Attempt { sent_ms, ended_ms: unix_ms(), end });
            let told_ms = match answer {
                Some(Answer::Taken) => return,
                Some(Answer::Never { why }) => return self.ground.book.borrow_mut().note_refusal(why),
                Some(Answer::Again { after_ms }) => after_ms,
                None => None,
            };
            tokio::time::sleep(delay(id, tried, told_ms)).await;
        }
    }

    async fn attempt(&mut self, message: &Bytes) -> (End, Option<Answer>) {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => match Connection::connect(self.protocol, self.to, &self.ground.valve).await {
                Ok(connection) => connection,
                Err(_) => return (End::NotSent, None),
            },
        };
        match connection.export(message.clone()).await {
            Ok(answer) => {
                self.connection = Some(connection);
                let end = if answer == Answer::Taken { End::Acknowledged } else { End::Refused };
                (end, Some(answer))
            }
            // The connection is dropped: an answer that comes late must not be taken for the next one's.
            Err(_) => (End::Lost, None),
        }
    }
}

/// What the server named, or the own delay if that is longer.
fn delay(id: RequestId, tried: u32, told_ms: Option<u64>) -> Duration {
    let grown = FIRST_DELAY_MS as f64 * 1.5_f64.powi(tried.min(32) as i32);
    let own_ms = (grown as u64).min(MAX_DELAY_MS);
    let delay_ms = own_ms.max(told_ms.unwrap_or(0));
    let jitter_ms = mix(id as u64 + u64::from(tried)) % (delay_ms / 5 + 1);
    Duration::from_millis(delay_ms + jitter_ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delay_grows_to_its_bound_and_is_never_below_what_was_told() {
        let ms = |tried, told_ms| delay(7, tried, told_ms).as_millis();
        assert!((250..=300).contains(&ms(0, None)));
        assert!((375..=450).contains(&ms(1, None)));
        assert!((4_000..=4_800).contains(&ms(1_000, None)));
        assert!((9_000..=10_800).contains(&ms(0, Some(9_000))));
        assert!((250..=300).contains(&ms(0, Some(100))));
    }
}
