use super::*;
use std::fs::File;
use std::io::{Read, Seek, Write};

const LIMIT: Duration = Duration::from_secs(10);

fn pair() -> (Wire, Wire) {
    let (one, other) = UnixStream::pair().unwrap();
    (Wire::new(one), Wire::new(other))
}

fn file(content: &str) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(content.as_bytes()).unwrap();
    file.rewind().unwrap();
    file
}

#[tokio::test]
async fn messages_arrive_one_by_one_with_the_file_descriptors_that_were_sent_beside_them() {
    let (mut old, mut new) = pair();
    let files: Vec<File> = (0..MAX_DESCRIPTORS).map(|number| file(&number.to_string())).collect();
    let ports = files.iter().map(|_| PassedPort { name: "tap-".repeat(20), fixed: true }).collect();
    let sockets = FromOld::Sockets { program: "1".to_owned(), api: "/a".into(), ports };
    let descriptors: Vec<BorrowedFd<'_>> = files.iter().map(AsFd::as_fd).collect();
    let send = async {
        old.send(&sockets, &descriptors).await.unwrap();
        old.send(&FromOld::Leaving, &[]).await.unwrap();
        old.send(&FromOld::Gone, &[]).await.unwrap();
    };
    let receive = async {
        let (message, passed) = new.receive::<FromOld>(LIMIT).await.unwrap();
        assert!(matches!(message, FromOld::Sockets { ports, .. } if ports.len() == MAX_DESCRIPTORS));
        let contents = passed.into_iter().map(|descriptor| {
            let mut content = String::new();
            File::from(descriptor).read_to_string(&mut content).unwrap();
            content
        });
        assert!(contents.eq((0..MAX_DESCRIPTORS).map(|number| number.to_string())));
        let (message, passed) = new.receive(LIMIT).await.unwrap();
        assert!(matches!(message, FromOld::Leaving) && passed.is_empty());
        assert!(matches!(new.receive(LIMIT).await.unwrap().0, FromOld::Gone));
    };
    tokio::join!(send, receive);
    drop(old);
    assert!(matches!(new.receive::<FromOld>(LIMIT).await, Err(WireError::Ended)));
}

#[tokio::test]
async fn what_is_no_message_is_refused() {
    for bytes in [&u32::MAX.to_le_bytes()[..], b"\x02\0\0\0{}", b"\x03\0\0\0{}}"] {
        let (mut old, mut new) = pair();
        old.stream.write_all(bytes).await.unwrap();
        assert!(matches!(new.receive::<FromNew>(LIMIT).await, Err(WireError::Message(_))), "{bytes:?}");
    }
}

#[tokio::test]
async fn a_silent_process_is_not_waited_for_for_ever() {
    const LIMIT: Duration = Duration::from_millis(1);
    let (mut old, mut new) = pair();
    old.stream.write_all(b"\x02\0").await.unwrap();
    assert!(matches!(new.receive::<FromNew>(LIMIT).await, Err(WireError::Silent(LIMIT))));
}
