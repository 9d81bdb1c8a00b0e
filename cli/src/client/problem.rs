//! What an error answer of the API means to the user: exit code, words, and the next command.

use hyper::StatusCode;
use merlon_api::{Problem, ProblemCode};

use crate::error::{CliError, Exit};
use crate::target::Target;

/// An answer that is no success. `body` is what came with it; `query` the user's query, to point into it.
pub(super) fn refusal(target: &Target, status: StatusCode, body: &[u8], query: Option<&str>) -> CliError {
    let Ok(problem) = serde_json::from_slice::<Problem>(body) else {
        let error = CliError::new(exit(status, None), format!("the {target} answered `{status}` without saying why"));
        return match error.exit {
            Exit::SignIn => error.hint(sign_in_hint(target)),
            _ => error.hint("is it a Merlon instance of this version? merlon status"),
        };
    };
    in_words(target, status, &problem, query)
}

/// A refusal that this program foresees, in the words that it would have for the instance's own.
pub(crate) fn foreseen(target: &Target, code: ProblemCode, why: &str) -> CliError {
    let status = StatusCode::from_u16(code.status()).unwrap_or(StatusCode::BAD_REQUEST);
    in_words(target, status, &Problem::new(code, why), None)
}

fn in_words(target: &Target, status: StatusCode, problem: &Problem, query: Option<&str>) -> CliError {
    let code = problem.known_code();
    let mut error = CliError::new(exit(status, code), problem.title.clone()).because(&problem.detail);
    if code == Some(ProblemCode::InvalidQuery)
        && let (Some(query), Some(position)) = (query, problem.position)
    {
        error = error.because(format!("{}\n{}", problem.detail, pointed(query, position)));
    }
    error.problem = code;
    error.hint = hint(target, code, error.exit, problem);
    error
}

fn exit(status: StatusCode, code: Option<ProblemCode>) -> Exit {
    use ProblemCode as Code;
    match (code, status.as_u16()) {
        (Some(Code::InvalidQuery | Code::InvalidParameter | Code::BadProjectName), _) => Exit::Usage,
        (Some(Code::NoSuchEndpoint), _) => Exit::Failed,
        // The sign-in is over, one way or another; another one is needed.
        (Some(Code::NoSuchSignIn | Code::SignInExpired | Code::ClaimCodeNeeded), _) => Exit::SignIn,
        (_, 401) => Exit::SignIn,
        (_, 403) => Exit::Refused,
        (_, 404 | 416) => Exit::NothingFound,
        _ => Exit::Failed,
    }
}

fn hint(target: &Target, code: Option<ProblemCode>, exit: Exit, problem: &Problem) -> Option<String> {
    use ProblemCode as Code;
    let hint = match code {
        Some(Code::InvalidQuery) => "merlon help query".to_owned(),
        Some(Code::NoSuchFlow) => "merlon flows".to_owned(),
        Some(Code::NoSuchProject | Code::NoProjectOpen | Code::ProjectIsOpen) => "merlon project list".to_owned(),
        Some(Code::Locked) => match target {
            Target::Local(_) => "merlon unlock".to_owned(),
            Target::Remote(remote) => format!("ssh -t {} merlon unlock", remote.host),
        },
        Some(Code::ScopeMissing) => match problem.scope {
            Some(scope) => {
                format!("use a token whose role holds `{scope}`; its owner makes one: merlon token create --role ROLE")
            }
            None => "use a token with a higher role: merlon token create --role ROLE".to_owned(),
        },
        Some(Code::NoSuchSession) => "merlon session list".to_owned(),
        Some(Code::ClaimCodeNeeded | Code::ClaimCodeWrong) => on_host(target, "merlon claim-code"),
        Some(Code::InstanceDeleted) => on_host(target, "merlon identity reset"),
        Some(Code::WrongAccount) => format!(
            "sign in with the account that owns it; or to have it forget that one: {}",
            on_host(target, "merlon identity reset")
        ),
        Some(Code::NotShared) => "ask its owner to share it with your account: in the hub's dashboard, or for another \
            authorization server by `identity.members` in its configuration"
            .to_owned(),
        Some(Code::SignInDenied | Code::SignInExpired | Code::NoSuchSignIn) => "merlon login".to_owned(),
        Some(Code::SignInUnavailable) => sign_in_by_token(target),
        Some(Code::HubUnreachable) => "merlon identity show".to_owned(),
        Some(Code::ClockWrong) => {
            "compare: date -u; set the clock that is wrong, and have it kept right (timedatectl set-ntp true)"
                .to_owned()
        }
        Some(Code::IssuerRefused) => format!("its log says more: {}", on_host(target, "merlon logs")),
        Some(Code::ProofInvalid) => "is the clock right (date -u)? Then: merlon login".to_owned(),
        Some(Code::HostRefused) => "add the name to `api.allowed_hosts` in the instance's configuration".to_owned(),
        Some(Code::KeeperUnreachable | Code::KeeperFailed | Code::StorageFailed | Code::Internal) => {
            "merlon doctor".to_owned()
        }
        Some(Code::NoSuchEndpoint) => "the instance has another version than this program: merlon status".to_owned(),
        _ if exit == Exit::SignIn => sign_in_hint(target),
        _ => return None,
    };
    Some(hint)
}

