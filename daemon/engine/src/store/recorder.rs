//! The proxy's handle: a flow is begun, fed and finished here, on the proxy's own tasks, without a system call and
//! without SQL. Small flows are kept whole until they end; larger or long ones go to the writer piece by piece.
//!
//! What gives way when the writer is behind: first, relaying waits (bounded); then the rest of the body is relayed
//! without being kept, and counted as truncated; last, the flow is counted as unrecorded. Traffic itself always goes on.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::Shared;
use super::packed::Packed;
use super::queue::{Item, Queue, What};
use super::schema::{CHUNK, MAX_SEQUENCE};
use super::segment;
use crate::flow::{Facts, FlowId, Opening, Outcome, Scheme, Side};

/// A flow under way for longer is written, and shown, before it ends.
const SHOWN_AFTER: Duration = Duration::from_secs(1);
/// Pieces this large are handed on as they are, without a copy.
const SHARED: usize = CHUNK / 2;
/// What a flow costs besides its bytes.
const OVERHEAD: usize = 256;

/// Makes records in whatever project is open. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Recorder(pub(super) Arc<Shared>);

impl Recorder {
    /// Begins a flow. Without an open project it is counted as unrecorded, and everything else still works.
    pub(crate) fn begin(&self, opening: Opening) -> FlowRecord {
        let Some(queue) = self.0.queue() else {
            self.0.counters.unrecorded(1);
            return FlowRecord { flow: None };
        };
        let flow = UnderWay {
            id: queue.next_id(),
            queue,
            opening,
            begun: Instant::now(),
            status: None,
            response_head: Bytes::new(),
            bodies: [Body::default(), Body::default()],
            started: false,
            impatient: false,
        };
        FlowRecord { flow: Some(Box::new(flow)) }
    }
}

/// The record of one flow. Dropped unfinished, it is recorded as interrupted.
pub(crate) struct FlowRecord {
    flow: Option<Box<UnderWay>>,
}

struct UnderWay {
    queue: Arc<Queue>,
    id: FlowId,
    opening: Opening,
    begun: Instant,
    status: Option<u16>,
    response_head: Bytes,
    bodies: [Body; 2],
    /// The writer has its beginning.
    started: bool,
    /// It has waited in vain for room, and does not wait again.
    impatient: bool,
}

#[derive(Default)]
struct Body {
    /// Bytes that passed.
    seen: u64,
    /// Bytes kept.
    kept: u64,
    /// The last of them, not yet handed on.
    buffer: Vec<u8>,
    /// Room taken for `buffer`.
    charge: usize,
    /// Rows handed on.
    sequence: u32,
    /// No more is kept.
    cut: bool,
}

impl FlowRecord {
    /// The flow's id; 0 if no project is open. The proxy has no use for it.
    #[cfg(test)]
    pub(crate) fn id(&self) -> FlowId {
        self.flow.as_ref().map_or(FlowId(0), |flow| flow.id)
    }

    /// Counts bytes of a body and keeps them, up to the configured size; may wait for the writer, for a bounded time.
    pub(crate) async fn body(&mut self, side: Side, mut data: Bytes) {
        let Some(flow) = &mut self.flow else { return };
        flow.bodies[side as usize].seen += data.len() as u64;
        // What is relayed unread is counted, never kept.
        if flow.opening.scheme == Scheme::Tunnel {
            return;
        }
        while !data.is_empty() {
            let piece = data.split_to(data.len().min(segment::PIECE));
            flow.keep(side, piece).await;
        }
    }

    /// The head of the final response, as it came.
    pub(crate) fn response_head(&mut self, status: u16, head: Bytes) {
        let Some(flow) = &mut self.flow else { return };
        flow.status = Some(status);
        flow.response_head = head;
    }

    /// Hands the flow to the writer, which commits it within one batch interval; may wait as `body` does.
    pub(crate) async fn finish(mut self, outcome: Outcome) {
        let Some(flow) = self.flow.take() else { return };
        let room = flow.queue.reserve(flow.weight(), !flow.impatient).await;
        flow.end(outcome, room);
    }
}

impl Drop for FlowRecord {
    fn drop(&mut self) {
        let Some(flow) = self.flow.take() else { return };
        let outcome = Outcome {
            duration_us: i64::try_from(flow.begun.elapsed().as_micros()).unwrap_or(i64::MAX),
            facts: Facts::default(),
            error: Some("interrupted: relaying stopped before the flow ended".into()),
        };
        let room = flow.queue.try_reserve(flow.weight());
        flow.end(outcome, room);
    }
}

