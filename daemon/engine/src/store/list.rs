//! Lists and counts. Ids are the order and the cursor; there is no index but them, so a filter walks the narrow rows,
//! in windows of ids that grow, each a statement of its own: none holds the log for long, and a walk can stop between
//! two, or at a row, and be taken up from there.

use std::cell::{OnceCell, RefCell};
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};

use super::record::Record;
use super::schema::{FLOWS, SUMMARY};
use super::{StoreError, Summary, body, summary};
use crate::flow::{FlowId, Side};
use crate::query::{Ast, Finder, FlowView, Part, SqlFilter, SqlValue};

/// How long a page is looked for; what is not found by then is left to the next one.
const PAGE_TIME: Duration = Duration::from_secs(1);
/// How long a count may take.
const COUNT_TIME: Duration = Duration::from_secs(30);
/// Ids of the first window and of the largest.
const WINDOWS: (i64, i64) = (16 << 10, 256 << 10);

/// Which flows to list.
#[derive(Clone, Debug)]
pub(crate) struct ListAsk {
    /// None: all.
    pub(crate) query: Option<Ast>,
    /// Only flows with a smaller id.
    pub(crate) before: Option<FlowId>,
    /// Only flows with a larger id; without `before`, the oldest of them come first.
    pub(crate) after: Option<FlowId>,
    /// The most flows.
    pub(crate) limit: u32,
}

/// Some flows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Page {
    /// The newest first; with `after` alone, the oldest first.
    pub(crate) flows: Vec<Summary>,
    /// More may follow: ask again with this as `before` (with `after` alone: as `after`).
    pub(crate) next: Option<FlowId>,
    /// False: the time of one page was over before it was full or all was seen.
    pub(crate) scanned_all: bool,
}

/// One page.
pub(super) fn page(connection: &Connection, ask: &ListAsk) -> Result<Page, StoreError> {
    page_within(connection, ask, PAGE_TIME)
}

pub(super) fn page_within(connection: &Connection, ask: &ListAsk, time: Duration) -> Result<Page, StoreError> {
    let deadline = Instant::now() + time;
    let order = if ask.after.is_some() && ask.before.is_none() { Order::Rising } else { Order::Falling };
    let limit = usize::try_from(ask.limit).unwrap_or(usize::MAX);
    let search = Search::new(ask.query.as_ref());
    let mut page = Page { flows: Vec::new(), next: None, scanned_all: true };
    let Some((mut low, mut high)) = bounds(connection)? else { return Ok(page) };
    low = ask.after.map_or(low, |after| low.max(after.0.saturating_add(1)));
    high = ask.before.map_or(high, |before| high.min(before.0.saturating_sub(1)));
    let mut window = WINDOWS.0;
    while low <= high {
        let (from, to) = match order {
            Order::Falling => (low.max(high - (window - 1)), high),
            Order::Rising => (low, high.min(low + (window - 1))),
        };
        let mut stopped_at = None;
        search.walk(connection, (from, to), Some(order), limit - page.flows.len(), |found, id| {
            page.flows.extend(found);
            let late = !search.exact && Instant::now() >= deadline;
            if page.flows.len() == limit || late {
                stopped_at = Some(id);
                page.scanned_all = page.flows.len() == limit;
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        })?;
        if let Some(id) = stopped_at {
            let more = if order == Order::Falling { id > low } else { id < high };
            page.next = more.then_some(FlowId(id));
            page.scanned_all |= !more;
            return Ok(page);
        }
        match order {
            Order::Falling => high = from - 1,
            Order::Rising => low = to + 1,
        }
        if low <= high && Instant::now() >= deadline {
            page.next = Some(FlowId(if order == Order::Falling { from } else { to }));
            page.scanned_all = false;
            return Ok(page);
        }
        window = (window * 4).min(WINDOWS.1);
    }
    Ok(page)
}

/// How many flows match.
pub(super) fn count(connection: &Connection, query: Option<&Ast>) -> Result<u64, StoreError> {
    let deadline = Instant::now() + COUNT_TIME;
    let search = Search::new(query);
    let Some((mut low, high)) = bounds(connection)? else { return Ok(0) };
    let mut count = 0;
    while low <= high {
        let to = high.min(low + (WINDOWS.1 - 1));
        if search.exact {
            let sql = format!("SELECT count(*) FROM {FLOWS} WHERE f.id BETWEEN ? AND ? AND {}", search.filter.clause);
            let mut statement = connection.prepare_cached(&sql)?;
            let found: i64 = statement.query_row(params_from_iter(search.parameters((low, to))), |row| row.get(0))?;
            count += found.max(0).cast_unsigned();
        } else {
            let mut late = false;
            search.walk(connection, (low, to), None, usize::MAX, |found, _| {
                count += u64::from(found.is_some());
                late = Instant::now() >= deadline;
                if late { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            })?;
        }
        low = to + 1;
        if Instant::now() >= deadline {
            return Err(StoreError::TooLong { seconds: COUNT_TIME.as_secs() });
        }
    }
    Ok(count)
}

fn bounds(connection: &Connection) -> Result<Option<(i64, i64)>, StoreError> {
    let mut statement = connection.prepare_cached("SELECT (SELECT min(id) FROM flows), (SELECT max(id) FROM flows)")?;
    let bounds = statement.query_row((), |row| Ok(row.get::<_, Option<i64>>(0)?.zip(row.get(1)?)))?;
    Ok(bounds)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Order {
    Falling,
    Rising,
}

/// A query, ready to walk.
struct Search<'a> {
    query: Option<&'a Ast>,
    filter: SqlFilter,
    exact: bool,
}

impl<'a> Search<'a> {
    fn new(query: Option<&'a Ast>) -> Self {
        let all = || SqlFilter { clause: "1".to_owned(), params: Vec::new(), exact: true };
        let filter = query.map_or_else(all, Ast::sql);
        Self { query, exact: filter.exact, filter }
    }

    fn parameters(&self, (from, to): (i64, i64)) -> impl Iterator<Item = Value> + '_ {
        let own = [Value::Integer(from), Value::Integer(to)];
        own.into_iter().chain(self.filter.params.iter().map(|value| match value {
            SqlValue::Int(number) => Value::Integer(*number),
            SqlValue::Text(text) => Value::Text(text.clone()),
        }))
    }

    /// Visits the rows of a range of ids that the SQL lets through: the flow, if it matches, and its id. With an exact
    /// filter, at most `limit`.
    fn walk(
        &self,
        connection: &Connection,
        ids: (i64, i64),
        order: Option<Order>,
        limit: usize,
        mut visit: impl FnMut(Option<Summary>, i64) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        let order = if order == Some(Order::Falling) { "DESC" } else { "ASC" };
        let sql = format!(
            "SELECT {SUMMARY} FROM {FLOWS} WHERE f.id BETWEEN ? AND ? AND {} ORDER BY f.id {order} LIMIT ?",
            self.filter.clause
        );
        let most = if self.exact { i64::try_from(limit).unwrap_or(i64::MAX) } else { -1 };
        let mut statement = connection.prepare_cached(&sql)?;
        let mut rows = statement.query(params_from_iter(self.parameters(ids).chain([Value::Integer(most)])))?;
        while let Some(row) = rows.next()? {
            let found = summary::from_row(row)?;
            let id = found.id.0;
            let found = match self.query {
                Some(query) if !self.exact => View::new(connection, found).matching(query)?,
                _ => Some(found),
            };
            if visit(found, id).is_break() {
                break;
            }
        }
        Ok(())
    }
}

/// A flow as a query sees it: heads and bodies are read when they are asked for.
struct View<'a> {
    connection: &'a Connection,
    summary: Summary,
    record: OnceCell<Option<Record>>,
    /// A query's questions cannot fail; the first failure is kept here.
    failure: RefCell<Option<StoreError>>,
}

