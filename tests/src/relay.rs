//! A relay in front of a hub: it passes each request on and its answer back, and holds either at a path as long as a test
//! wants it, so that a process can be killed at that very step.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

use crate::instance::HANG;
use crate::origin::{Origin, Stream};

/// Where a request is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// Before the server sees it.
    Request,
    /// When the server has answered, before the client sees that.
    Answer,
}

/// A request that was relayed, with the status of its answer; 0: there was none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relayed {
    /// Method and path.
    pub line: String,
    /// The answer's status.
    pub status: u16,
}

/// A running relay.
pub struct Relay {
    origin: Origin,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    to: Option<SocketAddr>,
    /// Beginnings of `METHOD /path` that are held.
    held: BTreeMap<String, At>,
    /// Those that wait at this moment, and whatever waited before, by what holds them.
    arrived: BTreeMap<String, usize>,
    relayed: Vec<Relayed>,
}

impl Default for Relay {
    fn default() -> Self {
        Self::new()
    }
}

impl Relay {
    /// On a free port; it hangs up on everybody until it knows where to relay to.
    #[must_use]
    pub fn new() -> Self {
        let shared = Arc::new(Shared::default());
        let state = Arc::clone(&shared);
        Self { origin: Origin::http(move |stream| state.relay(stream)), shared }
    }

    /// `http://127.0.0.1:PORT`
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.origin.port())
    }

    /// Where requests go from now on.
    pub fn to(&self, address: SocketAddr) {
        self.shared.lock().to = Some(address);
    }

    /// Requests whose first line begins so are held.
    pub fn hold(&self, what: &str, at: At) {
        self.shared.lock().held.insert(what.to_owned(), at);
    }

    /// They are not any more, and those that wait go on.
    pub fn release(&self, what: &str) {
        self.shared.lock().held.remove(what);
        self.shared.changed.notify_all();
    }

    /// Waits until one is held.
    pub fn wait_held(&self, what: &str) {
        let state = self.shared.lock();
        let none = |state: &mut State| !state.arrived.contains_key(what);
        let (mut state, waited) = self.shared.changed.wait_timeout_while(state, HANG, none).unwrap();
        assert!(!waited.timed_out(), "waited too long for `{what}`; relayed: {:?}", state.relayed);
        state.arrived.remove(what);
    }

    /// Waits until a request whose first line begins so was answered with this status, behind the first `after` relayed
    /// ones; how many were relayed up to it.
    pub fn wait_relayed(&self, what: &str, status: u16, after: usize) -> usize {
        let find = |state: &State| {
            let all = state.relayed.iter().enumerate().skip(after);
            all.filter(|(_, one)| one.line.starts_with(what) && one.status == status).map(|(index, _)| index + 1).next()
        };
        let state = self.shared.lock();
        let (state, _) = self.shared.changed.wait_timeout_while(state, HANG, |state| find(state).is_none()).unwrap();
        find(&state).unwrap_or_else(|| panic!("waited too long for `{what}`; relayed: {:?}", &state.relayed[after..]))
    }

    /// Everything that was relayed.
    #[must_use]
    pub fn relayed(&self) -> Vec<Relayed> {
        self.shared.lock().relayed.clone()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// As long as the line is held here. Ends by itself with a test that hangs.
    fn wait(&self, line: &str, at: At) {
        let mut state = self.lock();
        let held = |state: &State| {
            state
                .held
                .iter()
                .find(|(what, held)| line.starts_with(what.as_str()) && **held == at)
                .map(|(what, _)| what.clone())
        };
        if let Some(what) = held(&state) {
            *state.arrived.entry(what).or_default() += 1;
            self.changed.notify_all();
            drop(self.changed.wait_timeout_while(state, HANG, |state| held(state).is_some()).unwrap());
        }
    }

    fn relay(&self, mut stream: Stream) {
        let Some(request) = stream.request() else { return };
        let line = request.line().trim_end_matches(" HTTP/1.1").to_owned();
        self.wait(&line, At::Request);
        let to = self.lock().to;
        let answer = to.and_then(|to| exchange(to, &[request.head, request.body].concat())).unwrap_or_default();
        self.wait(&line, At::Answer);
        let status = String::from_utf8_lossy(&answer).split(' ').nth(1).and_then(|status| status.parse().ok());
        self.lock().relayed.push(Relayed { line, status: status.unwrap_or(0) });
        self.changed.notify_all();
        stream.send(&answer);
    }
}

/// A request that says `Connection: close`, and all that comes back.
fn exchange(to: SocketAddr, request: &[u8]) -> Option<Vec<u8>> {
    let mut server = TcpStream::connect(to).ok()?;
    server.set_read_timeout(Some(HANG)).ok()?;
    server.write_all(request).ok()?;
    let mut answer = Vec::new();
    server.read_to_end(&mut answer).ok()?;
    Some(answer)
}
