//! Requests of the registered client at the token, device, introspection and revocation endpoints, each with client
//! authentication (RFC 6749, 2.3; RFC 7523): an assertion that the keeper signs, or the secret, which is here for that one
//! request. Credentials never stand in an address.

use axum::http::Method;
use data_encoding::BASE64;
use merlon_wire::identity::{Client, ClientAuth, Credential};
use zeroize::Zeroizing;

use super::Identity;
use super::answers::{self, DeviceAuthorization, Introspection, Tokens};
use super::error::IdentityError;
use super::http::{Answer, Call};
use super::url::Endpoint;

const FORM: &str = "application/x-www-form-urlencoded";
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

impl Identity {
    /// A request at the token endpoint: `grant_type` and what belongs to it. `proof` is the proof of whoever is to have
    /// the tokens (RFC 9449).
    ///
    /// # Errors
    /// [`IdentityError`]; [`IdentityError::Refused`] with what the server said.
    pub(crate) async fn token_request(
        &self,
        params: &[(&str, &str)],
        proof: Option<&str>,
    ) -> Result<Tokens, IdentityError> {
        let server = self.server().await?;
        let answer = self.authenticated(&server.token, params, proof).await?;
        answers::tokens(&answer.body, answer.nonce.clone())
    }

    /// A request at the device authorization endpoint (RFC 8628, 3.1).
    ///
    /// # Errors
    /// [`IdentityError`]; [`IdentityError::Unavailable`] where the server has none.
    pub(crate) async fn device_authorization(
        &self,
        params: &[(&str, &str)],
    ) -> Result<DeviceAuthorization, IdentityError> {
        let server = self.server().await?;
        let endpoint = server.device.as_ref().ok_or_else(|| missing("device authorization (RFC 8628)"))?;
        answers::device(&self.authenticated(endpoint, params, None).await?.body)
    }

    /// What the server says of a token (RFC 7662).
    ///
    /// # Errors
    /// [`IdentityError`]; [`IdentityError::Unavailable`] where it says nothing of any.
    pub(crate) async fn introspect(&self, token: &str) -> Result<Introspection, IdentityError> {
        let server = self.server().await?;
        let endpoint = server.introspection.as_ref().ok_or_else(|| missing("introspection (RFC 7662)"))?;
        answers::introspection(&self.authenticated(endpoint, &[("token", token)], None).await?.body)
    }

    /// Revokes a token (RFC 7009). The answer's body is of no interest (2.2); a 503 means that the token still stands, and
    /// says after how many seconds to try again (2.2.1).
    ///
    /// # Errors
    /// [`IdentityError`]; [`IdentityError::Unavailable`] where the server revokes none.
    pub(crate) async fn revoke(&self, token: &str) -> Result<(), IdentityError> {
        let server = self.server().await?;
        let endpoint = server.revocation.as_ref().ok_or_else(|| missing("revocation (RFC 7009)"))?;
        self.authenticated(endpoint, &[("token", token)], None).await.map(drop)
    }

    /// A POST of the registered client; a success, or why not.
    async fn authenticated(
        &self,
        endpoint: &Endpoint,
        params: &[(&str, &str)],
        proof: Option<&str>,
    ) -> Result<Answer, IdentityError> {
        let client = self.client()?;
        let answer = self.post_as(&client, endpoint, params, proof).await;
        let judged = self.judge(&client, answer).await;
        // What the background task knows of the server is out of date. A refusal says nothing new: it must not make haste.
        let stale = match &judged {
            Ok(_) => self.snapshot().problem.is_some(),
            Err(error) => error.is_unreachable() && self.snapshot().problem.is_none(),
        };
        if stale {
            self.wake();
        }
        judged
    }

    /// A POST as this client.
    async fn post_as(
        &self,
        client: &Client,
        endpoint: &Endpoint,
        params: &[(&str, &str)],
        proof: Option<&str>,
    ) -> Result<Answer, IdentityError> {
        let keeper = self.0.links.keeper().await?;
        let mut form = Form::default();
        for (name, value) in params {
            form.add(name, value);
        }
        let mut authorization = None;
        match client.auth {
            ClientAuth::PrivateKeyJwt => {
                form.add("client_assertion_type", ASSERTION_TYPE);
                form.add("client_assertion", &keeper.sign_assertion().await?);
            }
            ClientAuth::SecretBasic | ClientAuth::SecretPost => {
                let secret = keeper.credential(Credential::ClientSecret).await?;
                let secret = secret.as_ref().and_then(|secret| std::str::from_utf8(secret.as_slice()).ok());
                let secret = secret.ok_or_else(|| {
                    IdentityError::Unavailable(
                        "the keeper has no client secret; `merlon identity reset` on the host registers anew".into(),
                    )
                })?;
                if client.auth == ClientAuth::SecretBasic {
                    authorization = Some(basic(&client.client_id, secret));
                } else {
                    form.add("client_id", &client.client_id);
                    form.add("client_secret", secret);
                }
            }
        }
        let body = Some((FORM, form.0));
        self.0.http.send(Call { method: Method::POST, endpoint, authorization, proof, body }).await
    }

