//! `merlon flows --follow` against an instance that breaks off.

use std::io::{BufRead as _, BufReader, Lines, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{Child, ChildStdout, Stdio};

use serde_json::{Value, json};

use crate::fake::{Instance, flow, json as answer, status};

const HEAD: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";

struct Following {
    listener: UnixListener,
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    _instance: Instance,
}

impl Following {
    fn start() -> Self {
        let instance = Instance::stopped();
        let listener = UnixListener::bind(instance.dir.join("run/api.sock")).unwrap();
        let mut command = instance.command();
        let mut child = command.args(["flows", "--follow", "--json"]).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { listener, child, lines, _instance: instance }
    }

    /// The next request, which asks for this and has this in its head.
    #[track_caller]
    fn expect(&self, target: &str, header: &str) -> UnixStream {
        let (stream, _) = self.listener.accept().unwrap();
        let mut head = String::new();
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        while !head.ends_with("\r\n\r\n") {
            reader.read_line(&mut head).unwrap();
        }
        assert!(head.starts_with(&format!("GET /api/v1/{target} ")), "{head}");
        assert!(head.to_ascii_lowercase().contains(header), "{head}");
        stream
    }

    #[track_caller]
    fn answer(&self, target: &str, with: &Value) {
        self.expect(target, "").write_all(&answer(with)).unwrap();
    }

    /// The program asks where it is, and then for events.
    fn begin(&self) -> UnixStream {
        self.answer("status", &status(true, 1));
        self.answer("flows?limit=1", &json!({ "flows": [flow(6, "a", "/")], "next": 6 }));
        self.events("")
    }

    fn events(&self, header: &str) -> UnixStream {
        let mut stream = self.expect("events?after=6", header);
        stream.write_all(HEAD.as_bytes()).unwrap();
        stream
    }

    fn shown(&mut self) -> i64 {
        let line = self.lines.next().unwrap().unwrap();
        serde_json::from_str::<Value>(&line).unwrap()["id"].as_i64().unwrap()
    }

    fn interrupt(mut self) -> Option<i32> {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.child.id()).unwrap());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).unwrap();
        self.child.wait().unwrap().code()
    }
}

fn event(flow: &Value) -> String {
    format!("event: flow\nid: p1-{}\ndata: {flow}\n\n", flow["id"])
}

fn send(stream: &mut UnixStream, text: &str) {
    stream.write_all(format!("{:x}\r\n{text}\r\n", text.len()).as_bytes()).unwrap();
}

#[test]
fn it_goes_on_where_the_stream_broke_and_ends_by_ctrl_c() {
    let mut following = Following::start();
    let [seven, eight] = [7, 8].map(|id| event(&flow(id, "a.example", "/")));

    let mut stream = following.begin();
    send(&mut stream, ": hello\n\n");
    send(&mut stream, &format!("{seven}event: flow\ndata: {{"));
    assert_eq!(following.shown(), 7);
    drop(stream);

    let mut stream = following.events("last-event-id: p1-7\r\n");
    following.answer("status", &status(true, 1));
    send(&mut stream, &format!("{seven}{eight}"));
    assert_eq!(following.shown(), 8, "a flow that is told of again is shown once");
    assert_eq!(following.interrupt(), Some(130));
}

#[test]
fn it_follows_into_another_project_and_misses_nothing_there() {
    let mut following = Following::start();
    let stream = following.begin();
    drop(stream);

    let mut stream = following.events("");
    following.answer("status", &status(true, 2));
    let mut early = flow(1, "a.example", "/");
    early["time"] = json!("2999-01-01T00:00:00Z");
    let before = flow(0, "a.example", "/long-before");
    following.answer("flows?limit=500", &json!({ "flows": [early, before], "next": 0 }));
    assert_eq!(following.shown(), 1);
    send(&mut stream, &event(&flow(2, "a.example", "/")));
    assert_eq!(following.shown(), 2);
    assert_eq!(following.interrupt(), Some(130));
}

#[test]
fn a_flow_missed_by_slowness_is_asked_for() {
    let mut following = Following::start();
    let mut stream = following.begin();
    send(&mut stream, "event: lagged\ndata: {\"after\":6,\"detail\":\"too slow\"}\n\n");
    following.answer("flows?after=6&limit=500", &json!({ "flows": [flow(7, "a", "/")], "next": 7 }));
    following.answer("flows?after=7&limit=500", &json!({ "flows": [], "next": null }));
    assert_eq!(following.shown(), 7);
    assert_eq!(following.interrupt(), Some(130));
}

#[test]
fn nothing_to_follow_is_said_at_once() {
    Instance::stopped().run(&["flows", "--follow"]).ended(69, &["is not running"]);
}
