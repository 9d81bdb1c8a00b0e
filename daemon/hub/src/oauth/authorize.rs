//! What is asked at the authorization endpoint (RFC 6749, 4.1.1; RFC 7636, 4.3), and the answers that go back through the
//! browser (4.1.2; RFC 9207). Who the browser's person is, and whether they consent, is for the page that calls this.
//!
//! Only an address that the client registered is ever redirected to; before that is certain, every answer is a page.

use std::sync::Arc;

use form_urlencoded::Serializer;

use super::device::resource;
use super::error::{ErrorCode, OAuthError};
use super::form::Form;
use super::pkce::Challenge;
use super::redirect;
use super::registration::AUTHORIZATION_CODE;
use super::scope::Scopes;
use crate::app::App;
use crate::clients::{Client, Kind};
use crate::clock::{self, SECOND};
use crate::random;
use crate::store::codes::{self, New};
use crate::store::{StoreError, clients};

/// How long a code may be redeemed, in seconds.
const LIFE: i64 = 60;
/// The longest `state`, in bytes.
const MAX_STATE: usize = 1024;

/// A request that may be consented to.
pub(crate) struct Asked {
    /// Who asks.
    pub(crate) client: Arc<Client>,
    /// What it can be granted.
    pub(crate) scope: Scopes,
    redirect_uri: String,
    state: Option<String>,
    challenge: Challenge,
    resource: Option<String>,
    thumbprint: Option<String>,
}

/// Why there is nothing to consent to.
#[derive(Debug)]
pub(crate) enum Wrong {
    /// For the person: the browser must not be sent anywhere (RFC 6749, 4.1.2.1).
    Page(&'static str),
    /// For the client: send the browser there.
    Back(String),
    /// The hub's own trouble.
    Store(StoreError),
}

impl From<StoreError> for Wrong {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// Judges the query of the endpoint.
///
/// # Errors
/// [`Wrong`].
pub(crate) async fn judge(app: &App, query: &str) -> Result<Asked, Wrong> {
    let Ok(form) = Form::parse(query.as_bytes()) else {
        return Err(Wrong::Page("This sign-in request is malformed. Begin again in your application."));
    };
    let unknown = Wrong::Page("This sign-in request comes from an application that is not registered at this hub.");
    let Some(id) = form.get("client_id") else { return Err(unknown) };
    let Some(client) = clients::by_id(app.store(), id).await? else { return Err(unknown) };
    let registered = client.metadata.redirect_uris.iter().map(String::as_str);
    let Some(redirect_uri) = form.get("redirect_uri").filter(|uri| redirect::permitted(registered, uri)) else {
        let text =
            "This sign-in request would lead to an address that the application did not register, so it ends here.";
        return Err(Wrong::Page(text));
    };
    let redirect_uri = redirect_uri.to_owned();
    let state = form.get("state").map(str::to_owned);
    match details(app, &client, &form) {
        Ok((scope, challenge, resource, thumbprint)) => {
            Ok(Asked { client, scope, redirect_uri, state, challenge, resource, thumbprint })
        }
        Err(error) => Err(Wrong::Back(failed(app, &redirect_uri, state.as_deref(), error.code, &error.description))),
    }
}

type Details = (Scopes, Challenge, Option<String>, Option<String>);

/// Everything that a client may be told about, once it is certain where it is.
fn details(app: &App, client: &Client, form: &Form) -> Result<Details, OAuthError> {
    if form.get("state").is_some_and(|state| state.len() > MAX_STATE) {
        return Err(OAuthError::request("state is longer than 1024 bytes"));
    }
    if form.require("response_type")? != "code" {
        return Err(OAuthError::new(ErrorCode::UnsupportedResponseType, "there is response_type code only"));
    }
    if !client.may(AUTHORIZATION_CODE) || client.kind == Kind::Instance {
        return Err(OAuthError::new(ErrorCode::UnauthorizedClient, "the client may not use this grant"));
    }
    if form.get("code_challenge_method") != Some("S256") {
        return Err(OAuthError::request("send code_challenge and code_challenge_method=S256 (RFC 7636)"));
    }
    let challenge = Challenge::parse(form.require("code_challenge")?);
    let challenge = challenge.ok_or_else(|| OAuthError::request("code_challenge is no SHA-256 in base64url"))?;
    let scope = scope(client, form.get("scope"))?;
    let resource = resource(app, client, form.get("resource"))?;
    let thumbprint = match form.get("dpop_jkt") {
        Some(jkt) if jkt.len() != 43 => return Err(OAuthError::request("dpop_jkt is no SHA-256 in base64url")),
        jkt => jkt.map(str::to_owned),
    };
    Ok((scope, challenge, resource, thumbprint))
}

fn scope(client: &Client, asked: Option<&str>) -> Result<Scopes, OAuthError> {
    let registered = Scopes::stored(&client.metadata.scope);
    let wrong = |text: String| OAuthError::new(ErrorCode::InvalidScope, text);
    let scope = match asked {
        None => registered,
        Some(text) => Scopes::parse(text).map_err(|error| wrong(error.to_string()))?.and(registered),
    };
    if scope.and(Scopes::API.or(Scopes::HUB)).is_empty() {
        return Err(wrong("the client may have none of these scopes".to_owned()));
    }
    Ok(scope)
}

impl Asked {
    /// Nobody is asked to consent to the hub's own dashboard.
    pub(crate) fn needs_consent(&self) -> bool {
        self.client.kind != Kind::Dashboard
    }

