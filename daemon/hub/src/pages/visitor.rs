//! Who looks at a page: the browser behind its cookie, if it is signed in. And the one way in for forms: [`Posted`] has
//! checked where a form came from and its CSRF token before a handler sees a field.
//!
//! The cookie is 256 random bits; the database knows its hash. It is a new one at each sign-in, so that nobody can fix it
//! beforehand.

use std::sync::Arc;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::header::{CONTENT_TYPE, COOKIE, ORIGIN, USER_AGENT};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, StatusCode};
use data_encoding::BASE64URL_NOPAD;

use super::failure::PageError;
use crate::app::App;
use crate::arrival::Arrival;
use crate::clock;
use crate::oauth::form;
use crate::random;
use crate::store::accounts::Account;
use crate::store::browsers::{self, Browser};

/// Bytes of a form at most, and its fields.
const MAX_FORM: usize = 16 * 1024;
const MAX_FIELDS: usize = 64;
/// Bytes of `User-Agent` that are kept.
const MAX_AGENT: usize = 160;
/// Cookies: the session; what binds the forms of those who are not signed in; and that an account was signed in here.
const SESSION: &str = "merlon-hub";
const FORMS: &str = "merlon-hub-form";
const KNOWN: &str = "merlon-hub-known";
/// `Sec-Fetch-Site`
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Somebody who looks at a page.
#[derive(Clone)]
pub(crate) struct Visitor {
    pub(super) app: App,
    /// How the request came.
    pub(crate) arrival: Arrival,
    /// The browser, if it is signed in.
    pub(crate) browser: Option<Browser>,
    /// `User-Agent`, cut.
    pub(super) agent: String,
    /// Path and query below the issuer's path.
    pub(super) target: String,
    cookies: Arc<Cookies>,
}

struct Cookies {
    form: Option<String>,
    known: Option<String>,
    flow: Option<String>,
}

impl Visitor {
    /// The account that is signed in.
    pub(crate) fn account(&self) -> Option<&Account> {
        self.browser.as_ref().map(|browser| &browser.account)
    }

    /// Where the request came from, as text.
    pub(crate) fn address(&self) -> String {
        self.arrival.address.to_canonical().to_string()
    }

    /// What a form must carry. For a browser that is not signed in it is made of its own cookie.
    pub(super) fn csrf(&self) -> Option<String> {
        match &self.browser {
            Some(browser) => Some(browser.csrf.clone()),
            None => self.cookies.form.as_deref().map(form_token),
        }
    }

    /// As [`Self::csrf`]; a browser without the cookie gets one, which the second value sets.
    pub(super) fn csrf_for_page(&self) -> Result<(String, Option<String>), PageError> {
        if let Some(token) = self.csrf() {
            return Ok((token, None));
        }
        let secret = random::secret("")?;
        Ok((form_token(&secret), Some(self.cookie(FORMS, &secret, None))))
    }

    /// The mark of accounts that were signed in here.
    pub(super) fn known_mark(&self) -> Option<&str> {
        self.cookies.known.as_deref()
    }

    /// What the dashboard's sign-in keeps in the browser.
    pub(super) fn flow(&self) -> Option<&str> {
        self.cookies.flow.as_deref()
    }

    /// Sets the session's cookie.
    pub(super) fn session_cookie(&self, secret: &str) -> String {
        self.cookie(SESSION, secret, None)
    }

    /// Sets the mark of an account that was signed in here, for a year.
    pub(super) fn known_cookie(&self, mark: &str) -> String {
        self.cookie(KNOWN, mark, Some(365 * 24 * 3600))
    }

    /// Sets or, empty, removes what the dashboard's sign-in keeps.
    pub(super) fn flow_cookie(&self, value: &str) -> String {
        self.cookie(FLOW, value, Some(if value.is_empty() { 0 } else { 600 }))
    }

    /// Removes the session's cookie.
    pub(super) fn no_session_cookie(&self) -> String {
        self.cookie(SESSION, "", Some(0))
    }

    fn cookie(&self, name: &str, value: &str, seconds: Option<u32>) -> String {
        let secure = self.app.issuer().is_secure();
        let mut cookie = format!("{}={value}; Path=/; HttpOnly; SameSite=Lax", full_name(name, secure));
        if secure {
            cookie.push_str("; Secure");
        }
        if let Some(seconds) = seconds {
            cookie.push_str(&format!("; Max-Age={seconds}"));
        }
        cookie
    }

