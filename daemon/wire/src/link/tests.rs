//! Clients against a peer played by the test.

use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use merlon_sandbox::seqpacket;
use serde::Serialize;
use tokio::task::{JoinHandle, yield_now};

use super::*;
use crate::dialer::{DialError, Response};
use crate::keeper::{self, Refusal};
use crate::{Frame, FrameError, Hello, Role, SandboxReport, VERSION};

const LIMITS: Limits = Limits { in_flight: 8, answer: Duration::from_secs(10) };

/// The other end of a link.
struct Peer(AsyncLink);

impl Peer {
    fn pair() -> (AsyncLink, Self) {
        let (ours, theirs) = seqpacket::pair().unwrap();
        (AsyncLink::new(ours).unwrap(), Self(AsyncLink::new(theirs).unwrap()))
    }

    /// The id of the next request and, of a dial, its port.
    async fn request(&self) -> (u64, u16) {
        let mut buffer = [0; 1024];
        let received = self.0.recv(&mut buffer).await.unwrap();
        let frame: Frame<crate::dialer::Request<'_>> = crate::decode(&buffer[..received.len]).unwrap();
        let crate::dialer::Request::Connect { port, .. } = frame.body;
        (frame.id, port)
    }

    async fn answer<T: Serialize + Sync>(&self, id: u64, body: T, fd: Option<BorrowedFd<'_>>) {
        self.0.send_message(&Frame { id, body }, fd).await.unwrap();
    }
}

fn dialer(limits: Limits) -> (DialerClient, JoinHandle<LinkError>, Peer) {
    let (link, peer) = Peer::pair();
    let (client, driver) = DialerClient::new(link, limits);
    (client, tokio::spawn(driver.run()), peer)
}

fn keeper() -> (KeeperClient, JoinHandle<LinkError>, Peer) {
    let (link, peer) = Peer::pair();
    let (client, driver) = KeeperClient::new(link, LIMITS).unwrap();
    (client, tokio::spawn(driver.run()), peer)
}

fn ask(client: &DialerClient, port: u16) -> JoinHandle<Result<Connected, ConnectError>> {
    let client = client.clone();
    tokio::spawn(async move { client.connect("host.test", port).await })
}

fn connected(port: u16) -> Response {
    Response::Connected { address: SocketAddr::from(([127, 0, 0, 1], port)), resolve_us: 3, connect_us: 4 }
}

#[tokio::test]
async fn answers_find_their_calls_in_any_order() {
    let (client, _driver, peer) = dialer(LIMITS);
    let calls: Vec<_> = (1..=5).map(|port| ask(&client, port)).collect();
    let mut requests = Vec::new();
    for _ in &calls {
        requests.push(peer.request().await);
    }
    let (_mine, passed) = UnixStream::pair().unwrap();
    for &(id, port) in requests.iter().rev() {
        peer.answer(id, connected(port), Some(passed.as_fd())).await;
    }
    for (call, port) in calls.into_iter().zip(1..) {
        let connected = call.await.unwrap().unwrap();
        assert_eq!(connected.address.port(), port);
        assert_eq!((connected.resolve, connected.connect), (Duration::from_micros(3), Duration::from_micros(4)));
    }
}

#[tokio::test]
async fn a_failure_is_the_dialers_word() {
    let (client, _driver, peer) = dialer(LIMITS);
    let call = ask(&client, 1);
    let (id, _) = peer.request().await;
    peer.answer(id, Response::Failed(DialError::Busy), None).await;
    assert!(matches!(call.await.unwrap(), Err(ConnectError::Dial(DialError::Busy))));
}

#[tokio::test]
async fn a_hang_up_fails_what_is_under_way_and_what_comes_later() {
    let (client, driver, peer) = dialer(LIMITS);
    let calls: Vec<_> = (1..=3).map(|port| ask(&client, port)).collect();
    peer.request().await;
    assert!(!client.is_closed());
    drop(peer);
    for call in calls {
        assert!(matches!(call.await.unwrap(), Err(ConnectError::Link(LinkError::HungUp(Role::Dialer)))));
    }
    assert!(matches!(driver.await.unwrap(), LinkError::HungUp(Role::Dialer)));
    client.closed().await;
    assert!(client.is_closed());
    let late = client.connect("host.test", 1).await;
    assert!(matches!(late, Err(ConnectError::Link(LinkError::HungUp(Role::Dialer)))));
}

