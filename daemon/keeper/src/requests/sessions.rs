//! What the engine may ask about the sessions of those who signed in.

use merlon_wire::MAX_FRAME;
use merlon_wire::identity::{MAX_ID, MAX_NAME, Session, SessionKey, SessionStart};
use merlon_wire::keeper::{EndSession, Refusal, Request, Response};

use super::identity::check_person;
use super::link::{Answered, misrouted, refuse, storage};
use super::reply::Reply;
use crate::keeper::{Keeper, Open};
use crate::secrets_db::SecretsError;
use crate::{clock, jws};

const ROLES: [&str; 3] = ["viewer", "operator", "owner"];
/// No session is remembered for longer, whatever its tokens say.
const LONGEST_US: i64 = 400 * 24 * 3600 * 1_000_000;
/// What a session takes of a frame besides its texts, and an answer besides its sessions; more than enough.
const OVERHEAD: usize = 128;

pub(super) fn begin(_: &Keeper, open: &Open, request: &Request<'_>, reply: &mut Reply<'_>) -> Answered {
    let Request::BeginSession(start) = request else { return misrouted(request) };
    let now = clock::now_us();
    match check_start(start, now) {
        Ok(start) => {
            let begun = open.db().begin_session(&start, now);
            answer(begun, reply)
        }
        Err(why) => refuse(Refusal::OutOfBounds(why), reply),
    }
}

pub(super) fn refresh(_: &Keeper, open: &Open, request: &Request<'_>, reply: &mut Reply<'_>) -> Answered {
    let Request::RefreshSession { used, now: start } = request else { return misrouted(request) };
    let now = clock::now_us();
    match check_key(used).and_then(|()| check_start(start, now)) {
        Ok(start) => {
            let refreshed = open.db().refresh_session(used, &start, now);
            answer(refreshed, reply)
        }
        Err(why) => refuse(Refusal::OutOfBounds(why), reply),
    }
}

pub(super) fn check(_: &Keeper, open: &Open, request: &Request<'_>, reply: &mut Reply<'_>) -> Answered {
    let Request::CheckSession(key) = request else { return misrouted(request) };
    let state = open.db().session_state(key, clock::now_us());
    match state {
        Ok(state) => reply.link(&Response::SessionState(state)),
        Err(error) => storage(&error, reply),
    }
}

pub(super) fn list(_: &Keeper, open: &Open, request: &Request<'_>, reply: &mut Reply<'_>) -> Answered {
    let Request::ListSessions { after } = request else { return misrouted(request) };
    let mut left = MAX_FRAME - OVERHEAD;
    let fits = |session: &Session| {
        let taken = left.checked_sub(size(session));
        left = taken.unwrap_or(0);
        taken.is_some()
    };
    let listed = open.db().live_sessions(*after, clock::now_us(), fits);
    match listed {
        Ok((total, sessions)) => reply.link(&Response::Sessions { total, sessions }),
        Err(error) => storage(&error, reply),
    }
}

pub(super) fn end(_: &Keeper, open: &Open, request: &Request<'_>, reply: &mut Reply<'_>) -> Answered {
    let Request::EndSession(which) = request else { return misrouted(request) };
    if let EndSession::Key(key) = which
        && let Err(why) = check_key(key)
    {
        return refuse(Refusal::OutOfBounds(why), reply);
    }
    let ended = open.db().end_session(which, clock::now_us());
    match ended {
        Ok(was) => reply.link(&Response::SessionState(was)),
        Err(error) => storage(&error, reply),
    }
}

fn answer(session: Result<Option<Session>, SecretsError>, reply: &mut Reply<'_>) -> Answered {
    match session {
        Ok(Some(session)) => reply.link(&Response::Session(session)),
        Ok(None) => refuse(Refusal::NoSession, reply),
        Err(error) => storage(&error, reply),
    }
}

/// What begins or goes on, within its bounds. The end is brought nearer if it is too far.
fn check_start<'a>(start: &SessionStart<'a>, now_us: i64) -> Result<SessionStart<'a>, String> {
    check_key(&start.access)?;
    start.refresh.as_ref().map_or(Ok(()), check_key)?;
    jws::check_url(start.issuer).map_err(|why| format!("the issuer: {why}"))?;
    check_person(start.subject, start.name)?;
    if start.label.len() > MAX_NAME || start.label.chars().any(char::is_control) {
        return Err(format!("the label has at most {MAX_NAME} bytes and no control character"));
    }
    if !ROLES.contains(&start.role) {
        return Err("there is no such role".to_owned());
    }
    if start.expires_us <= now_us {
        return Err("the session has expired already".to_owned());
    }
    let expires_us = start.expires_us.min(now_us.saturating_add(LONGEST_US));
    Ok(SessionStart { expires_us, ..start.clone() })
}

fn check_key(key: &SessionKey<'_>) -> Result<(), String> {
    match key {
        SessionKey::Sid(sid) if !(1..=MAX_ID).contains(&sid.len()) || sid.chars().any(char::is_control) => {
            Err("the session id has 1 to 255 bytes and no control character".to_owned())
        }
        SessionKey::Token([]) => Err("the token is empty".to_owned()),
        _ => Ok(()),
    }
}

/// More than it takes of a frame.
fn size(session: &Session) -> usize {
    let Session { id, sid, issuer, subject, name, label, role, .. } = session;
    let texts = [id, issuer, subject, name, label, role].map(String::len);
    OVERHEAD + texts.iter().sum::<usize>() + sid.as_ref().map_or(0, String::len)
}
