//! `/setup` and `/join`: an account is made, the first one with the setup code, others with an invitation.

use askama::Template;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;

use super::failure::PageError;
use super::page::{self, Frame};
use super::sign_in;
use super::text::shown;
use super::visitor::{Posted, Visitor};
use crate::accounts::{code, name, password::Password, setup};
use crate::app::App;
use crate::clock;
use crate::random;
use crate::store::accounts::{self, Joined, NewAccount, WithPassword};

/// What the query may have.
#[derive(Deserialize)]
pub(super) struct Asked {
    #[serde(default)]
    code: String,
}

#[derive(Template)]
#[template(path = "join.html")]
struct JoinPage<'a> {
    frame: Frame,
    first: bool,
    code: &'a str,
    name: &'a str,
}

/// `GET /setup`
pub(super) async fn setup_form(State(app): State<App>, visitor: Visitor) -> Result<Response, PageError> {
    if accounts::count(app.store()).await? > 0 {
        return Ok(page::go(&app, "/sign-in"));
    }
    show(&visitor, StatusCode::OK, true, "", "", None)
}

/// `GET /join`
pub(super) async fn form(Query(asked): Query<Asked>, visitor: Visitor) -> Result<Response, PageError> {
    show(&visitor, StatusCode::OK, false, &shown(&asked.code), "", None)
}

/// `POST /setup`
pub(super) async fn setup(State(app): State<App>, posted: Posted) -> Result<Response, PageError> {
    make(&app, posted, true).await
}

/// `POST /join`
pub(super) async fn join(State(app): State<App>, posted: Posted) -> Result<Response, PageError> {
    make(&app, posted, false).await
}

fn show(
    visitor: &Visitor,
    status: StatusCode,
    first: bool,
    code: &str,
    name: &str,
    wrong: Option<&str>,
) -> Result<Response, PageError> {
    let (title, here) = if first { ("Make the first account", "/setup") } else { ("Make your account", "/join") };
    let frame = Frame::new(visitor, title, here)?.narrow().wrong(wrong);
    Ok(page::show(status, |frame| JoinPage { frame, first, code, name }.render(), frame))
}

async fn make(app: &App, mut posted: Posted, first: bool) -> Result<Response, PageError> {
    let (password, again) = (posted.take("password"), zeroize::Zeroizing::new(posted.take("again")));
    let (typed, code) = (shown(posted.get("name")), shown(posted.get("code")));
    let visitor = &posted.visitor;
    let refuse = |status, text: &str| show(visitor, status, first, &code, &typed, Some(text));
    let unfit = StatusCode::UNPROCESSABLE_ENTITY;
    let now_us = clock::now_us();
    if let Err(error) = app.accounts().limits.may_try(visitor.arrival.address, now_us) {
        return refuse(StatusCode::TOO_MANY_REQUESTS, PageError::from(error).text());
    }
    let name = match name::parse(posted.get("name")) {
        Ok(name) => name,
        Err(error) => return refuse(unfit, &sentence(&error.to_string())),
    };
    if password != *again {
        return refuse(unfit, "The two passwords differ.");
    }
    let password = match Password::chosen(password, &name) {
        Ok(password) => password,
        Err(error) => return refuse(unfit, &sentence(&error.to_string())),
    };
    let hashed = app.accounts().passwords.hash(password).await?;
    let new = NewAccount {
        id: random::id("acc_")?,
        name,
        password: hashed.clone(),
        code_hash: code::hash(posted.get("code")),
        address: visitor.address(),
    };
    match accounts::join(app.store(), new, clock::now_us()).await? {
        Joined::Made(account) => {
            if first && let Err(error) = setup::discard(&app.accounts().dir) {
                crate::log::warn(format_args!("{error}"));
            }
            sign_in::begin(app, visitor, WithPassword { account, password: hashed }, "/").await
        }
        Joined::BadCode => refuse(StatusCode::FORBIDDEN, "The code is wrong, used or expired."),
        Joined::NameTaken => refuse(unfit, "Another account has this name."),
        Joined::Full => refuse(StatusCode::SERVICE_UNAVAILABLE, "This hub has as many accounts as it may have."),
    }
}

/// An error's text as a sentence.
pub(super) fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| format!("{}{}.", first.to_uppercase(), chars.as_str()))
}
