//! `merlon flows --follow`: shows flows as they are recorded, and finds its place again when the connection breaks.

use std::collections::{HashSet, VecDeque};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use merlon_api::status::OpenProject;
use merlon_api::{EventsQuery, Flow, FlowsQuery, Lagged};

use super::flows;
use crate::args::FlowsArgs;
use crate::client::{Client, Event, EventParser, Stream};
use crate::error::{CliError, Exit};
use crate::output::{Layout, Printer};

/// Seconds between tries to reach an instance that was there before: a minute in all, enough for its restart.
/// The first is at once: a stream also ends when another project is opened.
const WAITS: [u64; 10] = [0, 1, 1, 2, 4, 8, 8, 12, 12, 12];
/// A stream that lasted this long was a good one, and the next try is a first one again.
const STEADY: Duration = Duration::from_secs(2);
/// Between this host's clock and that of the instance.
const CLOCK_SLACK: Duration = Duration::from_secs(2);
const PAGE: u32 = 500;

pub(super) async fn run(args: &FlowsArgs, client: &mut Client, printer: &mut Printer) -> Result<(), CliError> {
    let mut view = View::default();
    let mut project = client.status().await?.project;
    // The newest flow is the place from which to go on, whatever happens to the connection afterwards.
    let newest = client.flows(&FlowsQuery { limit: Some(1), ..FlowsQuery::default() }).await?;
    let start = newest.flows.first().map_or(0, |flow| flow.id);
    if let Some(limit) = args.limit {
        let earlier = earlier(args.query.as_deref(), start, limit, client).await?;
        view.show(earlier, printer)?;
    }
    let ask = EventsQuery { query: args.query.clone(), after: Some(start) };
    let mut parser = EventParser::default();
    let mut tries = 0;
    let mut ended: Option<SystemTime> = None;
    loop {
        let began = Instant::now();
        let connected = match client.events(&ask, parser.last_id()).await {
            Ok(stream) => missed_between(&ask, ended, &mut project, client).await.map(|missed| (stream, missed)),
            Err(error) => Err(error),
        };
        let lost = match connected {
            Ok((mut stream, missed)) => {
                if let Some((name, flows)) = missed {
                    printer.say(&format!("another project is open now: `{name}`"));
                    view.show(flows, printer)?;
                }
                let lost = read(&ask, &mut stream, &mut parser, &mut view, client, printer).await?;
                ended = Some(SystemTime::now());
                lost
            }
            Err(error) if ended.is_none() || !matches!(error.exit, Exit::Failed | Exit::Unreachable) => {
                return Err(error);
            }
            Err(error) => error,
        };
        if began.elapsed() >= STEADY {
            tries = 0;
        }
        let Some(wait) = WAITS.get(tries) else { return Err(lost) };
        if tries == 1 {
            printer.say(&format!("the {} ended the stream; trying again", client.target()));
        }
        tries += 1;
        tokio::time::sleep(Duration::from_secs(*wait)).await;
        parser.reconnected();
    }
}

/// Shows what comes until the stream ends, and says how it ended. An error is one that no reconnection helps against.
async fn read(
    ask: &EventsQuery,
    stream: &mut Stream,
    parser: &mut EventParser,
    view: &mut View,
    client: &mut Client,
    printer: &mut Printer,
) -> Result<CliError, CliError> {
    loop {
        let piece = match stream.piece().await {
            Ok(Some(piece)) => piece,
            Ok(None) => {
                return Ok(CliError::new(Exit::Unreachable, format!("the {} ended the stream", client.target())));
            }
            Err(lost) => return Ok(lost),
        };
        let mut flows = Vec::new();
        for event in client.events_in(&piece, parser)? {
            match event.name.as_str() {
                "flow" => flows.push(client.parse(&event)?),
                "lagged" => {
                    view.show(std::mem::take(&mut flows), printer)?;
                    missed(ask, &event, view, client, printer).await?;
                }
                // What a newer instance may tell besides.
                _ => {}
            }
        }
        view.show(flows, printer)?;
    }
}

