//! RFC 9449, 4.3 (rows Q1 to Q3), as hub and engine check proofs, and as the command line makes them.

use merlon_jose::proof::{
    AHEAD, MAX_PROOF, PAST, Proof, ProofError, ProofExpect, ProofKey, ProofKeyError, ToProve, verify,
};
use merlon_jose::{JwkError, TokenError, sha256_base64url, thumbprint};
use serde_json::{Value, json};

use crate::maker::{Key, NOW, tampered, with};

const URL: &str = "https://instance.example:8443/api/v1/flows";
const EXPECT: ProofExpect<'static> =
    ProofExpect { method: "GET", url: URL, now: NOW, access_token: Some("token"), nonce: None };

fn header(key: &Key) -> Value {
    let jwk = with(&with(&key.jwk(), "alg", Value::Null), "use", Value::Null);
    json!({ "typ": "dpop+jwt", "alg": key.alg(), "jwk": jwk })
}

fn claims() -> Value {
    json!({ "jti": "p1", "htm": "GET", "htu": URL, "iat": NOW, "ath": sha256_base64url(b"token") })
}

#[test]
fn a_good_proof_of_each_algorithm_is_taken() {
    for key in [Key::p256(), Key::rsa(), Key::ed25519()] {
        let proof = verify(&key.token(&header(&key), &claims()), &EXPECT).unwrap();
        let jwk = merlon_jose::Jwk::parse(&key.jwk()).unwrap();
        assert_eq!(proof, Proof { thumbprint: thumbprint(&jwk), jti: "p1".into(), iat: NOW, nonce: None });
    }
}

#[test]
fn q1_type_algorithm_and_key_are_checked() {
    let key = Key::p256();
    let check = |header: &Value| verify(&key.token(header, &claims()), &EXPECT);
    for typ in [json!("JWT"), json!("at+jwt"), Value::Null] {
        assert_eq!(check(&with(&header(&key), "typ", typ)), Err(TokenError::Type.into()));
    }
    for alg in ["none", "HS256", "ES384"] {
        assert_eq!(check(&with(&header(&key), "alg", alg.into())), Err(TokenError::Algorithm.into()), "{alg}");
    }
    let private = with(&header(&key), "jwk", with(&key.jwk(), "d", "AAAA".into()));
    assert_eq!(check(&private), Err(JwkError::Private.into()));
    assert_eq!(check(&with(&header(&key), "jwk", Value::Null)), Err(TokenError::Missing("jwk").into()));
    assert_eq!(check(&with(&header(&key), "jwk", Key::p256().jwk())), Err(TokenError::BadSignature.into()));
    assert_eq!(check(&with(&header(&key), "jwk", Key::ed25519().jwk())), Err(TokenError::BadSignature.into()));
    assert_eq!(check(&with(&header(&key), "jwk", Key::p384().jwk())), Err(JwkError::Unsupported.into()));
    assert_eq!(verify(&"a".repeat(MAX_PROOF + 1), &EXPECT), Err(TokenError::TooLong.into()));
}

#[test]
fn q2_method_url_time_and_id_are_checked() {
    let key = Key::p256();
    let check = |claim: &str, value: Value| verify(&key.token(&header(&key), &with(&claims(), claim, value)), &EXPECT);
    for htm in ["POST", "get", ""] {
        assert_eq!(check("htm", htm.into()), Err(ProofError::Method), "{htm}");
    }
    for htu in
        ["https://instance.example/api/v1/flows", "http://instance.example:8443/api/v1/flows", "/api/v1/flows", ""]
    {
        assert_eq!(check("htu", htu.into()), Err(ProofError::Url), "{htu}");
    }
    assert!(check("htu", "HTTPS://INSTANCE.example:8443/api/v1/%66lows?x=1#y".into()).is_ok());
    for (iat, by) in [(NOW - PAST - 1, -301), (NOW + AHEAD + 1, 61), (0, -1_800_000_000), (u64::MAX, i64::MIN)] {
        let error = check("iat", iat.into()).unwrap_err();
        assert!(matches!(error, ProofError::Time { by: found } if by == i64::MIN || found == by), "{iat}: {error:?}");
    }
    assert!(check("iat", (NOW - PAST).into()).is_ok() && check("iat", (NOW + AHEAD).into()).is_ok());
    assert_eq!(check("jti", "".into()), Err(TokenError::Missing("jti").into()));
    for claim in ["jti", "htm", "htu", "iat"] {
        assert!(matches!(check(claim, Value::Null), Err(ProofError::Token(TokenError::Missing(_)))), "{claim}");
    }
    assert!(matches!(check("jti", "j".repeat(257).into()), Err(ProofError::Token(TokenError::Malformed(_)))));
}

#[test]
fn q3_the_proof_is_for_this_token() {
    let key = Key::p256();
    let token = |value: Value| key.token(&header(&key), &with(&claims(), "ath", value));
    assert_eq!(verify(&token(Value::Null), &EXPECT), Err(ProofError::AccessToken));
    assert_eq!(verify(&token(sha256_base64url(b"other").into()), &EXPECT), Err(ProofError::AccessToken));
    let at_the_token_endpoint = ProofExpect { access_token: None, ..EXPECT };
    assert!(verify(&token(Value::Null), &at_the_token_endpoint).is_ok());
}

#[test]
fn a_nonce_that_is_wanted_must_be_there() {
    let key = Key::p256();
    let wanted = ProofExpect { nonce: Some("n1"), ..EXPECT };
    let token = |value: Value| key.token(&header(&key), &with(&claims(), "nonce", value));
    assert_eq!(verify(&token("n1".into()), &wanted).unwrap().nonce.as_deref(), Some("n1"));
    assert_eq!(verify(&token("n0".into()), &wanted), Err(ProofError::Nonce));
    assert_eq!(verify(&token(Value::Null), &wanted), Err(ProofError::Nonce));
    // One that is not wanted harms nothing.
    assert!(verify(&token("n0".into()), &EXPECT).is_ok());
}

#[test]
fn a_change_of_any_character_is_noticed() {
    let key = Key::p256();
    let token = key.token(&header(&key), &claims());
    assert!(verify(&token, &EXPECT).is_ok());
    for changed in tampered(&token) {
        assert!(verify(&changed, &EXPECT).is_err(), "{changed}");
    }
}

#[test]
fn the_own_key_makes_proofs_that_hold_each_once() {
    let key = ProofKey::generate().unwrap();
    let what = ToProve { method: "POST", url: "https://h/x?q#f", now: NOW, access_token: Some("t"), nonce: Some("n") };
    let expect =
        ProofExpect { method: "POST", url: "https://h/x", now: NOW, access_token: Some("t"), nonce: Some("n") };
    let first = verify(&key.prove(&what).unwrap(), &expect).unwrap();
    let second = verify(&key.prove(&what).unwrap(), &expect).unwrap();
    assert_ne!(first.jti, second.jti);
    assert_eq!(first.thumbprint, thumbprint(key.public()));
    assert_eq!(first.remember_until(), NOW + PAST);
    // It is the same key after it was kept.
    let again = ProofKey::from_pkcs8(key.pkcs8()).unwrap();
    assert_eq!(verify(&again.prove(&what).unwrap(), &expect).unwrap().thumbprint, first.thumbprint);
    assert_eq!(ProofKey::from_pkcs8(b"x").err(), Some(ProofKeyError::NoKey));
}
