//! The claim code: whoever read it on the host makes the instance theirs, once.

use std::sync::Barrier;

use merlon_wire::admin;
use merlon_wire::identity::Owner;
use merlon_wire::keeper::{Refusal, Request, Response};

use crate::identity::{ISSUER, identity, owner};
use crate::support::{Link, Running, Scratch, Starting};

pub(crate) fn code(running: &Running) -> Option<String> {
    match running.administer(&admin::Request::ClaimCode).admin() {
        admin::Response::ClaimCode(code) => code.map(str::to_owned),
        other => panic!("{other:?}"),
    }
}

fn check(link: &mut Link, code: &str) -> Result<bool, Refusal> {
    match link.ask(&Request::CheckClaimCode { code: code.as_bytes() }).unwrap().link() {
        Response::Verified(verdict) => Ok(verdict),
        Response::Refused(refusal) => Err(refusal),
        other => panic!("{other:?}"),
    }
}

pub(crate) fn claim(link: &mut Link, code: &str, owner: Owner) -> Result<(), Refusal> {
    match link.ask(&Request::Claim { code: code.as_bytes(), owner }).unwrap().link() {
        Response::Done => Ok(()),
        Response::Refused(refusal) => Err(refusal),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_code_claims_once_and_is_gone_with_it() {
    let scratch = Scratch::new();
    let running = Running::start(&scratch);
    let shown = code(&running).unwrap();
    assert_eq!((shown.len(), shown.split('-').map(str::len).collect::<Vec<_>>()), (29, vec![5; 5]), "{shown}");
    assert!(shown.bytes().all(|c| c == b'-' || b"0123456789ABCDEFGHJKMNPQRSTVWXYZ".contains(&c)), "{shown}");
    assert_eq!(code(&running).as_deref(), Some(shown.as_str()), "the same until it is used");
    running.stop();
    let running = Running::start(&scratch);
    assert_eq!(code(&running).as_deref(), Some(shown.as_str()), "after a restart too");

    let (mut link, _) = running.link();
    let plain = shown.replace('-', "");
    let sloppy = format!(" {} \n", shown.to_lowercase().replace('-', " - ").replace('0', "o").replace('1', "l"));
    for right in [&shown, &plain, &sloppy] {
        assert_eq!(check(&mut link, right), Ok(true), "{right}");
    }
    let other = if plain.starts_with('7') { "8" } else { "7" };
    let altered = format!("{other}{}", &plain[1..]);
    let long = " ".repeat(200) + &plain;
    for wrong in ["", "-----", &plain[1..], &format!("{plain}0"), &altered, &long, "\u{0}"] {
        assert_eq!(check(&mut link, wrong), Ok(false), "{wrong}");
        assert_eq!(claim(&mut link, wrong, owner("mallory")), Err(Refusal::BadClaimCode), "{wrong}");
    }
    assert!(identity(&mut link).owner.is_none());
    assert!(matches!(claim(&mut link, &shown, owner("")), Err(Refusal::OutOfBounds(_))));
    assert_eq!(claim(&mut link, &sloppy, owner("ann")), Ok(()));
    assert_eq!(code(&running), None);
    let now = identity(&mut link);
    assert_eq!((now.owner, now.claim_code), (Some(owner("ann")), false));
    assert_eq!(check(&mut link, &shown), Err(Refusal::Claimed));
    assert_eq!(claim(&mut link, &shown, owner("bob")), Err(Refusal::Claimed));
    assert_eq!(claim(&mut link, "whatever", owner("ann")), Ok(()), "the same owner once more is no error");
    running.stop();
    let running = Running::start(&scratch);
    assert_eq!(identity(&mut running.link().0).owner, Some(owner("ann")));

    // A reset makes it nobody's, with another code.
    let (mut link, _) = running.link();
    assert_eq!(link.ask(&Request::ResetIdentity).unwrap().link(), Response::Done);
    assert_ne!(code(&running).unwrap(), shown);
    assert_eq!(claim(&mut link, &shown, owner("bob")), Err(Refusal::BadClaimCode));
}

#[test]
fn of_many_who_claim_at_once_one_is_the_owner() {
    let scratch = Scratch::new();
    let running = Running::start(&scratch);
    let code = code(&running).unwrap();
    // A link that is replaced still has its request answered, or is hung up on: nobody else may hear yes.
    let links: Vec<Link> = (0..8).map(|_| running.link().0).collect();
    let barrier = Barrier::new(links.len());
    let claimed: Vec<String> = std::thread::scope(|scope| {
        let threads: Vec<_> = links
            .into_iter()
            .enumerate()
            .map(|(n, mut link)| {
                let (barrier, code) = (&barrier, &code);
                scope.spawn(move || {
                    barrier.wait();
                    let owner = owner(&format!("person {n}"));
                    let answer = link.ask(&Request::Claim { code: code.as_bytes(), owner: owner.clone() })?;
                    (answer.link() == Response::Done).then_some(owner.subject)
                })
            })
            .collect();
        threads.into_iter().filter_map(|thread| thread.join().unwrap()).collect()
    });
    let owner = identity(&mut running.link().0).owner.unwrap();
    assert_eq!(claimed, [owner.subject]);
}

#[test]
fn guessing_is_limited_and_the_right_code_passes_all_the_same() {
    let scratch = Scratch::new();
    let running = Running::start(&scratch);
    let (mut link, _) = running.link();
    assert!((0..1000).any(|_| check(&mut link, "WRONG") == Err(Refusal::RateLimited)));
    assert!((0..1000).any(|_| claim(&mut link, "WRONG", owner("m")) == Err(Refusal::RateLimited)));
    let code = code(&running).unwrap();
    assert_eq!(check(&mut link, &code), Ok(true));
    assert_eq!(claim(&mut link, &code, owner("ann")), Ok(()));
}

#[test]
fn the_journal_has_a_hint_and_never_the_code() {
    let scratch = Scratch::new();
    let config = format!("[identity]\nissuer = \"{ISSUER}\"\n");
    let mut running = Starting::with_config(&scratch, &config).spawn();
    assert!(!running.ready());
    let code = code(&running).unwrap();
    let (mut link, _) = running.link();
    claim(&mut link, "WRONG", owner("m")).unwrap_err();
    claim(&mut link, &code, owner("ann")).unwrap();
    let (_, journal) = running.stop();
    assert!(journal.contains("run `merlon claim-code`"), "{journal}");
    for secret in [code.as_str(), &code.replace('-', "")] {
        assert!(!journal.contains(secret), "{journal}");
    }
    // With an owner, or without an authorization server, there is nothing to be claimed.
    for config in [config.as_str(), ""] {
        let mut running = Starting::with_config(&scratch, config).spawn();
        running.ready();
        let (_, journal) = running.stop();
        assert!(!journal.contains("claim-code"), "{journal}");
    }
}