/// This program was too slow to be told of everything: asks for what is missing.
async fn missed(
    ask: &EventsQuery,
    event: &Event,
    view: &mut View,
    client: &mut Client,
    printer: &mut Printer,
) -> Result<(), CliError> {
    let lagged: Lagged = client.parse(event)?;
    let mut page = FlowsQuery { query: ask.query.clone(), after: Some(lagged.after), limit: Some(PAGE), before: None };
    while page.after.is_some() {
        let answer = client.flows(&page).await?;
        view.show(answer.flows, printer)?;
        page.after = answer.next;
    }
    Ok(())
}

/// After a reconnection: if another project is open now, its name and the flows that it got meanwhile, the oldest
/// first. The ids of the project before say nothing about it, so the time decides.
async fn missed_between(
    ask: &EventsQuery,
    ended: Option<SystemTime>,
    project: &mut Option<OpenProject>,
    client: &mut Client,
) -> Result<Option<(String, Vec<Flow>)>, CliError> {
    let Some(ended) = ended else { return Ok(None) };
    let Some(open) = client.status().await?.project.filter(|open| Some(open) != project.as_ref()) else {
        return Ok(None);
    };
    let ended = ended.duration_since(UNIX_EPOCH).unwrap_or_default().saturating_sub(CLOCK_SLACK);
    let ended = i64::try_from(ended.as_micros()).unwrap_or(i64::MAX);
    let mut page = FlowsQuery { query: ask.query.clone(), limit: Some(PAGE), ..FlowsQuery::default() };
    let mut missed = Vec::new();
    loop {
        let answer = client.flows(&page).await?;
        let recent = answer.flows.iter().take_while(|flow| flow.time.0 >= ended).count();
        let all_recent = recent > 0 && recent == answer.flows.len();
        missed.extend(answer.flows.into_iter().take(recent));
        page.before = answer.next.filter(|_| all_recent);
        if page.before.is_none() {
            missed.reverse();
            let name = open.name.clone();
            *project = Some(open);
            return Ok(Some((name, missed)));
        }
    }
}

/// The newest matching flows up to `start`, the oldest of them first.
async fn earlier(query: Option<&str>, start: i64, limit: u64, client: &mut Client) -> Result<Vec<Flow>, CliError> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut flows = Vec::new();
    let mut before = Some(start.saturating_add(1));
    while let (true, Some(_)) = (flows.len() < limit, before) {
        let most = u32::try_from(limit - flows.len()).unwrap_or(PAGE).min(PAGE);
        let ask = FlowsQuery { query: query.map(str::to_owned), before, limit: Some(most), after: None };
        let page = client.flows(&ask).await?;
        flows.extend(page.flows);
        before = page.next;
    }
    flows.reverse();
    Ok(flows)
}

/// What was shown, and how.
#[derive(Default)]
struct View {
    layout: Option<Layout<'static>>,
    seen: Seen,
}

impl View {
    fn show(&mut self, mut flows: Vec<Flow>, printer: &mut Printer) -> Result<(), CliError> {
        flows.retain(|flow| self.seen.is_new((flow.id, flow.time.0, flow.duration_us.is_some())));
        flows::print(&flows, &mut self.layout, printer)?;
        printer.flush()
    }
}

/// A flow in one state. Ids of another project may be the same; their times are not.
type Sighting = (i64, i64, bool);

/// The flows shown last: after a reconnection some are told of again.
#[derive(Default)]
struct Seen {
    order: VecDeque<Sighting>,
    set: HashSet<Sighting>,
}

impl Seen {
    const REMEMBERED: usize = 4096;

    fn is_new(&mut self, sighting: Sighting) -> bool {
        if !self.set.insert(sighting) {
            return false;
        }
        self.order.push_back(sighting);
        if self.order.len() > Self::REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.set.remove(&oldest);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flow_is_shown_once_per_state_in_bounded_memory() {
        let mut seen = Seen::default();
        assert!(seen.is_new((1, 0, false)) && seen.is_new((1, 0, true)) && !seen.is_new((1, 0, true)));
        assert!(seen.is_new((1, 9, true)), "the same id in another project");
        for id in 0..10_000 {
            seen.is_new((id, 1, true));
        }
        assert_eq!((seen.order.len(), seen.set.len()), (Seen::REMEMBERED, Seen::REMEMBERED));
    }
}
