//! RFC 9068, 4, as every resource server of ours has it.

use data_encoding::BASE64URL_NOPAD;
use merlon_jose::access_token::{AccessToken, Expect, is_jwt, verify};
use merlon_jose::{Jwks, MAX_TOKEN, TokenError};
use serde_json::{Value, json};

use crate::maker::{Key, NOW, tampered, with};

const EXPECT: Expect<'static> =
    Expect { issuer: "https://hub.example", audience: Some("urn:merlon:instance:cli_1"), now: NOW, leeway: 30 };

fn header(key: &Key) -> Value {
    json!({ "typ": "at+jwt", "alg": key.alg(), "kid": "k1" })
}

fn claims() -> Value {
    json!({
        "iss": "https://hub.example", "sub": "acc_1", "aud": "urn:merlon:instance:cli_1", "client_id": "cli_1",
        "jti": "j", "iat": NOW - 10, "exp": NOW + 600, "scope": "flows:read replay", "sid": "grt_1",
        "roles": ["owner"], "preferred_username": "ada",
    })
}

fn jwks(keys: &[(&str, &Key)]) -> Jwks {
    let keys: Vec<Value> = keys.iter().map(|(kid, key)| with(&key.jwk(), "kid", (*kid).into())).collect();
    Jwks::from_value(&json!({ "keys": keys })).unwrap()
}

fn check(key: &Key, header: &Value, claims: &Value) -> Result<AccessToken, TokenError> {
    verify(&key.token(header, claims), &jwks(&[("k1", key)]), &EXPECT)
}

#[test]
fn a_good_token_of_each_algorithm_is_taken_with_all_it_says() {
    for key in [Key::p256(), Key::rsa(), Key::ed25519()] {
        let token = check(&key, &header(&key), &claims()).unwrap();
        let expected = AccessToken {
            issuer: "https://hub.example".into(),
            subject: "acc_1".into(),
            audience: vec!["urn:merlon:instance:cli_1".into()],
            client_id: "cli_1".into(),
            jti: "j".into(),
            issued: NOW - 10,
            expires: NOW + 600,
            scope: "flows:read replay".into(),
            session: Some("grt_1".into()),
            roles: vec!["owner".into()],
            name: Some("ada".into()),
            key_thumbprint: None,
        };
        assert_eq!(token, expected, "{}", key.alg());
    }
}

#[test]
fn what_others_write_differently_is_taken_too() {
    let key = Key::p256();
    let mut foreign = with(&claims(), "aud", json!(["x", "urn:merlon:instance:cli_1"]));
    foreign["roles"] = json!([{ "value": "admin" }, "viewer"]);
    foreign["exp"] = json!(NOW as f64 + 600.5);
    foreign["cnf"] = json!({ "jkt": "t" });
    foreign["new"] = json!({ "x": [1] });
    let token = check(&key, &with(&header(&key), "typ", "Application/AT+JWT".into()), &foreign).unwrap();
    assert_eq!(
        (token.expires, token.roles, token.key_thumbprint),
        (NOW + 600, vec!["viewer".into()], Some("t".into()))
    );
    assert_eq!(check(&key, &header(&key), &with(&claims(), "roles", json!("owner"))).unwrap().roles, [""; 0]);
    // Without a name of the key, every key of the algorithm is tried.
    let keys = jwks(&[("a", &Key::p256()), ("b", &key)]);
    let token = key.token(&with(&header(&key), "kid", Value::Null), &claims());
    assert_eq!(verify(&token, &keys, &EXPECT).unwrap().jti, "j");
}

#[test]
fn j4_an_id_token_or_a_proof_is_no_access_token() {
    let key = Key::p256();
    for typ in [json!("JWT"), json!("dpop+jwt"), json!("id_token+jwt"), json!("at+jwt "), json!(""), Value::Null] {
        let header = with(&header(&key), "typ", typ.clone());
        assert_eq!(check(&key, &header, &claims()), Err(TokenError::Type), "{typ}");
    }
}

#[test]
fn j5_issuer_audience_time_and_key_must_all_fit() {
    let key = Key::p256();
    let cases = [
        ("iss", json!("https://hub.example/"), TokenError::WrongIssuer),
        ("iss", Value::Null, TokenError::Missing("iss")),
        ("aud", json!("urn:merlon:instance:cli_2"), TokenError::WrongAudience),
        ("aud", json!([]), TokenError::WrongAudience),
        ("aud", Value::Null, TokenError::Missing("aud")),
        ("aud", json!(vec!["x"; 33]), TokenError::Malformed("it has too many audiences")),
        ("exp", json!(NOW - 30), TokenError::Expired { by: 30 }),
        ("exp", Value::Null, TokenError::Missing("exp")),
        ("exp", json!("1"), TokenError::Malformed("a claim has the wrong shape")),
        ("exp", json!(-1), TokenError::Malformed("a claim has the wrong shape")),
        ("iat", json!(NOW + 31), TokenError::NotYetValid { by: 31 }),
        ("iat", Value::Null, TokenError::Missing("iat")),
        ("nbf", json!(NOW + 3600), TokenError::NotYetValid { by: 3600 }),
        ("sub", Value::Null, TokenError::Missing("sub")),
        ("sub", json!(""), TokenError::Missing("sub")),
        ("client_id", Value::Null, TokenError::Missing("client_id")),
        ("jti", Value::Null, TokenError::Missing("jti")),
        ("sub", json!("x".repeat(2049)), TokenError::Malformed("a claim is too long")),
        ("cnf", json!({ "x5t#S256": "x" }), TokenError::Binding),
    ];
    for (claim, value, error) in cases {
        assert_eq!(check(&key, &header(&key), &with(&claims(), claim, value.clone())), Err(error), "{claim} {value}");
    }
    // The leeway is for both ends.
    for (claim, value) in [("exp", NOW - 29), ("iat", NOW + 30), ("nbf", NOW + 30)] {
        assert!(check(&key, &header(&key), &with(&claims(), claim, value.into())).is_ok(), "{claim} {value}");
    }
    let token = key.token(&header(&key), &claims());
    let unknown = TokenError::UnknownKey { kid: Some("k1".into()) };
    assert_eq!(verify(&token, &jwks(&[("k2", &key)]), &EXPECT), Err(unknown.clone()));
    assert_eq!(verify(&token, &Jwks::default(), &EXPECT), Err(unknown));
    assert_eq!(verify(&token, &jwks(&[("k1", &Key::p256())]), &EXPECT), Err(TokenError::BadSignature));
}

