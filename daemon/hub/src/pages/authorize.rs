//! `/authorize`: the authorization endpoint (RFC 6749, 3.1) as people see it: signed in, they are asked whether an
//! application may act for them. What is asked is judged by [`crate::oauth::authorize`], at each step anew.

use askama::Template;
use axum::extract::{RawQuery, State};
use axum::http::header::CONTENT_SECURITY_POLICY;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

use super::failure::PageError;
use super::page::{self, Frame};
use super::scopes::{self, ScopeRow};
use super::text::shown;
use super::tokens::ticked;
use super::visitor::{Posted, Visitor};
use crate::app::App;
use crate::oauth::authorize::{Asked, Wrong, judge};
use crate::oauth::error::OAuthError;
use crate::oauth::scope::Scopes;

#[derive(Template)]
#[template(path = "authorize.html")]
struct ConsentPage {
    frame: Frame,
    query: String,
    name: String,
    client: String,
    destination: String,
    me: String,
    scopes: Vec<ScopeRow>,
    stays: bool,
}

/// `GET /authorize`. Looking grants nothing, but to the hub's own dashboard.
pub(super) async fn form(
    State(app): State<App>,
    RawQuery(query): RawQuery,
    visitor: Visitor,
) -> Result<Response, PageError> {
    let query = query.unwrap_or_default();
    let asked = match judge(&app, &query).await {
        Ok(asked) => asked,
        Err(wrong) => return Err(answer(wrong)),
    };
    let account = &visitor.browser(&visitor.target)?.account;
    if asked.needs_consent() {
        return consent(&visitor, &asked, query, &account.name);
    }
    go(asked.grant(&app, &account.id, asked.scope).await)
}

/// `POST /authorize`: the decision.
pub(super) async fn decide(State(app): State<App>, posted: Posted) -> Result<Response, PageError> {
    let account = posted.account()?;
    let asked = judge(&app, posted.get("query")).await.map_err(answer)?;
    match posted.get("decision") {
        "approve" if !asked.scope.and(ticked(&posted)).is_empty() => {
            go(asked.grant(&app, &account.id, ticked(&posted)).await)
        }
        "approve" | "deny" => Err(PageError::go(asked.deny(&app))),
        _ => Err(PageError::not_found()),
    }
}

fn consent(visitor: &Visitor, asked: &Asked, query: String, me: &str) -> Result<Response, PageError> {
    let frame = Frame::new(visitor, "Sign in an application", "")?.narrow();
    let destination = asked.destination();
    let csp = policy(destination);
    let mut response = page::show(
        StatusCode::OK,
        |frame| {
            let page = ConsentPage {
                frame,
                query,
                name: shown(asked.client.metadata.client_name.as_deref().unwrap_or("An application without a name")),
                client: asked.client.id.clone(),
                destination: shown(destination),
                me: me.to_owned(),
                scopes: scopes::rows(asked.scope.and(Scopes::API)),
                stays: asked.scope.holds(Scopes::OFFLINE_ACCESS),
            };
            page.render()
        },
        frame,
    );
    if let Some(csp) = csp {
        response.headers_mut().insert(CONTENT_SECURITY_POLICY, csp);
    }
    Ok(response)
}

/// As of every page; but browsers hold `form-action` against the redirect that follows a form, too.
fn policy(destination: &str) -> Option<HeaderValue> {
    let plain = destination.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b';' | b',' | b'\''));
    let csp = format!(
        "default-src 'none'; style-src 'self'; form-action 'self' {destination}; base-uri 'none'; frame-ancestors 'none'"
    );
    if plain { HeaderValue::from_str(&csp).ok() } else { None }
}

fn go(location: Result<String, OAuthError>) -> Result<Response, PageError> {
    match location {
        Ok(location) => Ok(PageError::go(location).into_response()),
        Err(_) => {
            Err(PageError::new(StatusCode::SERVICE_UNAVAILABLE, "The hub could not sign you in. Please try again."))
        }
    }
}

fn answer(wrong: Wrong) -> PageError {
    match wrong {
        Wrong::Page(text) => PageError::new(StatusCode::BAD_REQUEST, text),
        Wrong::Back(location) => PageError::go(location),
        Wrong::Store(error) => error.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_destination_never_adds_to_the_policy() {
        let policy = |text| policy(text).map(|value| value.to_str().unwrap().to_owned());
        assert!(policy("https://app.example").unwrap().contains("form-action 'self' https://app.example; base-uri"));
        for text in ["https://a.example; script-src *", "https://a.example;x", "https://a.example'x'", "a,b"] {
            assert_eq!(policy(text), None, "{text}");
        }
    }
}
