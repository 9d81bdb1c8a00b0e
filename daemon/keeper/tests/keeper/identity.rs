//! The client at the authorization server: what is kept of it, and what the instance signs in its name.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use merlon_wire::identity::{Client, ClientAuth, Credential, Identity, MAX_CREDENTIAL, Owner, Registration};
use merlon_wire::keeper::{Refusal, Request, Response};

use crate::support::{Link, Running, Scratch, now, token_parts};

pub(crate) const ISSUER: &str = "https://hub.example/tenant";

pub(crate) fn client(client_id: &str) -> Client {
    Client {
        issuer: ISSUER.to_owned(),
        client_id: client_id.to_owned(),
        auth: ClientAuth::PrivateKeyJwt,
        management: Some("https://hub.example/register?client=1".to_owned()),
        metadata: r#"{"client_name":"x"}"#.to_owned(),
    }
}

pub(crate) fn registration(client_id: &str) -> Registration<'static> {
    Registration { client: client(client_id), secret: b"the secret", registration_token: b"the token", owner: None }
}

pub(crate) fn owner(subject: &str) -> Owner {
    Owner { issuer: ISSUER.to_owned(), subject: subject.to_owned(), name: "Ann".to_owned() }
}

pub(crate) fn identity(link: &mut Link) -> Identity {
    match link.ask(&Request::Identity).unwrap().link() {
        Response::Identity(identity) => identity,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn store(link: &mut Link, registration: Registration<'_>) {
    assert_eq!(link.ask(&Request::StoreRegistration(registration)).unwrap().link(), Response::Done);
}

pub(crate) fn credential(link: &mut Link, which: Credential) -> Option<Vec<u8>> {
    match link.ask(&Request::Credential(which)).unwrap().link() {
        Response::Credential(secret) => secret.map(<[u8]>::to_vec),
        other => panic!("{other:?}"),
    }
}

/// An access token that holds for an hour.
pub(crate) fn store_access_token(link: &mut Link, token: &[u8]) {
    let expires_us = i64::try_from(now() + 3600).unwrap() * 1_000_000;
    let stored = link.ask(&Request::StoreAccessToken { token, expires_us }).unwrap();
    assert_eq!(stored.link(), Response::Done);
}

/// The token in an answer.
fn jwt(link: &mut Link, request: &Request<'_>) -> String {
    match link.ask(request).unwrap().link() {
        Response::Jwt(token) => token.to_owned(),
        other => panic!("{other:?}"),
    }
}

fn point(identity: &Identity) -> Vec<u8> {
    [&[4][..], &identity.public_key[0], &identity.public_key[1]].concat()
}

#[test]
fn a_registration_is_kept_whole_and_replaced_whole() {
    let scratch = Scratch::new();
    let running = Running::start(&scratch);
    let (mut link, _) = running.link();
    let first = identity(&mut link);
    assert_eq!((&first.client, &first.owner, first.claim_code), (&None, &None, true));
    for request in [
        Request::SignAssertion,
        Request::Credential(Credential::ClientSecret),
        Request::StoreAccessToken { token: b"t", expires_us: i64::MAX },
    ] {
        assert_eq!(link.ask(&request).unwrap().link(), Response::Refused(Refusal::NotRegistered), "{request:?}");
    }
    store(&mut link, registration("one"));
    store_access_token(&mut link, b"access");
    running.stop();

    let running = Running::start(&scratch);
    let (mut link, _) = running.link();
    assert_eq!(identity(&mut link), Identity { client: Some(client("one")), ..first.clone() });
    assert_eq!(credential(&mut link, Credential::ClientSecret).unwrap(), b"the secret");
    assert_eq!(credential(&mut link, Credential::RegistrationToken).unwrap(), b"the token");
    assert_eq!(credential(&mut link, Credential::AccessToken).unwrap(), b"access");

    // The same client with other credentials keeps its access token; what is not given is forgotten.
    let changed = Client { auth: ClientAuth::SecretBasic, management: None, ..client("one") };
    store(&mut link, Registration { client: changed.clone(), secret: b"s2", registration_token: b"", owner: None });
    assert_eq!(identity(&mut link).client, Some(changed));
    assert_eq!(credential(&mut link, Credential::ClientSecret).unwrap(), b"s2");
    assert_eq!(credential(&mut link, Credential::RegistrationToken), None);
    assert_eq!(credential(&mut link, Credential::AccessToken).unwrap(), b"access");

    // An access token that has expired is none.
    let expired = link.ask(&Request::StoreAccessToken { token: b"old", expires_us: 1 }).unwrap();
    assert_eq!(expired.link(), Response::Done);
    assert_eq!(credential(&mut link, Credential::AccessToken), None);
}

#[test]
fn another_client_or_issuer_takes_owner_and_access_token_with_it() {
    let scratch = Scratch::new();
    let running = Running::start(&scratch);
    let (mut link, _) = running.link();
    for other in [client("two"), Client { issuer: "https://other.example".to_owned(), ..client("one") }] {
        store(&mut link, Registration { owner: Some(owner("a")), ..registration("one") });
        store_access_token(&mut link, b"access");
        let owned = identity(&mut link);
        assert_eq!((owned.owner, owned.claim_code), (Some(owner("a")), false));
        // The same again changes nothing about that.
        store(&mut link, registration("one"));
        assert_eq!(identity(&mut link).owner, Some(owner("a")));
        store(&mut link, Registration { client: other.clone(), ..registration("") });
        let now = identity(&mut link);
        assert_eq!((now.client, now.owner, now.claim_code), (Some(other), None, true));
        assert_eq!(credential(&mut link, Credential::AccessToken), None);
    }
}

#[test]
fn a_reset_forgets_everything_and_makes_a_new_key() {
    let scratch = Scratch::new();
    let running = Running::start(&scratch);
    let (mut link, _) = running.link();
    let before = identity(&mut link).public_key;
    store(&mut link, Registration { owner: Some(owner("a")), ..registration("one") });
    store_access_token(&mut link, b"access");
    assert_eq!(link.ask(&Request::ResetIdentity).unwrap().link(), Response::Done);
    let after = identity(&mut link);
    assert_eq!((&after.client, &after.owner, after.claim_code), (&None, &None, true));
    assert_ne!(after.public_key, before);
    store(&mut link, Registration { secret: b"", registration_token: b"", ..registration("one") });
    for which in [Credential::ClientSecret, Credential::RegistrationToken, Credential::AccessToken] {
        assert_eq!(credential(&mut link, which), None, "{which:?}");
    }
}

#[test]
fn assertions_say_who_the_client_is_to_its_issuer_alone() {
    let scratch = Scratch::new();
    let running = Running::start(&scratch);
    let (mut link, _) = running.link();
    store(&mut link, registration("cli_1"));
    let key = point(&identity(&mut link));
    let first = jwt(&mut link, &Request::SignAssertion);
    let (header, claims, signed, signature) = token_parts(&first);
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &key).verify(signed.as_bytes(), &signature).unwrap();
    let encode = |bytes: &[u8]| data_encoding::BASE64URL_NOPAD.encode(bytes);
    // RFC 7638, 3.
    let jwk = format!(r#"{{"crv":"P-256","kty":"EC","x":"{}","y":"{}"}}"#, encode(&key[1..33]), encode(&key[33..]));
    let thumbprint = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, jwk.as_bytes());
    assert_eq!(header, serde_json::json!({"typ": "JWT", "alg": "ES256", "kid": encode(thumbprint.as_ref())}));
    assert_eq!(claims["iss"], "cli_1");
    assert_eq!(claims["sub"], "cli_1");
    assert_eq!(claims["aud"], ISSUER);
    let (issued, expires) = (claims["iat"].as_u64().unwrap(), claims["exp"].as_u64().unwrap());
    assert!(issued.abs_diff(now()) < 5 && expires - issued == 60, "{claims}");
    assert_eq!(claims.as_object().unwrap().len(), 6);
    let (_, again, ..) = token_parts(&jwt(&mut link, &Request::SignAssertion));
    assert_ne!(claims["jti"], again["jti"]);
    assert_eq!(claims["jti"].as_str().unwrap().len(), 22);
}

#[test]
fn proofs_of_possession_are_for_one_request() {
    let scratch = Scratch::new();
    let running = Running::start(&scratch);
    let (mut link, _) = running.link();
    let key = point(&identity(&mut link));
    let encode = |bytes: &[u8]| data_encoding::BASE64URL_NOPAD.encode(bytes);
    for nonce in ["", "a-nonce"] {
        let url = "http://127.0.0.1:8444/token";
        let token = jwt(&mut link, &Request::SignProof { method: "POST", url, nonce });
        let (header, claims, signed, signature) = token_parts(&token);
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &key).verify(signed.as_bytes(), &signature).unwrap();
        let (x, y) = (encode(&key[1..33]), encode(&key[33..]));
        let jwk = serde_json::json!({"kty": "EC", "crv": "P-256", "x": x, "y": y});
        assert_eq!(header, serde_json::json!({"typ": "dpop+jwt", "alg": "ES256", "jwk": jwk}));
        assert_eq!((claims["htm"].as_str(), claims["htu"].as_str()), (Some("POST"), Some(url)));
        assert!(claims["iat"].as_u64().unwrap().abs_diff(now()) < 5);
        assert_eq!(claims.get("nonce").and_then(|nonce| nonce.as_str()).unwrap_or_default(), nonce);
    }
    let long = "n".repeat(256);
    for (method, url, nonce) in [
        ("PATCH", "https://h/token", ""),
        ("post", "https://h/token", ""),
        ("", "https://h/token", ""),
        ("POST", "http://h/token", ""),
        ("POST", "https://h/token?q", ""),
        ("POST", "https://h/token#f", ""),
        ("POST", "", ""),
        ("POST", "https://h/token", &long),
        ("POST", "https://h/token", "a b"),
        ("POST", "https://h/token", "a\"b"),
    ] {
        let answer = link.ask(&Request::SignProof { method, url, nonce }).unwrap();
        assert!(matches!(answer.link(), Response::Refused(Refusal::OutOfBounds(_))), "{method} {url} {nonce}");
    }
}

