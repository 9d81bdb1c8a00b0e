//! What is measured: the cases, and the figures that the issue of the first release asks for.

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

const fn case(
    name: &'static str,
    tls: bool,
    content: Content,
    reuse: Reuse,
    connections: usize,
) -> Case {
    Case {
        name,
        tls,
        content,
        reuse,
        spread: false,
        connections,
    }
}

/// Small responses over kept-alive HTTPS: also what the memory test asks for.
pub(crate) const SMALL: Case = case("https-1k", true, Content::Kilobyte, Reuse::Connection, 32);
/// Large responses over as many connections as the memory target names.
pub(crate) const LARGE_MANY: Case =
    case("https-1m", true, Content::Megabyte, Reuse::Connection, 128);

/// What fills a project for queries.
pub(crate) const SPREAD: Case = Case {
    spread: true,
    ..case("spread", false, Content::Kilobyte, Reuse::Connection, 32)
};

/// All of them, in the order of the table.
pub(crate) const CASES: &[Case] = &[
    SMALL,
    case("https-1m", true, Content::Megabyte, Reuse::Connection, 32),
    LARGE_MANY,
    case("newconn", true, Content::Kilobyte, Reuse::Host, 16),
    case("newhost", true, Content::Kilobyte, Reuse::Nothing, 16),
    case("http-1k", false, Content::Kilobyte, Reuse::Connection, 32),
];

/// On which side of the bound a figure must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bound {
    /// At most.
    Most,
    /// At least.
    Least,
}

/// A figure with its bound.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// What it is.
    pub(crate) what: &'static str,
    /// On which side.
    pub(crate) bound: Bound,
    /// The bound.
    pub(crate) value: f64,
    /// Unit of both.
    pub(crate) unit: &'static str,
    /// What was measured; none if it was not.
    pub(crate) measured: Option<f64>,
    /// How it was measured, or why it was not.
    pub(crate) note: String,
}

impl Target {
    /// Is the bound kept? None if nothing was measured.
    pub(crate) fn kept(&self) -> Option<bool> {
        self.measured.map(|measured| match self.bound {
            Bound::Most => measured <= self.value,
            Bound::Least => measured >= self.value,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_itself_is_kept() {
        let target = |bound, measured| Target {
            what: "x",
            bound,
            value: 5.0,
            unit: "ms",
            measured,
            note: String::new(),
        };
        assert_eq!(target(Bound::Most, Some(5.0)).kept(), Some(true));
        assert_eq!(target(Bound::Least, Some(4.9)).kept(), Some(false));
        assert_eq!(target(Bound::Most, None).kept(), None);
    }
}
