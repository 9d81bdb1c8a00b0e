//! What the engine may ask about the instance's identity at its authorization server, and about its owner.
//!
//! The engine is assumed hostile: what it wants kept or signed is checked here. It gets the client's secrets, which it
//! must send, and never the instance's own key.

use merlon_wire::identity::{ClientAuth, Identity, MAX_CREDENTIAL, MAX_ID, MAX_NAME, Owner, Registration};
use merlon_wire::keeper::{Refusal, Request, Response};

use super::link::{Answered, misrouted, refuse, storage};
use super::reply::Reply;
use crate::jws::{self, JwsError, claims};
use crate::keeper::{Keeper, Open, unpoisoned};
use crate::secrets_db::{Claim, SecretsDb, SecretsError};
use crate::{clock, log};

/// What the server returned at registration, in bytes.
const MAX_METADATA: usize = 8 * 1024;

pub(super) fn identity(_: &Keeper, open: &Open, _: &Request<'_>, reply: &mut Reply<'_>) -> Answered {
    let found = read(&open.db());
    match found {
        Ok(identity) => reply.link(&Response::Identity(identity)),
        Err(error) => failed(&error, reply),
    }
}

fn read(db: &SecretsDb) -> Result<Identity, IdentityError> {
    let key = own_key(db)?;
    let (_, point) = key.public_key().split_at_checked(1).ok_or(JwsError::BadKey)?;
    let (x, y) = point.split_at_checked(point.len() / 2).ok_or(JwsError::BadKey)?;
    let half = |half: &[u8]| half.try_into().map_err(|_| JwsError::BadKey);
    let owner = db.owner()?;
    Ok(Identity { public_key: [half(x)?, half(y)?], client: db.client()?, claim_code: owner.is_none(), owner })
}

pub(super) fn sign_assertion(_: &Keeper, open: &Open, _: &Request<'_>, reply: &mut Reply<'_>) -> Answered {
    let material = {
        let db = open.db();
        db.client().map_err(IdentityError::from).and_then(|client| Ok((client, own_key(&db)?)))
    };
    match material {
        Ok((None, _)) => refuse(Refusal::NotRegistered, reply),
        Ok((Some(client), key)) => {
            answer(claims::assertion(&key, &client.client_id, &client.issuer, now_seconds()), reply)
        }
        Err(error) => failed(&error, reply),
    }
}

pub(super) fn sign_proof(_: &Keeper, open: &Open, request: &Request<'_>, reply: &mut Reply<'_>) -> Answered {
    let Request::SignProof { method, url, nonce } = request else { return misrouted(request) };
    if let Err(why) = claims::check_proof(method, url, nonce) {
        return refuse(Refusal::OutOfBounds(why), reply);
    }
    let key = own_key(&open.db());
    match key {
        Ok(key) => answer(claims::proof(&key, method, url, nonce, now_seconds()), reply),
        Err(error) => failed(&error, reply),
    }
}

fn answer(signed: Result<jws::Token, JwsError>, reply: &mut Reply<'_>) -> Answered {
    match signed {
        Ok(token) => reply.link(&Response::Jwt(&token)),
        Err(error) => failed(&error.into(), reply),
    }
}

pub(super) fn store_registration(_: &Keeper, open: &Open, request: &Request<'_>, reply: &mut Reply<'_>) -> Answered {
    let Request::StoreRegistration(registration) = request else { return misrouted(request) };
    if let Err(why) = check_registration(registration) {
        return refuse(Refusal::OutOfBounds(why), reply);
    }
    let stored = open.db().store_registration(registration);
    done(stored, reply)
}

pub(super) fn credential(_: &Keeper, open: &Open, request: &Request<'_>, reply: &mut Reply<'_>) -> Answered {
    let Request::Credential(which) = request else { return misrouted(request) };
    let found = {
        let db = open.db();
        db.client().and_then(|client| Ok((client.is_some(), db.credential(*which, clock::now_us())?)))
    };
    match found {
        Ok((false, _)) => refuse(Refusal::NotRegistered, reply),
        Ok((true, secret)) => reply.link(&Response::Credential(secret.as_ref().map(|secret| secret.as_slice()))),
        Err(error) => storage(&error, reply),
    }
}

pub(super) fn store_access_token(_: &Keeper, open: &Open, request: &Request<'_>, reply: &mut Reply<'_>) -> Answered {
    let Request::StoreAccessToken { token, expires_us } = request else { return misrouted(request) };
    if token.is_empty() || token.len() > MAX_CREDENTIAL {
        return refuse(Refusal::OutOfBounds("the access token has 1 to 8192 bytes".to_owned()), reply);
    }
    let stored = open.db().store_access_token(token, *expires_us);
    match stored {
        Ok(true) => reply.link(&Response::Done),
        Ok(false) => refuse(Refusal::NotRegistered, reply),
        Err(error) => storage(&error, reply),
    }
}

