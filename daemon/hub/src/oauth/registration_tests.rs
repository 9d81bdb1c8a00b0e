//! What can be registered, and what is said of the rest.

use serde_json::json;

use super::*;
use crate::oauth::error::OAuthError;

fn ask(value: Value) -> Result<Fit, Unfit> {
    judge(&members(value.to_string().as_bytes())?, None)
}

fn code(value: Value) -> &'static str {
    OAuthError::from(ask(value).unwrap_err()).code.as_str()
}

fn key() -> Value {
    json!({
        "kty": "EC", "crv": "P-256", "kid": "k",
        "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
    })
}

#[test]
fn defaults_are_those_of_the_rfc() {
    let fit = ask(json!({ "redirect_uris": ["https://app.example/cb"] })).unwrap();
    assert_eq!((fit.kind, fit.auth), (Kind::Other, AuthMethod::ClientSecretBasic));
    assert_eq!(fit.metadata.grant_types, [AUTHORIZATION_CODE]);
    assert_eq!(fit.metadata.response_types, ["code"]);
    assert_eq!(Scopes::stored(&fit.metadata.scope), Scopes::API.or(Scopes::OFFLINE_ACCESS));
}

#[test]
fn an_instance_registers_without_redirects_and_with_its_key() {
    let fit = ask(json!({
        "software_id": "merlon", "software_version": "0.1.0", "client_name": "default on host",
        "grant_types": [DEVICE_CODE, REFRESH_TOKEN, CLIENT_CREDENTIALS], "response_types": [], "redirect_uris": [],
        "token_endpoint_auth_method": "private_key_jwt", "jwks": { "keys": [key()] }, "scope": null, "logo_uri": 7,
    }))
    .unwrap();
    assert_eq!((fit.kind, fit.auth, fit.thumbprints.len()), (Kind::Instance, AuthMethod::PrivateKeyJwt, 1));
    assert!(Scopes::stored(&fit.metadata.scope).holds(Scopes::INSTANCE));
    assert!(!Scopes::stored(&fit.metadata.scope).holds(Scopes::HUB));
    assert_eq!(fit.metadata.jwks.unwrap()["keys"][0]["kid"], "k");
}

#[test]
fn nobody_registers_scopes_of_another_kind() {
    let fit = ask(json!({ "grant_types": [DEVICE_CODE], "scope": "hub instance flows:read openid" })).unwrap();
    assert_eq!(fit.metadata.scope, "flows:read");
}

#[test]
fn what_contradicts_itself_is_refused() {
    for value in [
        json!([]),
        json!({ "grant_types": "client_credentials" }),
        json!({ "grant_types": ["implicit"], "response_types": ["token"] }),
        json!({ "grant_types": ["password"] }),
        json!({ "grant_types": [DEVICE_CODE], "response_types": ["code"] }),
        json!({ "redirect_uris": ["https://a.example/"], "response_types": [] }),
        json!({ "redirect_uris": ["https://a.example/"], "response_types": ["code id_token"] }),
        json!({ "grant_types": [CLIENT_CREDENTIALS], "token_endpoint_auth_method": "none" }),
        json!({ "grant_types": [DEVICE_CODE], "token_endpoint_auth_method": "tls_client_auth" }),
        json!({ "grant_types": [DEVICE_CODE], "token_endpoint_auth_method": "private_key_jwt" }),
        json!({ "grant_types": [DEVICE_CODE], "jwks_uri": "https://a.example/jwks" }),
        json!({ "grant_types": [DEVICE_CODE], "jwks_uri": "https://a.example/jwks", "jwks": { "keys": [key()] } }),
        json!({ "grant_types": [DEVICE_CODE], "jwks": { "keys": [{ "kty": "oct", "k": "AAAA" }] } }),
        json!({ "grant_types": [DEVICE_CODE], "jwks": { "keys": vec![key(); 9] } }),
        json!({ "grant_types": [DEVICE_CODE], "scope": "a\"b" }),
        json!({ "grant_types": [DEVICE_CODE], "client_name": "x".repeat(129) }),
        json!({ "grant_types": [DEVICE_CODE], "client_uri": "javascript:alert(1)" }),
        json!({ "grant_types": [DEVICE_CODE], "access_token_signed_response_alg": "none" }),
        json!({ "grant_types": [DEVICE_CODE], "dpop_bound_access_tokens": "yes" }),
        json!({ "grant_types": vec![DEVICE_CODE; 17] }),
    ] {
        assert_eq!(code(value.clone()), "invalid_client_metadata", "{value}");
    }
    assert!(matches!(members(b"{"), Err(Unfit::Metadata(_))));
    assert!(members(&[b' '; MAX_BODY + 1]).is_err());
}

