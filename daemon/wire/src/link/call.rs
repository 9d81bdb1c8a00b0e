//! How an answer finds the call that waits for it.
//!
//! A call registers what reads its answer, sends its frame, and waits. The [`Driver`] receives frames one after another
//! into one buffer, and runs the reader of the call named by the frame's id *inside* that buffer, so that a secret goes
//! from secret memory to its place without a copy in between. Then it wipes what it received.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use merlon_sandbox::secret::SecretBuf;
use serde::Serialize;
use tokio::sync::{Semaphore, oneshot, watch};
use zeroize::Zeroize;

use super::{AsyncLink, LinkError};
use crate::{Frame, FrameError, MAX_FRAME, Role};

/// Bounds of one link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most requests under way at once; more wait for their turn.
    pub in_flight: usize,
    /// The longest time from the call to its answer, waiting for a turn included.
    pub answer: Duration,
}

/// A buffer for frames.
pub(super) enum Buffer {
    /// For links without secrets.
    Plain(Box<[u8]>),
    /// For links with secrets.
    Secret(SecretBuf),
}

impl Buffer {
    pub(super) fn plain() -> Self {
        Self::Plain(vec![0; MAX_FRAME].into())
    }

    pub(super) fn secret() -> Result<Self, LinkError> {
        Ok(Self::Secret(SecretBuf::with_capacity(MAX_FRAME)?))
    }

    fn bytes(&mut self) -> &mut [u8] {
        match self {
            Self::Plain(bytes) => bytes,
            Self::Secret(buffer) => buffer.as_full_mut_slice(),
        }
    }
}

/// A frame in a buffer, wiped however its use ends.
struct Held<'a> {
    buffer: &'a mut Buffer,
    len: usize,
}

impl Held<'_> {
    fn frame(&mut self) -> &[u8] {
        &self.buffer.bytes()[..self.len]
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        let len = self.len;
        self.buffer.bytes()[..len].zeroize();
    }
}

/// Reads one answer out of a whole frame and hands it to the call that waits. An error means that the peer broke the
/// protocol.
type Reader = Box<dyn FnOnce(&[u8], Option<OwnedFd>) -> Result<(), LinkError> + Send>;

#[derive(Default)]
struct Calls {
    waiting: HashMap<u64, Reader>,
    /// Ids below were given out. An answer to one that waits no more (its call gave up) is dropped.
    next: u64,
    closed: bool,
}

struct Shared {
    link: AsyncLink,
    role: Role,
    limits: Limits,
    calls: Mutex<Calls>,
    turns: Semaphore,
    outgoing: tokio::sync::Mutex<Buffer>,
    closed: watch::Sender<bool>,
}

impl Shared {
    fn calls(&self) -> MutexGuard<'_, Calls> {
        // No code that can panic runs under the lock; a poisoned table would still be whole.
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The asking side of a link. Clones share it.
#[derive(Clone)]
pub(super) struct Caller(Arc<Shared>);

impl Caller {
    /// A caller and what drives it; two buffers, because sending and receiving overlap.
    pub(super) fn new(
        link: AsyncLink,
        role: Role,
        limits: Limits,
        outgoing: Buffer,
        incoming: Buffer,
    ) -> (Self, Driver) {
        let shared = Arc::new(Shared {
            link,
            role,
            limits,
            calls: Mutex::default(),
            turns: Semaphore::new(limits.in_flight),
            outgoing: tokio::sync::Mutex::new(outgoing),
            closed: watch::Sender::new(false),
        });
        (Self(shared.clone()), Driver { shared, incoming })
    }

    /// Sends a request and waits for its answer, as `read` makes it of the whole frame.
    pub(super) async fn call<Q, T, R>(&self, request: Q, read: R) -> Result<T, LinkError>
    where
        Q: Serialize + Send + Sync,
        T: Send + 'static,
        R: FnOnce(&[u8], Option<OwnedFd>) -> Result<T, LinkError> + Send + 'static,
    {
        let Limits { answer: limit, .. } = self.0.limits;
        tokio::time::timeout(limit, self.ask(request, read))
            .await
            .unwrap_or(Err(LinkError::TimedOut { role: self.0.role, seconds: limit.as_secs() }))
    }

