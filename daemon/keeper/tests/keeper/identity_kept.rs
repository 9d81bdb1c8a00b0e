//! Identity over whatever may happen to a keeper: kills, new master keys, restored backups; and what of it is told.

use std::sync::mpsc::channel;

use merlon_wire::admin::{AuditEntry, NewKeyslot, Request as Admin, Response as AdminResponse, UnlockWith};
use merlon_wire::identity::{Credential, Registration, SessionKey, SessionState};
use merlon_wire::keeper::{EndSession, Refusal, Request, Response};

use crate::claim::{claim, code};
use crate::hub;
use crate::identity::{credential, identity, owner, registration, store, store_access_token};
use crate::sessions::{begin, check, end, start};
use crate::support::{Running, Scratch, Starting};

#[test]
fn a_new_master_key_changes_nothing_about_who_the_instance_is() {
    let scratch = Scratch::new();
    let running = Running::start(&scratch);
    let (mut link, _) = running.link();
    store(&mut link, registration("one"));
    store_access_token(&mut link, b"access");
    let unclaimed = code(&running).unwrap();
    let (live, ended) = (SessionKey::Token(b"live"), SessionKey::Sid("ended"));
    let session = begin(&mut link, start(live, None)).unwrap();
    begin(&mut link, start(ended, None)).unwrap();
    end(&mut link, EndSession::Key(ended));
    let before = identity(&mut link);
    for restarted in [false, true] {
        let rotated = running.administer(&Admin::Rotate(b""));
        assert!(matches!(rotated.admin(), AdminResponse::RecoveryKey { .. }), "{restarted}");
        let (mut link, _) = running.link();
        assert_eq!(identity(&mut link), before);
        assert_eq!(code(&running).as_deref(), Some(unclaimed.as_str()));
        for (which, value) in [
            (Credential::ClientSecret, &b"the secret"[..]),
            (Credential::RegistrationToken, b"the token"),
            (Credential::AccessToken, b"access"),
        ] {
            assert_eq!(credential(&mut link, which).unwrap(), value);
        }
        assert_eq!(check(&mut link, live), SessionState::Live(session.clone()));
        assert_eq!(check(&mut link, ended), SessionState::Ended);
    }
    running.stop();
    let running = Running::start(&scratch);
    let (mut link, _) = running.link();
    assert_eq!(identity(&mut link), before);
    assert_eq!(claim(&mut link, &unclaimed, owner("ann")), Ok(()));
}

#[test]
fn a_hubs_keys_sign_on_under_a_new_master_key() {
    let scratch = Scratch::new();
    let running = hub::start(&scratch);
    let (mut link, _) = running.link();
    link.ask(&Request::CreateProject { name: "hub" }).unwrap();
    let before = link.ask(&Request::SigningKeys).unwrap();
    let rotated = running.administer(&Admin::Rotate(b""));
    assert!(matches!(rotated.admin(), AdminResponse::RecoveryKey { .. }));
    let work = link.ask(&Request::NextRekey { after: 0 }).unwrap();
    assert!(matches!(work.link(), Response::Rekey { waiting: 1, project: Some(_) }));
    assert_eq!(link.ask(&Request::Rekeyed { id: 1 }).unwrap().link(), Response::Done);
    assert_eq!(link.ask(&Request::SigningKeys).unwrap().link(), before.link());
    running.stop();
    let running = hub::start(&scratch);
    assert_eq!(running.link().0.ask(&Request::SigningKeys).unwrap().link(), before.link());
}

