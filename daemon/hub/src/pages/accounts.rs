//! `/accounts` and `/invitations`, for administrators. To others they are not there.

use askama::Template;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;

use super::failure::PageError;
use super::instances::After;
use super::keys::shown_once;
use super::page::{self, Frame};
use super::signed_in::AtDashboard;
use super::text::time;
use super::visitor::Posted;
use crate::accounts::code;
use crate::app::App;
use crate::clock;
use crate::random;
use crate::store::accounts::{self, Change, NewInvitation};

/// How long an invitation may be used.
const INVITATION_US: i64 = 7 * 86_400 * clock::SECOND;

struct Row {
    id: String,
    name: String,
    admin: bool,
    locked: bool,
    me: bool,
    made: String,
    instances: u32,
}

struct InvitationRow {
    id: String,
    by: String,
    admin: bool,
    made: String,
    ends: String,
}

#[derive(Template)]
#[template(path = "accounts.html")]
struct AccountsPage {
    frame: Frame,
    accounts: Vec<Row>,
    invitations: Vec<InvitationRow>,
}

/// `GET /accounts`
pub(super) async fn list(
    State(app): State<App>,
    Query(after): Query<After>,
    who: AtDashboard,
) -> Result<Response, PageError> {
    if !who.account.admin {
        return Err(PageError::not_found());
    }
    let rows = accounts::list(app.store()).await?.into_iter().map(|listed| Row {
        me: listed.account.id == who.account.id,
        id: listed.account.id,
        name: listed.account.name,
        admin: listed.account.admin,
        locked: listed.account.locked,
        made: time(listed.account.created_us),
        instances: listed.instances,
    });
    let accounts: Vec<Row> = rows.collect();
    let open = accounts::invitations(app.store(), clock::now_us()).await?.into_iter().map(|invitation| InvitationRow {
        id: invitation.id,
        by: invitation.by,
        admin: invitation.admin,
        made: time(invitation.created_us),
        ends: time(invitation.expires_us),
    });
    let invitations = open.collect();
    let frame = Frame::new(&who.visitor, "Accounts", "/accounts")?.done(after.done.as_deref());
    Ok(page::show(StatusCode::OK, |frame| AccountsPage { frame, accounts, invitations }.render(), frame))
}

/// `POST /accounts/change`
pub(super) async fn change(State(app): State<App>, posted: Posted) -> Result<Response, PageError> {
    let admin = posted.admin()?;
    let change = match posted.get("act") {
        "lock" => Change::Lock,
        "unlock" => Change::Unlock,
        "promote" => Change::Promote,
        "demote" => Change::Demote,
        "delete" => Change::Delete,
        _ => return Err(PageError::not_found()),
    };
    let id = posted.get("id").to_owned();
    if !accounts::change(app.store(), admin, id, change, posted.visitor.address(), clock::now_us()).await? {
        return Err(PageError::new(
            StatusCode::CONFLICT,
            "There is no such account, or it is your own. Nothing was changed.",
        ));
    }
    Ok(page::go(&app, "/accounts?done=changed"))
}

/// `POST /invitations`
pub(super) async fn invite(State(app): State<App>, posted: Posted) -> Result<Response, PageError> {
    let admin = posted.admin()?;
    let now_us = clock::now_us();
    let code = code::random()?;
    let new = NewInvitation {
        id: random::id("inv_")?,
        code_hash: code::hash(&code),
        admin: posted.get("admin") == "yes",
        expires_us: now_us + INVITATION_US,
        address: posted.visitor.address(),
    };
    if !accounts::invite(app.store(), admin, new, now_us).await? {
        return Err(PageError::new(StatusCode::CONFLICT, "Too many invitations are open. Withdraw one first."));
    }
    let link = app.issuer().url(&format!("/join?code={code}"));
    let lines = [
        "Send the link to the one person whom it is for, by a way that nobody else reads: whoever opens it first gets the account.",
        "It works once, within 7 days, until you withdraw it.",
    ];
    shown_once(&posted.visitor, "A new invitation", &link, &lines, "/accounts")
}

/// `POST /invitations/withdraw`
pub(super) async fn withdraw(State(app): State<App>, posted: Posted) -> Result<Response, PageError> {
    let admin = posted.admin()?;
    let id = posted.get("id").to_owned();
    accounts::withdraw(app.store(), admin, id, posted.visitor.address(), clock::now_us()).await?;
    Ok(page::go(&app, "/accounts?done=withdrawn"))
}