    /// Scheme, host and port of where the answer goes, for a form that ends in a redirect there.
    pub(crate) fn destination(&self) -> &str {
        destination(&self.redirect_uri)
    }

    /// Keeps a code for what was consented to; says where to send the browser.
    ///
    /// # Errors
    /// [`StoreError`] or no randomness.
    pub(crate) async fn grant(&self, app: &App, account: &str, consented: Scopes) -> Result<String, OAuthError> {
        let code = random::secret("")?;
        let new = New {
            hash: random::hash(code.as_bytes()),
            client: self.client.id.clone(),
            account: account.to_owned(),
            redirect_uri: self.redirect_uri.clone(),
            challenge: self.challenge.as_str().to_owned(),
            scope: self.scope.and(consented.or(Scopes::OFFLINE_ACCESS)),
            resource: self.resource.clone(),
            thumbprint: self.thumbprint.clone(),
            expires_us: clock::now_us() + LIFE * SECOND,
        };
        codes::keep(app.store(), new).await?;
        Ok(back(app, &self.redirect_uri, self.state.as_deref(), &[("code", &code)]))
    }

    /// Where to send the browser of somebody who does not consent.
    pub(crate) fn deny(&self, app: &App) -> String {
        failed(app, &self.redirect_uri, self.state.as_deref(), ErrorCode::AccessDenied, "the request was denied")
    }
}

/// Of a scheme without a host the scheme alone.
fn destination(uri: &str) -> &str {
    let Some((scheme, rest)) = uri.split_once(':') else { return uri };
    let Some(authority) = rest.strip_prefix("//") else { return &uri[..=scheme.len()] };
    let end = authority.find(['/', '?']).unwrap_or(authority.len());
    &uri[..scheme.len() + 3 + end]
}

fn failed(app: &App, redirect_uri: &str, state: Option<&str>, code: ErrorCode, text: &str) -> String {
    back(app, redirect_uri, state, &[("error", code.as_str()), ("error_description", text)])
}

/// The redirect URI with an answer in its query; `iss` says whose it is (RFC 9207).
fn back(app: &App, redirect_uri: &str, state: Option<&str>, answer: &[(&str, &str)]) -> String {
    let mut query = Serializer::new(String::new());
    query.extend_pairs(answer);
    if let Some(state) = state {
        query.append_pair("state", state);
    }
    query.append_pair("iss", app.issuer().as_str());
    let join = if redirect_uri.contains('?') { '&' } else { '?' };
    format!("{redirect_uri}{join}{}", query.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_destination_is_no_more_than_where_the_browser_goes() {
        for (uri, expected) in [
            ("https://app.example/cb?x=1", "https://app.example"),
            ("https://app.example:8443", "https://app.example:8443"),
            ("http://127.0.0.1:5555?x", "http://127.0.0.1:5555"),
            ("com.example.app:/cb", "com.example.app:"),
        ] {
            assert_eq!(destination(uri), expected);
        }
    }
}
