//! `/keys`: registration keys of an account.

use askama::Template;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;

use super::failure::PageError;
use super::instances::After;
use super::page::{self, Frame};
use super::signed_in::AtDashboard;
use super::text::{shown, time};
use super::visitor::{Posted, Visitor};
use crate::app::App;
use crate::clock;
use crate::random;
use crate::store::keys::{self, NewKey};

/// What every registration key begins with.
const PREFIX: &str = "mhk_";
/// The longest label, in characters.
const MAX_LABEL: usize = 64;

struct Row {
    id: String,
    label: String,
    single: bool,
    used: u32,
    made: String,
    ends: String,
}

#[derive(Template)]
#[template(path = "keys.html")]
struct KeysPage {
    frame: Frame,
    keys: Vec<Row>,
}

/// `GET /keys`
pub(super) async fn list(
    State(app): State<App>,
    Query(after): Query<After>,
    who: AtDashboard,
) -> Result<Response, PageError> {
    let rows = keys::list(app.store(), who.account.id.clone(), clock::now_us()).await?;
    let rows = rows.into_iter().map(|key| Row {
        id: key.id,
        label: shown(&key.label),
        single: key.single,
        used: key.used,
        made: time(key.created_us),
        ends: key.expires_us.map_or_else(|| "never".to_owned(), time),
    });
    let keys = rows.collect();
    let frame = Frame::new(&who.visitor, "Registration keys", "/keys")?.done(after.done.as_deref());
    Ok(page::show(StatusCode::OK, |frame| KeysPage { frame, keys }.render(), frame))
}

/// `POST /keys`
pub(super) async fn make(State(app): State<App>, posted: Posted) -> Result<Response, PageError> {
    let (account, _) = posted.at_dashboard()?;
    let now_us = clock::now_us();
    let secret = random::secret(PREFIX)?;
    let new = NewKey {
        id: random::id("key_")?,
        hash: random::hash(secret.as_bytes()),
        label: label(&posted)?,
        single: posted.get("many") != "yes",
        expires_us: end(&posted, now_us)?,
        address: posted.visitor.address(),
    };
    if !keys::make(app.store(), account, new, now_us).await? {
        return Err(PageError::new(StatusCode::CONFLICT, "You have as many keys as you may have. Revoke one first."));
    }
    let lines = [
        "On the machine, write it into a file that only root can read, and name the file in the instance's configuration: \
         [identity] registration_key_file = \"…\"",
        "The instance then registers as yours at its next start.",
    ];
    shown_once(&posted.visitor, "Your new registration key", &secret, &lines, "/keys")
}

/// `POST /keys/revoke`
pub(super) async fn revoke(State(app): State<App>, posted: Posted) -> Result<Response, PageError> {
    let (account, _) = posted.at_dashboard()?;
    let id = posted.get("id").to_owned();
    keys::revoke(app.store(), account, id, posted.visitor.address(), clock::now_us()).await?;
    Ok(page::go(&app, "/keys?done=revoked"))
}

/// The label of something that is made.
pub(super) fn label(posted: &Posted) -> Result<String, PageError> {
    let label: String = posted.get("label").chars().take(MAX_LABEL).collect();
    if label.is_empty() {
        return Err(PageError::new(StatusCode::UNPROCESSABLE_ENTITY, "Say in the label what it is for."));
    }
    Ok(label)
}

/// When something that is made ends.
pub(super) fn end(posted: &Posted, now_us: i64) -> Result<i64, PageError> {
    let days: Option<i64> = posted.get("days").parse().ok().filter(|days| (1..=365).contains(days));
    let days = days.ok_or_else(|| PageError::new(StatusCode::UNPROCESSABLE_ENTITY, "It ends after 1 to 365 days."))?;
    Ok(now_us + days * 86_400 * clock::SECOND)
}

#[derive(Template)]
#[template(path = "secret.html")]
struct SecretPage<'a> {
    frame: Frame,
    secret: &'a str,
    lines: &'a [&'a str],
    back: &'static str,
}

/// The page that shows a secret, once.
pub(super) fn shown_once(
    visitor: &Visitor,
    title: &str,
    secret: &str,
    lines: &[&str],
    back: &'static str,
) -> Result<Response, PageError> {
    let frame = Frame::new(visitor, title, "")?;
    Ok(page::show(StatusCode::OK, |frame| SecretPage { frame, secret, lines, back }.render(), frame))
}
