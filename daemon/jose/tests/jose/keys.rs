//! Keys as JSON: RFC 7517, 7518, 7638, 8037.

use merlon_jose::{Algorithm, Jwk, JwkError, Jwks, MAX_KEYS, MAX_SET, thumbprint};
use serde_json::{Value, json};

use crate::maker::{Key, with};

#[test]
fn the_thumbprint_of_the_rfc_comes_out() {
    // RFC 7638, 3.1.
    let n = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCi\
             FV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb\
             9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls\
             1jF44-csFCur-kEgU8awapJzKnqDKgw";
    let key = Jwk::parse(&json!({ "kty": "RSA", "n": n, "e": "AQAB", "alg": "RS256", "kid": "2011-04-29" })).unwrap();
    assert_eq!(thumbprint(&key), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
    assert_eq!((key.algorithm(), key.kid()), (Algorithm::Rs256, Some("2011-04-29")));
    // RFC 8037, A.3.
    let key = json!({ "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" });
    assert_eq!(thumbprint(&Jwk::parse(&key).unwrap()), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
}

#[test]
fn keys_come_back_from_what_is_published() {
    for key in [Key::p256(), Key::rsa(), Key::ed25519()] {
        let first = Jwk::parse(&with(&key.jwk(), "kid", "x".into())).unwrap();
        let published = first.to_json();
        assert_eq!((published["use"].as_str(), published["alg"].as_str()), (Some("sig"), Some(key.alg())));
        assert_eq!(Jwk::parse(&published), Ok(first));
    }
}

#[test]
fn private_and_symmetric_keys_are_refused_and_refuse_their_set() {
    let good = Key::p256().jwk();
    for member in ["d", "p", "q", "dp", "dq", "qi", "oth", "k"] {
        let key = with(&good, member, json!("AA"));
        assert_eq!(Jwk::parse(&key), Err(JwkError::Private), "{member}");
        assert_eq!(Jwks::from_value(&json!({ "keys": [good, key] })), Err(JwkError::Private), "{member}");
    }
    assert_eq!(Jwk::parse(&json!({ "kty": "oct", "k": "AAAA" })), Err(JwkError::Private));
}

#[test]
fn wrong_curves_purposes_and_numbers_are_told_apart() {
    let (good, rsa) = (Key::p256().jwk(), Key::rsa().jwk());
    let unsupported = [
        Key::p384().jwk(),
        with(&good, "crv", "P-521".into()),
        with(&good, "crv", "Ed25519".into()),
        with(&good, "crv", Value::Null),
        with(&good, "kty", "OKP".into()),
        with(&good, "use", "enc".into()),
        with(&good, "alg", "RS256".into()),
        with(&good, "alg", "HS256".into()),
        with(&good, "key_ops", json!(["encrypt"])),
        with(&rsa, "n", "A".repeat(170).replacen('A', "B", 1).into()),
        json!({ "kty": "new" }),
    ];
    for key in &unsupported {
        assert_eq!(Jwk::parse(key), Err(JwkError::Unsupported), "{key}");
    }
    assert_eq!(Jwks::from_value(&json!({ "keys": unsupported })).unwrap().keys(), []);
    let malformed = [
        json!([]),
        json!({}),
        with(&good, "x", Value::Null),
        with(&good, "x", "AAAA".into()),
        with(&good, "x", "not base64!".into()),
        with(&good, "x", 7.into()),
        with(&good, "kid", "k".repeat(257).into()),
        with(&rsa, "e", "AAEAAQ".into()),
        with(&rsa, "e", "".into()),
    ];
    for key in malformed {
        assert!(matches!(Jwk::parse(&key), Err(JwkError::Malformed(_))), "{key}");
    }
}

#[test]
fn a_point_off_the_curve_verifies_nothing() {
    let key = Key::p256();
    let off = with(&key.jwk(), "y", key.jwk()["x"].clone());
    let keys = Jwks::from_value(&json!({ "keys": [off] })).unwrap();
    let token = key.token(&json!({ "alg": "ES256" }), &json!({ "sub": "x" }));
    let taken = merlon_jose::assertion::verify(&token, &keys, "x", &["y"], 0);
    assert_eq!(taken, Err(merlon_jose::TokenError::BadSignature));
}

#[test]
fn sets_are_bounded() {
    let key = Key::p256().jwk();
    let many = json!({ "keys": vec![key.clone(); MAX_KEYS + 1] });
    assert_eq!(Jwks::from_value(&many), Err(JwkError::TooMany));
    assert_eq!(Jwks::parse(&vec![b' '; MAX_SET + 1]), Err(JwkError::TooLong));
    for wrong in ["", "[]", "{}", r#"{"keys":{}}"#, "{"] {
        assert!(matches!(Jwks::parse(wrong.as_bytes()), Err(JwkError::Malformed(_))), "{wrong}");
    }
    let set = Jwks::parse(json!({ "keys": [with(&key, "kid", "a".into())] }).to_string().as_bytes()).unwrap();
    assert!(set.find("a").is_some() && set.find("b").is_none());
}
