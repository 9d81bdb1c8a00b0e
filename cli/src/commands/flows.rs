//! `merlon flows`: lists, searches and counts.

use merlon_api::{CountQuery, Flow, FlowsQuery};

use crate::args::FlowsArgs;
use crate::client::Client;
use crate::error::{CliError, Exit};
use crate::output::{Cell, Column, Layout, Printer, Tone};

const DEFAULT_LIMIT: u64 = 100;
/// Flows of one page: enough for few round trips, few enough to show the first at once.
const PAGE: u64 = 500;

pub(super) const COLUMNS: [Column; 7] = [
    Column::right("ID").at_least(4),
    Column::left("TIME (UTC)").at_least(19),
    Column::left("METHOD").at_least(7),
    Column::right("STATUS"),
    Column::right("SIZE").at_least(8),
    Column::right("MS").at_least(6),
    Column::left("URL").shrinking(),
];

pub(super) async fn run(args: &FlowsArgs, client: &mut Client, printer: &mut Printer) -> Result<(), CliError> {
    if args.count {
        let count = client.count(&CountQuery { query: args.query.clone() }).await?;
        return if printer.is_json() { printer.json(&count) } else { printer.line(&count.count.to_string()) };
    }
    let mut left = args.limit.unwrap_or(DEFAULT_LIMIT);
    let mut ask = FlowsQuery { query: args.query.clone(), before: args.before, ..FlowsQuery::default() };
    let mut layout = None;
    while left > 0 {
        ask.limit = u32::try_from(left.min(PAGE)).ok();
        let page = client.flows(&ask).await?;
        left = left.saturating_sub(page.flows.len() as u64);
        print(&page.flows, &mut layout, printer)?;
        ask.before = page.next;
        if ask.before.is_none() {
            break;
        }
    }
    if layout.is_none() {
        return Err(nothing_found(args.query.as_deref()));
    }
    if let (Some(before), true) = (ask.before, printer.out_is_terminal()) {
        printer.flush()?;
        printer.say(&format!("older ones: merlon flows ... --before {before}"));
    }
    Ok(())
}

/// Prints flows one after another; the header with the first.
pub(super) fn print(
    flows: &[Flow],
    layout: &mut Option<Layout<'static>>,
    printer: &mut Printer,
) -> Result<(), CliError> {
    if flows.is_empty() {
        return Ok(());
    }
    let rows: Vec<Vec<Cell>> = if printer.is_json() { Vec::new() } else { flows.iter().map(row).collect() };
    let first = layout.is_none();
    let layout = layout.get_or_insert_with(|| printer.layout(&COLUMNS, &rows));
    if printer.is_json() {
        return flows.iter().try_for_each(|flow| printer.json(flow));
    }
    if first {
        printer.header(layout)?;
    }
    rows.iter().try_for_each(|row| printer.row(layout, row))
}

fn nothing_found(query: Option<&str>) -> CliError {
    match query {
        Some(_) => CliError::new(Exit::NothingFound, "no flow matches").hint("merlon help query"),
        None => CliError::new(Exit::NothingFound, "no flow is recorded in the open project")
            .hint("merlon status shows the proxy's address; point a client there"),
    }
}

fn row(flow: &Flow) -> Vec<Cell> {
    vec![
        flow.id.to_string().into(),
        time(&flow.time.to_string()).into(),
        flow.method.as_str().into(),
        status(flow),
        size(flow.response_bytes).into(),
        flow.duration_us.map_or_else(|| "...".to_owned(), milliseconds).into(),
        url(flow).into(),
    ]
}

/// A time of the API without its fraction, for people.
pub(super) fn time(rfc3339: &str) -> String {
    rfc3339.get(..19).unwrap_or(rfc3339).replace('T', " ")
}

pub(super) fn status(flow: &Flow) -> Cell {
    match flow.status {
        Some(status) => {
            let tone = match status {
                _ if flow.error.is_some() => Tone::Bad,
                200..=299 => Tone::Good,
                400..=499 => Tone::Warn,
                500..=599 => Tone::Bad,
                _ => Tone::Plain,
            };
            Cell::toned(status.to_string(), tone)
        }
        None if flow.error.is_some() => Cell::toned("failed", Tone::Bad),
        None => "-".into(),
    }
}

pub(super) fn url(flow: &Flow) -> String {
    let Flow { scheme, host, port, path, .. } = flow;
    let host = if host.contains(':') { format!("[{host}]") } else { host.clone() };
    match (scheme.as_str(), port) {
        ("http", 80) | ("https", 443) => format!("{scheme}://{host}{path}"),
        _ => format!("{scheme}://{host}:{port}{path}"),
    }
}

/// Bytes, for people.
pub(super) fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut tenths = bytes.saturating_mul(10) / 1024;
    let mut unit = 0;
    while tenths >= 10_240 && unit + 1 < UNITS.len() {
        tenths /= 1024;
        unit += 1;
    }
    if tenths < 100 {
        format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
    } else {
        format!("{} {}", tenths / 10, UNITS[unit])
    }
}

pub(super) fn milliseconds(us: i64) -> String {
    if us < 10_000 { format!("{}.{}", us / 1000, us.rem_euclid(1000) / 100) } else { (us / 1000).to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        assert_eq!(
            [0, 1023, 1024, 1536, 10_240, 1 << 20, 5 << 30].map(size),
            ["0 B", "1023 B", "1.0 KiB", "1.5 KiB", "10 KiB", "1.0 MiB", "5.0 GiB"]
        );
        assert_eq!(size(u64::MAX).split(' ').next_back(), Some("PiB"));
        assert_eq!([0, 449, 1500, 12_345_678].map(milliseconds), ["0.0", "0.4", "1.5", "12345"]);
        assert_eq!(time("2026-01-31T23:59:59.000001Z"), "2026-01-31 23:59:59");
    }

    #[test]
    fn an_address_can_be_pasted() {
        let flow = |scheme: &str, host: &str, port| Flow {
            id: 1,
            time: merlon_api::Timestamp(0),
            method: "GET".into(),
            scheme: scheme.into(),
            host: host.into(),
            port,
            path: "/a?b".into(),
            status: None,
            request_bytes: 0,
            response_bytes: 0,
            duration_us: None,
            error: None,
        };
        assert_eq!(url(&flow("https", "h", 443)), "https://h/a?b");
        assert_eq!(url(&flow("https", "h", 8443)), "https://h:8443/a?b");
        assert_eq!(url(&flow("http", "::1", 80)), "http://[::1]/a?b");
    }
}
