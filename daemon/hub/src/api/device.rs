//! `/api/device`: a script that has a personal access token approves its own sign-in, as a person would on the page
//! `/device`, within the scopes of its token. Wrong codes count against the same limits. It claims no instance.

use axum::Json;
use axum::body::Body;
use axum::extract::{Query, State};
use axum::http::header::WWW_AUTHENTICATE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

use super::{PERSONAL_TOKEN, read};
use crate::app::App;
use crate::arrival::Arrival;
use crate::clock;
use crate::oauth::bearer;
use crate::oauth::error::{ErrorCode, OAuthError, no_store};
use crate::oauth::scope::Scopes;
use crate::oauth::user_code::UserCode;
use crate::random;
use crate::store::accounts::Account;
use crate::store::device::{self, Decided, Decision, Pending};
use crate::store::standing::Standing;
use crate::store::{approvals, personal};

/// Which code.
#[derive(Deserialize)]
pub(super) struct Asked {
    user_code: String,
}

/// What the page would show.
#[derive(Serialize)]
struct Shown {
    user_code: String,
    client_id: String,
    /// As the client says itself.
    client_name: Option<String>,
    owner: Option<String>,
    /// It would make the account its owner; only the page does that.
    claim: bool,
    role: Option<&'static str>,
    /// What can be granted: asked for, within the role, within the token.
    scope: String,
    /// As the client says itself.
    label: String,
    address: String,
    created: u64,
    expires: u64,
}

/// A decision.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Decide {
    user_code: String,
    decision: Answer,
    scope: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Answer {
    Approve,
    Deny,
}

/// `GET /api/device?user_code=`
pub(super) async fn look(
    State(app): State<App>,
    arrival: Arrival,
    headers: HeaderMap,
    Query(asked): Query<Asked>,
) -> Result<Response, OAuthError> {
    let (account, allowed) = authorize(&app, &headers).await?;
    let (code, pending) = find(&app, arrival, &account, &asked.user_code).await?;
    let Pending { client, owner_name, standing, scopes, label, address, created_us, expires_us } = pending;
    let shown = Shown {
        user_code: code.shown(),
        client_id: client.id,
        client_name: client.metadata.client_name,
        owner: owner_name,
        claim: standing == Standing::Claims,
        role: standing.role().map(|role| role.as_str()),
        scope: scopes.and(allowed).to_string(),
        label,
        address,
        created: clock::seconds(created_us),
        expires: clock::seconds(expires_us),
    };
    Ok(no_store(Json(shown).into_response()))
}

/// `POST /api/device`
pub(super) async fn decide(
    State(app): State<App>,
    arrival: Arrival,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, OAuthError> {
    let (account, allowed) = authorize(&app, &headers).await?;
    let Decide { user_code, decision, scope } = read(body).await?;
    let (code, pending) = find(&app, arrival, &account, &user_code).await?;
    let decision = match decision {
        Answer::Deny => Decision::Deny,
        Answer::Approve if pending.standing == Standing::Claims => {
            let text = "a personal access token claims no instance; sign in at the hub and approve it there";
            return Err(OAuthError::new(ErrorCode::AccessDenied, text).status(StatusCode::FORBIDDEN));
        }
        Answer::Approve => {
            let wished = match scope.as_deref().map(Scopes::parse) {
                None => pending.scopes,
                Some(Ok(wished)) => wished,
                Some(Err(error)) => return Err(OAuthError::new(ErrorCode::InvalidScope, error.to_string())),
            };
            let granted = wished.and(pending.scopes).and(allowed);
            let role = pending.standing.role().is_some();
            if role && granted.is_empty() {
                let challenge = "Bearer realm=\"merlon-hub\", error=\"insufficient_scope\"";
                return Err(OAuthError::new(
                    ErrorCode::InsufficientScope,
                    "the token may approve none of these scopes",
                )
                .with(WWW_AUTHENTICATE, challenge));
            }
            Decision::Approve(granted)
        }
    };
    let address = arrival.address.to_canonical().to_string();
    match approvals::decide(app.store(), code, account, decision, address, clock::now_us()).await? {
        Decided::Done { .. } => Ok(no_store(StatusCode::NO_CONTENT.into_response())),
        Decided::Gone => Err(gone()),
    }
}

/// Whose token this is, and what it may approve.
async fn authorize(app: &App, headers: &HeaderMap) -> Result<(Account, Scopes), OAuthError> {
    let token = bearer::token(headers)?.ok_or_else(|| bearer::missing("send a personal access token"))?;
    let found = if token.starts_with(PERSONAL_TOKEN) {
        personal::find(app.store(), random::hash(token.as_bytes()), clock::now_us()).await?
    } else {
        None
    };
    let (account, scope) =
        found.ok_or_else(|| bearer::refused("this is no personal access token of this hub, or it stands no more"))?;
    Ok((account, Scopes::stored(&scope)))
}

/// What waits under this code; a wrong one counts.
async fn find(app: &App, arrival: Arrival, account: &Account, typed: &str) -> Result<(UserCode, Pending), OAuthError> {
    let (limits, now_us) = (&app.accounts().limits, clock::now_us());
    limits.may_try_code(arrival.address, &account.id, now_us)?;
    if let Some(code) = UserCode::typed(typed)
        && let Some(pending) = device::by_user_code(app.store(), code.clone(), account.id.clone(), now_us).await?
    {
        return Ok((code, pending));
    }
    limits.wrong_code(arrival.address, &account.id, now_us);
    Err(gone())
}

/// A wrong, an expired and a used code look alike.
fn gone() -> OAuthError {
    OAuthError::grant("the code is not valid: mistyped, expired, or used already").status(StatusCode::NOT_FOUND)
}
