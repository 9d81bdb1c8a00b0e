//! Links that end, well or badly, and what outlives them.

use std::os::fd::{AsFd, OwnedFd};

use merlon_sandbox::seqpacket;
use merlon_wire::dialer::{DialError, Request, Response};
use merlon_wire::{Frame, Hello, MAX_FRAME, Role};

use crate::running::{Files, Running, client_over, connect, origin, silent_origin};

fn receive_hello(link: &OwnedFd) {
    let mut buffer = [0; 4096];
    let received = seqpacket::recv(link, &mut buffer).unwrap();
    let hello: Hello = merlon_wire::decode(&buffer[..received.len]).unwrap();
    assert_eq!(hello.role, Role::Dialer);
}

fn request(id: u64, host: &str, port: u16) -> Vec<u8> {
    let mut buffer = [0; 512];
    let used = merlon_wire::encode(&Frame { id, body: Request::Connect { host, port } }, &mut buffer).unwrap();
    buffer[..used].to_vec()
}

fn answer(link: &OwnedFd) -> Frame<Response> {
    let mut buffer = [0; 4096];
    let received = seqpacket::recv(link, &mut buffer).unwrap();
    merlon_wire::decode(&buffer[..received.len]).unwrap()
}

/// The dialer has hung up, unread frames or not.
fn is_dropped(link: &OwnedFd) -> bool {
    match seqpacket::recv(link, &mut [0; 4096]) {
        Ok(received) => received.len == 0,
        Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
    }
}

#[tokio::test]
async fn what_is_no_request_drops_its_link_and_no_other() {
    let (_listener, port) = origin("127.0.0.1:0");
    let mut dialer = Running::start("", "", &[]);
    let (client, _) = dialer.client().await;
    let good = request(1, "127.0.0.1", port);
    let mut trailing = good.clone();
    trailing.push(0);
    let mut unknown = good.clone();
    unknown[1] = 1;
    let mut not_utf8 = good.clone();
    not_utf8[3] = 0xff;
    let bad: [&[u8]; 8] =
        [&[0], &[0xff; 11], &good[..good.len() - 1], &trailing, &unknown, &not_utf8, &[0; 513], &[0x41; MAX_FRAME * 2]];
    for frame in bad {
        let link = dialer.link();
        receive_hello(&link);
        seqpacket::send(&link, frame, None).unwrap();
        assert!(is_dropped(&link), "{frame:?}");
        connect(&client, "127.0.0.1", port).await.unwrap();
    }
    let link = dialer.link();
    receive_hello(&link);
    seqpacket::send(&link, &good, Some(_listener.as_fd())).unwrap();
    assert!(is_dropped(&link), "a request came with a descriptor");
    assert!(dialer.is_alive());
    let (client, _) = dialer.client().await;
    connect(&client, "127.0.0.1", port).await.unwrap();
}

#[tokio::test]
async fn an_engine_that_reads_no_answers_harms_itself_only() {
    let (_listener, port) = origin("127.0.0.1:0");
    let dialer = Running::start("", "", &[]);
    let link = dialer.link();
    seqpacket::set_nonblocking(&link, true).unwrap();
    // Until neither side's buffer takes more; a dialer that still reads makes room again.
    let (mut sent, mut full) = (0u64, 0);
    while full < 1000 {
        match seqpacket::send(&link, &request(sent, "no host", 1), None) {
            Ok(()) => (sent, full) = (sent + 1, 0),
            Err(error) => {
                assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
                full += 1;
                std::thread::yield_now();
            }
        }
    }
    let (client, _) = dialer.client().await;
    connect(&client, "127.0.0.1", port).await.unwrap();
    drop(link);
    connect(&client, "127.0.0.1", port).await.unwrap();
}

#[tokio::test]
async fn beyond_the_bound_the_dialer_is_busy_and_recovers() {
    const BOUND: u64 = 1024;
    let (_silent, _filling, port) = silent_origin();
    let dialer = Running::start("[egress]\nconnect_timeout_seconds = 120\n", "", &[]);
    let link = dialer.link();
    receive_hello(&link);
    for id in 0..=BOUND {
        seqpacket::send(&link, &request(id, "127.0.0.1", port), None).unwrap();
    }
    assert_eq!(answer(&link), Frame { id: BOUND, body: Response::Failed(DialError::Busy) });
    // What is under way ends with its link, so that there is room again.
    drop(link);
    let (_listener, port) = origin("127.0.0.1:0");
    let (client, _) = dialer.client().await;
    let mut tries = 0;
    while connect(&client, "127.0.0.1", port).await.is_err() {
        tries += 1;
        assert!(tries < 10_000, "the dialer stays busy");
    }
}

#[tokio::test]
async fn under_systemd_the_dialer_connects_again_for_ever() {
    let (_origin, port) = origin("127.0.0.1:0");
    let files = Files::new("", "");
    let path = files.path("link.sock");
    let mut dialer = files.program().arg("--link").arg(&path).stderr(std::process::Stdio::null()).spawn().unwrap();
    for _start_of_the_engine in 0..2 {
        let listener = seqpacket::listen(&path, 0o600).unwrap();
        for _hang_up in 0..3 {
            let (client, _) = client_over(seqpacket::accept(&listener).unwrap()).await;
            connect(&client, "127.0.0.1", port).await.unwrap();
            client.hang_up();
        }
        std::fs::remove_file(&path).unwrap();
    }
    dialer.kill().unwrap();
    dialer.wait().unwrap();
}
