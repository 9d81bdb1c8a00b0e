//! `/sign-in` and `/sign-out`: a browser becomes an account's, and ceases to be.

use askama::Template;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use axum::extract::{Query, State};
use axum::http::header::SET_COOKIE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use data_encoding::BASE64URL_NOPAD;
use serde::Deserialize;

use super::failure::PageError;
use super::page::{self, Frame};
use super::visitor::{Posted, Visitor};
use crate::accounts::name;
use crate::accounts::password::Password;
use crate::app::App;
use crate::clock;
use crate::random;
use crate::store::accounts::{self, Account, WithPassword};
use crate::store::browsers::{self, NewBrowser};

/// One answer for a wrong name, a wrong password and a locked account.
const WRONG: &str = "The name or the password is wrong, or the account is locked.";

/// What the query may have.
#[derive(Deserialize)]
pub(super) struct Asked {
    #[serde(default)]
    next: String,
}

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignInPage<'a> {
    frame: Frame,
    next: &'a str,
    name: &'a str,
    fresh: bool,
}

/// `GET /sign-in`
pub(super) async fn form(
    State(app): State<App>,
    Query(asked): Query<Asked>,
    visitor: Visitor,
) -> Result<Response, PageError> {
    let next = page::own_path(&asked.next);
    if visitor.browser.is_some() {
        return Ok(page::go(&app, next));
    }
    show(&visitor, StatusCode::OK, next, "", None).await
}

async fn show(
    visitor: &Visitor,
    status: StatusCode,
    next: &str,
    name: &str,
    wrong: Option<&str>,
) -> Result<Response, PageError> {
    let fresh = accounts::count(visitor.app.store()).await? == 0;
    let frame = Frame::new(visitor, "Sign in", "/sign-in")?.narrow().wrong(wrong);
    Ok(page::show(status, |frame| SignInPage { frame, next, name, fresh }.render(), frame))
}

/// `POST /sign-in`
pub(super) async fn sign_in(State(app): State<App>, mut posted: Posted) -> Result<Response, PageError> {
    let password = Password::typed(posted.take("password"));
    let (typed, next) = (posted.get("name").to_owned(), page::own_path(posted.get("next")).to_owned());
    let visitor = &posted.visitor;
    match check(&app, visitor, &typed, password).await {
        Ok(found) => begin(&app, visitor, found, &next).await,
        Err(error) if error.status().is_server_error() => Err(error),
        Err(error) => {
            let name = name::parse(&typed).unwrap_or_default();
            let mut response = show(visitor, error.status(), &next, &name, Some(error.text())).await?;
            response.headers_mut().extend(
                error
                    .into_response()
                    .headers_mut()
                    .remove(axum::http::header::RETRY_AFTER)
                    .map(|v| (axum::http::header::RETRY_AFTER, v)),
            );
            Ok(response)
        }
    }
}

/// Whose password it is.
async fn check(
    app: &App,
    visitor: &Visitor,
    typed: &str,
    password: Option<Password>,
) -> Result<WithPassword, PageError> {
    let now_us = clock::now_us();
    let wrong = || PageError::new(StatusCode::FORBIDDEN, WRONG);
    let limits = &app.accounts().limits;
    limits.may_try(visitor.arrival.address, now_us)?;
    let (Ok(name), Some(password)) = (name::parse(typed), password) else { return Err(wrong()) };
    let found = accounts::by_name(app.store(), name.clone()).await?;
    let known = found.as_ref().is_some_and(|found| {
        let mark = mark(found);
        visitor.known_mark().is_some_and(|given| verify_slices_are_equal(given.as_bytes(), mark.as_bytes()).is_ok())
    });
    limits.may_try_account(&name, known, now_us)?;
    let stored = found.as_ref().map(|found| found.password.as_str());
    let right = app.accounts().passwords.verify(password, stored).await?;
    match found {
        Some(found) if right && !found.account.locked => {
            limits.was_right(visitor.arrival.address, &name, known, now_us);
            Ok(found)
        }
        Some(found) => {
            browsers::sign_in_failed(app.store(), found.account, visitor.address(), clock::now_us()).await?;
            Err(wrong())
        }
        None => Err(wrong()),
    }
}

/// Signs the browser in, with a new cookie, and goes on.
pub(super) async fn begin(app: &App, visitor: &Visitor, who: WithPassword, next: &str) -> Result<Response, PageError> {
    let now_us = clock::now_us();
    let secret = random::secret("")?;
    let new = NewBrowser {
        id: random::id("brw_")?,
        hash: random::hash(secret.as_bytes()),
        csrf: random::secret("")?,
        agent: visitor.agent.clone(),
        address: visitor.address(),
    };
    let idle_us = i64::from(app.hub().browser_hours) * 3600 * clock::SECOND;
    let mark = mark(&who);
    // Whoever was signed in in this browser is so no more.
    if let Some(before) = &visitor.browser {
        browsers::end(app.store(), before.account.clone(), before.id.clone(), visitor.address(), now_us).await?;
    }
    if !browsers::sign_in(app.store(), who.account, new, idle_us, now_us).await? {
        return Err(PageError::new(StatusCode::FORBIDDEN, WRONG));
    }
    let mut response = page::go(app, next);
    for cookie in [visitor.session_cookie(&secret), visitor.known_cookie(&mark)] {
        if let Ok(cookie) = HeaderValue::from_str(&cookie) {
            response.headers_mut().append(SET_COOKIE, cookie);
        }
    }
    Ok(response)
}

/// What a browser keeps in which an account was signed in: a hash over the stored hash of the password, which nobody else
/// knows. It signs nobody in; it only spares the account the guesses of strangers.
fn mark(of: &WithPassword) -> String {
    let Account { id, .. } = &of.account;
    BASE64URL_NOPAD.encode(&random::hash(format!("known {id} {}", of.password).as_bytes()))
}

/// `POST /sign-out`
pub(super) async fn sign_out(State(app): State<App>, posted: Posted) -> Result<Response, PageError> {
    if let Some(browser) = &posted.visitor.browser {
        let (account, id) = (browser.account.clone(), browser.id.clone());
        browsers::end(app.store(), account, id, posted.visitor.address(), clock::now_us()).await?;
    }
    let mut response = page::go(&app, "/sign-in");
    if let Ok(cookie) = HeaderValue::from_str(&posted.visitor.no_session_cookie()) {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    Ok(response)
}
