//! The API as calls: one function per endpoint, shapes in and out, problems turned into errors for people.
//!
//! Owns time limits and bounds on what an instance may send. Prints nothing. The access token lives here for the time
//! of one command and goes into the `Authorization` header only; that of a session is refreshed when its time is over.

mod connect;
mod credentials;
mod hub;
mod pinned;
mod problem;
mod sign_in;
mod sse;

use std::fmt::Write as _;
use std::io;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body as _, Bytes, Incoming};
use hyper::header::{ACCEPT, CONTENT_RANGE, CONTENT_TYPE, HOST, HeaderName, RANGE};
use hyper::{Method, Request, Response, StatusCode};
use merlon_api::{
    CountQuery, CreateProject, EventsQuery, FlowCount, FlowDetail, FlowPage, FlowsQuery, Health, ProblemCode, Project,
    Projects, Rotation, Status,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::timeout;
use zeroize::Zeroizing;

pub(crate) use credentials::Credentials;
pub(crate) use hub::Hub;
pub(crate) use problem::foreseen;
pub(crate) use sign_in::Polled;
pub(crate) use sse::{Event, Parser as EventParser};

use crate::args::{ByteRange, Side};
use crate::error::CliError;
use crate::target::Target;

/// Until the head of an answer has come. A count over a million flows takes a fraction of a second.
const HEAD_LIMIT: Duration = Duration::from_secs(60);
/// Between two pieces of a body. Event streams send a comment more often than that.
const IDLE_LIMIT: Duration = Duration::from_secs(90);
/// The largest answer that is not streamed.
const MAX_ANSWER: usize = 64 << 20;
/// The largest problem.
const MAX_PROBLEM: usize = 64 << 10;

/// Asks one instance.
pub(crate) struct Client {
    target: Target,
    credentials: Credentials,
    nonces: credentials::Nonces,
    sender: Option<connect::Sender>,
}

/// An answer that is read piece by piece.
pub(crate) struct Stream {
    body: Incoming,
    target: String,
    /// The connection of a stream without an end, which cannot be used for anything else.
    _sender: Option<connect::Sender>,
}

/// What to ask.
struct Ask<'a> {
    method: Method,
    path: String,
    header: Option<(HeaderName, String)>,
    body: Option<Zeroizing<Vec<u8>>>,
    with: With,
    /// The user's query, to point into it when it is refused.
    query: Option<&'a str>,
}

/// What a request shows of who sends it.
enum With {
    /// The client's own credentials.
    Own,
    /// Nothing: the endpoint is for those who are about to sign in.
    Nothing,
    /// A proof of possession for another server, which the instance relays.
    Proof(credentials::Proof),
}

impl<'a> Ask<'a> {
    fn get(path: impl Into<String>) -> Self {
        Self { method: Method::GET, path: path.into(), header: None, body: None, with: With::Own, query: None }
    }

    fn post<B: Serialize>(path: impl Into<String>, body: &B) -> Result<Self, CliError> {
        let body =
            serde_json::to_vec(body).map_err(|e| CliError::failed("the request cannot be written").because(e))?;
        Ok(Self { method: Method::POST, body: Some(Zeroizing::new(body)), ..Self::get(path) })
    }

    fn find<Q: Serialize>(path: &str, parameters: &Q, query: Option<&'a str>) -> Result<Self, CliError> {
        Ok(Self { query, ..Self::get(format!("{path}{}", query_string(parameters)?)) })
    }
}

impl Client {
    /// `credentials` go with every request that needs some.
    pub(crate) fn new(target: Target, credentials: Credentials) -> Self {
        Self { target, credentials, nonces: credentials::Nonces::default(), sender: None }
    }

    pub(crate) fn target(&self) -> &Target {
        &self.target
    }

    pub(crate) async fn health(&mut self) -> Result<Health, CliError> {
        self.json(Ask::get("/health")).await
    }

