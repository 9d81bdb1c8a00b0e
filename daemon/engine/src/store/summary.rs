//! A flow in one line: what lists and events carry.

use rusqlite::Row;

use crate::flow::{FlowId, Scheme};

/// A committed flow in brief.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Summary {
    /// Within the project.
    pub(crate) id: FlowId,
    /// Microseconds since 1970-01-01 UTC at which the request's head was complete.
    pub(crate) time_us: i64,
    /// Microseconds to the end; none while under way, and for a flow that a stop of the engine interrupted.
    pub(crate) duration_us: Option<i64>,
    /// Scheme.
    pub(crate) scheme: Scheme,
    /// Method, as sent.
    pub(crate) method: Box<str>,
    /// Host.
    pub(crate) host: Box<str>,
    /// Port.
    pub(crate) port: u16,
    /// Path and query.
    pub(crate) path: Box<str>,
    /// Status of the response, if one came.
    pub(crate) status: Option<u16>,
    /// Bytes of the request's body that passed, kept or not.
    pub(crate) request_bytes: u64,
    /// Bytes of the response's body that passed, kept or not.
    pub(crate) response_bytes: u64,
    /// What went wrong.
    pub(crate) error: Option<Box<str>>,
}

/// A scheme as it is stored; `schema::FLOWS` turns it back into a word.
pub(super) fn scheme_number(scheme: Scheme) -> i64 {
    match scheme {
        Scheme::Http => 0,
        Scheme::Https => 1,
        Scheme::Tunnel => 2,
    }
}

/// Reads the columns of `schema::SUMMARY` from `schema::FLOWS`.
pub(super) fn from_row(row: &Row<'_>) -> rusqlite::Result<Summary> {
    let scheme = match row.get_ref(4)?.as_str()? {
        "http" => Scheme::Http,
        "https" => Scheme::Https,
        _ => Scheme::Tunnel,
    };
    let text = |column: usize| Ok::<Box<str>, rusqlite::Error>(row.get_ref(column)?.as_str()?.into());
    let size = |column: usize| Ok::<u64, rusqlite::Error>(row.get::<_, i64>(column)?.max(0).cast_unsigned());
    Ok(Summary {
        id: FlowId(row.get(0)?),
        time_us: row.get(1)?,
        host: text(2)?,
        port: row.get(3)?,
        scheme,
        method: text(5)?,
        status: row.get(6)?,
        request_bytes: size(7)?,
        response_bytes: size(8)?,
        duration_us: row.get(9)?,
        error: row.get_ref(10)?.as_str_or_null()?.map(Into::into),
        path: text(11)?,
    })
}
