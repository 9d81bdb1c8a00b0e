//! What all pages have in common: the frame around them, and the header fields that forbid everything they do not need.
//! No page has a script; style comes from one file.

use askama::Template;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, SET_COOKIE};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::failure::PageError;
use super::visitor::Visitor;
use crate::app::App;

/// Of every page (RFC 9700, 4.16: no framing). `same-origin` and not `no-referrer`, with which browsers would send forms
/// with `Origin: null`.
const HEADERS: [(HeaderName, &str); 4] = [
    (
        CONTENT_SECURITY_POLICY,
        "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
    (REFERRER_POLICY, "same-origin"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];
const STYLE: &str = include_str!("../../templates/style.css");

/// What surrounds a page.
pub(super) struct Frame {
    pub(super) title: String,
    pub(super) base: String,
    pub(super) issuer: String,
    pub(super) version: &'static str,
    pub(super) person: Option<Person>,
    pub(super) csrf: String,
    pub(super) here: &'static str,
    pub(super) narrow: bool,
    pub(super) done: Option<&'static str>,
    pub(super) wrong: Option<String>,
    cookie: Option<String>,
}

/// Who is signed in.
pub(super) struct Person {
    pub(super) name: String,
    pub(super) admin: bool,
}

/// A page of the dashboard.
pub(super) struct Link {
    pub(super) path: &'static str,
    pub(super) name: &'static str,
}

impl Frame {
    /// Of a page at this path.
    pub(super) fn new(visitor: &Visitor, title: impl Into<String>, here: &'static str) -> Result<Self, PageError> {
        let (csrf, cookie) = visitor.csrf_for_page()?;
        let issuer = visitor.app.issuer();
        Ok(Self {
            title: title.into(),
            base: issuer.path().to_owned(),
            issuer: issuer.as_str().to_owned(),
            version: env!("CARGO_PKG_VERSION"),
            person: visitor.account().map(|account| Person { name: account.name.clone(), admin: account.admin }),
            csrf,
            here,
            narrow: false,
            done: None,
            wrong: None,
            cookie,
        })
    }

    /// For a page with one form.
    pub(super) fn narrow(self) -> Self {
        Self { narrow: true, ..self }
    }

    /// With what went wrong.
    pub(super) fn wrong(self, text: Option<&str>) -> Self {
        Self { wrong: text.map(str::to_owned), ..self }
    }

    /// With what was done before, by its name in the query.
    pub(super) fn done(self, name: Option<&str>) -> Self {
        let text = name.and_then(|name| DONE.iter().find(|(known, _)| *known == name));
        Self { done: text.map(|(_, text)| *text), ..self }
    }

    /// An administrator is signed in.
    pub(super) fn is_admin(&self) -> bool {
        self.person.as_ref().is_some_and(|person| person.admin)
    }

    /// The pages that this person has.
    pub(super) fn links(&self) -> Vec<Link> {
        let all = [
            ("/", "Instances", false),
            ("/sessions", "Sessions", false),
            ("/keys", "Keys", false),
            ("/tokens", "Tokens", false),
            ("/audit", "Audit trail", false),
            ("/accounts", "Accounts", true),
        ];
        let mine = all.into_iter().filter(|(_, _, admin)| !admin || self.is_admin());
        mine.map(|(path, name, _)| Link { path, name }).collect()
    }
}

/// What was done, after the redirect that follows a form.
const DONE: [(&str, &str); 15] = [
    ("renamed", "It is renamed."),
    ("shared", "It is shared. Sessions that the account had in another role have ended."),
    ("unshared", "It is shared with that account no more; its sessions have ended."),
    ("left", "You have left the instance."),
    ("rotated", "Its tokens have ended. It gets new credentials when it reports the next time."),
    ("deleted", "It is deleted."),
    ("ended", "The session has ended."),
    ("all-ended", "All your sessions have ended."),
    ("signed-out", "That browser is signed out."),
    ("revoked", "It is revoked."),
    ("withdrawn", "The invitation is withdrawn."),
    ("changed", "The account is changed."),
    ("password", "The password is changed. Your other browsers and clients have to sign in again."),
    ("approved", "Done. Go back to your client: it goes on by itself."),
    ("denied", "Refused. The client has been told."),
];

/// A page, whole.
pub(super) fn show(
    status: StatusCode,
    frame: impl FnOnce(Frame) -> Result<String, askama::Error>,
    around: Frame,
) -> Response {
    let cookie = around.cookie.clone();
    let Ok(html) = frame(around) else {
        crate::log::error(format_args!("a page could not be written"));
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let mut response = (status, [(CONTENT_TYPE, "text/html; charset=utf-8")], html).into_response();
    if let Some(cookie) = cookie.and_then(|cookie| HeaderValue::from_str(&cookie).ok()) {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    response
}

/// The path below the hub to go to after a form (RFC 9700, 4.12: 303). `path` is one of ours.
pub(super) fn go(app: &App, path: &str) -> Response {
    PageError::go(format!("{}{path}", app.issuer().path())).into_response()
}

/// A path that was handed in, if it is one of ours and nothing else (RFC 9700, 4.11); else the first page.
pub(super) fn own_path(next: &str) -> &str {
    let plain = next.len() <= 2048
        && next.bytes().all(|c| matches!(c, 0x21..=0x7e) && !matches!(c, b'\\' | b'<' | b'>' | b'"'));
    if plain && next.starts_with('/') && !next.starts_with("//") { next } else { "/" }
}

#[derive(Template)]
#[template(path = "message.html")]
struct Message {
    frame: Frame,
    lines: Vec<String>,
    link: Option<(&'static str, &'static str)>,
}

/// A page that only says something.
pub(super) fn message(
    visitor: &Visitor,
    status: StatusCode,
    title: &str,
    lines: &[&str],
    link: Option<(&'static str, &'static str)>,
) -> Result<Response, PageError> {
    let lines = lines.iter().map(|line| (*line).to_owned()).collect();
    Ok(show(status, |frame| Message { frame, lines, link }.render(), Frame::new(visitor, title, "")?.narrow()))
}

/// What went wrong; [`dress`] makes a page of it, because only there it is known where the hub is.
#[derive(Clone)]
struct Failure(String);

#[derive(Template)]
#[template(path = "failure.html")]
struct FailurePage<'a> {
    base: &'a str,
    text: &'a str,
    status: u16,
}

/// An answer that says what went wrong.
pub(super) fn failure(status: StatusCode, text: &str) -> Response {
    let mut response = (status, format!("{text}\n")).into_response();
    response.extensions_mut().insert(Failure(text.to_owned()));
    response
}

/// Gives every answer of these routes its header fields, and failures their page.
pub(crate) async fn dress(State(app): State<App>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    if let Some(Failure(text)) = response.extensions_mut().remove::<Failure>() {
        let page = FailurePage { base: app.issuer().path(), text: &text, status: response.status().as_u16() };
        if let Ok(html) = page.render() {
            *response.body_mut() = Body::from(html);
            let headers = response.headers_mut();
            headers.remove(axum::http::header::CONTENT_LENGTH);
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
        }
    }
    for (name, value) in HEADERS {
        response.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}

/// `GET /style.css`
pub(super) async fn style() -> Response {
    let headers = [(CONTENT_TYPE, "text/css; charset=utf-8"), (CACHE_CONTROL, "max-age=3600")];
    (headers, STYLE).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn z7_only_own_paths_are_gone_to() {
        for own in ["/", "/device?user_code=BCDF-GHJK", "/authorize?client_id=x&redirect_uri=https%3A%2F%2Fa"] {
            assert_eq!(own_path(own), own);
        }
        for foreign in [
            "",
            "//evil.example",
            "https://evil.example",
            "/\\evil.example",
            "\\\\evil",
            "/a\nb",
            "javascript:x",
            "/ü",
            " /",
        ] {
            assert_eq!(own_path(foreign), "/", "{foreign:?}");
        }
    }
}
