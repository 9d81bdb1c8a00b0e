//! A hub's keeper: signed access tokens and the keys that sign them, and nothing that belongs to an instance.

use std::collections::BTreeSet;

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey, VerificationAlgorithm,
};
use merlon_wire::admin;
use merlon_wire::hub::{Algorithm, Claims, KeyState, MAX_CLAIM, MAX_LIFETIME_SECONDS, MAX_TOKENS, SigningKey};
use merlon_wire::keeper::{Refusal, Request, Response};

use crate::support::{Link, Running, Scratch, Starting, now, public_key, token_parts};

/// Starts a hub's keeper that is expected to serve.
pub(crate) fn start(scratch: &Scratch) -> Running {
    let mut running = Starting::hub(scratch).spawn();
    assert!(!running.ready());
    running
}

pub(crate) fn claims() -> Claims<'static> {
    Claims {
        algorithm: Algorithm::Es256,
        issuer: "https://hub.example",
        subject: "acc_1",
        audience: "urn:merlon:instance:cli_1",
        client_id: "cli_1",
        scope: "flows:read replay",
        id: "jti-1",
        issued: now(),
        lifetime: 600,
        session: Some("grt_1"),
        role: Some("operator"),
        name: Some("Ann \"the\" Tester"),
        key_thumbprint: Some("0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"),
    }
}

pub(crate) fn sign(link: &mut Link, claims: Vec<Claims<'_>>) -> Result<Vec<String>, Refusal> {
    match link.ask(&Request::SignAccessTokens(claims)).unwrap().link() {
        Response::AccessTokens(tokens) => Ok(tokens.into_iter().map(str::to_owned).collect()),
        Response::Refused(refusal) => Err(refusal),
        other => panic!("{other:?}"),
    }
}

fn keys(link: &mut Link, request: &Request<'_>) -> Vec<SigningKey> {
    match link.ask(request).unwrap().link() {
        Response::SigningKeys(keys) => keys,
        other => panic!("{other:?}"),
    }
}

fn find(keys: &[SigningKey], algorithm: Algorithm, state: KeyState) -> Option<&SigningKey> {
    let mut found = keys.iter().filter(|key| (key.algorithm, key.state) == (algorithm, state));
    let first = found.next();
    assert!(found.next().is_none());
    first
}

fn verifies(token: &str, key: &SigningKey) -> bool {
    let (header, _, signed, signature) = token_parts(token);
    let algorithm: &dyn VerificationAlgorithm = match key.algorithm {
        Algorithm::Es256 => &ECDSA_P256_SHA256_FIXED,
        Algorithm::Rs256 => &RSA_PKCS1_2048_8192_SHA256,
    };
    header["kid"] == key.id.as_str()
        && UnparsedPublicKey::new(algorithm, &key.public_key).verify(signed.as_bytes(), &signature).is_ok()
}

#[test]
fn access_tokens_say_what_rfc_9068_wants_and_verify_with_the_published_keys() {
    let scratch = Scratch::new();
    let running = start(&scratch);
    let (mut link, _) = running.link();
    let keys = keys(&mut link, &Request::SigningKeys);
    assert_eq!(keys.len(), 4);
    assert_eq!(keys.iter().map(|key| &key.id).collect::<BTreeSet<_>>().len(), 4);
    let plain = Claims {
        algorithm: Algorithm::Rs256,
        subject: "cli_1",
        audience: "https://hub.example",
        scope: "",
        id: "jti-2",
        session: None,
        role: None,
        name: None,
        key_thumbprint: None,
        ..claims()
    };
    let tokens = sign(&mut link, vec![claims(), plain]).unwrap();
    for (token, algorithm) in tokens.iter().zip([Algorithm::Es256, Algorithm::Rs256]) {
        assert!(verifies(token, find(&keys, algorithm, KeyState::Current).unwrap()));
        assert!(!verifies(token, find(&keys, algorithm, KeyState::Next).unwrap()));
    }
    let (header, said, ..) = token_parts(&tokens[0]);
    assert_eq!((header["typ"].as_str(), header["alg"].as_str()), (Some("at+jwt"), Some("ES256")));
    let issued = claims().issued.min(said["iat"].as_u64().unwrap());
    let expected = serde_json::json!({
        "iss": "https://hub.example", "sub": "acc_1", "aud": "urn:merlon:instance:cli_1", "client_id": "cli_1",
        "scope": "flows:read replay", "jti": "jti-1", "iat": issued, "exp": issued + 600, "sid": "grt_1",
        "roles": ["operator"], "preferred_username": "Ann \"the\" Tester",
        "cnf": {"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"},
    });
    assert_eq!(said, expected);
    let (header, said, ..) = token_parts(&tokens[1]);
    assert_eq!(header["alg"], "RS256");
    let mut members: Vec<_> = said.as_object().unwrap().keys().map(String::as_str).collect();
    members.sort_unstable();
    assert_eq!(members, ["aud", "client_id", "exp", "iat", "iss", "jti", "sub"]);
}

