//! Client metadata as it is sent to register or to replace a registration (RFC 7591, 2; RFC 7592, 2.2): read, judged,
//! and made consistent, with defaults filled in. Pure; it fetches nothing, neither a logo nor keys.
//!
//! What is not known is ignored (RFC 7591, 2). What is known and wrong is refused: registered is then exactly what the
//! answer says.

use data_encoding::BASE64URL_NOPAD;
use merlon_jose::{Jwks, thumbprint};
use serde_json::{Map, Value};

use super::redirect;
use super::scope::Scopes;
use crate::clients::{AuthMethod, Kind, Metadata};

/// The longest registration, in bytes.
pub(crate) const MAX_BODY: usize = 32 * 1024;
/// Keys of a client at most.
const MAX_KEYS: usize = 8;
/// Redirect URIs of a client at most.
const MAX_URIS: usize = 16;
/// Elements of any other list at most.
const MAX_LIST: usize = 16;
/// The longest name or version, in bytes, and the longest of anything else.
const MAX_NAME: usize = 128;
const MAX_TEXT: usize = 1024;

/// Grants that can be registered.
pub(crate) const AUTHORIZATION_CODE: &str = "authorization_code";
pub(crate) const CLIENT_CREDENTIALS: &str = "client_credentials";
pub(crate) const DEVICE_CODE: &str = "urn:ietf:params:oauth:grant-type:device_code";
pub(crate) const REFRESH_TOKEN: &str = "refresh_token";
const GRANTS: [&str; 4] = [AUTHORIZATION_CODE, CLIENT_CREDENTIALS, DEVICE_CODE, REFRESH_TOKEN];

/// Why metadata is refused (RFC 7591, 3.2.2).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unfit {
    /// A redirect URI.
    #[error("{0}")]
    RedirectUri(&'static str),
    /// Anything else.
    #[error("{0}")]
    Metadata(String),
    /// A software statement that is none.
    #[error(
        "a software statement is a signed JWT with `iss` (RFC 7591, 2.3); send none, as this server trusts no issuer of them"
    )]
    Statement,
    /// A software statement of an issuer that is not trusted: no issuer is.
    #[error("this server trusts no issuer of software statements; register without one")]
    Unapproved,
}

fn unfit(what: impl Into<String>) -> Unfit {
    Unfit::Metadata(what.into())
}

/// Metadata that can be registered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fit {
    /// What registers.
    pub(crate) kind: Kind,
    /// How it will authenticate.
    pub(crate) auth: AuthMethod,
    /// The rest, defaults filled in.
    pub(crate) metadata: Metadata,
    /// Thumbprints of its keys.
    pub(crate) thumbprints: Vec<String>,
}

/// The members of a JSON object; null is absent (RFC 7592, 2.2).
///
/// # Errors
/// [`Unfit::Metadata`].
pub(crate) fn members(body: &[u8]) -> Result<Map<String, Value>, Unfit> {
    if body.len() > MAX_BODY {
        return Err(unfit("the metadata is longer than 32768 bytes"));
    }
    match serde_json::from_slice(body) {
        Ok(Value::Object(mut members)) => {
            members.retain(|_, value| !value.is_null());
            Ok(members)
        }
        _ => Err(unfit("the body is no JSON object")),
    }
}

/// Judges metadata. `kind`: of the client that is changed; none: what registers says it itself.
///
/// # Errors
/// [`Unfit`].
pub(crate) fn judge(members: &Map<String, Value>, kind: Option<Kind>) -> Result<Fit, Unfit> {
    statement(members)?;
    let software_id = text(members, "software_id", MAX_NAME)?;
    let own = match software_id.as_deref() {
        Some("merlon") => Kind::Instance,
        _ => Kind::Other,
    };
    let kind = kind.unwrap_or(own);
    let auth = auth(members)?;
    if kind == Kind::Instance && auth == AuthMethod::None {
        // It says by whom it may be claimed, so it must be itself.
        return Err(unfit("an instance authenticates; send its key in `jwks` and private_key_jwt, or take a secret"));
    }
    let grant_types = grants(members, auth)?;
    let response_types = responses(members, &grant_types)?;
    let redirect_uris = redirects(members, &grant_types)?;
    let (jwks, thumbprints) = keys(members, auth)?;
    let metadata = Metadata {
        client_name: text(members, "client_name", MAX_NAME)?,
        client_uri: page(members)?,
        redirect_uris,
        grant_types,
        response_types,
        scope: scope(members, kind)?,
        jwks,
        software_id,
        software_version: text(members, "software_version", MAX_NAME)?,
        access_token_signed_response_alg: algorithm(members)?,
        dpop_bound_access_tokens: flag(members, "dpop_bound_access_tokens")?,
    };
    Ok(Fit { kind, auth, metadata, thumbprints })
}

