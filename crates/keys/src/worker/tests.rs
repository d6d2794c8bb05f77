use super::*;
use std::sync::mpsc::channel;

#[test]
fn calls_run_one_after_another_on_one_state() {
    let worker = Worker::begin("test", Vec::new(), Duration::from_secs(60)).unwrap();
    for index in 0..3 {
        let length = worker.call(move |state: &mut Vec<u32>| {
            state.push(index);
            state.len()
        });
        assert_eq!(length, Ok(index as usize + 1));
    }
}

#[test]
fn a_call_that_hangs_is_given_up_and_the_next_ones_fail_at_once_until_it_is_back() {
    let worker = Worker::begin("test", (), Duration::ZERO).unwrap();
    let (go_on, held) = channel::<()>();
    let (done, ended) = channel::<()>();
    let call = worker.call(move |()| {
        held.recv().unwrap();
        drop(done);
    });
    assert_eq!(call, Err(Silent::TooLong(Duration::ZERO)));
    for _ in 0..3 {
        assert_eq!(worker.call(|()| ()), Err(Silent::Hangs));
    }
    go_on.send(()).unwrap();
    assert!(ended.recv().is_err());
    // It came back, a moment ago or in a moment; with a limit of nothing the answer itself may come too late.
    while worker.call(|()| ()) == Err(Silent::Hangs) {
        std::thread::yield_now();
    }
}

#[test]
fn a_thread_that_died_is_an_error() {
    let worker = Worker::begin("test", (), Duration::from_secs(60)).unwrap();
    assert_eq!(worker.call(|()| panic!("a test's own panic")), Err::<(), _>(Silent::Ended));
    assert!(worker.call(|()| ()).is_err());
}

/// A process that ends must not take a module from under a session that is just closing.
#[test]
fn whoever_lets_go_of_it_waits_until_what_it_worked_on_is_let_go_of() {
    struct Session(Arc<AtomicBool>);
    impl Drop for Session {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Release);
        }
    }
    for _ in 0..100 {
        let closed = Arc::new(AtomicBool::new(false));
        let worker = Worker::begin("test", Session(closed.clone()), Duration::from_secs(60)).unwrap();
        worker.call(|_| ()).unwrap();
        drop(worker);
        assert!(closed.load(Ordering::Acquire));
    }
}