    pub(crate) async fn status(&mut self) -> Result<Status, CliError> {
        self.json(Ask::get("/api/v1/status")).await
    }

    pub(crate) async fn flows(&mut self, ask: &FlowsQuery) -> Result<FlowPage, CliError> {
        self.json(Ask::find("/api/v1/flows", ask, ask.query.as_deref())?).await
    }

    pub(crate) async fn count(&mut self, ask: &CountQuery) -> Result<FlowCount, CliError> {
        self.json(Ask::find("/api/v1/flows/count", ask, ask.query.as_deref())?).await
    }

    pub(crate) async fn flow(&mut self, id: i64) -> Result<FlowDetail, CliError> {
        self.json(Ask::get(format!("/api/v1/flows/{id}"))).await
    }

    pub(crate) async fn head(&mut self, id: i64, side: Side) -> Result<Stream, CliError> {
        self.stream(Ask::get(format!("/api/v1/flows/{id}/{side}/head"))).await
    }

    pub(crate) async fn body(&mut self, id: i64, side: Side, range: ByteRange) -> Result<Stream, CliError> {
        let mut ask = Ask::get(format!("/api/v1/flows/{id}/{side}/body"));
        if range == ByteRange::ALL {
            return self.stream(ask).await;
        }
        let last = range.last.map(|last| last.to_string()).unwrap_or_default();
        ask.header = Some((RANGE, format!("bytes={}-{last}", range.first)));
        let response = self.send(ask).await?;
        if response.status() != StatusCode::PARTIAL_CONTENT || !response.headers().contains_key(CONTENT_RANGE) {
            return Err(self.strange("it ignored the range that was asked for"));
        }
        Ok(self.streamed(response))
    }

    /// Live flows. `last_id` goes first: it is where an earlier stream ended.
    pub(crate) async fn events(&mut self, ask: &EventsQuery, last_id: Option<&str>) -> Result<Stream, CliError> {
        let mut request = Ask::find("/api/v1/events", ask, ask.query.as_deref())?;
        request.header = last_id.map(|id| (HeaderName::from_static("last-event-id"), id.to_owned()));
        let stream = self.stream(request).await?;
        Ok(Stream { _sender: self.sender.take(), ..stream })
    }

    pub(crate) async fn ca_pem(&mut self) -> Result<String, CliError> {
        self.text(Ask::get("/api/v1/ca.pem")).await
    }

    pub(crate) async fn query_help(&mut self) -> Result<String, CliError> {
        self.text(Ask::get("/api/v1/queries/help")).await
    }

    pub(crate) async fn projects(&mut self) -> Result<Vec<Project>, CliError> {
        Ok(self.json::<Projects>(Ask::get("/api/v1/projects")).await?.projects)
    }

    pub(crate) async fn create_project(&mut self, project: &CreateProject) -> Result<Project, CliError> {
        self.json(Ask::post("/api/v1/projects", project)?).await
    }

    pub(crate) async fn open_project(&mut self, id: u64) -> Result<Project, CliError> {
        self.json(Ask { method: Method::POST, ..Ask::get(format!("/api/v1/projects/{id}/open")) }).await
    }

    /// Has the engine put new keys of projects in place. The answer comes within half a minute, done or not.
    pub(crate) async fn advance_rotation(&mut self) -> Result<Rotation, CliError> {
        self.json(Ask { method: Method::POST, ..Ask::get("/api/v1/rotation") }).await
    }

    pub(crate) async fn delete_project(&mut self, id: u64) -> Result<(), CliError> {
        self.send(Ask { method: Method::DELETE, ..Ask::get(format!("/api/v1/projects/{id}")) }).await.map(drop)
    }

    /// The events that these bytes of a stream complete.
    pub(crate) fn events_in(&self, piece: &[u8], parser: &mut EventParser) -> Result<Vec<Event>, CliError> {
        let mut events = Vec::new();
        parser.feed(piece, &mut events).map_err(|_| self.strange("an event is longer than any flow"))?;
        Ok(events)
    }