fn auth(members: &Map<String, Value>) -> Result<AuthMethod, Unfit> {
    match text(members, "token_endpoint_auth_method", MAX_NAME)? {
        None => Ok(AuthMethod::ClientSecretBasic),
        Some(name) => AuthMethod::parse(&name).ok_or_else(|| {
            unfit("`token_endpoint_auth_method` is client_secret_basic, client_secret_post, private_key_jwt or none")
        }),
    }
}

fn grants(members: &Map<String, Value>, auth: AuthMethod) -> Result<Vec<String>, Unfit> {
    let mut grants = list(members, "grant_types", MAX_LIST)?.unwrap_or_else(|| vec![AUTHORIZATION_CODE.to_owned()]);
    grants.sort_unstable();
    grants.dedup();
    if let Some(other) = grants.iter().find(|grant| !GRANTS.contains(&grant.as_str())) {
        let hint = if other == "implicit" || other == "password" { " (RFC 9700, 2.1.2 and 2.4)" } else { "" };
        return Err(unfit(format!(
            "`grant_types` holds one that does not exist here{hint}; there are authorization_code, client_credentials, \
             refresh_token and {DEVICE_CODE}"
        )));
    }
    if auth == AuthMethod::None && grants.iter().any(|grant| grant == CLIENT_CREDENTIALS) {
        return Err(unfit("client_credentials needs a client that authenticates (RFC 6749, 4.4)"));
    }
    Ok(grants)
}

/// Response types follow from grants (RFC 7591, 2.1). A default that does not fit is repaired, a contradiction refused.
fn responses(members: &Map<String, Value>, grants: &[String]) -> Result<Vec<String>, Unfit> {
    let code = grants.iter().any(|grant| grant == AUTHORIZATION_CODE);
    let fitting: Vec<String> = if code { vec!["code".to_owned()] } else { Vec::new() };
    match list(members, "response_types", MAX_LIST)? {
        None => Ok(fitting),
        Some(types) if types == fitting => Ok(fitting),
        Some(_) => Err(unfit("`response_types` is [\"code\"] with the grant authorization_code, and empty without it")),
    }
}

fn redirects(members: &Map<String, Value>, grants: &[String]) -> Result<Vec<String>, Unfit> {
    let Ok(uris) = list(members, "redirect_uris", MAX_URIS) else {
        return Err(Unfit::RedirectUri("`redirect_uris` is a list of at most 16 texts"));
    };
    let uris = uris.unwrap_or_default();
    if uris.is_empty() && grants.iter().any(|grant| grant == AUTHORIZATION_CODE) {
        return Err(Unfit::RedirectUri(
            "the grant authorization_code needs a redirect URI; leave the grant out, or send one",
        ));
    }
    uris.iter().try_for_each(|uri| redirect::check(uri)).map_err(Unfit::RedirectUri)?;
    Ok(uris)
}

fn keys(members: &Map<String, Value>, auth: AuthMethod) -> Result<(Option<Value>, Vec<String>), Unfit> {
    match (members.contains_key("jwks_uri"), members.contains_key("jwks")) {
        (true, true) => return Err(unfit("`jwks` and `jwks_uri` exclude each other (RFC 7591, 2); send `jwks`")),
        (true, false) => {
            return Err(unfit("this server fetches nothing; send the keys in `jwks` instead of `jwks_uri`"));
        }
        _ => {}
    }
    let set = match members.get("jwks") {
        None => None,
        Some(value) => Some(Jwks::from_value(value).map_err(|error| unfit(format!("`jwks` cannot be used: {error}")))?),
    };
    let keys = set.as_ref().map_or(&[][..], Jwks::keys);
    if keys.len() > MAX_KEYS {
        return Err(unfit("`jwks` holds at most 8 keys"));
    }
    if auth == AuthMethod::PrivateKeyJwt && keys.is_empty() {
        return Err(unfit("private_key_jwt needs a public key in `jwks`: P-256, RSA of 2048 bits or more, or Ed25519"));
    }
    // Only what is understood is kept.
    let kept = set
        .as_ref()
        .map(|set| serde_json::json!({ "keys": set.keys().iter().map(|k| k.to_json()).collect::<Vec<_>>() }));
    Ok((kept, keys.iter().map(thumbprint).collect()))
}

