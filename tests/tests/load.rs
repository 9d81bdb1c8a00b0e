//! Many connections, slow clients, large bodies: memory stays bounded, what is over a limit waits, nothing goes
//! unrecorded, and a stop is a stop.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::io::{BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use aws_lc_rs::digest::{Context, SHA256};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use serde_json::Value;

use merlon_tests::client::Client;
use merlon_tests::instance::{Instance, Options, is_alive, wait_for};
use merlon_tests::memory::{held_by_all_kib, held_kib};
use merlon_tests::origin::{Origin, Stream, echo};
use merlon_tests::process::{children, program};

/// What all processes together may hold with 10,000 connections open.
const ALL_MIB: u64 = 150;
/// What one transfer may add.
const MORE_KIB: u64 = 16 << 10;

/// Themes measure memory one after the other.
static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> std::sync::MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn instance(config: &str) -> Instance {
    Instance::with(&Options { config: config.into(), ..Options::default() })
}

fn recorder(instance: &Instance, field: &str) -> u64 {
    let status: Value = serde_json::from_str(&instance.cli_ok(&["status", "--json"])).unwrap();
    status["recorder"][field].as_u64().unwrap()
}

fn ask(client: &mut Client, to: SocketAddr, path: &str) -> u16 {
    client.send(format!("GET http://{to}{path} HTTP/1.1\r\nHost: {to}\r\n\r\n").as_bytes());
    client.answer().status
}

#[test]
fn ten_thousand_idle_connections_leave_room_for_one_more() {
    let _alone = alone();
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).unwrap();
    // The test itself needs some for other things.
    let count = usize::try_from(hard.saturating_sub(600)).unwrap().min(10_000);
    assert!(count >= 5000, "the hard limit of open files is {hard}; 5600 is the least for this test");
    // A head that was begun is waited for at a stop, for as long as this.
    let mut instance = instance("[limits]\ndrain_seconds = 1\n");
    let before = held_by_all_kib(instance.pid());
    let origin = Origin::http(echo);
    let mut idle: Vec<TcpStream> = Vec::with_capacity(count);
    for number in 0..count {
        let mut stream = TcpStream::connect(instance.ready.proxy).unwrap();
        // Some say nothing, some began a head, some have been served and wait.
        match number % 10 {
            0 => stream.write_all(b"GET http://127").unwrap(),
            1 => {
                let to = origin.address();
                write!(stream, "GET http://{to}/idle HTTP/1.1\r\nHost: {to}\r\n\r\n").unwrap();
                let mut start = [0; 15];
                stream.read_exact(&mut start).unwrap();
                assert_eq!(&start, b"HTTP/1.1 200 OK");
            }
            _ => {}
        }
        idle.push(stream);
    }
    let mut client = Client::connect(instance.ready.proxy);
    assert_eq!(ask(&mut client, origin.address(), "/one-more"), 200);
    let held = held_by_all_kib(instance.pid());
    let engine = held_kib(instance.process("merlond"));
    println!(
        "{count} connections: {} MiB in all processes ({} before), {} in the engine",
        held >> 10,
        before >> 10,
        engine >> 10
    );
    assert!(held < ALL_MIB << 10, "{held} KiB");
    // None of them was closed meanwhile.
    for stream in idle.iter().skip(2).step_by(10) {
        stream.set_nonblocking(true).unwrap();
        let why = stream.peek(&mut [0]).unwrap_err();
        assert_eq!(why.kind(), std::io::ErrorKind::WouldBlock);
    }
    let all = children(instance.pid());
    let begun = std::time::Instant::now();
    assert_eq!(instance.stop().code(), Some(0), "{}", instance.log());
    println!("stopped in {:.1} s", begun.elapsed().as_secs_f32());
    assert!(all.iter().all(|(pid, _)| !is_alive(*pid)));
    assert!(!instance.log().contains("is killed"), "{}", instance.log());
}

#[test]
fn beyond_the_limit_a_connection_waits_and_is_then_served() {
    let _alone = alone();
    let instance = instance("[limits]\nconnections = 4\n");
    let origin = Origin::http(echo);
    let mut held: Vec<Client> = (0..4).map(|_| Client::connect(instance.ready.proxy)).collect();
    // Each was accepted: it answers.
    for client in &mut held {
        assert_eq!(ask(client, origin.address(), "/held"), 200);
    }
    let mut waiting = TcpStream::connect(instance.ready.proxy).unwrap();
    let to = origin.address();
    write!(waiting, "GET http://{to}/waits HTTP/1.1\r\nHost: {to}\r\n\r\n").unwrap();
    // Those that were first are served as before; the one more has neither an answer nor an end.
    for client in &mut held {
        assert_eq!(ask(client, origin.address(), "/again"), 200);
    }
    waiting.set_nonblocking(true).unwrap();
    assert_eq!(waiting.peek(&mut [0]).unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    assert!(instance.flows("path:/waits").is_empty());
    drop(held.pop());
    waiting.set_nonblocking(false).unwrap();
    let mut start = [0; 15];
    waiting.read_exact(&mut start).unwrap();
    assert_eq!(&start, b"HTTP/1.1 200 OK");
}

/// Bytes that differ from place to place.
fn pattern(place: u64) -> Vec<u8> {
    (place..place + PIECE as u64 / 8).flat_map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes()).collect()
}

