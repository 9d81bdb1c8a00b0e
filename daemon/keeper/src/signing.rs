//! A hub's signing keys while they are in use: loaded once, made where they are missing, moved on one step by a rotation.
//!
//! Each algorithm has a key that signs, one that is published to sign next, and after a rotation the one before. What
//! is stored is in [`crate::secrets_db`].

use std::sync::{Arc, Mutex};

use merlon_wire::hub::{Algorithm, Claims, KeyState, SigningKey as Described};

use crate::clock;
use crate::jws::{JwsError, SigningKey, Token, claims};
use crate::keeper::{Open, unpoisoned};
use crate::secrets_db::{NewSigningKey, SecretsError};

const ALGORITHMS: [Algorithm; 2] = [Algorithm::Es256, Algorithm::Rs256];

/// Why nothing was signed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SigningError {
    /// `secrets.db`.
    #[error(transparent)]
    Secrets(#[from] SecretsError),
    /// A key, memory, or the library.
    #[error(transparent)]
    Jws(#[from] JwsError),
}

/// The keys, once somebody asked for them.
#[derive(Default)]
pub(crate) struct Signing(Mutex<Option<Arc<Loaded>>>);

/// All keys as they are stored.
struct Loaded {
    described: Vec<Described>,
    /// Those that sign, by name.
    current: Vec<(Algorithm, String, SigningKey)>,
}

impl Signing {
    /// All keys without their secrets; those that are missing are made.
    pub(crate) fn keys(&self, open: &Open) -> Result<Vec<Described>, SigningError> {
        Ok(self.loaded(open)?.described.clone())
    }

    /// Next becomes current, current becomes previous, previous is forgotten, and there is a new next.
    pub(crate) fn rotate(&self, open: &Open) -> Result<Vec<Described>, SigningError> {
        // First, so that there is something to be rotated.
        self.loaded(open)?;
        // Outside of the lock: a key for RS256 takes its time.
        let new = [make(Algorithm::Es256, KeyState::Next)?, make(Algorithm::Rs256, KeyState::Next)?];
        let mut held = unpoisoned(self.0.lock());
        open.db().rotate_signing_keys(&new)?;
        let loaded = Arc::new(load(open)?);
        Ok(held.insert(loaded).described.clone())
    }

    /// Signs all of them, in their order. They were checked.
    pub(crate) fn sign(&self, open: &Open, all: &[Claims<'_>]) -> Result<Vec<Token>, SigningError> {
        let loaded = self.loaded(open)?;
        let signed = all.iter().map(|one| {
            let key = loaded.current.iter().find(|(algorithm, ..)| *algorithm == one.algorithm);
            let (_, kid, key) = key.ok_or(JwsError::BadKey)?;
            Ok(claims::access(key, kid, one)?)
        });
        signed.collect()
    }

    fn loaded(&self, open: &Open) -> Result<Arc<Loaded>, SigningError> {
        let mut held = unpoisoned(self.0.lock());
        if let Some(loaded) = &*held {
            return Ok(Arc::clone(loaded));
        }
        make_missing(open)?;
        Ok(Arc::clone(held.insert(Arc::new(load(open)?))))
    }
}

/// At the first question of a hub, in one transaction.
fn make_missing(open: &Open) -> Result<(), SigningError> {
    let stored = open.db().signing_keys()?;
    let is_there = |algorithm, state| stored.iter().any(|(key, _)| (key.algorithm, key.state) == (algorithm, state));
    let wanted =
        ALGORITHMS.into_iter().flat_map(|algorithm| [(algorithm, KeyState::Current), (algorithm, KeyState::Next)]);
    let missing = wanted.filter(|(algorithm, state)| !is_there(*algorithm, *state));
    let made = missing.map(|(algorithm, state)| make(algorithm, state)).collect::<Result<Vec<_>, _>>()?;
    if !made.is_empty() {
        open.db().add_signing_keys(&made)?;
    }
    Ok(())
}

fn make(algorithm: Algorithm, state: KeyState) -> Result<NewSigningKey, SigningError> {
    let (key, kept) = SigningKey::generate(algorithm)?;
    let public_key = key.public_key().to_vec();
    let described = Described { id: key.thumbprint()?, algorithm, state, public_key, created_us: clock::now_us() };
    Ok(NewSigningKey { described, kept })
}

fn load(open: &Open) -> Result<Loaded, SigningError> {
    let stored = open.db().signing_keys()?;
    let current = stored
        .iter()
        .filter(|(key, _)| key.state == KeyState::Current)
        .map(|(key, kept)| Ok((key.algorithm, key.id.clone(), SigningKey::kept(key.algorithm, kept.as_slice())?)))
        .collect::<Result<Vec<_>, JwsError>>()?;
    Ok(Loaded { described: stored.into_iter().map(|(key, _)| key).collect(), current })
}