impl<'a> View<'a> {
    fn new(connection: &'a Connection, summary: Summary) -> Self {
        Self { connection, summary, record: OnceCell::new(), failure: RefCell::new(None) }
    }

    fn matching(self, query: &Ast) -> Result<Option<Summary>, StoreError> {
        let matches = query.matches(&self);
        match self.failure.into_inner() {
            Some(error) => Err(error),
            None => Ok(matches.then_some(self.summary)),
        }
    }

    fn record(&self) -> Option<&Record> {
        let load = || self.tried(Record::load(self.connection, self.summary.id)).flatten();
        self.record.get_or_init(load).as_ref()
    }

    fn tried<T>(&self, result: Result<T, StoreError>) -> Option<T> {
        result.map_err(|error| self.failure.borrow_mut().get_or_insert(error).to_string()).ok()
    }
}

impl FlowView for View<'_> {
    fn time_us(&self) -> i64 {
        self.summary.time_us
    }

    fn duration_us(&self) -> Option<i64> {
        self.summary.duration_us
    }

    fn scheme(&self) -> &str {
        self.summary.scheme.as_str()
    }

    fn method(&self) -> &str {
        &self.summary.method
    }

    fn host(&self) -> &str {
        &self.summary.host
    }

    fn port(&self) -> u16 {
        self.summary.port
    }

    fn path(&self) -> &str {
        &self.summary.path
    }

    fn status(&self) -> Option<u16> {
        self.summary.status
    }

    fn request_bytes(&self) -> u64 {
        self.summary.request_bytes
    }

    fn response_bytes(&self) -> u64 {
        self.summary.response_bytes
    }

    fn error(&self) -> Option<&str> {
        self.summary.error.as_deref()
    }

    fn request_head(&self) -> &[u8] {
        self.record().map_or(&[], Record::request_head)
    }

    fn response_head(&self) -> &[u8] {
        self.record().map_or(&[], Record::response_head)
    }

    fn body_contains(&self, part: Part, needle: &[u8]) -> bool {
        let side = if part == Part::Request { Side::Request } else { Side::Response };
        let Some(record) = self.record() else { return false };
        let mut finder = Finder::new(needle);
        if let Some(body) = record.body(side) {
            return finder.feed(body);
        }
        let searched = body::pieces(self.connection, self.summary.id, side, 1, |_, piece| {
            if finder.feed(piece) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        self.tried(searched);
        finder.found()
    }
}