    /// What an answer means for the instance as a client, whatever it was asked.
    async fn judge(&self, client: &Client, answer: Result<Answer, IdentityError>) -> Result<Answer, IdentityError> {
        let answer = answer?;
        match refused(&answer) {
            None => Ok(answer),
            Some(IdentityError::Refused(error)) if error.error == "invalid_client" => {
                // An assertion is good for minutes: with clocks apart none is good at all.
                if let (ClientAuth::PrivateKeyJwt, Some(minutes)) = (client.auth, self.clock_minutes()) {
                    return Err(IdentityError::ClockWrong { minutes });
                }
                if !self.is_gone(client).await? {
                    return Err(error.into());
                }
                self.wake();
                Err(IdentityError::Deleted { issuer: client.issuer.clone() })
            }
            Some(error) => Err(error),
        }
    }
}

/// Why an answer is no success, if it is none.
pub(super) fn refused(answer: &Answer) -> Option<IdentityError> {
    match answer.status {
        _ if answer.is_success() => None,
        429 | 500.. => Some(IdentityError::Unreachable {
            what: format!("it answers with status {}", answer.status),
            retry_after: answer.retry_after,
        }),
        300..400 => Some(IdentityError::Misbehaved(format!(
            "it redirects (status {}), which is not followed; is identity.issuer the right one?",
            answer.status
        ))),
        status => Some(answers::refusal(status, &answer.body, answer.nonce.clone()).into()),
    }
}

fn missing(what: &str) -> IdentityError {
    IdentityError::Unavailable(format!("the authorization server does not offer {what}"))
}

/// A form (RFC 6749, B), in memory that is wiped.
#[derive(Default)]
struct Form(Zeroizing<Vec<u8>>);

impl Form {
    fn add(&mut self, name: &str, value: &str) {
        if !self.0.is_empty() {
            self.0.push(b'&');
        }
        encode(name, &mut self.0);
        self.0.push(b'=');
        encode(value, &mut self.0);
    }
}

/// As a form has it; also for id and secret before they are joined for HTTP Basic (RFC 6749, 2.3.1).
fn encode(text: &str, to: &mut Zeroizing<Vec<u8>>) {
    // Room for the worst case at once: what grows leaves copies behind.
    let mut grown = Zeroizing::new(Vec::with_capacity(to.len() + text.len() * 3 + 2));
    grown.extend_from_slice(to);
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'*' => grown.push(byte),
            b' ' => grown.push(b'+'),
            other => {
                const HEX: &[u8; 16] = b"0123456789ABCDEF";
                grown.extend_from_slice(&[b'%', HEX[usize::from(other >> 4)], HEX[usize::from(other & 15)]]);
            }
        }
    }
    *to = grown;
}

fn basic(id: &str, secret: &str) -> Zeroizing<String> {
    let mut pair = Zeroizing::default();
    encode(id, &mut pair);
    pair.push(b':');
    encode(secret, &mut pair);
    let mut value = Zeroizing::new(String::with_capacity(6 + BASE64.encode_len(pair.len())));
    value.push_str("Basic ");
    BASE64.encode_append(&pair, &mut value);
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn k1_credentials_stand_in_the_header_or_the_body_encoded_as_forms_are() {
        assert_eq!(*basic("a b", "p%+:\u{e9}"), format!("Basic {}", BASE64.encode(b"a+b:p%25%2B%3A%C3%A9")));
        let mut form = Form::default();
        form.add("scope", "flows:read x");
        form.add("device_code", "a&b=c");
        assert_eq!(form.0.as_slice(), b"scope=flows%3Aread+x&device_code=a%26b%3Dc");
    }

    fn answer(status: u16, body: &str, retry_after: Option<u32>) -> Answer {
        Answer { status, body: Zeroizing::new(body.as_bytes().to_vec()), nonce: None, retry_after }
    }

    #[test]
    fn x6_a_503_is_told_with_its_seconds_and_its_body_ignored() {
        let Some(IdentityError::Unreachable { what, retry_after }) =
            refused(&answer(503, r#"{"error":"invalid_client"}"#, Some(7)))
        else {
            panic!("a 503 is no refusal");
        };
        assert_eq!(retry_after, Some(7));
        assert!(what.contains("503"), "{what}");
        assert!(refused(&answer(200, "not even JSON", None)).is_none());
    }

    #[test]
    fn no_redirect_is_followed() {
        assert!(matches!(refused(&answer(307, "", None)), Some(IdentityError::Misbehaved(_))));
    }
}