#[test]
fn kills_while_credentials_are_rotated_lose_none_of_them() {
    let scratch = Scratch::new();
    let mut sent = 0u32;
    let credentials = |n: u32| (format!("secret {n}"), format!("token {n}"));
    for round in 0..20 {
        let mut running = Running::start(&scratch);
        let (mut link, _) = running.link();
        let (sender, acknowledged) = channel();
        let first = sent;
        let tried = std::thread::scope(|scope| {
            let storing = scope.spawn(move || {
                for n in first.. {
                    let (secret, token) = credentials(n);
                    let (secret, registration_token) = (secret.as_bytes(), token.as_bytes());
                    let stored = Registration { secret, registration_token, ..registration("one") };
                    let Some(answer) = link.ask(&Request::StoreRegistration(stored)) else { return n };
                    assert_eq!(answer.link(), Response::Done);
                    // Nobody counts any more once the kill is on its way.
                    let _ = sender.send(n);
                }
                unreachable!("the keeper was killed long before")
            });
            let last = acknowledged.iter().take(1 + round % 7).last().unwrap();
            running.kill();
            let tried = storing.join().unwrap();
            (acknowledged.iter().last().unwrap_or(last), tried)
        });
        let running = Running::start(&scratch);
        let (mut link, _) = running.link();
        let [secret, token] = [Credential::ClientSecret, Credential::RegistrationToken]
            .map(|which| String::from_utf8(credential(&mut link, which).unwrap()).unwrap());
        // The last that was acknowledged, or the one that was being written; both of one write.
        let kept = (tried.0..=tried.1).find(|n| credentials(*n) == (secret.clone(), token.clone()));
        assert!(kept.is_some(), "round {round}: {secret}, {token} of {tried:?}");
        assert_eq!(identity(&mut link).client.unwrap().client_id, "one");
        sent = tried.1 + 1;
        running.stop();
    }
}

#[test]
fn a_kill_between_claim_and_answer_leaves_an_owner_or_the_code() {
    for round in 0..12 {
        let scratch = Scratch::new();
        let mut running = Running::start(&scratch);
        let shown = code(&running).unwrap();
        let (mut link, _) = running.link();
        std::thread::scope(|scope| {
            let claiming = scope.spawn(|| {
                let answer = link.ask(&Request::Claim { code: shown.as_bytes(), owner: owner("ann") });
                answer.map(|answer| assert_eq!(answer.link(), Response::Done)).is_some()
            });
            // At another moment each time.
            (0..round * 2_000).for_each(|_| std::hint::spin_loop());
            running.kill();
            let answered = claiming.join().unwrap();
            let running = Running::start(&scratch);
            let (mut link, _) = running.link();
            match identity(&mut link).owner {
                Some(found) => assert_eq!((found, code(&running)), (owner("ann"), None)),
                None => {
                    assert!(!answered, "an answered claim was lost");
                    assert_eq!(code(&running).as_deref(), Some(shown.as_str()));
                }
            }
            assert_eq!(claim(&mut link, &shown, owner("ann")), Ok(()), "asking again settles it");
        });
    }
}

#[test]
fn a_locked_keeper_knows_nobody() {
    let scratch = Scratch::new();
    let running = Running::start(&scratch);
    running.administer(&Admin::AddKeyslot(NewKeyslot::Passphrase(b"a passphrase")));
    let (mut link, _) = running.link();
    store(&mut link, registration("one"));
    let shown = code(&running).unwrap();
    running.stop();
    std::fs::remove_file(scratch.file("file.key")).unwrap();
    let mut running = Starting::new(&scratch).spawn();
    assert!(running.ready());
    let (mut link, _) = running.link();
    let key = SessionKey::Sid("s");
    for request in [
        Request::Identity,
        Request::SignAssertion,
        Request::SignProof { method: "POST", url: "https://h", nonce: "" },
        Request::StoreRegistration(registration("two")),
        Request::Credential(Credential::ClientSecret),
        Request::StoreAccessToken { token: b"t", expires_us: i64::MAX },
        Request::CheckClaimCode { code: shown.as_bytes() },
        Request::Claim { code: shown.as_bytes(), owner: owner("m") },
        Request::ResetIdentity,
        Request::BeginSession(start(key, None)),
        Request::RefreshSession { used: key, now: start(key, None) },
        Request::CheckSession(key),
        Request::ListSessions { after: 0 },
        Request::EndSession(EndSession::Key(key)),
    ] {
        assert_eq!(link.ask(&request).unwrap().link(), Response::Refused(Refusal::Locked), "{request:?}");
    }
    let refused = running.administer(&Admin::ClaimCode);
    let locked = merlon_wire::admin::AdminRefusal::Keeper(Refusal::Locked);
    assert_eq!(refused.admin(), AdminResponse::Refused(locked));
    running.administer(&Admin::Unlock(UnlockWith::Passphrase(b"a passphrase")));
    assert_eq!(identity(&mut link).client.unwrap().client_id, "one");
}

