//! Server-sent events: flows as they are committed. The store's announcements come after the commit, so what an event
//! tells is acknowledged.
//!
//! Flows end in another order than they begin, so "after flow 17" alone does not name a place in the stream. The id of
//! an event therefore holds the project, the highest flow told of, and the time: what ended since, though it began
//! before, is told again after a reconnection.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderName, Uri};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use merlon_api::{EventsQuery, Lagged};
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Instant, Interval, MissedTickBehavior};

use super::input::Parameters;
use super::pieces::{self, Source};
use super::{ApiState, Refused, convert, flows};
use crate::auth::{Principal, Standing};
use crate::flow::FlowId;
use crate::query::Ast;
use crate::store::{ListAsk, Summary};

/// Flows of one read while catching up.
const PAGE: u32 = 500;
/// How many flows before the highest told of may have ended since and are looked at again.
const LOOK_BACK: i64 = 10_000;
/// Slack, in microseconds, between the end of a flow and its commit.
const SLACK: i64 = 2_000_000;
/// Flows told of while catching up that are remembered, so that they are not told of twice.
const REMEMBERED: usize = 4096;
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

pub(super) async fn stream(
    State(state): State<ApiState>,
    Extension(principal): Extension<Principal>,
    Parameters(asked): Parameters<EventsQuery>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    let turn = state.stream()?;
    let query = flows::parse(asked.query.as_deref())?;
    let standing = Standing::of(&principal, &uri, &headers)?;
    // Before anything is read, so that nothing is committed unseen in between.
    let announcements = state.store().events();
    let project = state.project()?;
    let place = headers.get(LAST_EVENT_ID).and_then(|id| Place::parse(id.to_str().ok()?));
    let catching_up = match place {
        Some(place) if place.project == project => Some(CatchUp::from(place)),
        // Numbers of another project mean nothing here.
        Some(_) => None,
        None => asked.after.map(|after| CatchUp { after, below: i64::MIN, ended_since: i64::MIN }),
    };
    let mut beat = tokio::time::interval_at(Instant::now() + state.beat(), state.beat());
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let told = place.filter(|place| place.project == project).map_or(asked.after.unwrap_or(0), |place| place.flow);
    let stream = Stream {
        state,
        project,
        query,
        standing,
        announcements,
        catching_up,
        told: Told { highest: told, lately: BTreeSet::new() },
        beat,
        greeted: false,
        ended: false,
        _turn: turn,
    };
    Ok(([(CONTENT_TYPE, "text/event-stream")], pieces::body(stream)).into_response())
}

/// Where in the stream a client is: `PROJECT-FLOW-MICROSECONDS`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    project: u64,
    flow: i64,
    time_us: i64,
}

impl Place {
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let place = Self {
            project: parts.next()?.parse().ok()?,
            flow: parts.next()?.parse().ok()?,
            time_us: parts.next()?.parse().ok()?,
        };
        parts.next().is_none().then_some(place)
    }
}

/// What is still to be read of what was committed before.
struct CatchUp {
    /// Flows above this are read next.
    after: i64,
    /// Of those up to here only the ones that ended since.
    below: i64,
    /// In microseconds.
    ended_since: i64,
}

impl From<Place> for CatchUp {
    fn from(place: Place) -> Self {
        Self {
            after: place.flow.saturating_sub(LOOK_BACK).max(0),
            below: place.flow,
            ended_since: place.time_us.saturating_sub(SLACK),
        }
    }
}

impl CatchUp {
    fn wants(&self, flow: &Summary) -> bool {
        let end = flow.duration_us.map(|duration| flow.time_us.saturating_add(duration));
        flow.id.0 > self.below || end.is_some_and(|end| end >= self.ended_since)
    }
}

/// What the client was told.
struct Told {
    highest: i64,
    lately: BTreeSet<(i64, bool)>,
}

impl Told {
    /// Notes a flow of the past.
    fn note(&mut self, flow: &Summary) {
        self.highest = self.highest.max(flow.id.0);
        self.lately.insert((flow.id.0, flow.duration_us.is_some()));
        if self.lately.len() > REMEMBERED {
            self.lately.pop_first();
        }
    }

    /// Is an announced flow news? It may have been read from the store already.
    fn is_news(&self, flow: &Summary) -> bool {
        !self.lately.contains(&(flow.id.0, true)) && !self.lately.contains(&(flow.id.0, flow.duration_us.is_some()))
    }
}

struct Stream {
    state: ApiState,
    project: u64,
    query: Option<Ast>,
    standing: Standing,
    announcements: Receiver<Arc<[Summary]>>,
    catching_up: Option<CatchUp>,
    told: Told,
    beat: Interval,
    greeted: bool,
    ended: bool,
    _turn: OwnedSemaphorePermit,
}

enum Next {
    Announced(Result<Arc<[Summary]>, RecvError>),
    Beat,
    Stop,
}

impl Source for Stream {
    async fn next(mut self) -> io::Result<Option<(Bytes, Self)>> {
        if !self.greeted {
            self.greeted = true;
            // Sends the head of the answer on its way before the first event.
            return Ok(Some((Bytes::from_static(b": connected\n\n"), self)));
        }
        while !self.ended {
            let text = match self.step().await {
                Ok(text) => text,
                Err(refused) => {
                    self.ended = true;
                    event("problem", None, refused.problem())
                }
            };
            if !text.is_empty() {
                return Ok(Some((text.into(), self)));
            }
        }
        Ok(None)
    }
}

