//! The query language of flows: text to tree, tree to SQL, tree against one flow.
//!
//! Pure: it owns what a query means and says where one is wrong; it opens no database. SQL sees only the columns of a
//! flow, so a query about heads or bodies becomes a filter that lets through *at least* what matches
//! ([`SqlFilter::exact`] tells), and [`Ast::matches`] has the last word. Both agree on everything else, which a test
//! with random queries holds them to.

mod ast;
mod error;
mod find;
mod help;
mod matches;
mod parse;
mod sql;
#[cfg(test)]
mod tests;
mod value;

pub(crate) use ast::{Ast, Part};
pub(crate) use error::QueryError;
pub(crate) use find::Finder;
pub(crate) use help::HELP;
pub(crate) use matches::FlowView;
pub(crate) use parse::parse;
pub(crate) use sql::{SqlFilter, SqlValue};

/// The longest query, in bytes.
pub(crate) const MAX_LENGTH: usize = merlon_api::MAX_QUERY;
/// How deep parentheses and `not` may nest.
pub(crate) const MAX_DEPTH: usize = 32;
/// How many terms a query may have.
pub(crate) const MAX_TERMS: usize = 64;
