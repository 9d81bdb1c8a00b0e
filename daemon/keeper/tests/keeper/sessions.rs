//! Sessions of those who signed in: known by what their tokens say or are, ended for good, bounded in number.

use std::fs;

use merlon_wire::identity::{MAX_SESSIONS, Session, SessionKey, SessionStart, SessionState};
use merlon_wire::keeper::{EndSession, Refusal, Request, Response};

use crate::identity::{ISSUER, registration, store};
use crate::support::{Link, Running, Scratch, now};

/// An hour from now.
fn later() -> i64 {
    i64::try_from(now() + 3600).unwrap() * 1_000_000
}

pub(crate) fn start<'a>(access: SessionKey<'a>, refresh: Option<SessionKey<'a>>) -> SessionStart<'a> {
    SessionStart {
        access,
        refresh,
        issuer: ISSUER,
        subject: "acc_1",
        name: "Ann",
        label: "merlon on laptop",
        role: "operator",
        bound: true,
        expires_us: later(),
    }
}

fn session(answer: Response<'_>) -> Result<Session, Refusal> {
    match answer {
        Response::Session(session) => Ok(session),
        Response::Refused(refusal) => Err(refusal),
        other => panic!("{other:?}"),
    }
}

pub(crate) fn begin(link: &mut Link, start: SessionStart<'_>) -> Result<Session, Refusal> {
    session(link.ask(&Request::BeginSession(start)).unwrap().link())
}

fn refresh(link: &mut Link, used: SessionKey<'_>, start: SessionStart<'_>) -> Result<Session, Refusal> {
    session(link.ask(&Request::RefreshSession { used, now: start }).unwrap().link())
}

