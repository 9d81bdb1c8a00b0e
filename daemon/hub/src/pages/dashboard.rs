//! The dashboard's sign-in. It is a client of the hub like any other (RFC 6749, 4.1, with RFC 7636 and RFC 9207): a browser
//! without a grant for it goes to `/authorize`, and comes back to `/callback` with a code, which is redeemed here without
//! a detour over the network. The grant is listed among the browser's facts, and ends with it.
//!
//! What binds the answer to the browser is one cookie with the verifier; `state` is derived from it. Both are new for each
//! sign-in and gone after it.

use axum::extract::{Query, State};
use axum::http::header::SET_COOKIE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use data_encoding::BASE64URL_NOPAD;
use merlon_sandbox::secret::ct_eq;
use serde::Deserialize;

use super::failure::PageError;
use super::page;
use super::visitor::Visitor;
use crate::app::App;
use crate::clock;
use crate::oauth::scope::Scopes;
use crate::oauth::token::Issued;
use crate::random;
use crate::store::browsers::{self, Browser};
use crate::store::codes::{self, Redeem, Redeemed};
use crate::store::dashboard::CLIENT_ID;
use crate::store::issue::{Signed, Start};

/// Where the answer comes to, below the issuer's path.
pub(crate) const CALLBACK: &str = "/callback";
/// The longest path to come back to; the cookie has to hold it.
const MAX_NEXT: usize = 300;
/// How often a decision may change while it is made.
const TRIES: usize = 3;

/// Sends the browser to get a grant for the dashboard, and then to `next`.
///
/// # Errors
/// The redirect, always.
pub(super) fn begin(visitor: &Visitor, next: &str) -> Result<PageError, PageError> {
    let next = if next.len() <= MAX_NEXT { next } else { "/" };
    let verifier = random::secret("")?;
    let issuer = visitor.app.issuer();
    let query = form_urlencoded::Serializer::new(String::new())
        .append_pair("response_type", "code")
        .append_pair("client_id", CLIENT_ID)
        .append_pair("redirect_uri", &issuer.url(CALLBACK))
        .append_pair("scope", &Scopes::HUB.or(Scopes::OFFLINE_ACCESS).to_string())
        .append_pair("state", &state(&verifier))
        .append_pair("code_challenge", &BASE64URL_NOPAD.encode(&random::hash(verifier.as_bytes())))
        .append_pair("code_challenge_method", "S256")
        .finish();
    let kept = format!("{verifier}.{}", BASE64URL_NOPAD.encode(next.as_bytes()));
    Ok(PageError::go(format!("{}/authorize?{query}", issuer.path())).with_cookie(visitor.flow_cookie(&kept)))
}

/// `state`: known to the browser that has the verifier, and telling nobody the verifier.
fn state(verifier: &str) -> String {
    BASE64URL_NOPAD.encode(&random::hash(format!("state {verifier}").as_bytes()))
}

/// What the authorization endpoint answers.
#[derive(Deserialize)]
pub(super) struct Answer {
    code: Option<String>,
    state: Option<String>,
    iss: Option<String>,
}

/// `GET /callback`
pub(super) async fn callback(
    State(app): State<App>,
    Query(answer): Query<Answer>,
    visitor: Visitor,
) -> Result<Response, PageError> {
    let stale = || {
        PageError::new(StatusCode::BAD_REQUEST, "This sign-in was not begun in this browser, or is over. Begin again.")
    };
    let (verifier, next) = visitor.flow().and_then(|kept| kept.split_once('.')).ok_or_else(stale)?;
    let expected = state(verifier);
    let bound = answer.state.as_deref().is_some_and(|state| ct_eq(state.as_bytes(), expected.as_bytes()));
    // RFC 9207, 2.4: an answer of another server is none.
    if !bound || answer.iss.as_deref() != Some(app.issuer().as_str()) {
        return Err(stale());
    }
    let (Some(code), Some(browser)) = (answer.code, &visitor.browser) else { return Err(stale()) };
    let grant = redeem(&app, &visitor, browser, &code, verifier).await?.ok_or_else(stale)?;
    browsers::set_grant(app.store(), browser.id.clone(), grant, clock::now_us()).await?;
    let next = BASE64URL_NOPAD.decode(next.as_bytes()).ok().and_then(|next| String::from_utf8(next).ok());
    let mut response = page::go(&app, page::own_path(next.as_deref().unwrap_or("/")));
    if let Ok(cookie) = HeaderValue::from_str(&visitor.flow_cookie("")) {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    Ok(response)
}

/// The grant that a code gives, if it is this browser's account that consented. No token leaves the hub, so none is signed.
async fn redeem(
    app: &App,
    visitor: &Visitor,
    browser: &Browser,
    code: &str,
    verifier: &str,
) -> Result<Option<String>, PageError> {
    let start = Start {
        grant: random::id("grt_")?,
        refresh: random::bytes()?,
        chain_key: random::bytes()?,
        thumbprint: None,
        idle_us: i64::from(app.hub().browser_hours) * 3600 * clock::SECOND,
    };
    let redeem = Redeem {
        hash: random::hash(code.as_bytes()),
        client: CLIENT_ID.to_owned(),
        redirect_uri: app.issuer().url(CALLBACK),
        verifier: verifier.to_owned(),
        start,
        label: visitor.agent.clone(),
        issuer: app.issuer().as_str().to_owned(),
        now_us: clock::now_us(),
    };
    let mut signed: Option<Signed> = None;
    for _ in 0..TRIES {
        match codes::redeem(app.store(), redeem.clone(), signed).await? {
            Redeemed::Sign(issue) if issue.account == browser.account.id => {
                signed = Some(Signed { issue, issued: Issued::now(app)? });
            }
            Redeemed::Granted => return Ok(Some(redeem.start.grant)),
            _ => return Ok(None),
        }
    }
    Ok(None)
}
