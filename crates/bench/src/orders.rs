//! Orders: JSON lines on standard input.

use tokio::sync::mpsc;

/// Standard input, read on a thread of its own, for work goes on while nothing is ordered. An order is answered before
/// the next one is given.
pub fn read_lines() -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel(1);
    std::thread::spawn(move || {
        for line in std::io::stdin().lines().map_while(Result::ok) {
            if sender.blocking_send(line).is_err() {
                return;
            }
        }
    });
    receiver
}