pub(super) fn check_claim_code(keeper: &Keeper, open: &Open, request: &Request<'_>, reply: &mut Reply<'_>) -> Answered {
    let Request::CheckClaimCode { code } = request else { return misrouted(request) };
    let verdict = open.db().is_claim_code(code);
    match verdict {
        Ok(None) => refuse(Refusal::Claimed, reply),
        Ok(Some(true)) => reply.link(&Response::Verified(true)),
        Ok(Some(false)) if wrong_code(keeper) => reply.link(&Response::Verified(false)),
        Ok(Some(false)) => refuse(Refusal::RateLimited, reply),
        Err(error) => storage(&error, reply),
    }
}

pub(super) fn claim(keeper: &Keeper, open: &Open, request: &Request<'_>, reply: &mut Reply<'_>) -> Answered {
    let Request::Claim { code, owner } = request else { return misrouted(request) };
    if let Err(why) = check_owner(owner) {
        return refuse(Refusal::OutOfBounds(why), reply);
    }
    let claimed = open.db().claim(code, owner);
    match claimed {
        Ok(Claim::Done) => reply.link(&Response::Done),
        Ok(Claim::Taken) => refuse(Refusal::Claimed, reply),
        Ok(Claim::BadCode) if wrong_code(keeper) => refuse(Refusal::BadClaimCode, reply),
        Ok(Claim::BadCode) => refuse(Refusal::RateLimited, reply),
        Err(error) => storage(&error, reply),
    }
}

/// Counts a wrong code; false if there were too many. A right one always passes: whoever read it on the host must not be
/// kept out by strangers.
fn wrong_code(keeper: &Keeper) -> bool {
    let mut limiter = unpoisoned(keeper.claims.lock());
    let now = keeper.uptime.now();
    let permitted = limiter.permits(&(), now);
    if permitted {
        limiter.failed(&(), now);
    }
    permitted
}

pub(super) fn reset(_: &Keeper, open: &Open, _: &Request<'_>, reply: &mut Reply<'_>) -> Answered {
    let reset = open.db().reset_identity();
    done(reset, reply)
}

fn done(result: Result<(), SecretsError>, reply: &mut Reply<'_>) -> Answered {
    match result {
        Ok(()) => reply.link(&Response::Done),
        Err(error) => storage(&error, reply),
    }
}

fn own_key(db: &SecretsDb) -> Result<jws::SigningKey, IdentityError> {
    Ok(jws::SigningKey::of_scalar(&db.identity_key()?)?)
}

fn now_seconds() -> u64 {
    u64::try_from(clock::now_us() / 1_000_000).unwrap_or(0)
}

/// Why a request came to nothing.
#[derive(Debug, thiserror::Error)]
enum IdentityError {
    #[error(transparent)]
    Secrets(#[from] SecretsError),
    #[error(transparent)]
    Jws(#[from] JwsError),
}

fn failed(error: &IdentityError, reply: &mut Reply<'_>) -> Answered {
    log::error(format_args!("{error}"));
    refuse(Refusal::Storage(error.to_string()), reply)
}

fn check_registration(registration: &Registration<'_>) -> Result<(), String> {
    let Registration { client, secret, registration_token, owner } = registration;
    jws::check_url(&client.issuer).map_err(|why| format!("the issuer: {why}"))?;
    if let Some(management) = &client.management {
        jws::check_url_with_query(management).map_err(|why| format!("the address of the registration: {why}"))?;
    }
    // RFC 6749, appendix A.1.
    let printable = client.client_id.bytes().all(|c| matches!(c, b' '..=b'~'));
    if !(1..=MAX_ID).contains(&client.client_id.len()) || !printable {
        return Err("the client id has 1 to 255 printable characters".to_owned());
    }
    if client.metadata.len() > MAX_METADATA {
        return Err(format!("what the server returned is longer than {MAX_METADATA} bytes"));
    }
    for (what, value) in [("client secret", secret), ("registration access token", registration_token)] {
        if value.len() > MAX_CREDENTIAL {
            return Err(format!("the {what} is longer than {MAX_CREDENTIAL} bytes"));
        }
    }
    if client.auth != ClientAuth::PrivateKeyJwt && secret.is_empty() {
        return Err("the client secret is missing, and the client authenticates by it".to_owned());
    }
    owner.as_ref().map_or(Ok(()), check_owner)
}

fn check_owner(owner: &Owner) -> Result<(), String> {
    jws::check_url(&owner.issuer).map_err(|why| format!("the owner's issuer: {why}"))?;
    check_person(&owner.subject, &owner.name)
}

/// A subject and a name, as they are kept and listed.
pub(super) fn check_person(subject: &str, name: &str) -> Result<(), String> {
    if !(1..=MAX_ID).contains(&subject.len()) || subject.chars().any(char::is_control) {
        return Err("the subject has 1 to 255 bytes and no control character".to_owned());
    }
    if name.len() > MAX_NAME || name.chars().any(char::is_control) {
        return Err(format!("the name has at most {MAX_NAME} bytes and no control character"));
    }
    Ok(())
}
