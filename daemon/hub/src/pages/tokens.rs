//! `/tokens`: personal access tokens of an account.

use askama::Template;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;

use super::failure::PageError;
use super::instances::After;
use super::keys::{end, label, shown_once};
use super::page::{self, Frame};
use super::scopes::{self, ScopeRow};
use super::signed_in::AtDashboard;
use super::text::{ago, shown, time};
use super::visitor::Posted;
use crate::api::PERSONAL_TOKEN;
use crate::app::App;
use crate::clock;
use crate::oauth::scope::Scopes;
use crate::random;
use crate::store::personal::{self, NewToken};

struct Row {
    id: String,
    label: String,
    scope: String,
    made: String,
    used: String,
    ends: String,
}

#[derive(Template)]
#[template(path = "tokens.html")]
struct TokensPage {
    frame: Frame,
    tokens: Vec<Row>,
    scopes: Vec<ScopeRow>,
}

/// `GET /tokens`
pub(super) async fn list(
    State(app): State<App>,
    Query(after): Query<After>,
    who: AtDashboard,
) -> Result<Response, PageError> {
    let now_us = clock::now_us();
    let rows = personal::list(app.store(), who.account.id.clone(), now_us).await?;
    let never = || "never".to_owned();
    let rows = rows.into_iter().map(|token| Row {
        id: token.id,
        label: shown(&token.label),
        scope: scopes::brief(Scopes::stored(&token.scope)),
        made: time(token.created_us),
        used: token.used_us.map_or_else(never, |at| ago(at, now_us)),
        ends: token.expires_us.map_or_else(never, time),
    });
    let tokens = rows.collect();
    let scopes = scopes::rows(grantable());
    let frame = Frame::new(&who.visitor, "Personal access tokens", "/tokens")?.done(after.done.as_deref());
    Ok(page::show(StatusCode::OK, |frame| TokensPage { frame, tokens, scopes }.render(), frame))
}

/// `POST /tokens`
pub(super) async fn make(State(app): State<App>, posted: Posted) -> Result<Response, PageError> {
    let (account, _) = posted.at_dashboard()?;
    let now_us = clock::now_us();
    let scopes = ticked(&posted).and(grantable());
    if scopes.is_empty() {
        return Err(PageError::new(StatusCode::UNPROCESSABLE_ENTITY, "Tick at least one thing that it may approve."));
    }
    let secret = random::secret(PERSONAL_TOKEN)?;
    let new = NewToken {
        id: random::id("pat_")?,
        hash: random::hash(secret.as_bytes()),
        label: label(&posted)?,
        scope: scopes.to_string(),
        expires_us: end(&posted, now_us)?,
        address: posted.visitor.address(),
    };
    if !personal::make(app.store(), account, new, now_us).await? {
        return Err(PageError::new(StatusCode::CONFLICT, "You have as many tokens as you may have. Revoke one first."));
    }
    let lines = ["Keep it where a password would be kept: in a file that only you can read, never on a command line."];
    shown_once(&posted.visitor, "Your new personal access token", &secret, &lines, "/tokens")
}

/// `POST /tokens/revoke`
pub(super) async fn revoke(State(app): State<App>, posted: Posted) -> Result<Response, PageError> {
    let (account, _) = posted.at_dashboard()?;
    let id = posted.get("id").to_owned();
    personal::revoke(app.store(), account, id, posted.visitor.address(), clock::now_us()).await?;
    Ok(page::go(&app, "/tokens?done=revoked"))
}

/// What a token can be allowed to approve.
fn grantable() -> Scopes {
    Scopes::API
}

/// The scopes whose boxes are ticked.
pub(super) fn ticked(posted: &Posted) -> Scopes {
    posted.all("scope").fold(Scopes::NONE, |all, one| all.or(Scopes::stored(one)))
}