    async fn ask<Q, T, R>(&self, request: Q, read: R) -> Result<T, LinkError>
    where
        Q: Serialize + Send + Sync,
        T: Send + 'static,
        R: FnOnce(&[u8], Option<OwnedFd>) -> Result<T, LinkError> + Send + 'static,
    {
        let shared = &*self.0;
        let gone = || LinkError::HungUp(shared.role);
        let _turn = shared.turns.acquire().await.map_err(|_| gone())?;
        let (give, answer) = oneshot::channel();
        let reader: Reader = Box::new(move |frame, descriptor| {
            let value = read(frame, descriptor)?;
            // A call that gave up meanwhile wants no answer.
            let _ = give.send(value);
            Ok(())
        });
        let registered = Registered::new(shared, reader)?;
        {
            let mut outgoing = shared.outgoing.lock().await;
            // Held in full until its length is known: a message that does not fit was written in part.
            let mut held = Held { buffer: &mut outgoing, len: MAX_FRAME };
            held.len = crate::encode(&Frame { id: registered.id, body: request }, held.buffer.bytes())?;
            shared.link.send(held.frame(), None).await.map_err(|error| match error.kind() {
                ErrorKind::BrokenPipe | ErrorKind::ConnectionReset => gone(),
                _ => LinkError::Io(error),
            })?;
        }
        answer.await.map_err(|_| gone())
    }

    /// Completes once the link is of no further use.
    pub(super) async fn closed(&self) {
        // The sender lives in what `self` holds, so this ends by the value only.
        let _ = self.0.closed.subscribe().wait_for(|closed| *closed).await;
    }

    pub(super) fn is_closed(&self) -> bool {
        *self.0.closed.borrow()
    }

    pub(super) fn hang_up(&self) {
        self.0.link.hang_up();
    }
}

/// A call in the table; leaves it however the call ends.
struct Registered<'a> {
    shared: &'a Shared,
    id: u64,
}

impl<'a> Registered<'a> {
    fn new(shared: &'a Shared, reader: Reader) -> Result<Self, LinkError> {
        let mut calls = shared.calls();
        if calls.closed {
            return Err(LinkError::HungUp(shared.role));
        }
        let id = calls.next;
        calls.next += 1;
        calls.waiting.insert(id, reader);
        Ok(Self { shared, id })
    }
}

impl Drop for Registered<'_> {
    fn drop(&mut self) {
        self.shared.calls().waiting.remove(&self.id);
    }
}

/// Receives answers and hands them out. When it ends, or is dropped, every call under way fails with
/// [`LinkError::HungUp`], and so does every later one.
#[must_use = "nothing is received unless the driver runs"]
pub struct Driver {
    shared: Arc<Shared>,
    incoming: Buffer,
}

impl Driver {
    /// Runs until the peer hangs up or breaks the protocol; says which.
    pub async fn run(mut self) -> LinkError {
        loop {
            if let Err(error) = self.step().await {
                return error;
            }
        }
    }

    async fn step(&mut self) -> Result<(), LinkError> {
        let Self { shared, incoming } = self;
        let received = shared.link.recv(incoming.bytes()).await?;
        if received.len == 0 {
            return Err(LinkError::HungUp(shared.role));
        }
        let mut held = Held { buffer: incoming, len: received.len };
        let frame = held.frame();
        let (id, _) = postcard::take_from_bytes::<u64>(frame).map_err(|_| FrameError::Malformed(frame.len()))?;
        let reader = {
            let mut calls = shared.calls();
            if id >= calls.next {
                return Err(LinkError::Protocol { role: shared.role, what: "an answer to no request" });
            }
            calls.waiting.remove(&id)
        };
        match reader {
            Some(reader) => reader(frame, received.fd),
            None => Ok(()),
        }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let waiting = {
            let mut calls = self.shared.calls();
            calls.closed = true;
            std::mem::take(&mut calls.waiting)
        };
        // Outside the lock: each reader's end wakes its call.
        drop(waiting);
        self.shared.turns.close();
        self.shared.closed.send_replace(true);
        self.shared.link.hang_up();
    }
}