#[test]
fn what_happened_is_in_the_audit_log_without_a_secret() {
    let scratch = Scratch::new();
    let running = Running::start(&scratch);
    let (mut link, _) = running.link();
    let stored = Registration {
        secret: b"a client's secret",
        registration_token: b"a registration token",
        ..registration("one")
    };
    store(&mut link, stored);
    store_access_token(&mut link, b"an access token");
    let shown = code(&running).unwrap();
    claim(&mut link, "WRONG", owner("m")).unwrap_err();
    claim(&mut link, &shown, owner("ann")).unwrap();
    let token = SessionKey::Token(b"a token of a person");
    let session = begin(&mut link, start(token, None)).unwrap();
    end(&mut link, EndSession::Key(token));
    end(&mut link, EndSession::Key(token));
    link.ask(&Request::ResetIdentity).unwrap();
    let listed = running.administer(&Admin::AuditList { before: None, limit: 5 });
    let AdminResponse::AuditEntries(entries) = listed.admin() else { panic!() };
    let mut told: Vec<_> = entries.into_iter().map(|AuditEntry { event, details, .. }| (event, details)).collect();
    told.reverse();
    let (id, issuer) = (&session.id, crate::identity::ISSUER);
    let expected = [
        ("registered", format!(r#"{{"client":"one","issuer":"{issuer}"}}"#)),
        ("claimed", format!(r#"{{"issuer":"{issuer}","name":"Ann","subject":"ann"}}"#)),
        (
            "session-begun",
            format!(r#"{{"id":"{id}","label":"merlon on laptop","name":"Ann","role":"operator","subject":"acc_1"}}"#),
        ),
        ("session-ended", format!(r#"{{"id":"{id}","name":"Ann","subject":"acc_1"}}"#)),
        ("identity-reset", "{}".to_owned()),
    ];
    assert_eq!(told, expected.map(|(event, details)| (event.to_owned(), details)));
    let (_, journal) = running.stop();
    let plain = shown.replace('-', "");
    let secrets =
        ["a client's secret", "a registration token", "an access token", "a token of a person", &shown, &plain];
    for (name, bytes) in scratch.snapshot().into_iter().chain([("journal".to_owned(), journal.into_bytes())]) {
        for secret in secrets {
            assert!(memchr::memmem::find(&bytes, secret.as_bytes()).is_none(), "{secret} in {name}");
        }
    }
}

#[test]
fn every_prefix_and_every_flipped_bit_of_a_registration_is_harmless() {
    use merlon_wire::{Frame, MAX_FRAME, encode};
    let scratch = Scratch::new();
    let running = Running::start(&scratch);
    let mut bytes = vec![0; MAX_FRAME];
    let body = Request::StoreRegistration(Registration { owner: Some(owner("a")), ..registration("one") });
    let used = encode(&Frame { id: 1, body }, &mut bytes).unwrap();
    let good = &bytes[..used];
    let (mut link, _) = running.link();
    for length in 1..good.len() {
        assert!(link.send_raw(&good[..length], None).is_none(), "a prefix of {length} bytes was answered");
        link = running.link().0;
    }
    for bit in 0..good.len() * 8 {
        let mut flipped = good.to_vec();
        flipped[bit / 8] ^= 1 << (bit % 8);
        match link.send_raw(&flipped, None) {
            None => link = running.link().0,
            Some(answer) => assert!(matches!(
                answer.link(),
                Response::Done
                    | Response::Refused(Refusal::OutOfBounds(_))
                    | Response::Credential(_)
                    | Response::Refused(Refusal::NotRegistered)
                    | Response::Jwt(_)
                    | Response::Identity(_)
            )),
        }
    }
    let (mut link, _) = running.link();
    store(&mut link, registration("one"));
    assert_eq!(credential(&mut link, Credential::ClientSecret).unwrap(), b"the secret");
}