#[tokio::test]
async fn a_dropped_driver_is_a_hang_up() {
    let (client, driver, peer) = dialer(LIMITS);
    let call = ask(&client, 1);
    peer.request().await;
    driver.abort();
    assert!(matches!(call.await.unwrap(), Err(ConnectError::Link(LinkError::HungUp(_)))));
    assert_eq!(peer.0.recv(&mut [0; 8]).await.unwrap().len, 0);
}

#[tokio::test(start_paused = true)]
async fn a_silent_peer_is_given_up_and_its_late_answer_dropped() {
    let (client, _driver, peer) = dialer(LIMITS);
    let call = ask(&client, 1);
    let (late, _) = peer.request().await;
    assert!(matches!(
        call.await.unwrap(),
        Err(ConnectError::Link(LinkError::TimedOut { role: Role::Dialer, seconds: 10 }))
    ));
    let (mine, passed) = UnixStream::pair().unwrap();
    peer.answer(late, connected(1), Some(passed.as_fd())).await;
    let call = ask(&client, 2);
    let (id, _) = peer.request().await;
    peer.answer(id, Response::Failed(DialError::Busy), None).await;
    assert!(matches!(call.await.unwrap(), Err(ConnectError::Dial(DialError::Busy))));
    // The late descriptor was closed: with ours it was the last one.
    drop(passed);
    let end = std::io::Write::write(&mut &mine, b"x").unwrap_err();
    assert_eq!(end.kind(), std::io::ErrorKind::BrokenPipe);
}

#[tokio::test]
async fn no_more_requests_than_allowed_are_under_way() {
    let (client, _driver, peer) = dialer(Limits { in_flight: 1, ..LIMITS });
    let calls = [ask(&client, 1), ask(&client, 2)];
    let (first, _) = peer.request().await;
    for _ in 0..20 {
        yield_now().await;
    }
    let mut buffer = [0; 8];
    let nothing = std::future::poll_fn(|cx| {
        std::task::Poll::Ready(std::pin::pin!(peer.0.recv(&mut buffer)).poll(cx).is_pending())
    });
    assert!(nothing.await, "a second request came before the first was answered");
    peer.answer(first, Response::Failed(DialError::Busy), None).await;
    let (second, _) = peer.request().await;
    assert_ne!(first, second);
    peer.answer(second, Response::Failed(DialError::Busy), None).await;
    for call in calls {
        assert!(call.await.unwrap().is_err());
    }
}

#[tokio::test]
async fn a_peer_that_breaks_the_protocol_is_dropped() {
    let (_mine, passed) = UnixStream::pair().unwrap();
    // An answer to no request; a connection without its descriptor; a descriptor with a failure.
    let answers = [
        (77, connected(1), Some(passed.as_fd())),
        (0, connected(1), None),
        (0, Response::Failed(DialError::Busy), Some(passed.as_fd())),
    ];
    for (id, body, fd) in answers {
        let (client, driver, peer) = dialer(LIMITS);
        let call = ask(&client, 1);
        peer.request().await;
        peer.answer(id, body, fd).await;
        assert!(matches!(driver.await.unwrap(), LinkError::Protocol { role: Role::Dialer, .. }));
        assert!(matches!(call.await.unwrap(), Err(ConnectError::Link(LinkError::HungUp(_)))));
    }
    for bytes in [&[0, 9, 9, 9][..], &[0xff; 12][..], &[0; crate::MAX_FRAME + 1][..]] {
        let (client, driver, peer) = dialer(LIMITS);
        let call = ask(&client, 1);
        peer.request().await;
        peer.0.send(bytes, None).await.unwrap();
        let end = driver.await.unwrap();
        assert!(matches!(end, LinkError::Frame(FrameError::Malformed(_)) | LinkError::Io(_)), "{end}");
        assert!(call.await.unwrap().is_err());
    }
}