#[test]
fn what_is_out_of_bounds_is_not_kept() {
    let scratch = Scratch::new();
    let running = Running::start(&scratch);
    let (mut link, _) = running.link();
    store(&mut link, registration("one"));
    let before = identity(&mut link);
    let (long_id, long_secret) = ("x".repeat(256), vec![7; MAX_CREDENTIAL + 1]);
    let with = |client: Client| Registration { client, ..registration("") };
    let owned = |owner: Owner| Registration { owner: Some(owner), ..registration("two") };
    let bad = [
        registration(""),
        registration(&long_id),
        registration("a\nb"),
        registration("bücher"),
        with(Client { issuer: "http://hub.example".into(), ..client("two") }),
        with(Client { issuer: "https://hub.example?x".into(), ..client("two") }),
        with(Client { issuer: format!("https://hub.example/{}", "x".repeat(500)), ..client("two") }),
        with(Client { management: Some("http://hub.example/register".into()), ..client("two") }),
        with(Client { metadata: "x".repeat(8193), ..client("two") }),
        Registration { secret: &long_secret, ..registration("two") },
        Registration { registration_token: &long_secret, ..registration("two") },
        Registration {
            secret: b"",
            client: Client { auth: ClientAuth::SecretPost, ..client("two") },
            ..registration("")
        },
        owned(owner("")),
        owned(owner(&long_id)),
        owned(owner("a\u{7}")),
        owned(Owner { name: "x".repeat(129), ..owner("a") }),
        owned(Owner { issuer: "ftp://x".into(), ..owner("a") }),
    ];
    for registration in bad {
        let answer = link.ask(&Request::StoreRegistration(registration.clone())).unwrap();
        assert!(matches!(answer.link(), Response::Refused(Refusal::OutOfBounds(_))), "{registration:?}");
    }
    for token in [&b""[..], &long_secret] {
        let answer = link.ask(&Request::StoreAccessToken { token, expires_us: i64::MAX }).unwrap();
        assert!(matches!(answer.link(), Response::Refused(Refusal::OutOfBounds(_))));
    }
    assert_eq!(identity(&mut link), before);
    // The longest that is taken is given back.
    let longest = vec![b's'; MAX_CREDENTIAL];
    let client = Client { metadata: "x".repeat(8192), ..client("one") };
    store(&mut link, Registration { client, secret: &longest, registration_token: &longest, owner: None });
    assert_eq!(credential(&mut link, Credential::RegistrationToken).unwrap(), longest);
    assert_eq!(identity(&mut link).client.unwrap().metadata.len(), 8192);
}
