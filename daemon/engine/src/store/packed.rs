//! A flow on its way from a task of the proxy to the writer's thread: already in the shape of its rows, and in one
//! allocation, because memory that one thread allocates and another one frees costs more than the copy.

use rusqlite::ToSql;
use rusqlite::types::{ToSqlOutput, ValueRef};

use super::Summary;
use super::codec::{Closing, write_closing, write_opening};
use crate::flow::{FlowId, Opening, Outcome, Scheme};

/// Bytes that facts take at most, but for texts that are not among the common ones.
const FACTS: usize = 160;

/// The typed row of a flow and one row of `blobs`.
pub(super) struct Packed {
    pub(super) time_us: i64,
    /// None while under way.
    pub(super) duration_us: Option<i64>,
    pub(super) scheme: Scheme,
    pub(super) port: u16,
    pub(super) status: Option<u16>,
    /// Bytes that passed, of request and response.
    pub(super) seen: [u64; 2],
    /// The row of `blobs`, then method, host, path and error.
    bytes: Vec<u8>,
    /// Where the first four of these end.
    ends: [usize; 4],
    failed: bool,
}

impl Packed {
    /// A flow that begins to be written while it is under way.
    pub(super) fn start(opening: &Opening, status: Option<u16>) -> Self {
        let mut bytes = Vec::with_capacity(FACTS + opening.head.len() + texts(opening, None));
        write_opening(&mut bytes, opening.client, &opening.head, None);
        Self::new(opening, status, [0, 0], bytes, None)
    }

    /// A flow that is written at once.
    pub(super) fn whole(
        opening: &Opening,
        status: Option<u16>,
        seen: [u64; 2],
        response_head: &[u8],
        bodies: [&[u8]; 2],
        outcome: &Outcome,
    ) -> Self {
        let blobs = opening.head.len() + response_head.len() + bodies[0].len() + bodies[1].len();
        let mut bytes = Vec::with_capacity(FACTS + blobs + texts(opening, Some(outcome)));
        let closing = Closing { facts: &outcome.facts, response_head, bodies };
        write_opening(&mut bytes, opening.client, &opening.head, Some(&closing));
        Self::new(opening, status, seen, bytes, Some(outcome))
    }

    /// The end of a flow that was started.
    pub(super) fn end(
        opening: &Opening,
        status: Option<u16>,
        seen: [u64; 2],
        response_head: &[u8],
        outcome: &Outcome,
    ) -> Self {
        let mut bytes = Vec::with_capacity(FACTS + response_head.len() + texts(opening, Some(outcome)));
        write_closing(&mut bytes, &Closing { facts: &outcome.facts, response_head, bodies: [&[], &[]] });
        Self::new(opening, status, seen, bytes, Some(outcome))
    }

    fn new(
        opening: &Opening,
        status: Option<u16>,
        seen: [u64; 2],
        mut bytes: Vec<u8>,
        outcome: Option<&Outcome>,
    ) -> Self {
        let mut ends = [bytes.len(); 4];
        for (end, text) in ends[1..].iter_mut().zip([&opening.method, &opening.host, &opening.path]) {
            bytes.extend_from_slice(text.as_bytes());
            *end = bytes.len();
        }
        let error = outcome.and_then(|outcome| outcome.error.as_deref());
        bytes.extend_from_slice(error.unwrap_or_default().as_bytes());
        Self {
            time_us: opening.time_us,
            duration_us: outcome.map(|outcome| outcome.duration_us),
            scheme: opening.scheme,
            port: opening.port,
            status,
            seen,
            bytes,
            ends,
            failed: error.is_some(),
        }
    }

    /// For `blobs`.
    pub(super) fn row(&self) -> &[u8] {
        &self.bytes[..self.ends[0]]
    }

    pub(super) fn method(&self) -> Text<'_> {
        Text(&self.bytes[self.ends[0]..self.ends[1]])
    }

    pub(super) fn host(&self) -> Text<'_> {
        Text(&self.bytes[self.ends[1]..self.ends[2]])
    }

    pub(super) fn path(&self) -> Text<'_> {
        Text(&self.bytes[self.ends[2]..self.ends[3]])
    }

    pub(super) fn error(&self) -> Option<Text<'_>> {
        self.failed.then(|| Text(&self.bytes[self.ends[3]..]))
    }

    /// For events.
    pub(super) fn summary(&self, id: FlowId) -> Summary {
        Summary {
            id,
            time_us: self.time_us,
            duration_us: self.duration_us,
            scheme: self.scheme,
            method: self.method().owned(),
            host: self.host().owned(),
            port: self.port,
            path: self.path().owned(),
            status: self.status,
            request_bytes: self.seen[0],
            response_bytes: self.seen[1],
            error: self.error().map(Text::owned),
        }
    }
}

/// What was packed from a text, and need not be checked again to be written.
#[derive(Clone, Copy)]
pub(super) struct Text<'a>(pub(super) &'a [u8]);

impl Text<'_> {
    fn owned(self) -> Box<str> {
        str::from_utf8(self.0).unwrap_or_default().into()
    }
}

impl ToSql for Text<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(ValueRef::Text(self.0)))
    }
}

fn texts(opening: &Opening, outcome: Option<&Outcome>) -> usize {
    let error = outcome.and_then(|outcome| outcome.error.as_ref()).map_or(0, |error| error.len());
    opening.method.len() + opening.host.len() + opening.path.len() + error
}
