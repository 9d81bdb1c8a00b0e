//! Replacing the keys of projects: the part of `merlon keyslot rotate` that is the engine's.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use merlon_api::{ProblemCode, Rotation};
use tokio::time::timeout;

use super::{ApiState, Refused};

/// How long an answer may take; the work goes on without it.
const PATIENCE: Duration = Duration::from_secs(20);

pub(super) async fn advance(State(state): State<ApiState>) -> Result<Json<Rotation>, Refused> {
    let rotation = state.rotation().clone();
    // On its own: it goes on if the client goes away.
    let work = tokio::spawn(async move { rotation.advance().await });
    let answer = match timeout(PATIENCE, work).await {
        Ok(Ok(progress)) => {
            let progress = progress?;
            let (rekeyed, waiting, problem) = (progress.rekeyed, progress.waiting, progress.problem);
            Rotation { under_way: false, rekeyed, waiting, problem }
        }
        Ok(Err(_)) => return Err(Refused::new(ProblemCode::Internal, "the work on projects ended badly")),
        Err(_) => {
            let waiting = state.rotation().waiting().await?;
            Rotation { under_way: true, rekeyed: 0, waiting, problem: None }
        }
    };
    Ok(Json(answer))
}
