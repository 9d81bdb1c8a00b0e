//! The cases: what one request is, and how many are in flight.

use crate::content::Content;
use crate::load::Reuse;

/// One kind of load.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Case {
    /// As in the tables.
    pub(crate) name: &'static str,
    /// Over TLS, through CONNECT.
    pub(crate) tls: bool,
    /// What is fetched.
    pub(crate) content: Content,
    /// What a request uses of the one before.
    pub(crate) reuse: Reuse,
    /// Over many of the origin's addresses.
    pub(crate) spread: bool,
    /// Requests in flight.
    pub(crate) connections: usize,
}

const fn case(name: &'static str, tls: bool, content: Content, reuse: Reuse, connections: usize) -> Case {
    Case { name, tls, content, reuse, spread: false, connections }
}

/// Small responses over kept-alive HTTPS: also what the memory test asks for.
pub(crate) const SMALL: Case = case("https-1k", true, Content::Kilobyte, Reuse::Connection, 32);
/// Large responses over as many connections as the memory target names.
pub(crate) const LARGE_MANY: Case = case("https-1m", true, Content::Megabyte, Reuse::Connection, 128);

/// What fills a project for queries.
pub(crate) const SPREAD: Case =
    Case { spread: true, ..case("spread", false, Content::Kilobyte, Reuse::Connection, 32) };

/// All of them, in the order of the table.
pub(crate) const CASES: &[Case] = &[
    SMALL,
    case("https-1m", true, Content::Megabyte, Reuse::Connection, 32),
    LARGE_MANY,
    case("newconn", true, Content::Kilobyte, Reuse::Host, 16),
    case("newhost", true, Content::Kilobyte, Reuse::Nothing, 16),
    case("http-1k", false, Content::Kilobyte, Reuse::Connection, 32),
];