    /// The data of an event.
    pub(crate) fn parse<T: DeserializeOwned>(&self, event: &Event) -> Result<T, CliError> {
        serde_json::from_str(&event.data).map_err(|e| self.strange(&format!("an event `{}`: {e}", event.name)))
    }

    /// A project's files, encrypted.
    pub(crate) async fn project_backup(&mut self, id: u64) -> Result<Stream, CliError> {
        self.stream(Ask::get(format!("/api/v1/projects/{id}/backup"))).await
    }

    async fn json<T: DeserializeOwned>(&mut self, ask: Ask<'_>) -> Result<T, CliError> {
        let body = self.whole(ask).await?;
        serde_json::from_slice(&body).map_err(|e| self.strange(&e.to_string()))
    }

    async fn text(&mut self, ask: Ask<'_>) -> Result<String, CliError> {
        let body = self.whole(ask).await?;
        String::from_utf8(body).map_err(|e| self.strange(&e.to_string()))
    }

    async fn whole(&mut self, ask: Ask<'_>) -> Result<Vec<u8>, CliError> {
        self.stream(ask).await?.collect(MAX_ANSWER).await
    }

    async fn stream(&mut self, ask: Ask<'_>) -> Result<Stream, CliError> {
        let response = self.send(ask).await?;
        Ok(self.streamed(response))
    }

    fn streamed(&self, response: Response<Incoming>) -> Stream {
        Stream { body: response.into_body(), target: self.target.to_string(), _sender: None }
    }

    /// Sends a request, and again if its credentials were too old: once with a new access token, once with the nonce
    /// that the server wants in a proof (RFC 9449, sections 8 and 9).
    async fn send(&mut self, ask: Ask<'_>) -> Result<Response<Incoming>, CliError> {
        let own = matches!(ask.with, With::Own);
        if own {
            self.refresh_early().await?;
        }
        let (mut refreshed, mut renewed) = (false, false);
        loop {
            let error = match self.once(&ask).await? {
                Ok(response) => return Ok(response),
                Err(error) => error,
            };
            match error.problem {
                Some(ProblemCode::ProofNonce) if !renewed => renewed = true,
                Some(ProblemCode::TokenExpired) if own && !refreshed && self.has_session() => {
                    self.refresh().await?;
                    refreshed = true;
                }
                _ => return Err(error),
            }
        }
    }

    /// One request, one answer: a success, or a refusal in words.
    async fn once(&mut self, ask: &Ask<'_>) -> Result<Result<Response<Incoming>, CliError>, CliError> {
        let request = self.request(ask)?;
        let mut sender = self.connection().await?;
        let response = timeout(HEAD_LIMIT, sender.send_request(request))
            .await
            .map_err(|_| self.broken(&format!("no answer came within {} s", HEAD_LIMIT.as_secs())))?
            .map_err(|e| self.broken(&reason(&e)))?;
        self.sender = Some(sender);
        self.nonces.learn(&ask.with, response.headers());
        if response.status().is_success() {
            return Ok(Ok(response));
        }
        let status = response.status();
        // What cannot be read is no problem document; the status stands for itself.
        let body = self.streamed(response).collect(MAX_PROBLEM).await.unwrap_or_default();
        Ok(Err(problem::refusal(&self.target, status, &body, ask.query)))
    }

    /// The connection of the last request if it still stands, or else a new one.
    async fn connection(&mut self) -> Result<connect::Sender, CliError> {
        if let Some(mut sender) = self.sender.take()
            && sender.ready().await.is_ok()
        {
            return Ok(sender);
        }
        connect::connect(&self.target).await
    }

