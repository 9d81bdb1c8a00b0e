//! RFC 7523, 3 (row K15), as the hub takes assertions.

use merlon_jose::assertion::{Assertion, LEEWAY, MAX_LIFE, claimed_client, verify};
use merlon_jose::{Jwks, TokenError};
use serde_json::{Value, json};

use crate::maker::{Key, NOW, tampered, with};

const AUDIENCES: [&str; 2] = ["https://hub.example", "https://hub.example/token"];

fn claims() -> Value {
    json!({ "iss": "cli_1", "sub": "cli_1", "aud": AUDIENCES[0], "jti": "a1", "iat": NOW, "exp": NOW + 60 })
}

fn check(key: &Key, header: &Value, claims: &Value) -> Result<Assertion, TokenError> {
    let keys = Jwks::from_value(&json!({ "keys": [key.jwk()] })).unwrap();
    verify(&key.token(header, claims), &keys, "cli_1", &AUDIENCES, NOW)
}

#[test]
fn a_good_assertion_is_taken_and_says_how_long_to_remember_it() {
    for key in [Key::p256(), Key::rsa(), Key::ed25519()] {
        for typ in [Value::Null, json!("JWT"), json!("jwt"), json!("client-authentication+jwt")] {
            let header = with(&json!({ "alg": key.alg() }), "typ", typ);
            let taken = check(&key, &header, &claims()).unwrap();
            assert_eq!(taken, Assertion { jti: "a1".into(), remember_until: NOW + 60 + LEEWAY });
        }
    }
    // A key that was registered without a name, and is named in the assertion.
    let key = Key::p256();
    assert!(check(&key, &json!({ "alg": "ES256", "kid": "its thumbprint" }), &claims()).is_ok());
    let header = json!({ "alg": "ES256" });
    assert!(check(&key, &header, &with(&claims(), "aud", json!(["x", AUDIENCES[1]]))).is_ok());
    assert_eq!(claimed_client(&key.token(&header, &claims())).as_deref(), Ok("cli_1"));
}

#[test]
fn k15_each_condition_is_checked() {
    let key = Key::p256();
    let header = json!({ "alg": "ES256" });
    let cases = [
        ("iss", json!("cli_2"), TokenError::WrongIssuer),
        ("sub", json!("cli_2"), TokenError::WrongIssuer),
        ("sub", Value::Null, TokenError::Missing("sub")),
        ("aud", json!("https://other.example"), TokenError::WrongAudience),
        ("aud", Value::Null, TokenError::Missing("aud")),
        ("exp", Value::Null, TokenError::Missing("exp")),
        ("exp", json!(NOW - LEEWAY), TokenError::Expired { by: LEEWAY }),
        ("exp", json!(NOW + MAX_LIFE + LEEWAY + 1), TokenError::LivesTooLong { max: MAX_LIFE }),
        ("iat", json!(NOW + 120), TokenError::NotYetValid { by: 120 }),
        ("jti", Value::Null, TokenError::Missing("jti")),
    ];
    for (claim, value, error) in cases {
        assert_eq!(check(&key, &header, &with(&claims(), claim, value.clone())), Err(error), "{claim} {value}");
    }
    for typ in ["at+jwt", "dpop+jwt", "x"] {
        assert_eq!(check(&key, &json!({ "alg": "ES256", "typ": typ }), &claims()), Err(TokenError::Type), "{typ}");
    }
    let keys = Jwks::from_value(&json!({ "keys": [Key::p256().jwk()] })).unwrap();
    let token = key.token(&header, &claims());
    assert_eq!(verify(&token, &keys, "cli_1", &AUDIENCES, NOW), Err(TokenError::BadSignature));
}

#[test]
fn a_change_of_any_character_is_noticed() {
    let key = Key::p256();
    let keys = Jwks::from_value(&json!({ "keys": [key.jwk()] })).unwrap();
    let token = key.token(&json!({ "alg": "ES256" }), &claims());
    assert!(verify(&token, &keys, "cli_1", &AUDIENCES, NOW).is_ok());
    for changed in tampered(&token) {
        assert!(verify(&changed, &keys, "cli_1", &AUDIENCES, NOW).is_err(), "{changed}");
    }
}