fn state(answer: Response<'_>) -> SessionState {
    match answer {
        Response::SessionState(state) => state,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn check(link: &mut Link, key: SessionKey<'_>) -> SessionState {
    state(link.ask(&Request::CheckSession(key)).unwrap().link())
}

pub(crate) fn end(link: &mut Link, which: EndSession<'_>) -> SessionState {
    state(link.ask(&Request::EndSession(which)).unwrap().link())
}

fn list(link: &mut Link) -> Vec<Session> {
    let mut all = Vec::new();
    loop {
        let after = u32::try_from(all.len()).unwrap();
        let answer = link.ask(&Request::ListSessions { after }).unwrap();
        let Response::Sessions { total, mut sessions } = answer.link() else { panic!() };
        all.append(&mut sessions);
        if all.len() >= total as usize {
            return all;
        }
    }
}

#[test]
fn a_session_is_known_by_its_sid_until_it_is_ended() {
    let scratch = Scratch::new();
    let running = Running::start(&scratch);
    let (mut link, _) = running.link();
    let sid = SessionKey::Sid("grt_1");
    assert_eq!(check(&mut link, sid), SessionState::Unknown);
    let begun = begin(&mut link, start(sid, Some(sid))).unwrap();
    assert!(begun.id.starts_with("ses_") && begun.id.len() == 16, "{}", begun.id);
    let told = (begun.sid.as_deref(), begun.subject.as_str(), begun.name.as_str(), begun.label.as_str());
    assert_eq!(told, (Some("grt_1"), "acc_1", "Ann", "merlon on laptop"));
    assert!(begun.role == "operator" && begun.bound && begun.issuer == ISSUER);
    assert_eq!(check(&mut link, sid), SessionState::Live(begun.clone()));
    // Beginning it once more is the same session: an answer was lost.
    let again = begin(&mut link, start(sid, Some(sid))).unwrap();
    assert_eq!((&again.id, again.created_us), (&begun.id, begun.created_us));
    let refreshed = refresh(&mut link, sid, start(sid, Some(sid))).unwrap();
    assert_eq!((&refreshed.id, refreshed.created_us), (&begun.id, begun.created_us));
    assert!(refreshed.refreshed_us > begun.refreshed_us);
    running.stop();

    let running = Running::start(&scratch);
    let (mut link, _) = running.link();
    assert_eq!(list(&mut link), std::slice::from_ref(&refreshed));
    assert_eq!(end(&mut link, EndSession::Id(&begun.id)), SessionState::Live(refreshed));
    assert_eq!(check(&mut link, sid), SessionState::Ended);
    assert_eq!(end(&mut link, EndSession::Key(sid)), SessionState::Ended);
    assert_eq!(refresh(&mut link, sid, start(sid, None)), Err(Refusal::NoSession));
    assert_eq!(begin(&mut link, start(sid, None)), Err(Refusal::NoSession));
    assert_eq!(list(&mut link), []);
    running.stop();
    let running = Running::start(&scratch);
    assert_eq!(check(&mut running.link().0, sid), SessionState::Ended, "remembered over a restart");
}

#[test]
fn a_session_without_sid_is_known_by_all_its_tokens_and_none_is_kept() {
    let scratch = Scratch::new();
    let running = Running::start(&scratch);
    let (mut link, _) = running.link();
    let tokens: Vec<String> = (0..4).map(|n| format!("a token of some length, number {n}")).collect();
    let [access1, refresh1, access2, refresh2] = [0, 1, 2, 3].map(|n| SessionKey::Token(tokens[n].as_bytes()));
    let begun = begin(&mut link, start(access1, Some(refresh1))).unwrap();
    assert_eq!(begun.sid, None);
    let refreshed = refresh(&mut link, refresh1, start(access2, Some(refresh2))).unwrap();
    assert_eq!(refreshed.id, begun.id);
    for key in [access1, refresh1, access2, refresh2] {
        assert_eq!(check(&mut link, key), SessionState::Live(refreshed.clone()));
    }
    // A server that gave no new refresh token goes on with the old one.
    assert_eq!(refresh(&mut link, refresh2, start(access2, None)).unwrap().id, begun.id);
    assert_eq!(refresh(&mut link, refresh2, start(access2, None)).unwrap().id, begun.id);
    // A token is no sid, whatever it looks like.
    assert_eq!(check(&mut link, SessionKey::Sid(&tokens[0])), SessionState::Unknown);
    // Somebody else's tokens change nothing about a session.
    let theirs = SessionStart { subject: "acc_2", ..start(access2, None) };
    assert_eq!(refresh(&mut link, refresh2, theirs.clone()), Err(Refusal::NoSession));
    assert_eq!(begin(&mut link, theirs), Err(Refusal::NoSession));
    let elsewhere = SessionStart { issuer: "https://other.example", ..start(access2, None) };
    assert_eq!(refresh(&mut link, refresh2, elsewhere), Err(Refusal::NoSession));
    // Of many refreshes the last few tokens are remembered.
    for n in 0..10 {
        let (a, r) = (format!("access {n}"), format!("refresh {n}"));
        let used = if n == 0 { tokens[3].clone() } else { format!("refresh {}", n - 1) };
        let next = start(SessionKey::Token(a.as_bytes()), Some(SessionKey::Token(r.as_bytes())));
        refresh(&mut link, SessionKey::Token(used.as_bytes()), next).unwrap();
    }
    assert_eq!(check(&mut link, access1), SessionState::Unknown);
    assert!(matches!(check(&mut link, SessionKey::Token(b"access 9")), SessionState::Live(_)));
    assert!(matches!(check(&mut link, SessionKey::Token(b"access 6")), SessionState::Live(_)));
    assert!(matches!(end(&mut link, EndSession::Key(SessionKey::Token(b"refresh 9"))), SessionState::Live(_)));
    assert_eq!(check(&mut link, SessionKey::Token(b"access 9")), SessionState::Ended);
    let (_, journal) = running.stop();
    for (name, bytes) in scratch.snapshot() {
        for token in &tokens {
            assert!(memchr::memmem::find(&bytes, token.as_bytes()).is_none(), "{name}");
        }
    }
    assert!(tokens.iter().all(|token| !journal.contains(token)));
}

#[test]
fn the_one_used_longest_ago_goes_first_and_all_of_them_are_listed() {
    let scratch = Scratch::new();
    let running = Running::start(&scratch);
    let (mut link, _) = running.link();
    let (name, label) = ("n".repeat(128), "l".repeat(128));
    let long = |n: u32| format!("{n:0255}");
    for n in 0..MAX_SESSIONS {
        let sid = long(n);
        let key = SessionKey::Sid(&sid);
        begin(&mut link, SessionStart { name: &name, label: &label, subject: &sid, ..start(key, None) }).unwrap();
    }
    assert_eq!(list(&mut link).len(), MAX_SESSIONS as usize);
    // The first is used again, so the second goes.
    let first = long(0);
    let key = SessionKey::Sid(&first);
    refresh(&mut link, key, SessionStart { subject: &first, ..start(key, None) }).unwrap();
    begin(&mut link, start(SessionKey::Sid("one more"), None)).unwrap();
    assert_eq!(list(&mut link).len(), MAX_SESSIONS as usize);
    assert!(matches!(check(&mut link, key), SessionState::Live(_)));
    assert_eq!(check(&mut link, SessionKey::Sid(&long(1))), SessionState::Ended);
    assert!(matches!(check(&mut link, SessionKey::Sid(&long(2))), SessionState::Live(_)));
}

#[test]
fn sessions_end_with_their_tokens_and_with_the_client() {
    let scratch = Scratch::new();
    let running = Running::start(&scratch);
    let (mut link, _) = running.link();
    store(&mut link, registration("one"));
    let sid = SessionKey::Sid("s");
    begin(&mut link, start(sid, None)).unwrap();
    store(&mut link, registration("one"));
    assert!(matches!(check(&mut link, sid), SessionState::Live(_)));
    store(&mut link, registration("two"));
    assert_eq!(check(&mut link, sid), SessionState::Unknown);
    begin(&mut link, start(sid, None)).unwrap();
    assert_eq!(link.ask(&Request::ResetIdentity).unwrap().link(), Response::Done);
    assert_eq!(check(&mut link, sid), SessionState::Unknown);
    // However far off the end is said to be, there is one.
    let far = begin(&mut link, SessionStart { expires_us: i64::MAX, ..start(sid, None) }).unwrap();
    assert!(far.expires_us < i64::try_from(now() + 401 * 24 * 3600).unwrap() * 1_000_000);
}

#[test]
fn what_is_out_of_bounds_begins_no_session() {
    let scratch = Scratch::new();
    let running = Running::start(&scratch);
    let (mut link, _) = running.link();
    let (long_id, long_name) = ("x".repeat(256), "x".repeat(129));
    let sid = SessionKey::Sid("s");
    let good = start(sid, None);
    let bad = [
        start(SessionKey::Sid(""), None),
        start(SessionKey::Sid(&long_id), None),
        start(SessionKey::Token(b""), None),
        start(sid, Some(SessionKey::Sid("a\nb"))),
        SessionStart { issuer: "http://hub.example", ..good.clone() },
        SessionStart { subject: "", ..good.clone() },
        SessionStart { subject: &long_id, ..good.clone() },
        SessionStart { name: &long_name, ..good.clone() },
        SessionStart { label: &long_name, ..good.clone() },
        SessionStart { label: "\u{1b}[2J", ..good.clone() },
        SessionStart { role: "root", ..good.clone() },
        SessionStart { expires_us: 0, ..good.clone() },
    ];
    for bad in bad {
        assert!(matches!(begin(&mut link, bad.clone()), Err(Refusal::OutOfBounds(_))), "{bad:?}");
        assert!(matches!(refresh(&mut link, sid, bad.clone()), Err(Refusal::OutOfBounds(_))), "{bad:?}");
    }
    assert_eq!(list(&mut link), []);
    assert_eq!(refresh(&mut link, sid, good), Err(Refusal::NoSession));
    assert_eq!(end(&mut link, EndSession::Id("ses_nothing")), SessionState::Unknown);
    assert!(fs::metadata(scratch.file("secrets.db")).is_ok());
}
