//! Sessions of those who signed in: known by the `sid` of their tokens or by keyed hashes of the tokens themselves.
//!
//! A session that was ended here is remembered until its tokens would have expired, so that they are told from unknown
//! ones. The number of both is bounded.

use data_encoding::HEXLOWER;
use merlon_wire::identity::{MAX_SESSIONS, Session, SessionKey, SessionStart, SessionState};
use merlon_wire::keeper::EndSession;
use rusqlite::{OptionalExtension as _, Row, params};

use super::{SecretsDb, SecretsError};
use crate::crypto;

/// Ended sessions that are remembered at most; those whose tokens expire first go first.
const MAX_ENDED: u32 = 1024;
/// Tokens of each kind that a session is known by: those before a refresh live on for a while.
const MAX_KEYS: u32 = 4;
const COLUMNS: &str =
    "number, id, sid, issuer, subject, name, label, role, bound, created_us, refreshed_us, expires_us, ended";

/// A row of the table.
struct Stored {
    number: i64,
    session: Session,
    ended: bool,
}

impl SecretsDb {
    /// A new session. One whose tokens are known already goes on instead; none if it was ended, or is somebody else's.
    pub(crate) fn begin_session(&self, start: &SessionStart<'_>, now_us: i64) -> Result<Option<Session>, SecretsError> {
        let transaction = self.connection.unchecked_transaction()?;
        self.sweep_sessions(now_us)?;
        let known = match (self.stored(&start.access)?, &start.refresh) {
            (None, Some(refresh)) => self.stored(refresh)?,
            (known, _) => known,
        };
        let id = match known {
            Some(known) => match self.go_on(&known, start, now_us)? {
                true => known.session.id,
                false => return Ok(None),
            },
            None => self.insert_session(start, now_us)?,
        };
        self.bound_sessions()?;
        transaction.commit()?;
        self.session_by_id(&id)
    }

    /// The session behind `used` goes on with other tokens. None if there is none, it was ended, or it is somebody else's.
    pub(crate) fn refresh_session(
        &self,
        used: &SessionKey<'_>,
        start: &SessionStart<'_>,
        now_us: i64,
    ) -> Result<Option<Session>, SecretsError> {
        let transaction = self.connection.unchecked_transaction()?;
        self.sweep_sessions(now_us)?;
        let Some(known) = self.stored(used)? else { return Ok(None) };
        if !self.go_on(&known, start, now_us)? {
            return Ok(None);
        }
        transaction.commit()?;
        self.session_by_id(&known.session.id)
    }

    /// What is known of the session behind a token.
    pub(crate) fn session_state(&self, key: &SessionKey<'_>, now_us: i64) -> Result<SessionState, SecretsError> {
        Ok(state(self.stored(key)?, now_us))
    }

    /// Ends a session; what it was before.
    pub(crate) fn end_session(&self, which: &EndSession<'_>, now_us: i64) -> Result<SessionState, SecretsError> {
        let stored = match which {
            EndSession::Id(id) => self.one_session("id = ?1", &[id])?,
            EndSession::Key(key) => self.stored(key)?,
        };
        let number = stored.as_ref().map(|stored| stored.number);
        let was = state(stored, now_us);
        if let (SessionState::Live(_), Some(number)) = (&was, number) {
            let transaction = self.connection.unchecked_transaction()?;
            self.connection.execute("UPDATE sessions SET ended = 1 WHERE number = ?1", [number])?;
            self.bound_sessions()?;
            transaction.commit()?;
        }
        Ok(was)
    }

    /// How many sessions live, and those behind the first `after` of them, as long as `fits` takes them.
    pub(crate) fn live_sessions(
        &self,
        after: u32,
        now_us: i64,
        mut fits: impl FnMut(&Session) -> bool,
    ) -> Result<(u32, Vec<Session>), SecretsError> {
        let count = "SELECT count(*) FROM sessions WHERE ended = 0 AND expires_us > ?1";
        let total = self.connection.query_row(count, [now_us], |row| row.get(0))?;
        let sql = format!(
            "SELECT {COLUMNS} FROM sessions WHERE ended = 0 AND expires_us > ?1 ORDER BY number LIMIT -1 OFFSET ?2"
        );
        let mut statement = self.connection.prepare(&sql)?;
        let mut sessions = Vec::new();
        for stored in statement.query_map([now_us, i64::from(after)], stored_of)? {
            let session = stored?.session;
            if !fits(&session) {
                break;
            }
            sessions.push(session);
        }
        Ok((total, sessions))
    }

    fn insert_session(&self, start: &SessionStart<'_>, now_us: i64) -> Result<String, SecretsError> {
        let mut id = [0; 6];
        crypto::random(&mut id)?;
        let id = format!("ses_{}", HEXLOWER.encode(&id));
        let sid = match start.access {
            SessionKey::Sid(sid) => Some(sid),
            SessionKey::Token(_) => None,
        };
        let sql = "INSERT INTO sessions (id, sid, issuer, subject, name, label, role, bound, created_us, refreshed_us, expires_us)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?9, ?10)";
        let SessionStart { issuer, subject, name, label, role, bound, expires_us, .. } = start;
        let values = params![id, sid, issuer, subject, name, label, role, bound, now_us, expires_us];
        self.connection.execute(sql, values)?;
        self.add_keys(self.connection.last_insert_rowid(), start)?;
        Ok(id)
    }