/// A command that is given on the instance's own host.
fn on_host(target: &Target, command: &str) -> String {
    match target {
        Target::Remote(remote) => format!("ssh -t {} sudo {command}", remote.host),
        Target::Local(_) => command.to_owned(),
    }
}

fn sign_in_hint(target: &Target) -> String {
    match target {
        Target::Remote(remote) if remote.token_file.is_none() => "merlon login".to_owned(),
        _ => sign_in_by_token(target),
    }
}

fn sign_in_by_token(target: &Target) -> String {
    match target {
        Target::Remote(remote) => format!(
            "(umask 077; ssh {} merlon token create --role viewer > merlon.token), then --token-file merlon.token",
            remote.host
        ),
        Target::Local(_) => "merlon token create --role viewer".to_owned(),
    }
}

/// The query with a mark under the place of the mistake.
fn pointed(query: &str, position: u32) -> String {
    let position = usize::try_from(position).unwrap_or(usize::MAX).min(query.len());
    let before = (0..=position).rev().find_map(|at| query.get(..at)).unwrap_or_default();
    format!("{query}\n{}^", " ".repeat(before.chars().count()))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::args::Global;
    use crate::env::Env;

    fn local() -> Target {
        let global = Global { data_dir: Some(Path::new("/x").into()), ..Global::default() };
        Target::resolve(&global, &Env::default()).unwrap()
    }

    fn of(code: ProblemCode) -> CliError {
        let body = serde_json::to_vec(&Problem::new(code, "why")).unwrap();
        refusal(&local(), StatusCode::from_u16(code.status()).unwrap(), &body, None)
    }

    #[test]
    fn every_problem_has_its_exit_code() {
        for code in ProblemCode::ALL {
            let expected = match code.as_str() {
                "invalid_query" | "invalid_parameter" | "bad_project_name" => Exit::Usage,
                "token_missing" | "token_malformed" | "token_unknown" | "token_expired" | "token_invalid"
                | "session_revoked" | "proof_invalid" | "proof_nonce" | "claim_code_needed" | "sign_in_expired"
                | "no_such_sign_in" => Exit::SignIn,
                "scope_missing" | "origin_refused" | "claim_code_wrong" | "wrong_account" | "not_shared"
                | "sign_in_denied" => Exit::Refused,
                "no_such_flow" | "no_such_project" | "no_such_session" | "range_not_satisfiable" => Exit::NothingFound,
                _ => Exit::Failed,
            };
            assert_eq!(of(code).exit, expected, "{code}");
        }
    }

    #[test]
    fn an_answer_without_a_problem_still_has_its_exit_code() {
        let exit = |status| refusal(&local(), StatusCode::from_u16(status).unwrap(), b"<html>", None).exit;
        let exits = [401, 403, 404, 500, 302].map(exit);
        assert_eq!(exits, [Exit::SignIn, Exit::Refused, Exit::NothingFound, Exit::Failed, Exit::Failed]);
    }

    #[test]
    fn a_locked_instance_says_how_to_open_it() {
        assert_eq!(of(ProblemCode::Locked).hint.as_deref(), Some("merlon unlock"));
    }

    #[test]
    fn a_mistake_in_a_query_is_pointed_at() {
        assert_eq!(pointed("host:a stat:5", 7), "host:a stat:5\n       ^");
        assert_eq!(pointed("ü:x", 2), "ü:x\n ^");
        assert_eq!(pointed("x", 900), "x\n ^");
    }
}