    fn find(app: &App, headers: &HeaderMap, name: &str) -> Option<String> {
        let name = full_name(name, app.issuer().is_secure());
        let mut values = headers.get_all(COOKIE).into_iter().filter_map(|line| line.to_str().ok()).flat_map(|line| {
            line.split(';').filter_map(|pair| pair.trim().split_once('=')).filter(|(given, _)| *given == name)
        });
        let value = values.next()?.1;
        // Two of one name: somebody else set one of them. Neither counts.
        (values.next().is_none() && !value.is_empty() && value.len() <= 512).then(|| value.to_owned())
    }
}

const FLOW: &str = "merlon-hub-flow";

/// With https a browser takes such a cookie from this very host only, never from a neighbour (RFC 6265bis, 4.1.3.2).
fn full_name(name: &str, secure: bool) -> String {
    if secure { format!("__Host-{name}") } else { name.to_owned() }
}

fn form_token(secret: &str) -> String {
    BASE64URL_NOPAD.encode(&random::hash(format!("form {secret}").as_bytes()))
}

impl FromRequestParts<App> for Visitor {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, PageError> {
        let Ok(arrival) = Arrival::from_request_parts(parts, app).await;
        // Below the issuer's path already: the router has taken that off.
        let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
        let agent = parts.headers.get(USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let now_us = clock::now_us();
        let idle_us = i64::from(app.hub().browser_hours) * 3600 * clock::SECOND;
        let browser = match Self::find(app, &parts.headers, SESSION) {
            Some(secret) => browsers::find(app.store(), random::hash(secret.as_bytes()), idle_us, now_us).await?,
            None => None,
        };
        let cookie = |name| Self::find(app, &parts.headers, name);
        let cookies = Arc::new(Cookies { form: cookie(FORMS), known: cookie(KNOWN), flow: cookie(FLOW) });
        Ok(Self {
            app: app.clone(),
            arrival,
            browser,
            agent: agent.chars().take(MAX_AGENT).collect(),
            target: target.to_owned(),
            cookies,
        })
    }
}

/// A form of one of the hub's own pages, whose origin and CSRF token were checked.
pub(crate) struct Posted {
    /// Who sent it.
    pub(crate) visitor: Visitor,
    fields: Vec<(String, String)>,
}

impl Posted {
    /// A field; empty if it is not there. Of several the first.
    pub(crate) fn get(&self, name: &str) -> &str {
        self.fields.iter().find(|(given, _)| given == name).map_or("", |(_, value)| value.trim())
    }

    /// A field that is taken out, blanks and all: for passwords.
    pub(crate) fn take(&mut self, name: &str) -> String {
        let place = self.fields.iter_mut().find(|(given, _)| given == name);
        place.map(|(_, value)| std::mem::take(value)).unwrap_or_default()
    }

    /// Each value of a field: check boxes.
    pub(crate) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.fields.iter().filter(move |(given, _)| given == name).map(|(_, value)| value.as_str())
    }
}

impl Drop for Posted {
    fn drop(&mut self) {
        use zeroize::Zeroize as _;
        // Some of them may be passwords.
        self.fields.iter_mut().for_each(|(_, value)| value.zeroize());
    }
}

impl FromRequest<App> for Posted {
    type Rejection = PageError;

    async fn from_request(request: Request, app: &App) -> Result<Self, PageError> {
        let (mut parts, body) = request.into_parts();
        let visitor = Visitor::from_request_parts(&mut parts, app).await?;
        judge_origin(&parts.headers, app)?;
        let kind = parts.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if !kind
            .split(';')
            .next()
            .is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/x-www-form-urlencoded"))
        {
            return Err(PageError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "This page takes its own form only."));
        }
        let body = form::read(body, MAX_FORM)
            .await
            .map_err(|_| PageError::new(StatusCode::BAD_REQUEST, "The form did not arrive whole. Please try again."))?;
        let fields: Vec<(String, String)> =
            form_urlencoded::parse(&body).take(MAX_FIELDS).map(|(n, v)| (n.into_owned(), v.into_owned())).collect();
        let posted = Self { visitor, fields };
        let given = posted.get("csrf").as_bytes();
        match posted.visitor.csrf() {
            Some(token) if verify_slices_are_equal(given, token.as_bytes()).is_ok() => Ok(posted),
            _ => Err(PageError::stale_form()),
        }
    }
}

/// A form comes from a page of the hub. Browsers say so; what says nothing is left to the CSRF token.
fn judge_origin(headers: &HeaderMap, app: &App) -> Result<(), PageError> {
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let origin = text(ORIGIN).is_none_or(|origin| origin == app.issuer().origin());
    let site = text(FETCH_SITE).is_none_or(|site| site == "same-origin" || site == "none");
    if origin && site {
        return Ok(());
    }
    let text = format!("This form came from another site. Open {} itself and try again.", app.issuer().as_str());
    Err(PageError::new(StatusCode::FORBIDDEN, text))
}