    /// A known session has other tokens. False if it was ended, or is somebody else's.
    fn go_on(&self, known: &Stored, start: &SessionStart<'_>, now_us: i64) -> Result<bool, SecretsError> {
        let same = (known.session.issuer.as_str(), known.session.subject.as_str()) == (start.issuer, start.subject);
        if known.ended || !same {
            return Ok(false);
        }
        let sql = "UPDATE sessions SET name = ?2, label = ?3, role = ?4, bound = ?5, refreshed_us = ?6, expires_us = ?7 WHERE number = ?1";
        let SessionStart { name, label, role, bound, expires_us, .. } = start;
        self.connection.execute(sql, params![known.number, name, label, role, bound, now_us, expires_us])?;
        self.add_keys(known.number, start)?;
        Ok(true)
    }

    /// Lets a session be known by these tokens too. One that is known already stays where it is.
    fn add_keys(&self, session: i64, start: &SessionStart<'_>) -> Result<(), SecretsError> {
        let keys = [(Some(&start.access), "access"), (start.refresh.as_ref(), "refresh")];
        for (key, kind) in keys.into_iter().filter_map(|(key, kind)| Some((key?, kind))) {
            let insert =
                "INSERT INTO session_keys (hash, session, kind) VALUES (?1, ?2, ?3) ON CONFLICT (hash) DO NOTHING";
            self.connection.execute(insert, params![self.hash_of_session(key), session, kind])?;
            let forget = "DELETE FROM session_keys WHERE session = ?1 AND kind = ?2 AND number NOT IN
                          (SELECT number FROM session_keys WHERE session = ?1 AND kind = ?2 ORDER BY number DESC LIMIT ?3)";
            self.connection.execute(forget, params![session, kind, MAX_KEYS])?;
        }
        Ok(())
    }

    fn session_by_id(&self, id: &str) -> Result<Option<Session>, SecretsError> {
        Ok(self.one_session("id = ?1", &[&id])?.map(|stored| stored.session))
    }

    /// The session behind a token. The lookup is by a keyed hash, whose timing tells nothing about the token.
    fn stored(&self, key: &SessionKey<'_>) -> Result<Option<Stored>, SecretsError> {
        self.one_session("number = (SELECT session FROM session_keys WHERE hash = ?1)", &[&self.hash_of_session(key)])
    }

    fn one_session(&self, condition: &str, values: &[&dyn rusqlite::ToSql]) -> Result<Option<Stored>, SecretsError> {
        let sql = format!("SELECT {COLUMNS} FROM sessions WHERE {condition}");
        Ok(self.connection.prepare_cached(&sql)?.query_row(values, stored_of).optional()?)
    }

    /// Forgets sessions whose tokens have expired.
    fn sweep_sessions(&self, now_us: i64) -> Result<(), SecretsError> {
        self.connection.execute("DELETE FROM sessions WHERE expires_us <= ?1", [now_us])?;
        self.forget_stray_keys()
    }

    /// Ends the sessions beyond the bound that were used longest ago, and forgets ended ones beyond theirs.
    fn bound_sessions(&self) -> Result<(), SecretsError> {
        let end = "UPDATE sessions SET ended = 1 WHERE ended = 0 AND number NOT IN
                   (SELECT number FROM sessions WHERE ended = 0 ORDER BY refreshed_us DESC, number DESC LIMIT ?1)";
        self.connection.execute(end, [MAX_SESSIONS])?;
        let forget = "DELETE FROM sessions WHERE ended = 1 AND number NOT IN
                      (SELECT number FROM sessions WHERE ended = 1 ORDER BY expires_us DESC, number DESC LIMIT ?1)";
        self.connection.execute(forget, [MAX_ENDED])?;
        self.forget_stray_keys()
    }

    fn forget_stray_keys(&self) -> Result<(), SecretsError> {
        self.batch("DELETE FROM session_keys WHERE session NOT IN (SELECT number FROM sessions)")
    }

    /// Under the key of access tokens, which outlives a master key; three parts, so that it is no hash of such a token.
    fn hash_of_session(&self, key: &SessionKey<'_>) -> [u8; 32] {
        let (kind, bytes) = match key {
            SessionKey::Sid(sid) => (b"sid".as_slice(), sid.as_bytes()),
            SessionKey::Token(token) => (b"token".as_slice(), *token),
        };
        crypto::mac_of_parts(&self.token_hash, &[b"session", kind, bytes])
    }
}

fn state(stored: Option<Stored>, now_us: i64) -> SessionState {
    match stored {
        Some(stored) if stored.session.expires_us <= now_us => SessionState::Unknown,
        Some(stored) if stored.ended => SessionState::Ended,
        Some(stored) => SessionState::Live(stored.session),
        None => SessionState::Unknown,
    }
}

fn stored_of(row: &Row<'_>) -> rusqlite::Result<Stored> {
    let session = Session {
        id: row.get(1)?,
        sid: row.get(2)?,
        issuer: row.get(3)?,
        subject: row.get(4)?,
        name: row.get(5)?,
        label: row.get(6)?,
        role: row.get(7)?,
        bound: row.get(8)?,
        created_us: row.get(9)?,
        refreshed_us: row.get(10)?,
        expires_us: row.get(11)?,
    };
    Ok(Stored { number: row.get(0)?, session, ended: row.get(12)? })
}
