//! What the kernel knows of a process: its memory, its file descriptors, its connections.

use anyhow::{Context, Result};
use std::collections::BTreeSet;
use std::fs;

/// What a process holds at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// Open file descriptors of every kind.
    pub descriptors: usize,
    /// Established TCP connections among them.
    pub connections: usize,
}

/// Looks at a process.
pub fn held(id: u32) -> Result<Held> {
    let folder = format!("/proc/{id}/fd");
    let mut sockets = BTreeSet::new();
    let mut descriptors = 0;
    for entry in fs::read_dir(&folder).with_context(|| format!("cannot list {folder}"))? {
        descriptors += 1;
        // One that was closed in between has no target any more.
        if let Ok(target) = fs::read_link(entry?.path()) {
            sockets.extend(target.to_str().and_then(inode));
        }
    }
    let mut established = BTreeSet::new();
    for table in ["tcp", "tcp6"] {
        // Without IPv6 there is no second table.
        established.extend(inodes(&fs::read_to_string(format!("/proc/{id}/net/{table}")).unwrap_or_default()));
    }
    // A set: the runtime holds some sockets by two descriptors.
    Ok(Held { descriptors, connections: sockets.intersection(&established).count() })
}

/// `socket:[12345]`.
fn inode(target: &str) -> Option<u64> {
    target.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

/// The inodes of the established connections of /proc/PID/net/tcp (proc(5)): the fourth column is the state, 01 for
/// established, the tenth the inode.
fn inodes(table: &str) -> impl Iterator<Item = u64> {
    table.lines().skip(1).filter_map(|line| {
        let mut columns = line.split_ascii_whitespace();
        let established = columns.nth(3)? == "01";
        columns.nth(5)?.parse().ok().filter(|_| established)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};

    #[test]
    fn established_connections_are_told_from_others() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 11 1 0 100 0 0 10 0
   1: 0100007F:1F90 0100007F:A3B4 01 00000000:00000000 00:00000000 00000000     0        0 12 1 0 20 4 30 10 -1
   2: 0100007F:A3B4 0100007F:1F90 06 00000000:00000000 03:00000000 00000000     0        0 0 3 0
";
        assert!(inodes(table).eq([12]));
        assert_eq!(inodes("").count(), 0);
        assert_eq!((inode("socket:[7]"), inode("/dev/null"), inode("pipe:[7]")), (Some(7), None, None));
    }

    #[test]
    fn a_connection_is_seen_and_its_end_too() {
        let id = std::process::id();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        // Other tests of this process connect nowhere.
        let before = held(id).unwrap().connections;
        let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (far, _) = listener.accept().unwrap();
        assert_eq!(held(id).unwrap().connections, before + 2);
        drop((near, far));
        assert_eq!(held(id).unwrap().connections, before);
    }
}
