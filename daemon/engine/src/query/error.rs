//! What is wrong with a query, and where.

/// A query that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(crate) struct QueryError {
    /// Byte of the query where the mistake is; its length if something is missing at the end.
    pub(crate) position: usize,
    /// What is wrong and what to write instead.
    pub(crate) message: String,
}

/// Characters of the query shown around the mistake.
const SHOWN: usize = 72;

impl QueryError {
    pub(super) fn new(position: usize, message: impl Into<String>) -> Self {
        Self {
            position,
            message: message.into(),
        }
    }

    /// Three lines: the message, the query (or the part around the mistake), and a caret under the mistake.
    pub(crate) fn render(&self, query: &str) -> String {
        let before = query.get(..self.position).unwrap_or(query).chars().count();
        let all: Vec<char> = query.chars().collect();
        let start = if all.len() <= SHOWN {
            0
        } else {
            before.saturating_sub(SHOWN / 2)
        };
        let end = all.len().min(start + SHOWN);
        // A line break or an escape sequence would move the caret away, or worse.
        let line: String = all[start..end]
            .iter()
            .map(|&c| if c.is_control() { ' ' } else { c })
            .collect();
        let caret = " ".repeat(before - start);
        format!("{}\n  {line}\n  {caret}^", self.message)
    }
}
