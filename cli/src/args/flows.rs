//! Arguments of `merlon flows` and `merlon show`.

use std::path::PathBuf;

use clap::Args;

use super::types::{ByteRange, Side};

/// Recorded flows: list, search, follow
#[derive(Args, Debug)]
#[command(long_about = "\
Recorded flows: list, search, follow.

Shows the newest flows first. A flow that is shown has been committed to disk. With --json every line is one flow with \
the fields id, time, method, scheme, host, port, path, status, request_bytes, response_bytes, duration_us and error.

Ends with 3 if no flow was found. `merlon help query` explains the query language.

Examples:
  merlon flows
  merlon flows 'host:example.com and status:>=500' --limit 20
  merlon flows --follow --json | jq .path
  merlon flows 'method:POST' --count")]
pub(crate) struct FlowsArgs {
    /// Which flows; all if left out
    #[arg(value_name = "QUERY")]
    pub(crate) query: Option<String>,
    /// The most flows to show [default: 100; with --follow 0]
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<u64>,
    /// Only flows older than this one
    #[arg(long, value_name = "ID", conflicts_with_all = ["follow", "count"])]
    pub(crate) before: Option<i64>,
    /// Then go on and show flows as they are recorded, until Ctrl-C
    #[arg(short, long, conflicts_with = "count")]
    pub(crate) follow: bool,
    /// Only say how many there are (0 is an answer: ends with 0)
    #[arg(long, conflicts_with = "limit")]
    pub(crate) count: bool,
}

/// One flow: its facts, heads and bodies
#[derive(Args, Debug)]
#[command(long_about = "\
One flow: its facts, heads and bodies.

Without further options: what is known about the flow, and both heads as they passed. --raw and --body give the exact \
bytes that passed to a pipe or a file; on a terminal what could harm it is shown escaped. Ends with 3 if there is no \
such flow, or no such body.

Examples:
  merlon show 1234
  merlon show 1234 --body response -o page.html
  merlon show 1234 --raw request | nc origin.example 80
  merlon show 1234 --body response --range 0-1023 | xxd")]
pub(crate) struct ShowArgs {
    /// The flow's id, as `merlon flows` shows it
    pub(crate) id: i64,
    /// Head and body of one side, as they passed
    #[arg(long, value_name = "SIDE", conflicts_with = "body")]
    pub(crate) raw: Option<Side>,
    /// The body of one side, as it passed
    #[arg(long, value_name = "SIDE")]
    pub(crate) body: Option<Side>,
    /// Write to a new file (mode 0600, written whole or not at all) instead of standard output
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Only these bytes of the body, FIRST-LAST or FIRST-, counted from 0
    #[arg(long, value_name = "A-B", requires = "body")]
    pub(crate) range: Option<ByteRange>,
}
