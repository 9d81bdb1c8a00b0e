//! The keys of the authorization server (RFC 7517): read when they are needed, kept for an hour, and read again before
//! that only for a key that is not among them. It parses nothing.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::discovery::FRESH;
use super::error::IdentityError;
use super::http::{Call, Http};
use super::url::Endpoint;

/// Whoever shows tokens with unknown keys makes the server be asked once in so long (RFC 9068, 4).
const PAUSE: Duration = Duration::from_secs(if cfg!(test) { 0 } else { 10 });

/// What was read last.
#[derive(Default)]
pub(super) struct Keys(Option<Read>);

struct Read {
    document: Arc<[u8]>,
    read: Instant,
    /// The last try.
    tried: Instant,
}

impl Keys {
    /// The document; read anew if it is old, or if `again` and not just done.
    ///
    /// # Errors
    /// [`IdentityError::Unreachable`], [`IdentityError::Misbehaved`]; not while an older document can be used.
    pub(super) async fn get(&mut self, http: &Http, place: &Endpoint, again: bool) -> Result<Arc<[u8]>, IdentityError> {
        if let Some(kept) = &mut self.0 {
            let wanted = again || kept.read.elapsed() > FRESH;
            if !wanted || kept.tried.elapsed() < PAUSE {
                return Ok(Arc::clone(&kept.document));
            }
            kept.tried = Instant::now();
        }
        match (read(http, place).await, &mut self.0) {
            (Ok(body), Some(kept)) => {
                kept.read = Instant::now();
                if *kept.document != *body {
                    kept.document = body.into();
                }
                Ok(Arc::clone(&kept.document))
            }
            (Ok(body), None) => {
                let document: Arc<[u8]> = body.into();
                let now = Instant::now();
                self.0 = Some(Read { document: Arc::clone(&document), read: now, tried: now });
                Ok(document)
            }
            (Err(_), Some(kept)) => Ok(Arc::clone(&kept.document)),
            (Err(error), None) => Err(error),
        }
    }
}

async fn read(http: &Http, place: &Endpoint) -> Result<Vec<u8>, IdentityError> {
    let answer = http.send(Call::get(place)).await?;
    match answer.status {
        200 => Ok(answer.body.to_vec()),
        500.. => Err(IdentityError::Unreachable {
            what: format!("{}: it answers with status {}", place.as_str(), answer.status),
            retry_after: answer.retry_after,
        }),
        status => Err(IdentityError::Misbehaved(format!("there are no keys at {} (status {status})", place.as_str()))),
    }
}
