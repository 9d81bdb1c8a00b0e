//! Bodies as they are read: by range, or from the beginning in search of something.

use std::io::ErrorKind;
use std::ops::{ControlFlow, Range};
use std::path::Path;

use rusqlite::{Connection, OptionalExtension as _};

use super::StoreError;
use super::record::Record;
use super::schema::{MAX_SEQUENCE, blob_key, body_part};
use super::segment::{self, Pointer, SegmentKey};
use crate::flow::{FlowId, Side};

/// The most bytes of one answer.
const MOST: u64 = 1 << 20;

/// Bytes of a body that are kept, from `range.start`; none if there is no such flow.
pub(super) fn read(
    connection: &Connection,
    id: FlowId,
    side: Side,
    range: Range<u64>,
) -> Result<Option<Vec<u8>>, StoreError> {
    // One snapshot: a flow may be under way.
    let transaction = connection.unchecked_transaction()?;
    let Some(record) = Record::load(&transaction, id)? else { return Ok(None) };
    let range = range.start..range.end.min(range.start.saturating_add(MOST));
    if let Some(body) = record.body(side) {
        let place = |at: u64| usize::try_from(at).unwrap_or(usize::MAX).min(body.len());
        let (start, end) = (place(range.start), place(range.end));
        return Ok(Some(body[start..end.max(start)].to_vec()));
    }
    let mut bytes = Vec::new();
    if range.is_empty() {
        return Ok(Some(bytes));
    }
    let first = piece_at(&transaction, id, side, range.start)?;
    pieces(&transaction, id, side, first, |at, piece| {
        let wanted = range.start + bytes.len() as u64;
        // A hole ends the body as far as anybody can know it.
        let Some(skip) = wanted.checked_sub(at).and_then(|skip| usize::try_from(skip).ok()) else {
            return ControlFlow::Break(());
        };
        let rest = piece.get(skip..).unwrap_or(&[]);
        let room = usize::try_from(range.end - wanted).unwrap_or(usize::MAX);
        bytes.extend_from_slice(&rest[..rest.len().min(room)]);
        if range.start + bytes.len() as u64 == range.end { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    Ok(Some(bytes))
}

/// How many bytes of a body that has rows of its own are kept.
pub(super) fn kept(connection: &Connection, id: FlowId, side: Side) -> Result<u64, StoreError> {
    Ok(last_piece(connection, id, side)?.map_or(0, |(_, end)| end))
}

/// Passes each piece of a body, with its place, to `visit`, from row `first` on.
pub(super) fn pieces(
    connection: &Connection,
    id: FlowId,
    side: Side,
    first: u32,
    mut visit: impl FnMut(u64, &[u8]) -> ControlFlow<()>,
) -> Result<(), StoreError> {
    let mut statement =
        connection.prepare_cached("SELECT key, data FROM blobs WHERE key BETWEEN ?1 AND ?2 ORDER BY key")?;
    let mut rows = statement.query([blob_key(id, body_part(side, first)), last_key(id, side)])?;
    while let Some(row) = rows.next()? {
        let data = row.get_ref(1)?.as_blob().map_err(rusqlite::Error::from)?;
        let visited = match Pointer::decode(data) {
            Some(pointer) => visit(pointer.at, &elsewhere(connection, id, pointer, row.get(0)?)?),
            None => {
                let (at, piece) = split(data).ok_or(StoreError::DamagedFlow(id.0))?;
                visit(at, piece)
            }
        };
        if visited.is_break() {
            break;
        }
    }
    Ok(())
}

/// A piece that is in a segment.
pub(super) fn elsewhere(
    connection: &Connection,
    id: FlowId,
    pointer: Pointer,
    row_key: i64,
) -> Result<Vec<u8>, StoreError> {
    let key: Option<SegmentKey> = connection
        .prepare_cached("SELECT key FROM segments WHERE id = ?1")?
        .query_row([pointer.segment], |row| row.get(0).map(SegmentKey::new))
        .optional()?;
    let key = key.ok_or(StoreError::DamagedFlow(id.0))?;
    let directory = segment::directory(Path::new(connection.path().unwrap_or_default()));
    segment::read(&directory, pointer, &key, row_key).map_err(|source| match source.kind() {
        ErrorKind::InvalidData | ErrorKind::UnexpectedEof | ErrorKind::NotFound => StoreError::DamagedFlow(id.0),
        _ => StoreError::Files { path: directory, source },
    })
}

/// The row that holds the byte at `place`, or one before it. No row has more than [`segment::PIECE`] bytes, which says
/// where to begin.
fn piece_at(connection: &Connection, id: FlowId, side: Side, place: u64) -> Result<u32, StoreError> {
    let Some((mut last, end)) = last_piece(connection, id, side)? else { return Ok(1) };
    if place >= end {
        return Ok(last);
    }
    let guess = u32::try_from(place / segment::PIECE as u64 + 1).unwrap_or(MAX_SEQUENCE);
    let mut first = guess.min(last);
    // Invariant: the byte is in `first` or later, and not behind `last`.
    while first < last {
        let middle = first + (last - first).div_ceil(2);
        match start_of(connection, id, side, middle)? {
            Some(start) if start <= place => first = middle,
            _ => last = middle - 1,
        }
    }
    Ok(first)
}

fn start_of(connection: &Connection, id: FlowId, side: Side, sequence: u32) -> Result<Option<u64>, StoreError> {
    let mut statement = connection.prepare_cached("SELECT substr(data, 1, 8) FROM blobs WHERE key = ?1")?;
    let header = statement
        .query_row([blob_key(id, body_part(side, sequence))], |row| {
            Ok(split(row.get_ref(0)?.as_blob()?).map(|(at, _)| at))
        })
        .optional()?;
    Ok(header.flatten())
}

/// Sequence and end of the last row.
fn last_piece(connection: &Connection, id: FlowId, side: Side) -> Result<Option<(u32, u64)>, StoreError> {
    let first = blob_key(id, body_part(side, 1));
    let mut statement = connection
        .prepare_cached("SELECT key, data FROM blobs WHERE key BETWEEN ?1 AND ?2 ORDER BY key DESC LIMIT 1")?;
    let found = statement
        .query_row([first, last_key(id, side)], |row| {
            let sequence = u32::try_from(row.get::<_, i64>(0)? - first + 1).unwrap_or(MAX_SEQUENCE);
            let data = row.get_ref(1)?.as_blob()?;
            let end = match Pointer::decode(data) {
                Some(pointer) => Some(pointer.at + u64::from(pointer.len)),
                None => split(data).map(|(at, piece)| at + piece.len() as u64),
            };
            Ok(end.map(|end| (sequence, end)))
        })
        .optional()?;
    found.map(|piece| piece.ok_or(StoreError::DamagedFlow(id.0))).transpose()
}

fn last_key(id: FlowId, side: Side) -> i64 {
    blob_key(id, body_part(side, MAX_SEQUENCE))
}

/// A row that is no pointer: eight bytes the place in the body (little-endian), then the bytes.
fn split(row: &[u8]) -> Option<(u64, &[u8])> {
    let (header, piece) = row.split_first_chunk::<8>()?;
    Some((segment::place(*header), piece))
}
