//! A project's files for `merlon backup`, one after the other. They are ciphertext, and their key is not here.

use std::io;
use std::time::Duration;

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::input::Id;
use super::pieces::{self, Source};
use super::projects::blocking;
use super::{ApiState, Refused};
use crate::log;
use crate::store::{Backup, Copied, StoreError};

/// Pieces between the thread that reads and the connection; each has at most 256 KiB.
const PIECES: usize = 4;
/// A client that takes nothing for so long is given up: while a project is copied its log only grows.
const STALL: Duration = if cfg!(test) { Duration::from_millis(200) } else { Duration::from_secs(60) };

pub(super) async fn project(State(state): State<ApiState>, Id(id): Id) -> Result<Response, Refused> {
    let store = state.store().clone();
    let ready = blocking(move || store.backup(id)).await?;
    let (sender, pieces) = mpsc::channel(PIECES);
    let runtime = Handle::current();
    // It ends with the connection: then nobody takes the next piece.
    tokio::task::spawn_blocking(move || copy(id, ready, &runtime, &sender));
    Ok(([(CONTENT_TYPE, "application/octet-stream")], pieces::body(Copying(pieces))).into_response())
}

type Piece = Result<Bytes, StoreError>;

fn copy(id: u64, project: Backup, runtime: &Handle, to: &mpsc::Sender<Piece>) {
    let hand_on = |piece: Piece| {
        let taken = runtime.block_on(timeout(STALL, to.send(piece)));
        if taken.is_err() {
            log::warn(format_args!(
                "the backup of project {id} is given up: the client took nothing for {} s",
                STALL.as_secs()
            ));
        }
        matches!(taken, Ok(Ok(())))
    };
    let mut whole = true;
    let copied = project.copy(|piece| {
        let bytes = match piece {
            Copied::File { name, length } => header(&name, length),
            Copied::Bytes(bytes) => bytes,
        };
        whole = hand_on(Ok(bytes));
        whole
    });
    if let Err(error) = copied {
        log::warn(format_args!("the backup of project {id} ended early: {error}"));
        whole = hand_on(Err(error));
    }
    if whole {
        // An end without this is none: the client must not take a part for all.
        hand_on(Ok(Bytes::new()));
    }
}

/// The line before a file.
fn header(name: &str, length: u64) -> Bytes {
    let line = serde_json::json!({ "part": format!("store/{name}"), "length": length });
    format!("{line}\n").into()
}

/// What the thread reads.
struct Copying(mpsc::Receiver<Piece>);

impl Source for Copying {
    async fn next(mut self) -> io::Result<Option<(Bytes, Self)>> {
        match self.0.recv().await {
            Some(Ok(bytes)) if bytes.is_empty() => Ok(None),
            Some(Ok(bytes)) => Ok(Some((bytes, self))),
            Some(Err(error)) => Err(io::Error::other(error.to_string())),
            None => Err(io::Error::other("the copy was given up")),
        }
    }
}
