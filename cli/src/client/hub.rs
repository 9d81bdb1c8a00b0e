//! A hub asked directly, with a personal access token: what a device code is for, and its approval.
//!
//! The token goes to the hub that the user has named, never to an instance, and a redirect is not followed.

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue};
use hyper::{Method, Request, StatusCode};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::{HEAD_LIMIT, MAX_PROBLEM, Stream, broken, connect, query_string, reason};
use crate::error::{CliError, Exit};
use crate::target::{Remote, Target};

/// A hub.
pub(crate) struct Hub {
    target: Target,
    authority: String,
    base: String,
    issuer: String,
    authorization: HeaderValue,
}

impl Hub {
    /// # Errors
    /// Wrong use: the issuer is no URL that a token may be sent to.
    pub(crate) fn new(
        issuer: &str,
        ca_file: Option<std::path::PathBuf>,
        authorization: HeaderValue,
    ) -> Result<Self, CliError> {
        let (server, base) = Remote::server(issuer)
            .map_err(|why| CliError::usage("the address of the hub cannot be used").because(why))?;
        let authority = server.authority();
        let target = Target::Remote(Remote { ca_file, ..server });
        Ok(Self { target, authority, base, issuer: issuer.to_owned(), authorization })
    }

    /// What the hub says the code is for.
    pub(crate) async fn device(&self, user_code: &str) -> Result<Value, CliError> {
        let question = query_string(&json!({ "user_code": user_code }))?;
        let body = self.ask(Method::GET, &format!("/api/device{question}"), None).await?;
        serde_json::from_slice(&body).map_err(|e| self.failed("its answer cannot be understood").because(e))
    }

    /// Approves the code.
    pub(crate) async fn approve(&self, user_code: &str, scope: Option<&str>) -> Result<(), CliError> {
        let mut decision = json!({ "user_code": user_code, "decision": "approve" });
        if let Some(scope) = scope {
            decision["scope"] = scope.into();
        }
        self.ask(Method::POST, "/api/device", Some(decision.to_string())).await.map(drop)
    }

    async fn ask(&self, method: Method, path: &str, body: Option<String>) -> Result<Vec<u8>, CliError> {
        let mut sender = connect::connect(&self.target).await?;
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base))
            .header(HOST, &self.authority)
            .header(ACCEPT, "application/json")
            .header(AUTHORIZATION, &self.authorization);
        if body.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        let request = request
            .body(Full::new(Bytes::from(body.unwrap_or_default())))
            .map_err(|e| CliError::failed("the request cannot be written").because(e))?;
        let name = format!("hub at {}", self.issuer);
        let response = timeout(HEAD_LIMIT, sender.send_request(request))
            .await
            .map_err(|_| broken(&name, &format!("no answer came within {} s", HEAD_LIMIT.as_secs())))?
            .map_err(|e| broken(&name, &reason(&e)))?;
        let status = response.status();
        let body = Stream { body: response.into_body(), target: name, _sender: None }.collect(MAX_PROBLEM).await?;
        if status.is_success() { Ok(body) } else { Err(self.refused(status, &body)) }
    }

    /// The hub's own words, where it has some.
    fn refused(&self, status: StatusCode, body: &[u8]) -> CliError {
        let said: Value = serde_json::from_slice(body).unwrap_or_default();
        let text = ["error_description", "detail", "error", "title"].into_iter().find_map(|name| said[name].as_str());
        let why = text.map_or_else(|| format!("it answered `{status}`"), str::to_owned);
        let error = self.failed("it did not approve the sign-in").because(why);
        match status.as_u16() {
            401 => CliError { exit: Exit::SignIn, ..error }
                .hint("make another personal access token in the hub's dashboard; it may have expired or been revoked"),
            403 => CliError { exit: Exit::Refused, ..error },
            404 => error.hint("is it a hub of Merlon? Personal access tokens work there only"),
            _ => error,
        }
    }

    fn failed(&self, what: &str) -> CliError {
        CliError::failed(format!("the hub at {}: {what}", self.issuer))
    }
}
