//! `/account`: one's own account, and its password.

use askama::Template;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;

use super::failure::PageError;
use super::instances::After;
use super::join::sentence;
use super::page::{self, Frame};
use super::signed_in::AtDashboard;
use super::text::time;
use super::visitor::{Posted, Visitor};
use crate::accounts::password::Password;
use crate::app::App;
use crate::clock;
use crate::store::accounts::{self, Account};

#[derive(Template)]
#[template(path = "account.html")]
struct AccountPage<'a> {
    frame: Frame,
    me: &'a str,
    id: &'a str,
    made: String,
    password_set: String,
}

/// `GET /account`
pub(super) async fn show(Query(after): Query<After>, who: AtDashboard) -> Result<Response, PageError> {
    page_of(&who.visitor, &who.account, StatusCode::OK, after.done.as_deref(), None)
}

fn page_of(
    visitor: &Visitor,
    account: &Account,
    status: StatusCode,
    done: Option<&str>,
    wrong: Option<&str>,
) -> Result<Response, PageError> {
    let frame = Frame::new(visitor, "Account", "/account")?.done(done).wrong(wrong);
    let (made, password_set) = (time(account.created_us), time(account.password_us));
    let build = |frame| AccountPage { frame, me: &account.name, id: &account.id, made, password_set }.render();
    Ok(page::show(status, build, frame))
}

/// `POST /account/password`
pub(super) async fn change_password(State(app): State<App>, mut posted: Posted) -> Result<Response, PageError> {
    let (account, browser) = posted.at_dashboard()?;
    let current = Password::typed(posted.take("current"));
    let (password, again) = (posted.take("password"), zeroize::Zeroizing::new(posted.take("again")));
    let visitor = &posted.visitor;
    let refuse = |status, text: &str| page_of(visitor, &account, status, None, Some(text));
    if password != *again {
        return refuse(StatusCode::UNPROCESSABLE_ENTITY, "The two new passwords differ.");
    }
    let password = match Password::chosen(password, &account.name) {
        Ok(password) => password,
        Err(error) => return refuse(StatusCode::UNPROCESSABLE_ENTITY, &sentence(&error.to_string())),
    };
    let (limits, now_us) = (&app.accounts().limits, clock::now_us());
    let tried = limits
        .may_try(visitor.arrival.address, now_us)
        .and_then(|()| limits.may_try_account(&account.name, true, now_us));
    if let Err(error) = tried {
        return refuse(StatusCode::TOO_MANY_REQUESTS, PageError::from(error).text());
    }
    let found = accounts::by_name(app.store(), account.name.clone()).await?;
    let stored = found.as_ref().map(|found| found.password.as_str());
    let right = match current {
        Some(current) => app.accounts().passwords.verify(current, stored).await?,
        None => false,
    };
    if !right {
        return refuse(StatusCode::FORBIDDEN, "The present password is wrong.");
    }
    limits.was_right(visitor.arrival.address, &account.name, true, now_us);
    let hashed = app.accounts().passwords.hash(password).await?;
    let address = visitor.address();
    accounts::set_password(app.store(), account, hashed, browser.id, address, clock::now_us()).await?;
    Ok(page::go(&app, "/account?done=password"))
}
