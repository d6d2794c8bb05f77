//! Hands requests over when they are due. Timers of tokio have milliseconds; so a thread of its own waits, woken by the
//! kernel within some 60 µs, and another one makes requests ahead. In simulated time a task with timers does both.

use crate::ahead::Ahead;
use crate::run::Lane;
use crate::send::Form;
use crate::source::{Request, Source};
use crate::tally::{Fate, Times};
use bytes::Bytes;
use model::{Environment, PerEnvironment};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};

/// A run that nobody waits for any more ends within this.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A request with its bodies.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) request: Request,
    pub(crate) bodies: PerEnvironment<Option<Bytes>>,
}

/// What waits to be sent to one target.
pub(crate) struct Queued {
    pub(crate) request: Request,
    pub(crate) body: Bytes,
}

impl Prepared {
    pub(crate) fn bytes(&self) -> usize {
        self.request.framed.len()
    }
}

/// Where requests are handed over to.
pub(crate) struct Lanes {
    pub(crate) lanes: PerEnvironment<Option<(Arc<Lane>, mpsc::Sender<Queued>)>>,
    pub(crate) open: bool,
    pub(crate) stopped: Arc<AtomicBool>,
}

/// Nobody takes requests any more.
struct Over;

/// Makes bodies as the targets want them; both share them if they want the same.
pub(crate) struct Maker {
    pub(crate) source: Source,
    pub(crate) forms: PerEnvironment<Option<Form>>,
}

impl Maker {
    fn next(&mut self) -> Option<Prepared> {
        let request = self.source.next_request()?;
        let PerEnvironment { blue, green } = &self.forms;
        let blue_body = blue.as_ref().map(|form| form.body(&request.framed));
        let green_body = match (blue, green) {
            (Some(blue), Some(green)) if green.has_bodies_of(blue) => blue_body.clone(),
            (_, green) => green.as_ref().map(|form| form.body(&request.framed)),
        };
        Some(Prepared { request, bodies: PerEnvironment { blue: blue_body, green: green_body } })
    }
}

impl Lanes {
    /// To each target at once, or not at all: what does not fit is counted.
    fn offer(&self, prepared: Prepared, now_ns: u64) -> Result<(), Over> {
        for (lane, sender, queued) in self.each(prepared) {
            let length = queued.body.len();
            let (items, due_ns) = (u64::from(queued.request.items), queued.request.due_ns);
            let refused = match lane.put(length) {
                true => sender.try_send(queued),
                false => Err(mpsc::error::TrySendError::Full(queued)),
            };
            match refused {
                Ok(()) => {}
                Err(mpsc::error::TrySendError::Closed(_)) => return Err(Over),
                Err(mpsc::error::TrySendError::Full(_)) => {
                    lane.took(length);
                    let times = Times { due_ns, sent: None, done_ns: now_ns };
                    lane.tally().add(items, times, &Fate::NotSent);
                }
            }
        }
        Ok(())
    }

    fn each(&self, prepared: Prepared) -> impl Iterator<Item = (&Arc<Lane>, &mpsc::Sender<Queued>, Queued)> {
        let Prepared { request, mut bodies } = prepared;
        Environment::BOTH.into_iter().filter_map(move |environment| {
            let (lane, sender) = self.lanes[environment].as_ref()?;
            let body = bodies[environment].take()?;
            Some((lane, sender, Queued { request: request.clone(), body }))
        })
    }

    /// Waits for room: a closed loop.
    fn push(&self, prepared: Prepared) -> Result<(), Over> {
        if self.stopped.load(Relaxed) {
            return Err(Over);
        }
        for (lane, sender, queued) in self.each(prepared) {
            lane.put(queued.body.len());
            sender.blocking_send(queued).map_err(|_| Over)?;
        }
        Ok(())
    }

    fn is_over(&self) -> bool {
        if self.stopped.load(Relaxed) {
            return true;
        }
        let closed = |lane: &Option<(Arc<Lane>, mpsc::Sender<Queued>)>| {
            lane.as_ref().is_some_and(|(_, sender)| sender.is_closed())
        };
        closed(&self.lanes.blue) || closed(&self.lanes.green)
    }
}

/// Ends what waits when the run is over, or nobody waits for it any more.
pub(crate) struct Stop(Arc<Ahead>);

impl Drop for Stop {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// Begins to make requests, on a thread of its own. Ends with the run.
pub(crate) fn make_ahead(mut maker: Maker) -> std::io::Result<(Stop, Arc<Ahead>, thread::JoinHandle<Option<String>>)> {
    let ahead = Arc::new(Ahead::default());
    // Closes also when the thread panics: nobody waits for what never comes.
    let theirs = Stop(Arc::clone(&ahead));
    let made = thread::Builder::new().name("load-make".to_owned()).spawn(move || {
        while let Some(prepared) = maker.next() {
            if !theirs.0.push(prepared) {
                break;
            }
        }
        drop(theirs);
        maker.source.trouble()
    })?;
    Ok((Stop(Arc::clone(&ahead)), ahead, made))
}

/// Hands over what is made, on a thread of its own. What comes out is why the source ended early.
pub(crate) fn hand_over(
    lanes: Lanes,
    ahead: Arc<Ahead>,
    made: thread::JoinHandle<Option<String>>,
    start: Instant,
    end_ns: Option<u64>,
) -> std::io::Result<oneshot::Receiver<Option<String>>> {
    let (done, finished) = oneshot::channel();
    thread::Builder::new().name("load-pace".to_owned()).spawn(move || {
        while let Some(prepared) = ahead.pop() {
            let handed = match lanes.open {
                true => wait(&lanes, start + Duration::from_nanos(prepared.request.due_ns))
                    .and_then(|()| lanes.offer(prepared, now_ns(start))),
                false if end_ns.is_some_and(|end_ns| now_ns(start) >= end_ns) => Err(Over),
                false => lanes.push(prepared),
            };
            if handed.is_err() {
                break;
            }
        }
        ahead.close();
        drop(lanes);
        // One that panicked leaves nothing to tell, and the run says so.
        if let Ok(trouble) = made.join() {
            let _ = done.send(trouble);
        }
    })?;
    Ok(finished)
}

/// Waits until then, in pieces, so that a run that is over is noticed.
fn wait(lanes: &Lanes, due: Instant) -> Result<(), Over> {
    loop {
        if lanes.is_over() {
            return Err(Over);
        }
        let left = due.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        thread::park_timeout(left.min(LOOK_EVERY));
    }
}

/// The same with tokio's timers, to a millisecond: for simulated time.
pub(crate) async fn by_timers(lanes: Lanes, mut maker: Maker, start: Instant) -> Option<String> {
    while let Some(prepared) = maker.next() {
        sleep_until(start + Duration::from_nanos(prepared.request.due_ns)).await;
        if lanes.is_over() || lanes.offer(prepared, now_ns(start)).is_err() {
            break;
        }
    }
    maker.source.trouble()
}

pub(crate) fn now_ns(start: Instant) -> u64 {
    // 584 years.
    start.elapsed().as_nanos() as u64
}
