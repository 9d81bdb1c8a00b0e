//! What an open hub does by itself, once a minute: it takes out what has expired, and clients that nobody ever used.

use std::time::Duration;

use tokio::time::sleep;

use crate::app::App;
use crate::clock::{self, SECOND};
use crate::log;
use crate::store::{StoreError, registration, sweep};

/// How often.
const EACH: Duration = Duration::from_secs(60);

/// Never ends.
pub(crate) async fn sweep_for_ever(app: App) {
    let mut told = false;
    loop {
        match once(&app).await {
            Ok(()) => told = false,
            Err(error) if !told => {
                told = true;
                log::warn(format_args!("what has expired could not be removed, which is tried again: {error}"));
            }
            Err(_) => {}
        }
        sleep(EACH).await;
    }
}

async fn once(app: &App) -> Result<(), StoreError> {
    let now_us = clock::now_us();
    sweep::expired(app.store(), now_us).await?;
    let unused = i64::from(app.hub().unused_minutes) * 60 * SECOND;
    let removed = registration::sweep(app.store(), now_us - unused).await?;
    if removed > 0 {
        log::info(format_args!("{removed} clients that were never used were removed"));
    }
    Ok(())
}
