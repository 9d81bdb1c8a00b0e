//! The engine's links to keeper and dialer, and their bounds; [`merlon_wire::link`] keeps them.

use std::time::Duration;

use merlon_wire::link::{Limits, LinkKeeping};
pub(crate) use merlon_wire::link::{LinkSource, Links};

/// Requests that may wait for the dialer; it has a bound of its own.
const DIALS: usize = 1024;

/// Two halves: the links, and what keeps them.
pub(crate) fn links(connect_timeout: Duration) -> (Links, LinkKeeping) {
    // The dialer's own limits are 5 s to resolve and the configured time to connect; its reasons should arrive.
    merlon_wire::link::links(Limits { in_flight: DIALS, answer: connect_timeout + Duration::from_secs(7) })
}
