//! `/sessions`: where an account is signed in, clients and browsers, and their end.

use askama::Template;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;

use super::failure::PageError;
use super::instances::After;
use super::page::{self, Frame};
use super::scopes;
use super::signed_in::AtDashboard;
use super::text::{ago, shown, time};
use super::visitor::Posted;
use crate::app::App;
use crate::clock;
use crate::oauth::scope::Scopes;
use crate::store::browsers;
use crate::store::sessions::{self, Of, Session};

/// A session, as it is shown.
pub(super) struct Row {
    pub(super) id: String,
    pub(super) at: String,
    pub(super) account: String,
    pub(super) label: String,
    pub(super) scope: String,
    pub(super) began: String,
    pub(super) used: String,
    pub(super) ends: String,
}

impl Row {
    /// At this time.
    pub(super) fn new(session: &Session, now_us: i64) -> Self {
        let label = shown(&session.label);
        Self {
            id: session.id.clone(),
            at: shown(&session.client_name),
            account: session.account_name.clone(),
            label: if label.is_empty() { "(did not say)".to_owned() } else { label },
            scope: scopes::brief(Scopes::stored(&session.scope)),
            began: time(session.created_us),
            used: ago(session.used_us, now_us),
            ends: time(session.expires_us),
        }
    }
}

struct BrowserRow {
    id: String,
    agent: String,
    address: String,
    began: String,
    used: String,
    this: bool,
}

#[derive(Template)]
#[template(path = "sessions.html")]
struct SessionsPage {
    frame: Frame,
    sessions: Vec<Row>,
    browsers: Vec<BrowserRow>,
}

/// `GET /sessions`
pub(super) async fn list(
    State(app): State<App>,
    Query(after): Query<After>,
    who: AtDashboard,
) -> Result<Response, PageError> {
    let now_us = clock::now_us();
    let sessions = sessions::list(app.store(), Of::Account(who.account.id.clone()), now_us).await?;
    let sessions = sessions.iter().map(|session| Row::new(session, now_us)).collect();
    let this = who.visitor.browser.as_ref().map(|browser| browser.id.as_str());
    let browsers = browsers::list(app.store(), who.account.id.clone(), now_us).await?;
    let browsers = browsers.into_iter().map(|browser| BrowserRow {
        this: this == Some(browser.id.as_str()),
        id: browser.id,
        agent: if browser.agent.is_empty() { "(did not say)".to_owned() } else { shown(&browser.agent) },
        address: browser.address,
        began: time(browser.created_us),
        used: ago(browser.seen_us, now_us),
    });
    let browsers = browsers.collect();
    let frame = Frame::new(&who.visitor, "Sessions", "/sessions")?.done(after.done.as_deref());
    Ok(page::show(StatusCode::OK, |frame| SessionsPage { frame, sessions, browsers }.render(), frame))
}

/// `POST /sessions/end`
pub(super) async fn end(State(app): State<App>, posted: Posted) -> Result<Response, PageError> {
    let (account, _) = posted.at_dashboard()?;
    let id = posted.get("id").to_owned();
    // One that has ended meanwhile has ended as well.
    sessions::end(app.store(), account, id, posted.visitor.address(), clock::now_us()).await?;
    let back = posted.get("back");
    let instance =
        back.strip_prefix("/instances/").is_some_and(|id| id.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_'));
    Ok(page::go(&app, &format!("{}?done=ended", if instance { back } else { "/sessions" })))
}

/// `POST /sessions/end-all`
pub(super) async fn end_all(State(app): State<App>, posted: Posted) -> Result<Response, PageError> {
    let (account, _) = posted.at_dashboard()?;
    sessions::end_all(app.store(), account, posted.visitor.address(), clock::now_us()).await?;
    Ok(page::go(&app, "/sessions?done=all-ended"))
}

/// `POST /browsers/end`
pub(super) async fn end_browser(State(app): State<App>, posted: Posted) -> Result<Response, PageError> {
    let (account, _) = posted.at_dashboard()?;
    let id = posted.get("id").to_owned();
    browsers::end(app.store(), account, id, posted.visitor.address(), clock::now_us()).await?;
    Ok(page::go(&app, "/sessions?done=signed-out"))
}
