//! What an open hub does by itself: it removes what is over, each minute what is found quickly, each hour the rest.

use std::time::Duration;

use merlon_config::Hub;
use tokio::time::{MissedTickBehavior, interval};

use crate::clock::{self, SECOND};
use crate::log;
use crate::store::sweep::{Ages, often, seldom};
use crate::store::{Store, StoreError};

/// Between two rounds.
const ROUND: Duration = Duration::from_secs(60);
/// Rounds between two thorough ones.
const THOROUGH: u64 = 60;

/// Goes on until the database is closed. The first round is at once: a hub that was down has something to remove.
pub(crate) async fn care(store: Store, hub: Hub) {
    let ages = Ages {
        unused_us: i64::from(hub.unused_minutes) * 60 * SECOND,
        access_us: i64::from(hub.access_seconds) * SECOND,
        idle_us: i64::from(hub.refresh_idle_days) * 24 * 3600 * SECOND,
    };
    let mut rounds = interval(ROUND);
    rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for round in 0_u64.. {
        rounds.tick().await;
        match clean(&store, ages, round % THOROUGH == 0).await {
            Ok(()) => {}
            Err(StoreError::Closed) => return,
            Err(error) => log::warn(format_args!("what is over could not be removed, and will be: {error}")),
        }
    }
}

async fn clean(store: &Store, ages: Ages, thorough: bool) -> Result<(), StoreError> {
    let now_us = clock::now_us();
    while often(store, now_us, ages).await? {}
    while thorough && seldom(store, now_us, ages).await? {}
    Ok(())
}
