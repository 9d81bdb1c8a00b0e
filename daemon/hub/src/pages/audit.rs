//! `/audit`: what happened. An account sees what concerns it and its instances, an administrator everything.

use askama::Template;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;

use super::failure::PageError;
use super::page::{self, Frame};
use super::signed_in::AtDashboard;
use super::text::{shown, time};
use crate::app::App;
use crate::store::audit;

/// Entries of a page.
const PAGE: u32 = 100;

/// What the query may have.
#[derive(Deserialize)]
pub(super) struct Asked {
    all: Option<String>,
    before: Option<i64>,
}

struct Row {
    time: String,
    event: String,
    actor: String,
    address: String,
    details: String,
}

#[derive(Template)]
#[template(path = "audit.html")]
struct AuditPage {
    frame: Frame,
    everything: bool,
    entries: Vec<Row>,
    older: Option<i64>,
}

/// `GET /audit`
pub(super) async fn list(
    State(app): State<App>,
    Query(asked): Query<Asked>,
    who: AtDashboard,
) -> Result<Response, PageError> {
    let everything = who.account.admin && asked.all.as_deref() == Some("yes");
    let account = (!everything).then(|| who.account.id.clone());
    let found = audit::trail(app.store(), account, asked.before.unwrap_or(i64::MAX), PAGE).await?;
    let older = found.last().filter(|_| found.len() == PAGE as usize).map(|last| last.id);
    let rows = found.into_iter().map(|entry| Row {
        time: time(entry.time_us),
        event: entry.event,
        actor: shown(&entry.actor),
        address: shown(&entry.address),
        details: match (entry.client, shown(&entry.details)) {
            (Some(client), details) if details.is_empty() => client,
            (Some(client), details) => format!("{client}: {details}"),
            (None, details) => details,
        },
    });
    let entries = rows.collect();
    let frame = Frame::new(&who.visitor, "Audit trail", "/audit")?;
    Ok(page::show(StatusCode::OK, |frame| AuditPage { frame, everything, entries, older }.render(), frame))
}
