//! Real connections: limits, keep-alive, stop.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::task::JoinHandle;

use super::super::{ApiListener, serve};
use super::*;
use crate::liveness::Fallen;

struct Served {
    address: std::net::SocketAddr,
    socket: PathBuf,
    serving: JoinHandle<()>,
}

async fn served(instance: &Instance) -> Served {
    let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = tcp.local_addr().unwrap();
    let socket = instance.directory.join("api.sock");
    let unix = UnixListener::bind(&socket).unwrap();
    let listeners = vec![ApiListener::Plain(tcp), ApiListener::Unix(unix)];
    let serving = tokio::spawn(serve(instance.state.clone(), listeners, instance.stop.subscribe(), Fallen::default()));
    Served { address, socket, serving }
}

async fn answer(stream: &mut (impl tokio::io::AsyncRead + Unpin)) -> String {
    let mut text = Vec::new();
    soon(stream.read_to_end(&mut text)).await.unwrap();
    String::from_utf8_lossy(&text).into_owned()
}

async fn talk(address: std::net::SocketAddr, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // The server may have answered and closed already.
    let _ = stream.write_all(request).await;
    answer(&mut stream).await
}

#[tokio::test]
async fn the_unix_socket_is_owner_and_tcp_needs_a_token() {
    let instance = Instance::new("sockets").await;
    let served = served(&instance).await;
    let mut unix = UnixStream::connect(&served.socket).await.unwrap();
    unix.write_all(b"GET /api/v1/flows HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
    assert!(answer(&mut unix).await.starts_with("HTTP/1.1 200 OK\r\n"));
    let ask = |more: &str| format!("GET /api/v1/flows HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{more}\r\n");
    assert!(talk(served.address, ask("").as_bytes()).await.starts_with("HTTP/1.1 401 "));
    assert!(
        talk(served.address, ask("Authorization: Bearer viewer\r\n").as_bytes()).await.starts_with("HTTP/1.1 200 ")
    );
}

#[tokio::test]
async fn what_is_no_request_or_too_large_is_refused() {
    let instance = Instance::new("malformed").await;
    let served = served(&instance).await;
    for request in [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(),
        b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n".to_vec(),
        b"GET / HTTP/1.1\r\nHost : localhost\r\n\r\n".to_vec(),
        format!("GET / HTTP/1.1\r\nHost: localhost\r\n{}\r\n", "X-A: b\r\n".repeat(100)).into_bytes(),
        format!("GET /{} HTTP/1.1\r\nHost: localhost\r\n\r\n", "a".repeat(40_000)).into_bytes(),
    ] {
        let answer = talk(served.address, &request).await;
        assert!(answer.starts_with("HTTP/1.1 4") || answer.is_empty(), "{answer}");
    }
    let answer = talk(served.address, b"GET /health HTTP/1.0\r\n\r\n").await;
    assert!(answer.contains("host_refused"), "{answer}");
}

#[tokio::test]
async fn a_stop_ends_streams_and_idle_connections_and_takes_no_new_ones() {
    let instance = Instance::new("stop").await;
    let served = served(&instance).await;
    let idle = TcpStream::connect(served.address).await.unwrap();
    let mut stream = UnixStream::connect(&served.socket).await.unwrap();
    stream.write_all(b"GET /api/v1/events HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut begin = [0; 12];
    stream.read_exact(&mut begin).await.unwrap();
    assert_eq!(&begin, b"HTTP/1.1 200");
    instance.stop.send(true).unwrap();
    assert!(answer(&mut stream).await.ends_with("0\r\n\r\n"), "the stream ends in order");
    soon(served.serving).await.unwrap();
    assert!(TcpStream::connect(served.address).await.is_err());
    drop(idle);
}

#[tokio::test]
async fn a_crowd_on_tcp_does_not_keep_the_owner_out() {
    let instance = Instance::new("crowd").await;
    let served = served(&instance).await;
    let mut crowd = Vec::new();
    for _ in 0..300 {
        crowd.push(TcpStream::connect(served.address).await.unwrap());
    }
    let mut unix = UnixStream::connect(&served.socket).await.unwrap();
    unix.write_all(b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
    assert!(answer(&mut unix).await.contains("\"ready\":true"));
    drop(crowd);
    let answer = talk(served.address, b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await;
    assert!(answer.contains("\"ready\":true"));
}
