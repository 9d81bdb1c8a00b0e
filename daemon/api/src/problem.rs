//! Refusals: RFC 9457 problems with codes that never change their meaning.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Scope;

/// The media type of a problem.
pub const MEDIA_TYPE: &str = "application/problem+json";
const TYPE_BASE: &str = "https://merlon.invalid/problems/";

/// Why a request was not served.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Problem {
    /// `https://merlon.invalid/problems/CODE`. A name, not an address.
    #[serde(rename = "type")]
    pub kind: String,
    /// The code in words, the same for every occurrence.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What happened this time, and what to do next.
    pub detail: String,
    /// What programs branch on. A newer server may have codes that an older client does not know.
    #[schemars(with = "ProblemCode")]
    pub code: String,
    /// The scope that was missing, for `scope_missing`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<Scope>,
    /// Where in the query the mistake is, in bytes, for `invalid_query`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<u32>,
}

impl Problem {
    /// A problem with its own words. `detail` never holds a secret.
    #[must_use]
    pub fn new(code: ProblemCode, detail: impl Into<String>) -> Self {
        Self {
            kind: format!("{TYPE_BASE}{}", code.as_str()),
            title: code.title().to_owned(),
            status: code.status(),
            detail: detail.into(),
            code: code.as_str().to_owned(),
            scope: None,
            position: None,
        }
    }

    /// The code, if this build knows it.
    #[must_use]
    pub fn known_code(&self) -> Option<ProblemCode> {
        ProblemCode::ALL.into_iter().find(|code| code.as_str() == self.code)
    }
}

impl std::error::Error for Problem {}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.title, self.detail)
    }
}

macro_rules! codes {
    ($($variant:ident $name:literal $status:literal $title:literal $doc:literal)*) => {
        /// Every code. What it means is fixed once released.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
        pub enum ProblemCode {
            $(#[doc = $doc] #[serde(rename = $name)] $variant,)*
        }

        impl ProblemCode {
            /// All codes.
            pub const ALL: [Self; [$($name),*].len()] = [$(Self::$variant),*];

            /// As on the wire.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// The HTTP status that goes with it.
            #[must_use]
            pub fn status(self) -> u16 {
                match self { $(Self::$variant => $status,)* }
            }

            /// In words.
            #[must_use]
            pub fn title(self) -> &'static str {
                match self { $(Self::$variant => $title,)* }
            }

            /// One line of documentation.
            #[must_use]
            pub fn documentation(self) -> &'static str {
                match self { $(Self::$variant => $doc,)* }
            }
        }
    };
}