#[tokio::test]
async fn a_project_key_arrives_in_secret_memory_and_a_refusal_as_such() {
    let (client, _driver, peer) = keeper();
    let key = tokio::spawn({
        let client = client.clone();
        async move { client.project_key(4).await }
    });
    let mut buffer = [0; 256];
    let received = peer.0.recv(&mut buffer).await.unwrap();
    let request: Frame<keeper::Request<'_>> = crate::decode(&buffer[..received.len]).unwrap();
    assert_eq!(request.body, keeper::Request::ProjectKey { id: 4 });
    peer.answer(request.id, keeper::Response::ProjectKey(&[7; 32]), None).await;
    assert!(key.await.unwrap().unwrap_or_else(|e| panic!("{e}")).expose() == &[7; 32]);

    let status = tokio::spawn(async move { client.status().await });
    let received = peer.0.recv(&mut buffer).await.unwrap();
    let request: Frame<keeper::Request<'_>> = crate::decode(&buffer[..received.len]).unwrap();
    peer.answer(request.id, keeper::Response::Refused(Refusal::Locked), None).await;
    assert!(matches!(status.await.unwrap(), Err(KeeperError::Refused(Refusal::Locked))));
}

#[tokio::test]
async fn an_answer_to_another_request_drops_the_keeper() {
    for wrong in [keeper::Response::Done, keeper::Response::ProjectKey(&[7; 31])] {
        let (client, driver, peer) = keeper();
        let call = tokio::spawn(async move { client.project_key(4).await.err().unwrap() });
        peer.0.recv(&mut [0; 256]).await.unwrap();
        peer.answer(0, wrong, None).await;
        assert!(matches!(driver.await.unwrap(), LinkError::Protocol { role: Role::Keeper, .. }));
        assert!(matches!(call.await.unwrap(), KeeperError::Link(LinkError::HungUp(Role::Keeper))));
    }
}

#[tokio::test]
async fn a_request_that_fits_no_frame_is_the_callers_error() {
    let (client, _driver, peer) = keeper();
    let long = vec![b'a'; crate::MAX_FRAME];
    assert!(matches!(client.verify_token(&long).await, Err(KeeperError::Link(LinkError::Frame(FrameError::TooLarge)))));
    let next = tokio::spawn(async move { client.verify_proxy_user("ann", b"word").await });
    let mut buffer = [0; 256];
    let received = peer.0.recv(&mut buffer).await.unwrap();
    let request: Frame<keeper::Request<'_>> = crate::decode(&buffer[..received.len]).unwrap();
    assert_eq!(request.body, keeper::Request::VerifyProxyUser { user: "ann", password: b"word" });
    peer.answer(request.id, keeper::Response::Verified(true), None).await;
    assert!(next.await.unwrap().is_ok_and(|verdict| verdict));
}

#[tokio::test]
async fn a_greeting_says_who_and_which_version() {
    let greet = |version| Hello { role: Role::Keeper, version, pid: 1, sandbox: SandboxReport::default() };
    let (link, peer) = Peer::pair();
    peer.0.greet(&greet(VERSION)).await.unwrap();
    assert_eq!(link.receive_hello(Role::Keeper, None).await.unwrap(), greet(VERSION));
    peer.0.greet(&greet(VERSION + 1)).await.unwrap();
    let old = link.receive_hello(Role::Keeper, None).await.unwrap_err();
    assert!(matches!(old, LinkError::Version { role: Role::Keeper, .. }));
    drop(peer);
    assert!(matches!(link.receive_hello(Role::Keeper, None).await, Err(LinkError::HungUp(Role::Keeper))));
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_does_not_greet_is_given_up() {
    let (link, _peer) = Peer::pair();
    assert!(matches!(
        link.receive_hello(Role::Dialer, Some(Duration::from_millis(1))).await,
        Err(LinkError::TimedOut { .. })
    ));
}
