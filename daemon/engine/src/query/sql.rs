//! A query as SQL over the columns of a flow (alias `f`). Values travel as parameters, never in the text.
//!
//! What the columns cannot tell (heads, bodies) is over-estimated: where a term stands for itself it counts as true,
//! under an odd number of `not`s as false, so that the filter as a whole lets through every match and maybe more.

use super::ast::{Ast, NumberField, Optional, Term, TextField};

/// A parameter of a [`SqlFilter`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SqlValue {
    /// An integer.
    Int(i64),
    /// A text.
    Text(String),
}

/// A condition for WHERE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SqlFilter {
    /// The condition, in parentheses where needed; parameters are `?`, in order. `1` if every flow passes.
    pub(crate) clause: String,
    /// The parameters.
    pub(crate) params: Vec<SqlValue>,
    /// The condition is the query; otherwise each row it lets through still has to be asked [`Ast::matches`].
    pub(crate) exact: bool,
}

impl Ast {
    /// The SQL that lets through all that matches, over the columns `time_us`, `duration_us`, `scheme`, `method`,
    /// `host`, `port`, `path`, `status`, `request_bytes`, `response_bytes` and `error` of `f`.
    pub(crate) fn sql(&self) -> SqlFilter {
        let exact = !self.uses_heads() && !self.uses_bodies();
        let (clause, params) = match estimate(self, true) {
            Estimate::Known(true) => ("1".to_owned(), Vec::new()),
            Estimate::Known(false) => ("0".to_owned(), Vec::new()),
            Estimate::Sql(clause, params) => (clause, params),
        };
        SqlFilter { clause, params, exact }
    }
}

/// What columns say about a part of a query.
enum Estimate {
    Known(bool),
    Sql(String, Vec<SqlValue>),
}

/// True wherever `ast` is (`over`), or only where it is (not `over`).
fn estimate(ast: &Ast, over: bool) -> Estimate {
    match ast {
        Ast::And(parts) => join(parts, over, true, " AND "),
        Ast::Or(parts) => join(parts, over, false, " OR "),
        Ast::Not(inner) => match estimate(inner, !over) {
            Estimate::Known(value) => Estimate::Known(!value),
            Estimate::Sql(clause, params) => Estimate::Sql(format!("NOT {clause}"), params),
        },
        Ast::Term(term) => term_sql(term).unwrap_or(Estimate::Known(over)),
    }
}

/// `neutral` is the value that decides nothing: true for AND, false for OR; the other one decides all.
fn join(parts: &[Ast], over: bool, neutral: bool, word: &str) -> Estimate {
    let mut clauses = Vec::new();
    let mut params = Vec::new();
    for part in parts {
        match estimate(part, over) {
            Estimate::Known(value) if value == neutral => {}
            Estimate::Known(value) => return Estimate::Known(value),
            Estimate::Sql(clause, mut more) => {
                clauses.push(clause);
                params.append(&mut more);
            }
        }
    }
    match clauses.len() {
        0 => Estimate::Known(neutral),
        1 => Estimate::Sql(clauses.remove(0), params),
        _ => Estimate::Sql(format!("({})", clauses.join(word)), params),
    }
}

/// None for what the columns cannot tell. Every clause is in parentheses and never NULL, so that NOT is the opposite.
fn term_sql(term: &Term) -> Option<Estimate> {
    Some(match term {
        Term::Contains(field, value) => {
            let text = match field {
                TextField::Host => "f.host",
                TextField::Path => "lower(f.path)",
                TextField::Url => "f.host || lower(f.path)",
                TextField::Method => "lower(f.method)",
                TextField::Scheme => "f.scheme",
                TextField::Error => {
                    let clause = "(ifnull(instr(lower(f.error), ?), 0) > 0)";
                    return Some(Estimate::Sql(clause.to_owned(), vec![SqlValue::Text(value.clone())]));
                }
            };
            Estimate::Sql(format!("(instr({text}, ?) > 0)"), vec![SqlValue::Text(value.clone())])
        }
        Term::Equals(field, value) => {
            let clause = match field {
                TextField::Path => "(f.path = ?)",
                TextField::Host => "(f.host = ?)",
                TextField::Scheme => "(f.scheme = ?)",
                TextField::Method => "(f.method = ? COLLATE NOCASE)",
                TextField::Error => "(ifnull(f.error = ? COLLATE NOCASE, 0))",
                TextField::Url => "(f.host || f.path = ? COLLATE NOCASE)",
            };
            Estimate::Sql(clause.to_owned(), vec![SqlValue::Text(value.clone())])
        }
        Term::Within(field, min, max) => within(*field, *min, *max),
        Term::Missing(Optional::Status) => Estimate::Sql("(f.status IS NULL)".to_owned(), vec![]),
        Term::Missing(Optional::Error) => Estimate::Sql("(f.error IS NULL)".to_owned(), vec![]),
        Term::Header(..) | Term::Body(..) => return None,
    })
}

fn within(field: NumberField, min: i64, max: i64) -> Estimate {
    if min > max {
        return Estimate::Known(false);
    }
    let (column, nullable) = match field {
        NumberField::Status => ("f.status", true),
        NumberField::ResponseBytes => ("f.response_bytes", false),
        NumberField::RequestBytes => ("f.request_bytes", false),
        NumberField::Port => ("f.port", false),
        NumberField::Time => ("f.time_us", false),
        NumberField::Duration => ("f.duration_us", true),
    };
    let (condition, params) = match (min, max) {
        (i64::MIN, i64::MAX) => (format!("{column} IS NOT NULL"), vec![]),
        (i64::MIN, max) => (format!("{column} <= ?"), vec![SqlValue::Int(max)]),
        (min, i64::MAX) => (format!("{column} >= ?"), vec![SqlValue::Int(min)]),
        (min, max) if min == max => (format!("{column} = ?"), vec![SqlValue::Int(min)]),
        _ => (format!("{column} BETWEEN ? AND ?"), vec![SqlValue::Int(min), SqlValue::Int(max)]),
    };
    let clause = if nullable { format!("ifnull({condition}, 0)") } else { format!("({condition})") };
    Estimate::Sql(clause, params)
}