codes! {
    InvalidQuery "invalid_query" 400 "The query cannot be read" "The text of a query does not parse; `position` says where."
    InvalidParameter "invalid_parameter" 400 "A parameter cannot be used" "A path or query parameter is unknown, malformed or out of bounds."
    InvalidBody "invalid_body" 400 "The body cannot be read" "The body is not the JSON that the endpoint takes."
    AuthorizationInvalid "authorization_invalid" 400 "The request's credentials cannot be read" "There is more than one credential, or an `Authorization` header without a token."
    TokenMissing "token_missing" 401 "Sign-in needed" "The request has no `Authorization: Bearer` header."
    TokenMalformed "token_malformed" 401 "The token is malformed" "The `Authorization` header is not one access token of an instance."
    TokenUnknown "token_unknown" 401 "The token is unknown or revoked" "The token is well-formed, and the instance does not know it (any more)."
    TokenExpired "token_expired" 401 "The access token has expired" "Refresh it, or sign in again."
    TokenInvalid "token_invalid" 401 "The access token does not hold" "It is not one of the configured issuer for this instance: signature, issuer, audience or form is wrong."
    SessionRevoked "session_revoked" 401 "The session was ended" "Somebody signed it out or revoked it, here or at the authorization server; sign in again."
    ProofInvalid "proof_invalid" 401 "The proof of possession does not hold" "The `DPoP` header is missing or wrong for this request and token (RFC 9449)."
    ProofNonce "proof_nonce" 401 "The proof needs a nonce" "Repeat the request with the nonce of the `DPoP-Nonce` header in the proof (RFC 9449, 8 and 9)."
    ClaimCodeNeeded "claim_code_needed" 403 "The instance has no owner yet" "The first sign-in needs the claim code, which `merlon claim-code` shows on the host."
    ClaimCodeWrong "claim_code_wrong" 403 "The claim code is wrong" "`merlon claim-code` on the host shows the one that counts."
    WrongAccount "wrong_account" 403 "This account does not own the instance" "The instance is tied to another account at this issuer."
    NotShared "not_shared" 403 "The instance is not shared with this account" "Its owner can share it, at the hub or by `[identity] members`."
    SignInDenied "sign_in_denied" 403 "The sign-in was denied" "Whoever was asked at the authorization server said no."
    ScopeMissing "scope_missing" 403 "The role does not permit this" "The identity is known, and its role lacks the scope named in `scope`."
    OriginRefused "origin_refused" 403 "Requests from other web sites are refused" "The `Origin` header names another site than the one asked."
    NoSuchEndpoint "no_such_endpoint" 404 "There is no such endpoint" "Nothing is served at this path."
    NoSuchFlow "no_such_flow" 404 "There is no such flow" "The open project has no committed flow with this id."
    NoSuchProject "no_such_project" 404 "There is no such project" "No project has this id."
    NoSuchSignIn "no_such_sign_in" 404 "There is no such sign-in" "It was never begun, is over, or the verifier is not its own."
    NoSuchSession "no_such_session" 404 "There is no such session" "No session that stands has this id."
    MethodNotAllowed "method_not_allowed" 405 "The method is not allowed here" "The path exists; the `Allow` header names its methods."
    RequestTimeout "request_timeout" 408 "The request took too long" "The body of the request did not arrive in time."
    NoProjectOpen "no_project_open" 409 "No project is open" "Flows can be read once a project is open."
    ProjectIsOpen "project_is_open" 409 "The project is open" "The open project cannot be deleted; open another one first."
    TooManyProjects "too_many_projects" 409 "There are too many projects" "The instance holds as many projects as it can."
    SignInUnavailable "sign_in_unavailable" 409 "Nobody can sign in here" "No authorization server is configured, or the instance is not registered with it yet; local tokens work."
    InstanceDeleted "instance_deleted" 409 "The authorization server does not know the instance any more" "It was deleted there; `merlon identity reset` on the host registers it anew and keeps its data."
    SignInExpired "sign_in_expired" 410 "The sign-in took too long" "The code has expired; begin again."
    BodyTooLarge "body_too_large" 413 "The body is too large" "No endpoint takes a body of more than 64 KiB."
    NotJson "not_json" 415 "The body is not declared as JSON" "The endpoint takes `Content-Type: application/json` only."
    RangeNotSatisfiable "range_not_satisfiable" 416 "The range cannot be served" "The range begins behind the last byte stored; `Content-Range` names the size."
    HostRefused "host_refused" 421 "The host name is not one of this instance" "The `Host` header is not allowed; `api.allowed_hosts` adds names."
    BadProjectName "bad_project_name" 422 "The project's name cannot be used" "The name is empty, too long, taken, or has control characters."
    QueryTooLong "query_too_long" 422 "The query takes too long" "The query looked at too many flows; narrow it by host or time."
    RateLimited "rate_limited" 429 "Too many failed tries" "Too many wrong tokens; wait for the seconds named in `Retry-After`."
    Internal "internal" 500 "The engine failed" "A fault of the program; its log says more."
    StorageFailed "storage_failed" 500 "The project could not be read or written" "The store of the open project failed; `detail` says how."
    IssuerRefused "issuer_refused" 502 "The authorization server refused" "It answered with an error that has no code of its own here; `detail` has it."
    HubUnreachable "hub_unreachable" 503 "The authorization server cannot be reached" "No answer that could be used; local tokens work, and so do access tokens that were verified before."
    ClockWrong "clock_wrong" 503 "The clocks differ" "This host's clock and the authorization server's differ by the minutes named in `detail`; set the wrong one."
    Locked "locked" 503 "The instance is locked" "No keyslot has opened; run `merlon unlock` on the host."
    KeeperUnreachable "keeper_unreachable" 503 "The keeper cannot be reached" "The process that holds the keys is away; it is started again by itself."
    KeeperFailed "keeper_failed" 503 "The keeper could not do it" "The keeper understood and failed; its log says why."
    Busy "busy" 503 "Too much at once" "A bound of the API is reached; try again in the seconds named in `Retry-After`."
    Stopping "stopping" 503 "The instance is stopping" "No new request is taken while the instance stops."
}

impl fmt::Display for ProblemCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn codes_are_unique_documented_and_named_alike_everywhere() {
        let names: HashSet<_> = ProblemCode::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(names.len(), ProblemCode::ALL.len());
        for code in ProblemCode::ALL {
            assert_eq!(serde_json::to_value(code).unwrap(), code.as_str());
            assert!(code.documentation().ends_with('.') && !code.documentation().contains('\n'), "{code}");
            assert!(!code.title().is_empty() && !code.title().ends_with('.'), "{code}");
            assert!((400..600).contains(&code.status()), "{code}");
            assert!(code.as_str().bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{code}");
        }
    }

    #[test]
    fn a_problem_says_its_code_three_times_alike() {
        let problem = Problem::new(ProblemCode::Locked, "x");
        let json = serde_json::to_value(&problem).unwrap();
        assert_eq!(json["type"], "https://merlon.invalid/problems/locked");
        assert_eq!((json["code"].as_str(), json["status"].as_u64()), (Some("locked"), Some(503)));
        assert!(json.get("scope").is_none() && json.get("position").is_none());
        assert_eq!(serde_json::from_value::<Problem>(json).unwrap().known_code(), Some(ProblemCode::Locked));
    }

    #[test]
    fn a_code_of_a_newer_server_can_be_read() {
        let text = r#"{"type":"x","title":"t","status":418,"detail":"d","code":"teapot"}"#;
        assert_eq!(serde_json::from_str::<Problem>(text).unwrap().known_code(), None);
    }
}