impl UnderWay {
    /// Keeps a piece of at most [`segment::PIECE`] bytes.
    async fn keep(&mut self, side: Side, piece: Bytes) {
        let body = &mut self.bodies[side as usize];
        if body.cut {
            return;
        }
        let left = usize::try_from(self.queue.max_body.load(Ordering::Relaxed).saturating_sub(body.kept))
            .unwrap_or(usize::MAX);
        let fits = piece.slice(..piece.len().min(left));
        if fits.len() < piece.len() {
            body.cut = true;
            self.queue.counters.truncated();
        }
        let Some(charge) = self.queue.reserve(fits.len(), !self.impatient).await else {
            self.impatient = true;
            if !body.cut {
                body.cut = true;
                self.queue.counters.truncated();
            }
            return;
        };
        let has_room = self.queue.buffer(charge);
        let is_long = || body.kept > 0 && self.begun.elapsed() > SHOWN_AFTER;
        if !self.started && (!has_room || body.buffer.len() + fits.len() > CHUNK || is_long()) {
            self.start();
        }
        self.append(side, fits, charge);
        if !has_room {
            self.hand_on(side);
        }
    }

    fn append(&mut self, side: Side, piece: Bytes, charge: usize) {
        let is_shared = self.started && piece.len() >= SHARED;
        if is_shared {
            self.hand_on(side);
        }
        let body = &mut self.bodies[side as usize];
        if body.sequence == MAX_SEQUENCE {
            self.queue.unbuffer(charge);
            return self.queue.release(charge);
        }
        body.charge += charge;
        if is_shared {
            body.kept += piece.len() as u64;
            return self.push(side, piece);
        }
        // Whoever sends little at a time may stand still for long: such a body grows as it comes.
        if self.started && body.buffer.is_empty() && piece.len() >= CHUNK / 8 {
            body.buffer.reserve_exact(CHUNK);
        }
        body.buffer.extend_from_slice(&piece);
        body.kept += piece.len() as u64;
        if self.started && body.buffer.len() >= CHUNK {
            self.hand_on(side);
        }
    }

    /// From now on the flow is written while under way; what was kept of its bodies becomes their first pieces.
    fn start(&mut self) {
        self.started = true;
        self.queue.push(Item { id: self.id, charge: 0, what: What::Start(Packed::start(&self.opening, self.status)) });
        for side in [Side::Request, Side::Response] {
            let body = &mut self.bodies[side as usize];
            if body.buffer.is_empty() {
                continue;
            }
            self.hand_on(side);
        }
    }

    /// Hands the buffered piece of a started flow to the writer.
    fn hand_on(&mut self, side: Side) {
        let body = &mut self.bodies[side as usize];
        if !body.buffer.is_empty() {
            let bytes = std::mem::take(&mut body.buffer).into();
            self.push(side, bytes);
        }
    }

    /// Hands the last bytes kept to the writer, with all that they took of the queue.
    fn push(&mut self, side: Side, bytes: Bytes) {
        let body = &mut self.bodies[side as usize];
        let charge = std::mem::take(&mut body.charge);
        let at = body.kept - bytes.len() as u64;
        self.queue.unbuffer(charge);
        body.sequence += 1;
        if body.sequence == MAX_SEQUENCE && !body.cut {
            body.cut = true;
            self.queue.counters.truncated();
        }
        let sequence = body.sequence;
        self.queue.push(Item { id: self.id, charge, what: What::Chunk { side, sequence, at, bytes } });
    }

    /// What the end of the flow takes of the queue, besides what its bodies took already.
    fn weight(&self) -> usize {
        OVERHEAD + self.opening.head.len() + self.opening.path.len() + self.response_head.len()
    }

    /// Hands the end to the writer. Without room a flow that is not started is given up; one that is started is shown
    /// already, and must be seen to end.
    fn end(mut self, mut outcome: Outcome, room: Option<usize>) {
        let mut charge = room.unwrap_or(0);
        if self.started {
            self.hand_on(Side::Request);
            self.hand_on(Side::Response);
            if room.is_none() {
                self.response_head = Bytes::new();
                outcome.error.get_or_insert_with(|| "recorded in part: the store could not keep up".into());
            }
        } else {
            for body in &mut self.bodies {
                let held = std::mem::take(&mut body.charge);
                self.queue.unbuffer(held);
                charge += held;
            }
            if room.is_none() {
                self.queue.release(charge);
                self.queue.counters.unrecorded(1);
                return;
            }
        }
        let seen = [self.bodies[0].seen, self.bodies[1].seen];
        let (opening, head) = (&self.opening, &self.response_head);
        let what = if self.started {
            What::End(Packed::end(opening, self.status, seen, head, &outcome))
        } else {
            let bodies = [&*self.bodies[0].buffer, &*self.bodies[1].buffer];
            What::Whole(Packed::whole(opening, self.status, seen, head, bodies, &outcome))
        };
        if !self.queue.push(Item { id: self.id, charge, what }) {
            self.queue.counters.unrecorded(1);
        }
    }
}