#[test]
fn keys_move_on_one_step_at_a_time_and_stay_over_a_restart() {
    let scratch = Scratch::new();
    let running = start(&scratch);
    let (mut link, _) = running.link();
    let first = keys(&mut link, &Request::SigningKeys);
    let before = sign(&mut link, vec![claims()]).unwrap();
    let second = keys(&mut link, &Request::RotateSigningKeys);
    for algorithm in [Algorithm::Es256, Algorithm::Rs256] {
        let id = |keys: &[SigningKey], state| find(keys, algorithm, state).map(|key| key.id.clone());
        assert_eq!(id(&first, KeyState::Previous), None);
        assert_eq!(id(&second, KeyState::Previous), id(&first, KeyState::Current));
        assert_eq!(id(&second, KeyState::Current), id(&first, KeyState::Next));
        assert!(first.iter().all(|key| Some(&key.id) != id(&second, KeyState::Next).as_ref()));
    }
    // What was signed before is still verified by what is published.
    assert!(verifies(&before[0], find(&second, Algorithm::Es256, KeyState::Previous).unwrap()));
    let after = sign(&mut link, vec![claims()]).unwrap();
    assert!(verifies(&after[0], find(&second, Algorithm::Es256, KeyState::Current).unwrap()));
    running.stop();

    let running = start(&scratch);
    let (mut link, _) = running.link();
    assert_eq!(keys(&mut link, &Request::SigningKeys), second);
    let third = keys(&mut link, &Request::RotateSigningKeys);
    assert_eq!(third.len(), 6);
    let gone = &find(&first, Algorithm::Es256, KeyState::Current).unwrap().id;
    assert!(third.iter().all(|key| key.id != *gone), "two steps on, a key is forgotten");
}

#[test]
fn what_is_no_access_token_of_now_is_not_signed() {
    let scratch = Scratch::new();
    let running = start(&scratch);
    let (mut link, _) = running.link();
    let long = "x".repeat(MAX_CLAIM + 1);
    let good = claims();
    let bad = [
        Claims { issuer: "http://hub.example", ..good.clone() },
        Claims { issuer: "", ..good.clone() },
        Claims { subject: "", ..good.clone() },
        Claims { audience: "", ..good.clone() },
        Claims { client_id: "", ..good.clone() },
        Claims { id: "", ..good.clone() },
        Claims { subject: &long, ..good.clone() },
        Claims { scope: &long, ..good.clone() },
        Claims { scope: "a\nb", ..good.clone() },
        Claims { session: Some(""), ..good.clone() },
        Claims { name: Some("\u{1b}"), ..good.clone() },
        Claims { role: Some("root"), ..good.clone() },
        Claims { key_thumbprint: Some("short"), ..good.clone() },
        Claims { lifetime: 0, ..good.clone() },
        Claims { lifetime: MAX_LIFETIME_SECONDS + 1, ..good.clone() },
        Claims { issued: now() - 120, ..good.clone() },
        Claims { issued: now() + 120, ..good.clone() },
        Claims { issued: u64::MAX, ..good.clone() },
    ];
    for bad in bad {
        // All or none.
        let refused = sign(&mut link, vec![good.clone(), bad.clone()]);
        assert!(matches!(refused, Err(Refusal::OutOfBounds(_))), "{bad:?}");
    }
    assert!(matches!(sign(&mut link, vec![]), Err(Refusal::OutOfBounds(_))));
    assert!(matches!(sign(&mut link, vec![good.clone(); MAX_TOKENS + 1]), Err(Refusal::OutOfBounds(_))));
    assert_eq!(sign(&mut link, vec![good.clone(); MAX_TOKENS]).unwrap().len(), MAX_TOKENS);
    // More than an answer holds.
    let longest = "\"".repeat(MAX_CLAIM);
    let large = Claims { subject: &longest, client_id: &longest, audience: &longest, ..good };
    assert!(matches!(sign(&mut link, vec![large; MAX_TOKENS]), Err(Refusal::OutOfBounds(_))));
}

#[test]
fn each_kind_of_keeper_drops_who_asks_for_the_others_business() {
    let key = public_key();
    let of_instance = [
        Request::CaCertificate,
        Request::IssueLeaf { host: "example.com", public_key: &key },
        Request::IssueApiLeaf { public_key: &key },
        Request::DeleteProject { id: 1 },
        Request::VerifyToken { token: b"t" },
        Request::Override { address: "192.0.2.1:80" },
        Request::Identity,
        Request::SignAssertion,
        Request::SignProof { method: "POST", url: "https://h", nonce: "" },
        Request::CheckClaimCode { code: b"x" },
        Request::ResetIdentity,
        Request::ListSessions { after: 0 },
    ];
    let of_hub = [Request::SignAccessTokens(vec![claims()]), Request::SigningKeys, Request::RotateSigningKeys];
    let (hub, instance) = (Scratch::new(), Scratch::new());
    let (hub, instance) = (start(&hub), Running::start(&instance));
    for request in &of_instance {
        assert!(hub.link().0.ask(request).is_none(), "{request:?}");
    }
    for request in &of_hub {
        assert!(instance.link().0.ask(request).is_none(), "{request:?}");
    }
    for request in [admin::Request::ClaimCode, admin::Request::ListTokens, admin::Request::ListProxyUsers] {
        assert!(hub.admin().ask(&request).is_none(), "{request:?}");
    }
    // What both serve: a database and custody of the keys.
    let (mut link, _) = hub.link();
    let created = link.ask(&Request::CreateProject { name: "hub" }).unwrap();
    assert!(matches!(created.link(), Response::Project(project) if project.id == 1));
    let database = link.ask(&Request::ProjectKey { id: 1 }).unwrap();
    assert!(matches!(database.link(), Response::ProjectKey(key) if key.len() == 32));
    assert!(matches!(hub.administer(&admin::Request::ListKeyslots).admin(), admin::Response::Keyslots(_)));
}
