//! What is wrong with a query, and where. Whoever shows it to a person draws the caret under the query.

/// A query that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(crate) struct QueryError {
    /// Byte of the query where the mistake is; its length if something is missing at the end.
    pub(crate) position: usize,
    /// What is wrong and what to write instead.
    pub(crate) message: String,
}

impl QueryError {
    pub(super) fn new(position: usize, message: impl Into<String>) -> Self {
        Self { position, message: message.into() }
    }
}
