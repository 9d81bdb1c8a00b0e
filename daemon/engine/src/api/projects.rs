//! Projects: the keeper has their names and keys, the store their files, and here the two are kept in step.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use merlon_api::{CreateProject, ProblemCode, Project, Projects};

use super::input::{Id, Json as Body};
use super::{ApiState, Refused, convert};
use crate::store::{ProjectMeta, StoreError};

pub(super) async fn list(State(state): State<ApiState>) -> Result<Json<Projects>, Refused> {
    let mut projects = state.links().keeper().await?.list_projects().await?;
    projects.sort_by_key(|project| project.id);
    let open = state.store().current().map(|project| project.id);
    Ok(Json(Projects { projects: projects.iter().map(|project| convert::project(project, open)).collect() }))
}

pub(super) async fn create(
    State(state): State<ApiState>,
    Body(asked): Body<CreateProject>,
) -> Result<(StatusCode, Json<Project>), Refused> {
    let _turn = state.turn_at_projects().await;
    let created = state.links().keeper().await?.create_project(&asked.name).await?;
    Ok((StatusCode::CREATED, Json(convert::project(&created, None))))
}

pub(super) async fn open(State(state): State<ApiState>, Id(id): Id) -> Result<Json<Project>, Refused> {
    to_its_end(async move {
        let _turn = state.turn_at_projects().await;
        let keeper = state.links().keeper().await?;
        let known = keeper.list_projects().await?;
        let asked = known.into_iter().find(|project| project.id == id).ok_or_else(|| missing(id))?;
        if state.store().current().is_none_or(|open| open.id != id) {
            let key = keeper.project_key(id).await?;
            let (store, meta) = (state.store().clone(), ProjectMeta { id, name: asked.name.clone() });
            blocking(move || store.open(meta, key)).await?;
        }
        Ok(Json(convert::project(&asked, Some(id))))
    })
    .await
}

pub(super) async fn delete(State(state): State<ApiState>, Id(id): Id) -> Result<StatusCode, Refused> {
    to_its_end(async move {
        let _turn = state.turn_at_projects().await;
        if state.store().current().is_some_and(|open| open.id == id) {
            let why = format!("project {id} is open; open another project first, then delete it");
            return Err(Refused::new(ProblemCode::ProjectIsOpen, why));
        }
        // The key first: once it is forgotten nothing brings the flows back, whatever becomes of the files.
        let forgotten = match state.links().keeper().await?.delete_project(id).await.map_err(Refused::from) {
            // Files may be left of a deletion that broke off.
            Err(refused) if refused.code() == ProblemCode::NoSuchProject => Err(missing(id)),
            other => Ok(other?),
        };
        let store = state.store().clone();
        blocking(move || store.delete_project_files(id)).await?;
        forgotten.map(|()| StatusCode::NO_CONTENT)
    })
    .await
}

fn missing(id: u64) -> Refused {
    Refused::new(ProblemCode::NoSuchProject, format!("there is no project {id}; GET /api/v1/projects lists them"))
}

/// Runs on even if the client goes away: keeper and store would be left out of step.
async fn to_its_end<T: Send + 'static>(
    act: impl Future<Output = Result<T, Refused>> + Send + 'static,
) -> Result<T, Refused> {
    let done = tokio::spawn(act).await;
    done.map_err(|_| Refused::new(ProblemCode::Internal, "the work on projects ended badly"))?
}

/// On a thread that may block.
pub(super) async fn blocking<T: Send + 'static>(
    act: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, Refused> {
    let done = tokio::task::spawn_blocking(act).await;
    done.map_err(|_| Refused::new(ProblemCode::Internal, "a thread of the store failed"))?.map_err(Into::into)
}