fn scope(members: &Map<String, Value>, kind: Kind) -> Result<String, Unfit> {
    let own = match kind {
        Kind::Instance => Scopes::API.or(Scopes::INSTANCE).or(Scopes::OFFLINE_ACCESS),
        Kind::Other => Scopes::API.or(Scopes::OFFLINE_ACCESS),
        Kind::Dashboard => Scopes::HUB.or(Scopes::OFFLINE_ACCESS),
    };
    let asked = match text(members, "scope", MAX_TEXT)? {
        None => own,
        Some(text) if text.is_empty() => own,
        Some(text) => Scopes::parse(&text).map_err(|error| unfit(error.to_string()))?,
    };
    Ok(asked.and(own).to_string())
}

fn algorithm(members: &Map<String, Value>) -> Result<Option<String>, Unfit> {
    let name = text(members, "access_token_signed_response_alg", MAX_NAME)?;
    match name.as_deref() {
        None | Some("ES256" | "RS256") => Ok(name),
        Some(_) => Err(unfit("`access_token_signed_response_alg` is ES256 or RS256")),
    }
}

fn page(members: &Map<String, Value>) -> Result<Option<String>, Unfit> {
    let uri = text(members, "client_uri", MAX_TEXT)?;
    let web = |uri: &String| {
        (uri.starts_with("https://") || uri.starts_with("http://")) && uri.bytes().all(|b| b.is_ascii_graphic())
    };
    if uri.as_ref().is_none_or(web) { Ok(uri) } else { Err(unfit("`client_uri` is an address on the web")) }
}

fn statement(members: &Map<String, Value>) -> Result<(), Unfit> {
    let Some(value) = members.get("software_statement") else { return Ok(()) };
    let part = |at: usize| -> Option<Value> {
        let part = value.as_str()?.split('.').nth(at)?;
        serde_json::from_slice(&BASE64URL_NOPAD.decode(part.as_bytes()).ok()?).ok()
    };
    let signed = value.as_str().is_some_and(|text| text.split('.').filter(|part| !part.is_empty()).count() == 3)
        && part(0).is_some_and(|header| header["alg"].as_str().is_some_and(|alg| !alg.eq_ignore_ascii_case("none")));
    let issued = part(1).is_some_and(|claims| claims["iss"].is_string());
    Err(if signed && issued { Unfit::Unapproved } else { Unfit::Statement })
}

fn text(members: &Map<String, Value>, name: &str, max: usize) -> Result<Option<String>, Unfit> {
    match members.get(name) {
        None => Ok(None),
        Some(Value::String(text)) if text.len() <= max => Ok(Some(text.clone())),
        Some(_) => Err(unfit(format!("`{name}` is a text of at most {max} bytes"))),
    }
}

fn flag(members: &Map<String, Value>, name: &str) -> Result<bool, Unfit> {
    match members.get(name) {
        None => Ok(false),
        Some(Value::Bool(flag)) => Ok(*flag),
        Some(_) => Err(unfit(format!("`{name}` is true or false"))),
    }
}

fn list(members: &Map<String, Value>, name: &str, max: usize) -> Result<Option<Vec<String>>, Unfit> {
    let wrong = || unfit(format!("`{name}` is a list of at most {max} texts"));
    match members.get(name) {
        None => Ok(None),
        Some(Value::Array(values)) if values.len() <= max => {
            let texts: Option<Vec<String>> = values.iter().map(|value| value.as_str().map(str::to_owned)).collect();
            texts.map(Some).ok_or_else(wrong)
        }
        Some(_) => Err(wrong()),
    }
}

#[cfg(test)]
#[path = "registration_tests.rs"]
mod tests;
