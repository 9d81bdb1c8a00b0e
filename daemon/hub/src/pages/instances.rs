//! `/` and `/instances/…`: the instances at which an account has a role, and what their owner may do to them.

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;

use super::failure::PageError;
use super::page::{self, Frame};
use super::sessions::Row as SessionRow;
use super::signed_in::AtDashboard;
use super::text::{ago, shown, time};
use super::visitor::Posted;
use crate::app::App;
use crate::clients::{AuthMethod, Kind};
use crate::clock;
use crate::store::accounts::Account;
use crate::store::members::{self, Act, Seen, Shared};
use crate::store::sessions::{self, Of};

/// An instance that reported within this time is up: it does so every ten minutes.
const LIVE_US: i64 = 25 * 60 * clock::SECOND;
/// The longest name that an owner gives, in characters.
const MAX_NAME: usize = 64;

/// What was done before.
#[derive(Deserialize)]
pub(super) struct After {
    pub(super) done: Option<String>,
}

/// An instance, as it is shown.
struct Item {
    id: String,
    name: String,
    state: &'static str,
    live: bool,
    version: String,
    seen: String,
    owner: String,
    role: String,
}

impl Item {
    fn new(seen: &Seen, account: &Account, now_us: i64) -> Self {
        let client = &seen.client;
        let live = seen.seen_us.is_some_and(|at| now_us - at < LIVE_US);
        let state = match (client.kind, live, seen.seen_us) {
            _ if seen.rotate => "new credentials wait",
            (Kind::Instance, true, _) => "up",
            (Kind::Instance, false, Some(_)) => "silent",
            (Kind::Instance, false, None) => "registered",
            _ => "client",
        };
        let none = || "–".to_owned();
        let version = if client.version.is_empty() { none() } else { shown(&client.version) };
        let owner = match &seen.owner_name {
            Some(_) if seen.is_owned_by(account) => "you".to_owned(),
            Some(name) => name.clone(),
            None => "nobody".to_owned(),
        };
        Self {
            id: client.id.clone(),
            name: shown(seen.name()),
            state,
            live: live && !seen.rotate,
            version,
            seen: seen.seen_us.map_or_else(none, |at| ago(at, now_us)),
            owner,
            role: seen.role.clone().unwrap_or_else(none),
        }
    }
}

#[derive(Template)]
#[template(path = "instances.html")]
struct ListPage {
    frame: Frame,
    instances: Vec<Item>,
}

/// `GET /`
pub(super) async fn list(
    State(app): State<App>,
    Query(after): Query<After>,
    who: AtDashboard,
) -> Result<Response, PageError> {
    let now_us = clock::now_us();
    let all = members::list(app.store(), who.account.id.clone()).await?;
    let instances = all.iter().map(|seen| Item::new(seen, &who.account, now_us)).collect();
    let frame = Frame::new(&who.visitor, "Instances", "/")?.done(after.done.as_deref());
    Ok(page::show(StatusCode::OK, |frame| ListPage { frame, instances }.render(), frame))
}

struct MemberRow {
    account: String,
    name: String,
    role: String,
}

#[derive(Template)]
#[template(path = "instance.html")]
struct OnePage {
    frame: Frame,
    item: Item,
    own_name: String,
    given_name: String,
    kind: &'static str,
    address: String,
    registered: String,
    auth: &'static str,
    owned: bool,
    members: Vec<MemberRow>,
    sessions: Vec<SessionRow>,
}

/// `GET /instances/{id}`
pub(super) async fn one(
    State(app): State<App>,
    Path(id): Path<String>,
    Query(after): Query<After>,
    who: AtDashboard,
) -> Result<Response, PageError> {
    show(&app, &who, id, after.done.as_deref(), None, StatusCode::OK).await
}