#[test]
fn j6_the_algorithm_is_never_the_tokens_choice() {
    let key = Key::p256();
    let keys = jwks(&[("k1", &key)]);
    for alg in ["none", "None", "", "HS256", "ES384", "PS256", "RS384", "es256"] {
        let header = with(&header(&key), "alg", alg.into());
        assert_eq!(check(&key, &header, &claims()), Err(TokenError::Algorithm), "{alg}");
    }
    // The other allowed ones, with a key of another kind under the same name.
    for alg in ["RS256", "EdDSA"] {
        let header = with(&header(&key), "alg", alg.into());
        assert_eq!(check(&key, &header, &claims()), Err(TokenError::BadSignature), "{alg}");
    }
    // HMAC with the public key as its secret, and no signature at all.
    let none = with(&header(&key), "alg", "none".into()).to_string();
    let bare = |header: &str| {
        format!(
            "{}.{}.",
            BASE64URL_NOPAD.encode(header.as_bytes()),
            BASE64URL_NOPAD.encode(claims().to_string().as_bytes())
        )
    };
    assert_eq!(verify(&bare(&none), &keys, &EXPECT), Err(TokenError::Algorithm));
    assert_eq!(verify(&bare(&header(&key).to_string()), &keys, &EXPECT), Err(TokenError::BadSignature));
    // A key that the token brings along counts for nothing.
    let thief = Key::p256();
    let header = with(&with(&header(&key), "jwk", thief.jwk()), "kid", Value::Null);
    assert_eq!(verify(&thief.token(&header, &claims()), &keys, &EXPECT), Err(TokenError::BadSignature));
    // Nor does one on another curve become one of ours.
    let other = Key::p384();
    assert_eq!(Jwks::from_value(&json!({ "keys": [other.jwk()] })).unwrap().keys().len(), 0);
}

#[test]
fn a_change_of_any_character_is_noticed() {
    for key in [Key::p256(), Key::ed25519(), Key::rsa()] {
        let keys = jwks(&[("k1", &key)]);
        let token = key.token(&header(&key), &claims());
        let mut tried = 0;
        for changed in tampered(&token) {
            assert!(verify(&changed, &keys, &EXPECT).is_err(), "{changed}");
            tried += 1;
        }
        assert!(tried > 1500, "{tried}");
        for cut in 0..token.len() {
            assert!(verify(&token[..cut], &keys, &EXPECT).is_err(), "cut at {cut}");
        }
    }
}

#[test]
fn forms_that_are_no_compact_jwt_are_refused() {
    let key = Key::p256();
    let keys = jwks(&[("k1", &key)]);
    let good = key.token(&header(&key), &claims());
    for wrong in [
        "",
        ".",
        "..",
        "...",
        "a.b.c",
        &format!("{good}."),
        &format!(".{good}"),
        &format!("{good}="),
        &format!(" {good}"),
    ] {
        let taken = verify(wrong, &keys, &EXPECT);
        assert!(matches!(taken, Err(TokenError::Malformed(_) | TokenError::BadSignature)), "{wrong}: {taken:?}");
    }
    assert_eq!(verify(&"a".repeat(MAX_TOKEN + 1), &keys, &EXPECT), Err(TokenError::TooLong));
    let twice = r#"{"typ":"at+jwt","alg":"ES256","alg":"ES256","kid":"k1"}"#;
    let critical = with(&header(&key), "crit", json!(["b64"]));
    let long = with(&header(&key), "kid", "k".repeat(257).into());
    for header in
        [twice.to_owned(), critical.to_string(), long.to_string(), "[]".into(), "{}".into(), "\u{feff}{}".into()]
    {
        let token = key.token_of_text(&header, &claims().to_string());
        assert!(matches!(verify(&token, &keys, &EXPECT), Err(TokenError::Malformed(_))), "{header}");
    }
    let claim_twice = claims().to_string().replacen('{', r#"{"sub":"acc_2","#, 1);
    let token = key.token_of_text(&header(&key).to_string(), &claim_twice);
    assert!(matches!(verify(&token, &keys, &EXPECT), Err(TokenError::Malformed(_))));
}

#[test]
fn jwts_and_opaque_tokens_are_told_apart() {
    let key = Key::p256();
    assert!(is_jwt(&key.token(&header(&key), &claims())));
    for opaque in ["abc", "mhp_abc", "a.b", "a..b", "a.b.c.d", ""] {
        assert!(!is_jwt(opaque), "{opaque}");
    }
}
