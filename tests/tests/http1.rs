//! HTTP/1.1 through the proxy: keep-alive, pipelining, bodies both ways, interim answers, upgrades, and what is refused.

use std::io::{Read as _, Write as _};
use std::sync::mpsc;

use merlon_tests::client::Client;
use merlon_tests::instance::{Instance, Options, wait_for};
use merlon_tests::origin::{Origin, Stream, echo};
use merlon_tests::process::{stderr, stdout};

fn get(port: u16, path: &str) -> String {
    format!("GET http://127.0.0.1:{port}{path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n")
}

#[test]
fn requests_sent_at_once_are_answered_in_order() {
    let instance = Instance::new();
    let origin = Origin::http(echo);
    let mut client = Client::connect(instance.ready.proxy);
    let pipeline: String = (0..20).map(|n| get(origin.port(), &format!("/{n}"))).collect();
    client.send(pipeline.as_bytes());
    for n in 0..20 {
        assert_eq!(client.answer().body, format!("GET /{n} HTTP/1.1 0 bytes").as_bytes());
    }
}

#[test]
fn one_client_connection_may_go_to_several_origins() {
    let instance = Instance::new();
    let (one, two) = (
        Origin::http(echo),
        Origin::http(|mut stream| {
            while stream.request().is_some() {
                stream.ok(b"two")
            }
        }),
    );
    let mut client = Client::connect(instance.ready.proxy);
    for (port, body) in
        [(one.port(), "GET /x HTTP/1.1 0 bytes"), (two.port(), "two"), (one.port(), "GET /x HTTP/1.1 0 bytes")]
    {
        client.send(get(port, "/x").as_bytes());
        assert_eq!(client.answer().body, body.as_bytes());
    }
}