async fn show(
    app: &App,
    who: &AtDashboard,
    id: String,
    done: Option<&str>,
    wrong: Option<&str>,
    status: StatusCode,
) -> Result<Response, PageError> {
    let now_us = clock::now_us();
    let account = &who.account;
    let seen = members::find(app.store(), account.id.clone(), id.clone()).await?;
    let seen = seen.filter(|seen| seen.role.is_some()).ok_or_else(PageError::not_found)?;
    let owned = seen.is_owned_by(account);
    let list = if owned { members::members(app.store(), id.clone()).await? } else { Vec::new() };
    let of = if owned { Of::Client(id) } else { Of::Both(id, account.id.clone()) };
    let sessions = sessions::list(app.store(), of, now_us).await?;
    let item = Item::new(&seen, account, now_us);
    let frame = Frame::new(&who.visitor, item.name.clone(), "")?.done(done).wrong(wrong);
    let build = |frame| {
        let members = list.into_iter().map(|m| MemberRow { account: m.account, name: m.name, role: m.role }).collect();
        OnePage {
            frame,
            own_name: shown(seen.client.metadata.client_name.as_deref().unwrap_or("(nothing)")),
            given_name: seen.given_name.clone(),
            kind: if seen.client.kind == Kind::Instance { "Merlon instance" } else { "other OAuth client" },
            address: if owned { shown(&seen.address) } else { String::new() },
            registered: time(seen.client.created_us),
            auth: method(seen.client.auth),
            owned,
            members,
            sessions: sessions.iter().map(|session| SessionRow::new(session, now_us)).collect(),
            item,
        }
        .render()
    };
    Ok(page::show(status, build, frame))
}

fn method(auth: AuthMethod) -> &'static str {
    match auth {
        AuthMethod::PrivateKeyJwt => "a key of its own, which never leaves its keeper",
        AuthMethod::ClientSecretBasic | AuthMethod::ClientSecretPost => "a secret that this hub gave it",
        AuthMethod::None => "nothing: a public client",
    }
}

/// `POST /instances/{id}/{act}`
pub(super) async fn act(
    State(app): State<App>,
    Path((id, act)): Path<(String, String)>,
    posted: Posted,
) -> Result<Response, PageError> {
    let (account, _) = posted.at_dashboard()?;
    let (address, now_us) = (posted.visitor.address(), clock::now_us());
    let store = app.store();
    let back = format!("/instances/{id}");
    let (change, done, back) = match act.as_str() {
        "share" => return share(&app, account, id, &posted).await,
        "leave" => {
            members::leave(store, account, id, address, now_us).await?;
            return Ok(page::go(&app, "/?done=left"));
        }
        "rename" => {
            let name: String = posted.get("name").chars().take(MAX_NAME).collect();
            (Act::Rename(name), "renamed", back)
        }
        "unshare" => (Act::Unshare(posted.get("account").to_owned()), "unshared", back),
        "rotate" => (Act::Rotate, "rotated", back),
        "delete" => (Act::Delete, "deleted", "/".to_owned()),
        _ => return Err(PageError::not_found()),
    };
    if !members::act(store, account, id, change, address, now_us).await? {
        return Err(PageError::not_found());
    }
    Ok(page::go(&app, &format!("{back}?done={done}")))
}

async fn share(app: &App, account: Account, id: String, posted: &Posted) -> Result<Response, PageError> {
    let role = match posted.get("role") {
        "viewer" => "viewer",
        "operator" => "operator",
        "owner" => "owner",
        _ => return Err(PageError::new(StatusCode::UNPROCESSABLE_ENTITY, "A role is viewer, operator or owner.")),
    };
    let name = posted.get("name").to_ascii_lowercase();
    let (address, now_us) = (posted.visitor.address(), clock::now_us());
    let shared = members::share(app.store(), account.clone(), id.clone(), name, role, address, now_us).await?;
    let wrong = match shared {
        Shared::Done => return Ok(page::go(app, &format!("/instances/{id}?done=shared"))),
        Shared::NotYours => return Err(PageError::not_found()),
        Shared::NoSuchAccount => "No other account of this hub has that name.",
        Shared::Full => "It is shared with as many accounts as it may be.",
    };
    let who = AtDashboard { visitor: posted.visitor.clone(), account };
    show(app, &who, id, None, Some(wrong), StatusCode::UNPROCESSABLE_ENTITY).await
}
