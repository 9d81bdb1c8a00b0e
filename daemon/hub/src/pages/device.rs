//! `/device`: the verification page of device authorizations (RFC 8628, 3.3 and 5.4). Whoever comes here signs in first;
//! then a code is typed, or taken from the link; then a page says what would be approved, and only the form of that page
//! decides. A wrong, an expired and a used code look alike, and count against three limits.

use askama::Template;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;

use super::failure::PageError;
use super::page::{self, Frame};
use super::scopes::{self, ScopeRow};
use super::signed_in::SignedIn;
use super::text::{ago, shown, time};
use super::tokens::ticked;
use super::visitor::{Posted, Visitor};
use crate::app::App;
use crate::clients::Kind;
use crate::clock;
use crate::oauth::user_code::UserCode;
use crate::store::accounts::Account;
use crate::store::approvals;
use crate::store::device::{self, Decided, Decision, Pending};
use crate::store::standing::Standing;

/// One answer for a wrong, an expired and a used code.
const GONE: &str = "This code is not valid. It may be mistyped, expired, or used already. Begin again in your client.";

/// What the query may have.
#[derive(Deserialize)]
pub(super) struct Asked {
    user_code: Option<String>,
}

#[derive(Template)]
#[template(path = "device_code.html")]
struct CodePage {
    frame: Frame,
}

/// What is to be approved, as it is shown.
struct Request {
    user_code: String,
    claim: bool,
    name: String,
    client: String,
    owner: String,
    label: String,
    began: String,
    address: String,
    ends: String,
    me: String,
    scopes: Vec<ScopeRow>,
    barred: Option<&'static str>,
}

#[derive(Template)]
#[template(path = "device_confirm.html")]
struct ConfirmPage {
    frame: Frame,
    request: Request,
}

/// `GET /device`, with or without a code. Looking approves nothing.
pub(super) async fn form(
    State(app): State<App>,
    Query(asked): Query<Asked>,
    who: SignedIn,
) -> Result<Response, PageError> {
    match asked.user_code.as_deref().filter(|code| !code.is_empty()) {
        None => ask(&who.visitor, StatusCode::OK, None),
        Some(code) => confirm(&app, &who.visitor, &who.account, code).await,
    }
}

/// `POST /device`: a code that was typed, or a decision about one.
pub(super) async fn decide(State(app): State<App>, posted: Posted) -> Result<Response, PageError> {
    let account = posted.account()?;
    let visitor = &posted.visitor;
    let typed = posted.get("user_code");
    let decision = match posted.get("decision") {
        "" => return confirm(&app, visitor, &account, typed).await,
        "approve" => Decision::Approve(ticked(&posted)),
        "deny" => Decision::Deny,
        _ => return Err(PageError::not_found()),
    };
    let (limits, now_us) = (&app.accounts().limits, clock::now_us());
    limits.may_try_code(visitor.arrival.address, &account.id, now_us)?;
    let decided = match UserCode::typed(typed) {
        Some(code) => {
            approvals::decide(app.store(), code, account.clone(), decision, visitor.address(), now_us).await?
        }
        None => Decided::Gone,
    };
    match decided {
        Decided::Gone => {
            limits.wrong_code(visitor.arrival.address, &account.id, now_us);
            ask(visitor, StatusCode::BAD_REQUEST, Some(GONE))
        }
        Decided::Done { .. } => {
            let done = if decision == Decision::Deny { "denied" } else { "approved" };
            Ok(page::go(&app, &format!("/device/done?done={done}")))
        }
    }
}

/// What was done before.
#[derive(Deserialize)]
pub(super) struct After {
    done: Option<String>,
}

/// `GET /device/done`: after a decision.
pub(super) async fn done(Query(after): Query<After>, who: SignedIn) -> Result<Response, PageError> {
    let (title, line) = match after.done.as_deref() {
        Some("approved") => ("Approved", "Go back to your client: it goes on by itself."),
        Some("denied") => ("Refused", "The client has been told, and nothing was granted."),
        _ => return Err(PageError::not_found()),
    };
    page::message(
        &who.visitor,
        StatusCode::OK,
        title,
        &[line, "You can close this page."],
        Some(("/", "Your instances")),
    )
}

fn ask(visitor: &Visitor, status: StatusCode, wrong: Option<&str>) -> Result<Response, PageError> {
    let frame = Frame::new(visitor, "Connect a client", "/device")?.narrow().wrong(wrong);
    Ok(page::show(status, |frame| CodePage { frame }.render(), frame))
}

async fn confirm(app: &App, visitor: &Visitor, account: &Account, typed: &str) -> Result<Response, PageError> {
    let (limits, now_us) = (&app.accounts().limits, clock::now_us());
    limits.may_try_code(visitor.arrival.address, &account.id, now_us)?;
    let code = UserCode::typed(typed);
    let found = match code.clone() {
        Some(code) => device::by_user_code(app.store(), code, account.id.clone(), now_us).await?,
        None => None,
    };
    let (Some(code), Some(pending)) = (code, found) else {
        limits.wrong_code(visitor.arrival.address, &account.id, now_us);
        return ask(visitor, StatusCode::BAD_REQUEST, Some(GONE));
    };
    let request = request(&code, &pending, account, now_us);
    let frame = Frame::new(visitor, "Sign in a client", "/device")?.narrow();
    Ok(page::show(StatusCode::OK, |frame| ConfirmPage { frame, request }.render(), frame))
}

fn request(code: &UserCode, pending: &Pending, account: &Account, now_us: i64) -> Request {
    let client = &pending.client;
    let owner = match (&pending.owner_name, pending.standing) {
        (_, Standing::Claims) => "nobody yet. You will become its owner.".to_owned(),
        (Some(_), _) if client.owner.as_deref() == Some(account.id.as_str()) => "you".to_owned(),
        (Some(name), _) => name.clone(),
        (None, _) if client.kind == Kind::Instance => "nobody".to_owned(),
        (None, _) => "not an instance of Merlon, and nobody's".to_owned(),
    };
    let barred = match pending.standing {
        Standing::WrongAccount => Some("This instance has another owner already. You cannot claim it."),
        Standing::NotShared => Some(if client.owner.is_none() {
            "Nobody owns this instance yet. Its first sign-in needs the claim code: merlon claim-code on its machine shows it."
        } else {
            "This instance is not shared with you. Ask its owner to share it."
        }),
        _ => None,
    };
    let label = shown(&pending.label);
    Request {
        user_code: code.shown(),
        claim: pending.standing == Standing::Claims,
        name: shown(client.metadata.client_name.as_deref().unwrap_or("(no name)")),
        client: client.id.clone(),
        owner,
        label: if label.is_empty() { "(did not say)".to_owned() } else { label },
        began: format!("{} ({})", ago(pending.created_us, now_us), time(pending.created_us)),
        address: shown(&pending.address),
        ends: time(pending.expires_us),
        me: match pending.standing.role() {
            Some(role) => format!("{}, there as {role}", account.name),
            None => account.name.clone(),
        },
        scopes: scopes::rows(pending.scopes),
        barred,
    }
}
