//! One flow with all that is known of it but the bodies.

use std::net::SocketAddr;

use rusqlite::{Connection, OptionalExtension as _};

use super::record::Record;
use super::schema::{FLOWS, SUMMARY};
use super::{StoreError, Summary, body, summary};
use crate::flow::{Facts, FlowId, Side};

/// A committed flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Detail {
    /// In brief.
    pub(crate) summary: Summary,
    /// Peer of the client connection; none on Unix sockets.
    pub(crate) client: Option<SocketAddr>,
    /// Empty while under way.
    pub(crate) facts: Facts,
    /// The exact bytes of the head.
    pub(crate) request_head: Vec<u8>,
    /// The exact bytes of the head; empty without a response, and while under way.
    pub(crate) response_head: Vec<u8>,
    /// Bytes of the request's body that are kept; fewer than passed if it was cut.
    pub(crate) request_body_stored: u64,
    /// Bytes of the response's body that are kept.
    pub(crate) response_body_stored: u64,
}

/// Reads one flow; none if there is no such one.
pub(super) fn read(connection: &Connection, id: FlowId) -> Result<Option<Detail>, StoreError> {
    // One snapshot: the flow may be under way.
    let transaction = connection.unchecked_transaction()?;
    let found = transaction
        .prepare_cached(&format!("SELECT {SUMMARY} FROM {FLOWS} WHERE f.id = ?1"))?
        .query_row([id.0], summary::from_row)
        .optional()?;
    let Some(summary) = found else { return Ok(None) };
    let record = Record::load(&transaction, id)?.ok_or(StoreError::DamagedFlow(id.0))?;
    let stored = |side| match record.body(side) {
        Some(body) => Ok(body.len() as u64),
        None => body::kept(&transaction, id, side),
    };
    Ok(Some(Detail {
        summary,
        client: record.client(),
        facts: record.facts(),
        request_head: record.request_head().to_vec(),
        response_head: record.response_head().to_vec(),
        request_body_stored: stored(Side::Request)?,
        response_body_stored: stored(Side::Response)?,
    }))
}