#[test]
fn redirects_have_an_error_of_their_own() {
    for value in [
        json!({}),
        json!({ "redirect_uris": [] }),
        json!({ "redirect_uris": "https://a.example/" }),
        json!({ "redirect_uris": [1] }),
        json!({ "redirect_uris": ["http://a.example/"] }),
        json!({ "redirect_uris": vec!["https://a.example/"; 17] }),
    ] {
        assert_eq!(code(value.clone()), "invalid_redirect_uri", "{value}");
    }
}

#[test]
fn software_statements_are_refused_by_what_is_wrong_with_them() {
    let part = |value: Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
    let jwt = |header: Value, claims: Value| format!("{}.{}.c2ln", part(header), part(claims));
    let send = |statement: Value| code(json!({ "grant_types": [DEVICE_CODE], "software_statement": statement }));
    assert_eq!(send(json!(jwt(json!({ "alg": "ES256" }), json!({ "iss": "x" })))), "unapproved_software_statement");
    for statement in [
        json!(jwt(json!({ "alg": "none" }), json!({ "iss": "x" }))),
        json!(jwt(json!({ "alg": "ES256" }), json!({}))),
        json!("a.b.c"),
        json!(""),
        json!(1),
    ] {
        assert_eq!(send(statement), "invalid_software_statement");
    }
}

#[test]
fn whatever_a_member_holds_it_is_taken_or_refused_with_a_reason() {
    let values = [json!(null), json!(1), json!(""), json!("é\"\\"), json!([]), json!([[]]), json!({}), json!(["é"])];
    let names = [
        "redirect_uris",
        "grant_types",
        "response_types",
        "token_endpoint_auth_method",
        "scope",
        "jwks",
        "jwks_uri",
        "client_name",
        "client_uri",
        "software_id",
        "software_version",
        "software_statement",
        "access_token_signed_response_alg",
        "dpop_bound_access_tokens",
    ];
    for name in names {
        for value in &values {
            let mut all = json!({ "grant_types": [DEVICE_CODE] });
            all[name] = value.clone();
            if let Err(error) = ask(all) {
                assert!(!error.to_string().is_empty());
            }
        }
    }
}

/// A number from a seed (xorshift), so that a failure can be repeated.
fn next(seed: &mut u64) -> usize {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    usize::try_from(*seed >> 33).unwrap()
}

#[test]
fn of_a_registration_with_bytes_changed_all_that_is_taken_can_be_registered_again() {
    let whole = json!({
        "software_id": "merlon", "client_name": "lab", "grant_types": [DEVICE_CODE, AUTHORIZATION_CODE, REFRESH_TOKEN],
        "redirect_uris": ["http://127.0.0.1:80/cb"], "response_types": ["code"], "jwks": { "keys": [key()] },
        "token_endpoint_auth_method": "private_key_jwt", "scope": "flows:read replay", "dpop_bound_access_tokens": true,
        "access_token_signed_response_alg": "RS256", "client_uri": "https://a.example",
    })
    .to_string()
    .into_bytes();
    let (mut seed, mut taken) = (0x9E37_79B9_7F4A_7C15, 0);
    for _ in 0..20_000 {
        let mut bytes = whole.clone();
        for _ in 0..=next(&mut seed) % 3 {
            let place = next(&mut seed) % bytes.len();
            match next(&mut seed) % 3 {
                0 => bytes[place] = b" \"{}[],:0an\\\xff"[next(&mut seed) % 13],
                1 => drop(bytes.remove(place)),
                _ => bytes.insert(place, bytes[place]),
            }
        }
        let Ok(sent) = members(&bytes) else { continue };
        let Ok(fit) = judge(&sent, None) else { continue };
        let mut told = serde_json::to_value(&fit.metadata).unwrap();
        told["token_endpoint_auth_method"] = fit.auth.as_str().into();
        let again = judge(&members(told.to_string().as_bytes()).unwrap(), Some(fit.kind)).unwrap();
        assert!(again == fit || fit.metadata.scope.is_empty(), "{told}");
        taken += 1;
    }
    assert!(taken > 1000, "{taken}");
}
