//! A line that can be stalled: a TCP relay within the process. While it is stalled it accepts and keeps connections, and
//! reads nothing from one side or from both, so that buffers fill up to the sender. Nothing is reset and nobody is told,
//! as when a network drops packets.

use std::io;
use std::net::SocketAddr;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, duplex, split};
use tokio::net::TcpStream;
use tokio::sync::watch;

/// Bytes that a relay holds in each direction, beside the kernel's.
const BUFFER_BYTES: usize = 16 << 10;

/// Which directions are let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flow {
    /// From the one that connected.
    pub forth: bool,
    /// Back to it.
    pub back: bool,
}

/// All lines of a process are stalled together.
pub struct Valve(watch::Sender<Flow>);

impl Valve {
    pub fn open() -> Valve {
        Valve(watch::channel(Flow { forth: true, back: true }).0)
    }

    pub fn set(&self, flow: Flow) {
        self.0.send_replace(flow);
    }

    /// The near end of a connection that somebody made to us.
    pub fn accepted(&self, far: TcpStream) -> io::Result<DuplexStream> {
        self.relay(far, |flow| flow.forth, |flow| flow.back)
    }

    /// The near end of a new connection.
    pub async fn connect(&self, to: SocketAddr) -> io::Result<DuplexStream> {
        let far = TcpStream::connect(to).await?;
        self.relay(far, |flow| flow.back, |flow| flow.forth)
    }

    fn relay(&self, far: TcpStream, inward: fn(&Flow) -> bool, outward: fn(&Flow) -> bool) -> io::Result<DuplexStream> {
        far.set_nodelay(true)?;
        let (near, relayed) = duplex(BUFFER_BYTES);
        let (far_read, far_write) = far.into_split();
        let (near_read, near_write) = split(relayed);
        tokio::spawn(pump(far_read, near_write, self.0.subscribe(), inward));
        tokio::spawn(pump(near_read, far_write, self.0.subscribe(), outward));
        Ok(near)
    }
}

/// Until one side ends. An end or a failure is passed on by dropping or shutting down the other side.
async fn pump(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut flow: watch::Receiver<Flow>,
    open: fn(&Flow) -> bool,
) {
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        // Without a valve the process is about to end.
        if flow.wait_for(open).await.is_err() {
            return;
        }
        let length = match from.read(&mut buffer).await {
            Ok(length) if length > 0 => length,
            Ok(_) | Err(_) => break,
        };
        // It may have been stalled while it waited for these bytes.
        if flow.wait_for(open).await.is_err() || to.write_all(&buffer[..length]).await.is_err() {
            break;
        }
    }
    // The other side may be gone already.
    let _ = to.shutdown().await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::{Future, poll_fn};
    use std::pin::pin;
    use std::task::Poll;
    use tokio::net::TcpListener;

    async fn pair(valve: &Valve) -> (TcpStream, DuplexStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let far = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (accepted, _) = listener.accept().await.unwrap();
        (far, valve.accepted(accepted).unwrap())
    }

    #[tokio::test]
    async fn bytes_go_both_ways_and_the_end_is_passed_on() {
        let valve = Valve::open();
        let (mut far, mut near) = pair(&valve).await;
        let mut found = [0; 2];
        far.write_all(b"go").await.unwrap();
        near.read_exact(&mut found).await.unwrap();
        assert_eq!(&found, b"go");
        near.write_all(b"on").await.unwrap();
        far.read_exact(&mut found).await.unwrap();
        assert_eq!(&found, b"on");
        drop(far);
        assert_eq!(near.read(&mut found).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn a_stalled_direction_lets_nothing_through_until_it_is_opened() {
        let valve = Valve::open();
        let (mut far, mut near) = pair(&valve).await;
        valve.set(Flow { forth: true, back: false });
        near.write_all(b"no").await.unwrap();
        far.write_all(b"go").await.unwrap();
        let mut found = [0; 2];
        // The other direction goes on. That it came through says that the runtime has run the relay.
        near.read_exact(&mut found).await.unwrap();
        {
            let mut reading = pin!(far.read_exact(&mut found));
            let ready = poll_fn(|context| Poll::Ready(reading.as_mut().poll(context).is_ready())).await;
            assert!(!ready, "a stalled line let something through");
            valve.set(Flow { forth: true, back: true });
            reading.await.unwrap();
        }
        assert_eq!(&found, b"no");
    }
}
