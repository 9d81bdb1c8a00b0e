//! Rotates the signing keys in their time. The keeper knows when each was made, so that neither a restart nor a move of the
//! hub loses the schedule.

use std::time::Duration;

use merlon_wire::hub::{KeyState, SigningKey};
use merlon_wire::link::{KeeperError, Links};
use tokio::sync::watch;
use tokio::time::sleep;

use super::Published;
use crate::clock::{self, SECOND};
use crate::log;

/// How often it is looked at.
const EACH: Duration = Duration::from_secs(60);

/// Keeps the published keys those of the keeper, and rotates them every `days`. Never ends.
pub(crate) async fn care(links: Links, days: u32, published: watch::Sender<Published>) {
    let mut told = false;
    loop {
        sleep(EACH).await;
        match look(&links, days).await {
            Ok(keys) => {
                told = false;
                published.send_if_modified(|before| {
                    let changed = before.keys != keys;
                    if changed {
                        *before = Published::new(keys);
                    }
                    changed
                });
            }
            Err(error) if !told => {
                told = true;
                log::warn(format_args!("the signing keys could not be looked after, which is tried again: {error}"));
            }
            Err(_) => {}
        }
    }
}

async fn look(links: &Links, days: u32) -> Result<Vec<SigningKey>, KeeperError> {
    let keeper = links.keeper().await?;
    let keys = keeper.signing_keys().await?;
    if !is_due(&keys, days, clock::now_us()) {
        return Ok(keys);
    }
    let keys = keeper.rotate_signing_keys().await?;
    log::info(format_args!("the signing keys were rotated; tokens of the last ones hold until they expire"));
    Ok(keys)
}

/// The next keys are made by a rotation, and published from then on: when they are as old as a period, they begin to sign.
/// A period is a day at least, and so is the time in which resource servers can learn of them.
fn is_due(keys: &[SigningKey], days: u32, now_us: i64) -> bool {
    let period = i64::from(days) * 24 * 3600 * SECOND;
    let made = keys.iter().filter(|key| key.state == KeyState::Next).map(|key| key.created_us).max();
    made.is_some_and(|made| now_us - made >= period)
}

#[cfg(test)]
mod tests {
    use merlon_wire::hub::Algorithm;

    use super::*;

    #[test]
    fn keys_begin_to_sign_a_period_after_they_were_published() {
        const DAY: i64 = 24 * 3600 * SECOND;
        let key = |state, created_us| SigningKey {
            id: String::new(),
            algorithm: Algorithm::Es256,
            state,
            public_key: Vec::new(),
            created_us,
        };
        let keys = [key(KeyState::Previous, 0), key(KeyState::Current, DAY), key(KeyState::Next, 10 * DAY)];
        assert!(!is_due(&keys, 90, 100 * DAY - 1));
        assert!(is_due(&keys, 90, 100 * DAY));
        // A clock that went back rotates nothing.
        assert!(!is_due(&keys, 1, 0));
        assert!(!is_due(&[], 1, 100 * DAY));
    }
}