impl Stream {
    /// The next events as text; may be empty. An error is told to the client and ends the stream.
    async fn step(&mut self) -> Result<String, Refused> {
        if self.state.is_stopping() {
            self.ended = true;
            return Ok(String::new());
        }
        if let Some(catching_up) = self.catching_up.take() {
            return self.catch_up(catching_up).await;
        }
        let next = tokio::select! {
            () = self.state.stopping() => Next::Stop,
            _ = self.beat.tick() => Next::Beat,
            announced = self.announcements.recv() => Next::Announced(announced),
        };
        match next {
            Next::Announced(Ok(batch)) => self.announce(&batch).await,
            Next::Announced(Err(RecvError::Lagged(_))) => Ok(self.lagged()),
            Next::Beat => {
                self.standing.check(self.state.links(), self.state.sessions()).await?;
                self.same_project()?;
                Ok(": alive\n\n".to_owned())
            }
            Next::Stop | Next::Announced(Err(RecvError::Closed)) => {
                self.ended = true;
                Ok(String::new())
            }
        }
    }

    async fn catch_up(&mut self, mut from: CatchUp) -> Result<String, Refused> {
        let page = self.list(from.after, PAGE).await?;
        let mut text = String::new();
        for flow in page.flows.iter().filter(|flow| from.wants(flow)) {
            self.told.note(flow);
            text.push_str(&self.flow_event(flow));
        }
        if let Some(FlowId(next)) = page.next {
            from.after = next;
            self.catching_up = Some(from);
        }
        // A token may be revoked while millions of flows are read.
        if self.beat_is_due() {
            self.standing.check(self.state.links(), self.state.sessions()).await?;
        }
        Ok(text)
    }

    fn beat_is_due(&mut self) -> bool {
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        self.beat.poll_tick(&mut context).is_ready()
    }

    async fn announce(&mut self, batch: &[Summary]) -> Result<String, Refused> {
        self.same_project()?;
        let matching = self.matching(batch).await?;
        let mut text = String::new();
        for flow in batch {
            if self.told.is_news(flow) && matching.as_ref().is_none_or(|ids| ids.contains(&flow.id.0)) {
                self.told.highest = self.told.highest.max(flow.id.0);
                text.push_str(&self.flow_event(flow));
            }
        }
        Ok(text)
    }

    /// The ids of the batch's flows that match the query, as the store has it: heads and bodies count. None: all match.
    async fn matching(&self, batch: &[Summary]) -> Result<Option<BTreeSet<i64>>, Refused> {
        let ids = || batch.iter().map(|flow| flow.id.0);
        let (Some(_), Some(first), Some(last)) = (&self.query, ids().min(), ids().max()) else {
            return Ok(None);
        };
        let mut matching = BTreeSet::new();
        let mut after = Some(first - 1);
        while let Some(from) = after.filter(|from| *from < last) {
            let page = self.list(from, PAGE).await?;
            matching.extend(page.flows.iter().map(|flow| flow.id.0));
            after = page.next.map(|FlowId(next)| next);
        }
        Ok(Some(matching))
    }

    async fn list(&self, after: i64, limit: u32) -> Result<crate::store::Page, Refused> {
        let ask = ListAsk { query: self.query.clone(), before: None, after: Some(FlowId(after)), limit };
        self.state.read(self.project, move |store| store.list(&ask)).await
    }

    fn same_project(&self) -> Result<(), Refused> {
        let open = self.state.project()?;
        if open == self.project {
            return Ok(());
        }
        Err(Refused::new(
            merlon_api::ProblemCode::NoProjectOpen,
            format!("project {open} was opened; ask again for its flows"),
        ))
    }

    fn lagged(&self) -> String {
        let after = self.told.highest.saturating_sub(LOOK_BACK).max(0);
        let detail = format!(
            "this client read too slowly and was not told of some flows; GET /api/v1/flows?after={after} has them \
             (and some that were told), or reconnect with Last-Event-ID"
        );
        event("lagged", None, &Lagged { after, detail })
    }

    fn flow_event(&self, flow: &Summary) -> String {
        let id = format!("{}-{}-{}", self.project, self.told.highest, flows::now_us());
        event("flow", Some(&id), &convert::flow(flow))
    }
}

fn event(name: &str, id: Option<&str>, data: &impl serde::Serialize) -> String {
    // What is told is made of strings and numbers: it always has a JSON form, on one line.
    let data = serde_json::to_string(data).unwrap_or_default();
    let id = id.map(|id| format!("id: {id}\n")).unwrap_or_default();
    format!("event: {name}\n{id}data: {data}\n\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_three_numbers() {
        assert_eq!(Place::parse("3-17-99"), Some(Place { project: 3, flow: 17, time_us: 99 }));
        for wrong in ["", "17", "3-17", "3-17-99-1", "3--17-99", "a-b-c"] {
            assert_eq!(Place::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn an_event_is_one_block_on_single_lines() {
        let lagged = Lagged { after: 1, detail: "a\nb".into() };
        assert_eq!(
            event("lagged", Some("x"), &lagged),
            "event: lagged\nid: x\ndata: {\"after\":1,\"detail\":\"a\\nb\"}\n\n"
        );
    }
}
