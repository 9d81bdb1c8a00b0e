//! What is connected, and what is said of connections that fail.

use std::io::{Read, Write};
use std::os::fd::AsFd;

use merlon_wire::dialer::DialError;
use merlon_wire::link::ConnectError;
use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
use nix::sys::socket::{getsockopt, sockopt};

use crate::running::{Running, connect, origin, silent_origin};

fn why(error: ConnectError) -> DialError {
    match error {
        ConnectError::Dial(error) => error,
        ConnectError::Link(error) => panic!("{error}"),
    }
}

#[tokio::test]
async fn bytes_flow_both_ways_over_the_descriptor_and_nobody_else_holds_it() {
    let (listener, port) = origin("127.0.0.1:0");
    let dialer = Running::start("", "", &[]);
    let (client, hello) = dialer.client().await;
    assert!(hello.sandbox.seccomp && hello.sandbox.no_new_privs && hello.sandbox.core_dumps_off);

    let connected = client.connect("127.0.0.1", port).await.unwrap();
    assert_eq!(connected.address, listener.local_addr().unwrap());
    let flags = OFlag::from_bits_retain(fcntl(&connected.fd, FcntlArg::F_GETFL).unwrap());
    assert!(flags.contains(OFlag::O_NONBLOCK));
    let flags = FdFlag::from_bits_retain(fcntl(&connected.fd, FcntlArg::F_GETFD).unwrap());
    assert!(flags.contains(FdFlag::FD_CLOEXEC));
    assert!(getsockopt(&connected.fd.as_fd(), sockopt::TcpNoDelay).unwrap());

    let mut ours = std::net::TcpStream::from(connected.fd);
    ours.set_nonblocking(false).unwrap();
    let (mut theirs, _) = listener.accept().unwrap();
    theirs.set_nonblocking(false).unwrap();
    ours.write_all(b"question").unwrap();
    let mut buffer = [0; 8];
    theirs.read_exact(&mut buffer).unwrap();
    assert_eq!(&buffer, b"question");
    theirs.write_all(b"answered").unwrap();
    ours.read_exact(&mut buffer).unwrap();
    assert_eq!(&buffer, b"answered");
    // Were the dialer's copy still open, this end would never come.
    drop(ours);
    assert_eq!(theirs.read(&mut buffer).unwrap(), 0);
}

#[tokio::test]
async fn names_come_from_the_hosts_file_and_localhost_is_this_host() {
    let (_listener, port) = origin("127.0.0.1:0");
    let dialer = Running::start("", "127.0.0.1 app.test\n192.0.2.1 localhost\n", &[]);
    let (client, _) = dialer.client().await;
    for host in ["app.test", "APP.test.", "localhost", "x.localhost", "::ffff:127.0.0.1"] {
        let (_, address) = connect(&client, host, port).await.unwrap();
        assert_eq!(address, ([127, 0, 0, 1], port).into(), "{host}");
    }
}

#[tokio::test]
async fn each_failure_says_what_it_is() {
    let (listener, port) = origin("127.0.0.1:0");
    drop(listener);
    let dialer = Running::start("", "127.0.0.1 app.test\n", &[]);
    let (client, _) = dialer.client().await;
    let address = ([127, 0, 0, 1], port).into();
    assert_eq!(why(client.connect("app.test", port).await.unwrap_err()), DialError::ConnectionRefused(address));
    let text = client.connect("unknown.test", port).await.unwrap_err().to_string();
    assert!(text.contains("does not resolve") && text.contains("no name server"), "{text}");
    for host in ["", "a b", "[::1]", "127.1", "0x7f000001", "2130706433"] {
        assert_eq!(why(client.connect(host, port).await.unwrap_err()), DialError::BadHost(host.to_owned()));
    }
    assert_eq!(why(client.connect("app.test", 0).await.unwrap_err()), DialError::BadHost("app.test:0".to_owned()));
    // A link-local address names no link here: the kernel refuses it before it looks for a route, so nothing is sent.
    assert!(matches!(why(client.connect("fe80::1", port).await.unwrap_err()), DialError::Unreachable { .. }));
}

#[tokio::test]
async fn a_silent_origin_is_given_up_after_the_limit_of_the_configuration() {
    let (_listener, _filling, port) = silent_origin();
    let dialer = Running::start("[egress]\nconnect_timeout_seconds = 1\n", "", &[]);
    let (client, _) = dialer.client().await;
    let expected = DialError::TimedOut { address: format!("127.0.0.1:{port}"), seconds: 1 };
    assert_eq!(why(client.connect("127.0.0.1", port).await.unwrap_err()), expected);
}

#[tokio::test]
async fn many_are_connected_at_once() {
    const MANY: usize = 400;
    let (listener, port) = origin("127.0.0.1:0");
    let dialer = Running::start("", "", &[]);
    let (client, _) = dialer.client().await;
    let dials: Vec<_> = (0..MANY)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move { client.connect("127.0.0.1", port).await })
        })
        .collect();
    let mut connections = Vec::new();
    for dial in dials {
        connections.push(dial.await.unwrap().unwrap());
    }
    // The queue had room for all, so none of these waits in vain.
    listener.set_nonblocking(false).unwrap();
    for _ in &connections {
        listener.accept().unwrap();
    }
}
