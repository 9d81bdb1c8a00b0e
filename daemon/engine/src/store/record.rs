//! The stored record of one flow: facts and heads, and where its bodies are.

use rusqlite::{Connection, OptionalExtension as _};

use super::codec::{ClosingRow, OpeningRow, read_closing, read_opening};
use super::schema::{CLOSING, OPENING, blob_key};
use super::segment::Pointer;
use super::{StoreError, body};
use crate::flow::{Facts, FlowId, Side};

/// What `blobs` holds of a flow, but for bodies in rows of their own.
pub(super) struct Record {
    row: Vec<u8>,
    opening: OpeningRow,
    /// Of a flow that was written while under way, and has ended.
    apart: Option<(Vec<u8>, ClosingRow)>,
}

impl Record {
    /// None if there is no such flow.
    pub(super) fn load(connection: &Connection, id: FlowId) -> Result<Option<Self>, StoreError> {
        let damaged = |_| StoreError::DamagedFlow(id.0);
        let Some(mut row) = blob(connection, id, OPENING)? else { return Ok(None) };
        // An opening begins with its format, which is not 0.
        if let Some(pointer) = Pointer::decode(&row).filter(|pointer| pointer.at == 0) {
            row = body::elsewhere(connection, id, pointer, blob_key(id, OPENING))?;
        }
        let opening = read_opening(&row).map_err(damaged)?;
        let mut apart = None;
        if opening.closing.is_none()
            && let Some(row) = blob(connection, id, CLOSING)?
        {
            let closing = read_closing(&row).map_err(damaged)?;
            apart = Some((row, closing));
        }
        Ok(Some(Self { row, opening, apart }))
    }

    pub(super) fn client(&self) -> Option<std::net::SocketAddr> {
        self.opening.client
    }

    pub(super) fn request_head(&self) -> &[u8] {
        &self.row[self.opening.request_head.clone()]
    }

    pub(super) fn response_head(&self) -> &[u8] {
        self.closing().map_or(&[], |(row, closing)| &row[closing.response_head.clone()])
    }

    pub(super) fn facts(&self) -> Facts {
        self.closing().map_or_else(Facts::default, |(_, closing)| closing.facts.clone())
    }

    /// A whole body, unless it has rows of its own.
    pub(super) fn body(&self, side: Side) -> Option<&[u8]> {
        let closing = self.opening.closing.as_ref()?;
        Some(&self.row[closing.body(side)])
    }

    fn closing(&self) -> Option<(&[u8], &ClosingRow)> {
        match (&self.opening.closing, &self.apart) {
            (Some(closing), _) => Some((&self.row, closing)),
            (None, Some((row, closing))) => Some((row, closing)),
            (None, None) => None,
        }
    }
}

fn blob(connection: &Connection, id: FlowId, part: u32) -> Result<Option<Vec<u8>>, StoreError> {
    let mut statement = connection.prepare_cached("SELECT data FROM blobs WHERE key = ?1")?;
    Ok(statement.query_row([blob_key(id, part)], |row| row.get(0)).optional()?)
}