const PIECE: usize = 1 << 20;

/// Sends so many pieces and tells how many have left.
fn send_pieces(stream: &mut Stream, pieces: u64, sent: &AtomicU64) -> Vec<u8> {
    let mut hash = Context::new(&SHA256);
    stream.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", pieces * PIECE as u64).as_bytes());
    for place in 0..pieces {
        let piece = pattern(place * PIECE as u64);
        hash.update(&piece);
        stream.send(&piece);
        sent.fetch_add(1, Ordering::SeqCst);
    }
    hash.finish().as_ref().to_vec()
}

/// Watches what processes hold until it is told to stop; returns the most.
struct Watch {
    stop: mpsc::Sender<()>,
    thread: thread::JoinHandle<u64>,
}

impl Watch {
    fn start(parent: u32) -> Self {
        let (stop, stopped) = mpsc::channel();
        let thread = thread::spawn(move || {
            let mut most = 0;
            while stopped.recv_timeout(Duration::from_millis(20)) == Err(mpsc::RecvTimeoutError::Timeout) {
                most = most.max(held_by_all_kib(parent));
            }
            most
        });
        Self { stop, thread }
    }

    fn most(self) -> u64 {
        drop(self.stop);
        self.thread.join().unwrap()
    }
}

/// What the processes hold once they have done a bit of everything.
fn warm(instance: &Instance) -> u64 {
    let origin = Origin::http(|mut stream| {
        while let Some(request) = stream.request() {
            stream.ok(&vec![0x61; if request.path() == "/small" { 100 } else { 4 << 20 }]);
        }
    });
    for _ in 0..5 {
        let mut client = Client::connect(instance.ready.proxy);
        assert_eq!(ask(&mut client, origin.address(), "/small"), 200);
        assert_eq!(ask(&mut client, origin.address(), "/large"), 200);
    }
    wait_for("all of it to be written", || (recorder(instance, "waiting_bytes") == 0).then_some(()));
    held_by_all_kib(instance.pid())
}

#[test]
fn a_client_that_reads_byte_by_byte_makes_the_origin_wait_and_not_the_memory_grow() {
    let _alone = alone();
    const PIECES: u64 = 20;
    let instance = instance("");
    let before = warm(&instance);
    let sent = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&sent);
    let origin = Origin::http(move |mut stream| {
        while stream.request().is_some() {
            send_pieces(&mut stream, PIECES, &counter);
        }
    });
    let watch = Watch::start(instance.pid());
    // A receive buffer as small as can be, so that what the client does not read stands in the proxy or before it.
    let readers: Vec<_> = (0..4)
        .map(|_| {
            let socket = small_socket(instance.ready.proxy);
            let to = origin.address();
            thread::spawn(move || {
                let mut socket = socket;
                write!(socket, "GET http://{to}/slow HTTP/1.1\r\nHost: {to}\r\n\r\n").unwrap();
                let mut byte = [0];
                for _ in 0..200_000 {
                    socket.read_exact(&mut byte).unwrap();
                }
                socket
            })
        })
        .collect();
    let readers: Vec<TcpStream> = readers.into_iter().map(|reader| reader.join().unwrap()).collect();
    let grown = watch.most().saturating_sub(before);
    println!(
        "{before} KiB before, {grown} more with 4 readers that read byte by byte; {} MiB of {} left the origin",
        sent.load(Ordering::SeqCst),
        4 * PIECES
    );
    assert!(grown < MORE_KIB, "{grown} KiB");
    // And all of it comes in the end.
    for mut reader in readers {
        let mut buffer = vec![0; 1 << 20];
        let mut left = PIECES * PIECE as u64 - 200_000;
        while left > 0 {
            let read = reader.read(&mut buffer).unwrap();
            assert!(read > 0, "{left} bytes are missing");
            left = left.saturating_sub(read as u64);
        }
    }
    assert_eq!(recorder(&instance, "unrecorded"), 0);
}

fn small_socket(to: SocketAddr) -> TcpStream {
    use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrIn, connect, setsockopt, socket, sockopt};
    use std::os::fd::AsRawFd as _;
    let SocketAddr::V4(to) = to else { panic!("{to} is not IPv4") };
    let fd = socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).unwrap();
    setsockopt(&fd, sockopt::RcvBuf, &4096).unwrap();
    connect(fd.as_raw_fd(), &SockaddrIn::from(to)).unwrap();
    TcpStream::from(fd)
}

