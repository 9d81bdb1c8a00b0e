//! Everything that people look at: sign-in, the verification page of device authorizations, the dashboard. Server-rendered
//! with the templates of `daemon/hub/templates`; no page has a script, and every form works by itself.
//!
//! A handler of a form takes [`visitor::Posted`], which has judged where the form came from. Rows and rules are the
//! store's: nothing here decides what an account may do, it only asks.

mod account;
mod accounts;
mod audit;
mod authorize;
mod dashboard;
mod device;
mod failure;
mod instances;
mod join;
mod keys;
mod page;
mod scopes;
mod sessions;
mod sign_in;
mod signed_in;
mod text;
mod tokens;
mod visitor;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};

use crate::app::App;

pub(crate) use dashboard::CALLBACK;
pub(crate) use page::dress;

/// All pages, below the issuer's path.
pub(crate) fn router(app: &App) -> Router<App> {
    Router::new()
        .route("/style.css", get(page::style))
        .route("/sign-in", get(sign_in::form).post(sign_in::sign_in))
        .route("/sign-out", post(sign_in::sign_out))
        .route("/setup", get(join::setup_form).post(join::setup))
        .route("/join", get(join::form).post(join::join))
        .route("/authorize", get(authorize::form).post(authorize::decide))
        .route("/device", get(device::form).post(device::decide))
        .route("/device/done", get(device::done))
        .route(CALLBACK, get(dashboard::callback))
        .route("/", get(instances::list))
        .route("/instances/{id}", get(instances::one))
        .route("/instances/{id}/{act}", post(instances::act))
        .route("/sessions", get(sessions::list))
        .route("/sessions/end", post(sessions::end))
        .route("/sessions/end-all", post(sessions::end_all))
        .route("/browsers/end", post(sessions::end_browser))
        .route("/keys", get(keys::list).post(keys::make))
        .route("/keys/revoke", post(keys::revoke))
        .route("/tokens", get(tokens::list).post(tokens::make))
        .route("/tokens/revoke", post(tokens::revoke))
        .route("/accounts", get(accounts::list))
        .route("/accounts/change", post(accounts::change))
        .route("/invitations", post(accounts::invite))
        .route("/invitations/withdraw", post(accounts::withdraw))
        .route("/audit", get(audit::list))
        .route("/account", get(account::show))
        .route("/account/password", post(account::change_password))
        .layer(from_fn_with_state(app.clone(), dress))
}
