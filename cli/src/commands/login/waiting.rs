//! Waits until somebody has approved or denied: polls no faster than it is told (RFC 8628, 3.5), and slower while the
//! instance cannot be reached.

use std::sync::Arc;
use std::time::Duration;

use merlon_api::{PollSignIn, ProblemCode, SignInStarted, SignedIn};
use merlon_jose::proof::ProofKey;
use tokio::time::{Instant, sleep};

use crate::client::{Client, Polled, foreseen};
use crate::error::{CliError, Exit};

/// Bounds on what an instance may say: a poll a second at most, and one a minute at least.
const INTERVAL: (u32, u32) = (1, 60);
/// The longest wait for a decision, whatever the instance says.
const LONGEST: u32 = 3600;

/// # Errors
/// Denied, too late, or any answer that does not mean "wait" (RFC 8628, 3.5).
pub(super) async fn for_tokens(
    started: &SignInStarted,
    verifier: &PollSignIn,
    bound: Option<(&Arc<ProofKey>, &str)>,
    client: &mut Client,
) -> Result<SignedIn, CliError> {
    let end = Instant::now() + Duration::from_secs(started.expires_in.min(LONGEST).into());
    let mut interval = started.interval.clamp(INTERVAL.0, INTERVAL.1);
    let mut failures = 0;
    loop {
        let wait = Duration::from_secs(u64::from(interval) << failures.min(4));
        if Instant::now() + wait > end {
            let code = ProblemCode::SignInExpired;
            return Err(foreseen(client.target(), code, code.documentation()));
        }
        sleep(wait).await;
        match client.poll_sign_in(&started.id, verifier, bound).await {
            Ok(Polled::SignedIn(tokens)) => return Ok(*tokens),
            Ok(Polled::Pending(longer)) => {
                // Never faster again than it was told once.
                interval = interval.max(longer.min(INTERVAL.1));
                failures = 0;
            }
            Err(error) if may_pass(&error) => failures += 1,
            Err(error) => return Err(error),
        }
    }
}

/// Is it worth another try? Only where nobody has given an answer.
fn may_pass(error: &CliError) -> bool {
    use ProblemCode as Code;
    match error.problem {
        Some(code) => {
            matches!(code, Code::HubUnreachable | Code::Busy | Code::KeeperUnreachable | Code::RateLimited)
        }
        None => error.lost || error.exit == Exit::Unreachable,
    }
}
