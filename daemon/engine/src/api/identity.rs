//! Signing in and out, sessions, and the instance's identity.

use merlon_api::ProblemCode;

use super::Refused;

macro_rules! none_yet {
    ($($name:ident)*) => {
        $(pub(super) async fn $name() -> Refused {
            Refused::new(ProblemCode::SignInUnavailable, "no authorization server is configured; local tokens work")
        })*
    };
}

none_yet!(info start poll refresh sign_out who_am_i sessions end_session reset);