#[test]
fn chunked_bodies_pass_both_ways_as_they_were_cut() {
    let instance = Instance::new();
    let (told, seen) = mpsc::channel();
    let told = std::sync::Mutex::new(told);
    let chunks: &[u8] = b"3;a=b\r\nabc\r\n1\r\nd\r\n0\r\nX-Trailer: v\r\n\r\n";
    let origin = Origin::http(move |mut stream: Stream| {
        let head = stream.head().unwrap();
        assert!(head.field("transfer-encoding").is_some());
        let mut body = vec![0; chunks.len()];
        stream.read_exact(&mut body).unwrap();
        told.lock().unwrap().send(body.clone()).unwrap();
        stream.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        stream.send(&body);
    });
    let mut client = Client::connect(instance.ready.proxy);
    let port = origin.port();
    client.send(
        format!("POST http://127.0.0.1:{port}/c HTTP/1.1\r\nHost: x:{port}\r\nTransfer-Encoding: chunked\r\n\r\n")
            .as_bytes(),
    );
    client.send(&chunks[..7]);
    client.send(&chunks[7..]);
    let head = client.bytes(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".len());
    assert!(head.starts_with(b"HTTP/1.1 200"));
    assert_eq!(client.bytes(chunks.len()), chunks);
    assert_eq!(seen.recv().unwrap(), chunks);
    let flow = instance.flow("path:/c");
    assert_eq!(
        (&flow["request_bytes"], &flow["response_bytes"]),
        (&4.into(), &4.into()),
        "the payload is what is kept"
    );
    let body = instance.cli(&["show", &flow["id"].to_string(), "--body", "response"]);
    assert_eq!(body.stdout, b"abcd", "{}", stderr(&body));
}

#[test]
fn a_client_that_expects_100_gets_it_from_the_origin() {
    let instance = Instance::new();
    let origin = Origin::http(|mut stream: Stream| {
        let head = stream.head().unwrap();
        assert_eq!(head.field("expect").as_deref(), Some("100-continue"));
        stream.send(b"HTTP/1.1 103 Early Hints\r\nLink: </s.css>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n");
        let mut body = [0; 5];
        stream.read_exact(&mut body).unwrap();
        stream.ok(&body);
    });
    let mut client = Client::connect(instance.ready.proxy);
    let port = origin.port();
    client.send(
        format!(
            "POST http://127.0.0.1:{port}/ HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"
        )
        .as_bytes(),
    );
    assert_eq!(client.answer().status, 103);
    assert_eq!(client.answer().status, 100);
    client.send(b"hello");
    assert_eq!(client.answer().body, b"hello");
}

#[test]
fn an_early_answer_reaches_a_client_that_still_sends() {
    let instance = Instance::new();
    let origin = Origin::http(|mut stream: Stream| {
        stream.head().unwrap();
        stream.send(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig");
        // Reads nothing of the body.
    });
    let mut client = Client::connect(instance.ready.proxy);
    let port = origin.port();
    client.send(
        format!("POST http://127.0.0.1:{port}/early HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n").as_bytes(),
    );
    client.send(&[b'x'; 1000]);
    let answer = client.answer();
    assert_eq!((answer.status, answer.body.as_slice()), (413, b"big".as_slice()));
    assert_eq!(instance.flow("path:/early")["status"], 413);
}

#[test]
fn an_upgrade_is_relayed_both_ways() {
    let instance = Instance::new();
    let origin = Origin::http(|mut stream: Stream| {
        let head = stream.head().unwrap();
        assert_eq!(head.field("upgrade").as_deref(), Some("websocket"));
        stream.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nhello");
        let mut back = [0; 4];
        stream.read_exact(&mut back).unwrap();
        stream.send(&back);
    });
    let mut client = Client::connect(instance.ready.proxy);
    let port = origin.port();
    client.send(
        format!(
            "GET http://127.0.0.1:{port}/ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
        )
        .as_bytes(),
    );
    assert_eq!(client.answer().status, 101);
    assert_eq!(client.bytes(5), b"hello");
    client.send(b"\x81\x02ok");
    assert_eq!(client.bytes(4), b"\x81\x02ok");
    drop(client);
    let flow = instance.flow("path:/ws");
    assert_eq!((&flow["status"], &flow["request_bytes"], &flow["response_bytes"]), (&101.into(), &4.into(), &9.into()));
}

#[test]
fn plain_http_of_any_method_is_recorded_inside_connect() {
    let instance = Instance::new();
    let origin = Origin::http(echo);
    for method in ["GET", "DELETE", "BREW"] {
        let mut client = Client::tunnel(instance.ready.proxy, &format!("127.0.0.1:{}", origin.port()));
        client.send(format!("{method} /inside HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes());
        assert_eq!(client.answer().body, format!("{method} /inside HTTP/1.1 0 bytes").as_bytes());
        assert_eq!(instance.flow(&format!("method:{method}"))["path"], "/inside");
    }
}

#[test]
fn shapes_that_smuggle_are_refused_with_a_reason_and_kept_from_the_origin() {
    let instance = Instance::new();
    let (told, seen) = mpsc::channel::<()>();
    let told = std::sync::Mutex::new(told);
    let origin = Origin::http(move |_| told.lock().unwrap().send(()).unwrap());
    let port = origin.port();
    let start = format!("POST http://127.0.0.1:{port}/s HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n");
    let cases: [(&str, u16, &str); 9] = [
        ("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", 400, "Content-Length and Transfer-Encoding"),
        ("Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc", 400, "Content-Length"),
        ("Content-Length: +3\r\n\r\nabc", 400, "Content-Length"),
        ("Transfer-Encoding: chunked, gzip\r\n\r\n", 400, "Transfer-Encoding"),
        ("A: b\nContent-Length: 3\r\n\r\nabc", 400, "LF"),
        ("A: b\rc\r\n\r\n", 400, "CR"),
        ("A: b\r\n folded\r\n\r\n", 400, "folding"),
        ("A : b\r\n\r\n", 400, "blank before the colon"),
        ("Host: other\r\n\r\n", 400, "Host"),
    ];
    for (rest, status, why) in cases {
        let mut client = Client::connect(instance.ready.proxy);
        client.send(format!("{start}{rest}").as_bytes());
        let answer = client.answer();
        let page = String::from_utf8(answer.body).unwrap();
        assert_eq!(answer.status, status, "{rest:?}: {page}");
        assert!(page.contains(why), "{why}: {page}");
        assert!(client.rest().is_empty(), "the connection is closed: nothing after it can be trusted");
    }
    assert!(seen.try_recv().is_err(), "the origin was never reached");
    wait_for("what was refused to be recorded", || (instance.flows("").len() == cases.len()).then_some(()));
}

#[test]
fn a_head_that_never_ends_is_cut_off_at_its_limit() {
    let instance = Instance::with(&Options {
        config: "[limits]\nhead_bytes = 4096\nhead_fields = 16\n".to_owned(),
        ..Options::default()
    });
    let mut client = Client::connect(instance.ready.proxy);
    client.send(format!("GET http://x/ HTTP/1.1\r\nHost: x\r\nA: {}", "a".repeat(5000)).as_bytes());
    assert_eq!(client.answer().status, 431);
    let mut client = Client::connect(instance.ready.proxy);
    client.send(format!("GET http://x/ HTTP/1.1\r\nHost: x\r\n{}\r\n", "A: b\r\n".repeat(20)).as_bytes());
    assert_eq!(client.answer().status, 431);
}

#[test]
fn a_slow_head_is_given_up_with_a_408() {
    let instance = Instance::with(&Options { config: "[limits]\nhead_seconds = 1\n".to_owned(), ..Options::default() });
    let mut client = Client::connect(instance.ready.proxy);
    client.send(b"GET http://x/ HTTP/1.1\r\n");
    assert_eq!(client.answer().status, 408);
}

#[test]
fn an_origin_that_never_answers_ends_in_a_504() {
    let instance =
        Instance::with(&Options { config: "[limits]\nstall_seconds = 1\n".to_owned(), ..Options::default() });
    let (hold, held) = mpsc::channel::<()>();
    let held = std::sync::Mutex::new(held);
    let origin = Origin::http(move |mut stream| {
        stream.request();
        // Until the test is over.
        assert!(held.lock().unwrap().recv().is_err());
    });
    let mut client = Client::connect(instance.ready.proxy);
    client.send(get(origin.port(), "/slow").as_bytes());
    assert_eq!(client.answer().status, 504);
    assert!(instance.flow("path:/slow")["error"].as_str().unwrap().contains("sent nothing"));
    drop(hold);
}

#[test]
fn broken_origins_are_told_apart() {
    let instance = Instance::new();
    let cases: [(&'static [u8], &str); 5] = [
        (b"", "closed the connection before it answered"),
        (b"HTTP/1.1 200 OK\r\nContent-Le", "in the middle of its answer"),
        (b"SSH-2.0-OpenSSH\r\n", "speaks another protocol"),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            "Content-Length and Transfer-Encoding",
        ),
        (b"HTTP/1.1 200 OK\nA: b\n\n", "LF"),
    ];
    for (index, (bytes, why)) in cases.into_iter().enumerate() {
        let origin = Origin::http(move |mut stream| {
            stream.request();
            stream.send(bytes);
        });
        let mut client = Client::connect(instance.ready.proxy);
        client.send(get(origin.port(), &format!("/broken{index}")).as_bytes());
        let answer = client.answer();
        assert_eq!(answer.status, 502, "{why}");
        assert!(
            String::from_utf8_lossy(&answer.body).contains(why),
            "{why}: {}",
            String::from_utf8_lossy(&answer.body)
        );
        assert!(instance.flow(&format!("path:/broken{index}"))["error"].as_str().unwrap().contains(why));
    }
}

#[test]
fn a_body_cut_short_is_recorded_as_such() {
    let instance = Instance::new();
    let origin = Origin::http(|mut stream| {
        stream.request();
        stream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
    });
    let mut client = Client::connect(instance.ready.proxy);
    client.send(get(origin.port(), "/short").as_bytes());
    assert!(client.rest().ends_with(b"\r\n\r\nhalf"));
    let flow = instance.flow("path:/short");
    assert_eq!((&flow["status"], &flow["response_bytes"]), (&200.into(), &4.into()));
    assert!(flow["error"].as_str().unwrap().contains("middle of its answer"), "{flow}");
}

#[test]
fn an_idle_connection_that_its_origin_closed_is_replaced_without_the_client_noticing() {
    let instance = Instance::new();
    let origin = Origin::http(|mut stream| {
        stream.request();
        stream.ok(b"once");
    });
    let mut client = Client::connect(instance.ready.proxy);
    for _ in 0..3 {
        client.send(get(origin.port(), "/again").as_bytes());
        assert_eq!(client.answer().body, b"once");
    }
}

#[test]
fn a_client_that_closes_its_half_still_gets_its_answer() {
    let instance = Instance::new();
    let origin = Origin::http(echo);
    let mut stream = std::net::TcpStream::connect(instance.ready.proxy).unwrap();
    stream.write_all(get(origin.port(), "/half").as_bytes()).unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.ends_with("GET /half HTTP/1.1 0 bytes"), "{answer}");
}

#[test]
fn the_proxy_is_no_web_server_and_says_how_to_use_it() {
    let instance = Instance::new();
    let mut client = Client::connect(instance.ready.proxy);
    client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    let answer = client.answer();
    assert_eq!(answer.status, 400);
    assert!(String::from_utf8_lossy(&answer.body).contains("merlon.invalid"));
    let done = instance.curl(&["http://merlon.invalid/"]);
    assert_eq!(done.stdout, std::fs::read(&instance.ready.ca).unwrap(), "{}", stderr(&done));
    let page = stdout(&instance.curl(&["--header", "Accept: text/html", "http://merlon.invalid/"]));
    assert!(page.contains("/ca.pem") && page.contains(instance.cli_ok(&["ca", "fingerprint"]).trim()), "{page}");
}