    fn request(&self, ask: &Ask<'_>) -> Result<Request<Full<Bytes>>, CliError> {
        let host = match &self.target {
            Target::Local(_) => "localhost".to_owned(),
            Target::Remote(remote) => remote.authority(),
        };
        let mut request = Request::builder()
            .method(&ask.method)
            .uri(&ask.path)
            .header(HOST, host)
            .header(ACCEPT, "application/json, application/problem+json, */*");
        for (name, value) in self.shown(ask)? {
            request = request.header(name, value);
        }
        if let Some((name, value)) = &ask.header {
            request = request.header(name, value);
        }
        if ask.body.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        let body = ask.body.as_ref().map(|body| Bytes::copy_from_slice(body)).unwrap_or_default();
        request.body(Full::new(body)).map_err(|e| CliError::failed("the request cannot be written").because(e))
    }

    /// The connection broke, or nothing came in time.
    fn broken(&self, why: &str) -> CliError {
        broken(&self.target.to_string(), why)
    }

    /// The answer came and is not what the API promises.
    fn strange(&self, why: &str) -> CliError {
        CliError::failed(format!("the answer of the {} cannot be understood", self.target))
            .because(why)
            .hint("do both have the same version? merlon --version; merlon status")
    }
}

impl Stream {
    /// The next bytes; none at the end.
    pub(crate) async fn piece(&mut self) -> Result<Option<Bytes>, CliError> {
        loop {
            let frame = timeout(IDLE_LIMIT, self.body.frame())
                .await
                .map_err(|_| broken(&self.target, &format!("nothing came for {} s", IDLE_LIMIT.as_secs())))?;
            match frame {
                None => return Ok(None),
                Some(Err(e)) => return Err(broken(&self.target, &reason(&e))),
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data));
                    }
                }
            }
        }
    }

    /// Everything, up to a bound.
    pub(crate) async fn collect(mut self, most: usize) -> Result<Vec<u8>, CliError> {
        let too_much = || broken(&self.target, &format!("the answer is larger than {most} bytes"));
        if self.body.size_hint().lower() > most as u64 {
            return Err(too_much());
        }
        let mut all = Vec::new();
        loop {
            let Some(piece) = self.piece().await? else {
                return Ok(all);
            };
            if all.len() + piece.len() > most {
                return Err(broken(&self.target, &format!("the answer is larger than {most} bytes")));
            }
            all.extend_from_slice(&piece);
        }
    }
}

fn broken(target: &str, why: &str) -> CliError {
    let error = CliError::failed(format!("the {target} did not answer in full")).because(why).hint("merlon status");
    CliError { lost: true, ..error }
}

/// hyper's error with its cause, in our words where they say more.
fn reason(error: &hyper::Error) -> String {
    use std::error::Error as _;
    let source = error.source();
    let ended = source.and_then(|source| source.downcast_ref::<io::Error>());
    if error.is_incomplete_message() || ended.is_some_and(|e| e.kind() == io::ErrorKind::UnexpectedEof) {
        return "the connection ended in the middle of the answer".to_owned();
    }
    match source {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

/// `?a=1&b=x` of a structure of scalars; nothing if all of them are left out.
fn query_string<Q: Serialize>(parameters: &Q) -> Result<String, CliError> {
    let value =
        serde_json::to_value(parameters).map_err(|e| CliError::failed("the request cannot be written").because(e))?;
    let mut out = String::new();
    for (name, value) in value.as_object().into_iter().flatten() {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        out.push(if out.is_empty() { '?' } else { '&' });
        out.push_str(name);
        out.push('=');
        for byte in text.bytes() {
            match byte {
                b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
                _ => drop(write!(out, "%{byte:02X}")),
            }
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_survives_the_request_line() {
        let ask = FlowsQuery { query: Some("host:a&b=ü \"x\"+%".into()), limit: Some(7), ..FlowsQuery::default() };
        let text = query_string(&ask).unwrap();
        assert!(text.contains("query=host%3Aa%26b%3D%C3%BC%20%22x%22%2B%25") && text.contains("limit=7"), "{text}");
        assert_eq!(query_string(&FlowsQuery::default()).unwrap(), "");
    }
}