#[test]
fn two_hundred_megabytes_stream_down_and_are_recorded_whole() {
    let _alone = alone();
    const PIECES: u64 = 200;
    let instance = instance("");
    let before = warm(&instance);
    let (told, hashes) = mpsc::channel();
    let told = Mutex::new(told);
    let origin = Origin::http(move |mut stream| {
        while stream.request().is_some() {
            let hash = send_pieces(&mut stream, PIECES, &AtomicU64::new(0));
            told.lock().unwrap().send(hash).unwrap();
        }
    });
    let to = origin.address();
    let watch = Watch::start(instance.pid());
    let mut client = BufReader::with_capacity(PIECE, TcpStream::connect(instance.ready.proxy).unwrap());
    write!(client.get_mut(), "GET http://{to}/down HTTP/1.1\r\nHost: {to}\r\n\r\n").unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        std::io::BufRead::read_until(&mut client, b'\n', &mut head).unwrap();
    }
    let hash = hash_of(&mut client, PIECES * PIECE as u64);
    let grown = watch.most().saturating_sub(before);
    println!("{before} KiB before, {grown} more while 200 MiB came down");
    assert!(hash == hashes.recv().unwrap(), "the client got other bytes");
    check_recorded(&instance, "/down", "response", PIECES * PIECE as u64, &hash);
    // The queue of the recorder (32 MiB by default) is part of the bound.
    assert!(grown < MORE_KIB + (32 << 10), "{grown} KiB");
}

#[test]
fn two_hundred_megabytes_stream_up_and_are_recorded_whole() {
    let _alone = alone();
    const PIECES: u64 = 200;
    let instance = instance("");
    let before = warm(&instance);
    let (told, hashes) = mpsc::channel();
    let told = Mutex::new(told);
    let origin = Origin::http(move |mut stream| {
        while stream.head().is_some() {
            let hash = hash_of(&mut stream, PIECES * PIECE as u64);
            told.lock().unwrap().send(hash).unwrap();
            stream.ok(b"had");
        }
    });
    let to = origin.address();
    let watch = Watch::start(instance.pid());
    let mut client = Client::connect(instance.ready.proxy);
    let length = PIECES * PIECE as u64;
    client.send(format!("POST http://{to}/up HTTP/1.1\r\nHost: {to}\r\nContent-Length: {length}\r\n\r\n").as_bytes());
    let mut hash = Context::new(&SHA256);
    for place in 0..PIECES {
        let piece = pattern(place * PIECE as u64);
        hash.update(&piece);
        client.send(&piece);
    }
    assert_eq!(client.answer().body, b"had");
    let grown = watch.most().saturating_sub(before);
    println!("{before} KiB before, {grown} more while 200 MiB went up");
    let hash = hash.finish().as_ref().to_vec();
    assert!(hash == hashes.recv().unwrap(), "the origin got other bytes");
    check_recorded(&instance, "/up", "request", length, &hash);
    assert!(grown < MORE_KIB + (32 << 10), "{grown} KiB");
}

fn hash_of(from: &mut impl std::io::Read, length: u64) -> Vec<u8> {
    let mut hash = Context::new(&SHA256);
    let mut buffer = vec![0; PIECE];
    let mut left = length;
    while left > 0 {
        let most = usize::try_from(left.min(PIECE as u64)).unwrap();
        let read = from.read(&mut buffer[..most]).unwrap();
        assert!(read > 0, "{left} bytes are missing");
        hash.update(&buffer[..read]);
        left -= read as u64;
    }
    hash.finish().as_ref().to_vec()
}

/// What `merlon show --body` gives is what passed.
fn check_recorded(instance: &Instance, path: &str, side: &str, length: u64, hash: &[u8]) {
    let flow = instance.flow(&format!("path:{path}"));
    assert_eq!(flow[format!("{side}_bytes")], length, "{flow}");
    let mut show = Command::new(program("merlon"));
    show.arg("--data-dir").arg(instance.dir()).args(["show", &flow["id"].to_string(), "--body", side]);
    let mut show = show.env_clear().stdout(Stdio::piped()).spawn().unwrap();
    let mut out = show.stdout.take().unwrap();
    assert!(hash_of(&mut out, length) == hash, "other bytes were recorded");
    assert_eq!(out.read(&mut [0]).unwrap(), 0, "more was recorded than passed");
    assert!(show.wait().unwrap().success());
    assert_eq!((recorder(instance, "unrecorded"), recorder(instance, "truncated_bodies")), (0, 0));
}

#[test]
fn two_thousand_flows_are_all_recorded() {
    let _alone = alone();
    const CLIENTS: u32 = 8;
    const EACH: u32 = 250;
    let instance = instance("");
    let origin = Origin::http(echo);
    let (proxy, to) = (instance.ready.proxy, origin.address());
    thread::scope(|scope| {
        for number in 0..CLIENTS {
            scope.spawn(move || {
                let mut client = Client::connect(proxy);
                for n in 0..EACH {
                    assert_eq!(ask(&mut client, to, &format!("/{number}/{n}")), 200);
                }
            });
        }
    });
    let all = u64::from(CLIENTS * EACH);
    wait_for("the last flows to be recorded", || (recorder(&instance, "recorded") == all).then_some(()));
    assert_eq!(recorder(&instance, "unrecorded"), 0);
    assert_eq!(instance.cli_ok(&["flows", "--count"]).trim(), all.to_string());
    let text = instance.cli_ok(&["flows", "--json", "--limit", "5000"]);
    let mut paths: Vec<String> =
        text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["path"].to_string()).collect();
    paths.sort();
    paths.dedup();
    assert_eq!(paths.len() as u64, all);
}
