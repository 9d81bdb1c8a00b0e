//! `merlon login`: the device flow (RFC 8628) as the instance relays it.
//!
//! Shows code and address, waits, keeps what comes. The verifier and the key of the session are made here and leave this
//! process in no other form than their hash, a proof, or the kept session.

mod approve;
mod browser;
mod claim;
mod waiting;

use std::sync::Arc;

use data_encoding::BASE64URL_NOPAD;
use merlon_api::{IdentityInfo, IdentityState, PollSignIn, ProblemCode, Scope, SignInStarted, SignedIn, StartSignIn};
use merlon_jose::proof::ProofKey;
use serde_json::json;

use crate::args::LoginArgs;
use crate::client::{Client, foreseen};
use crate::env::Env;
use crate::error::CliError;
use crate::output::Printer;
use crate::session::{Kept, Reach, Store, Stored};
use crate::target::Target;
use approve::Approval;
use claim::ClaimCode;

/// The only algorithm of proofs that this program makes (RFC 9449, 5.1).
const PROOF_ALGORITHM: &str = "ES256";
/// Wrong claim codes that a person may type.
const TRIES: usize = 3;

pub(super) async fn run(
    args: &LoginArgs,
    client: &mut Client,
    env: &Env,
    printer: &mut Printer,
) -> Result<(), CliError> {
    // What can be wrong with the command line is said before anything is asked of anybody.
    let scopes = args.scope.as_deref().map(scopes).transpose()?;
    let store = match client.target() {
        Target::Remote(_) => Some(Store::needed(env)?),
        Target::Local(_) => None,
    };
    let info = client.identity().await?;
    can_sign_in(&info, client.target())?;
    let approval = Approval::of(args, client.target(), &info, printer)?;
    let key = proof_key(&info)?;

    let verifier = verifier()?;
    let challenge = merlon_jose::sha256_base64url(verifier.verifier.as_bytes());
    let mut start = StartSignIn { challenge, label: label(), scopes, claim_code: None };
    let started = begin(args, &info, &mut start, client, printer).await?;

    show(&started, approval.is_none(), printer)?;
    let bound = key.as_ref().zip(info.token_endpoint.as_deref());
    let waiting = async {
        match approval {
            Some(approval) => {
                approval.give(&started, client.target(), printer).await?;
                waiting::for_tokens(&started, &verifier, bound, client).await
            }
            None => {
                let offered = browser::offer(&started, args, env, printer);
                tokio::select! {
                    tokens = waiting::for_tokens(&started, &verifier, bound, client) => tokens,
                    never = offered => match never {},
                }
            }
        }
    };
    let tokens = waiting.await?;
    match store {
        Some(store) => keep(tokens, key.as_deref(), &info, &store, client, printer).await,
        None => end(tokens, client, printer).await,
    }
}

/// Is there anybody to sign in with?
fn can_sign_in(info: &IdentityInfo, target: &Target) -> Result<(), CliError> {
    let code = match info.state {
        IdentityState::Local => ProblemCode::SignInUnavailable,
        IdentityState::Deleted => ProblemCode::InstanceDeleted,
        // It may work again by now; the instance says so when it is asked.
        IdentityState::Unregistered | IdentityState::Unclaimed | IdentityState::Claimed => return Ok(()),
    };
    Err(foreseen(target, code, info.problem.as_deref().unwrap_or(code.documentation())))
}

/// Begins the sign-in; asks for the claim code where one is needed.
async fn begin(
    args: &LoginArgs,
    info: &IdentityInfo,
    start: &mut StartSignIn,
    client: &mut Client,
    printer: &mut Printer,
) -> Result<SignInStarted, CliError> {
    let target = client.target().clone();
    let mut code = None;
    if info.state == IdentityState::Unclaimed || args.claim_code_file.is_some() {
        code = Some(ClaimCode::find(args, &target, printer)?);
    }
    let mut tries = 0;
    loop {
        tries += 1;
        start.claim_code = code.as_ref().map(ClaimCode::text).transpose()?;
        let answer = client.start_sign_in(start).await;
        if let Some(text) = &mut start.claim_code {
            zeroize::Zeroize::zeroize(text);
        }
        match answer {
            Err(error) if error.problem == Some(ProblemCode::ClaimCodeNeeded) && code.is_none() => {
                code = Some(ClaimCode::find(args, &target, printer)?);
            }
            Err(error)
                if error.problem == Some(ProblemCode::ClaimCodeWrong)
                    && code.as_ref().is_some_and(ClaimCode::was_typed)
                    && tries < TRIES =>
            {
                printer.warn("this is not the claim code of this instance; type it again");
                code = Some(ClaimCode::ask(printer)?);
            }
            answer => return answer,
        }
    }
}

/// Always both, the code and the address (RFC 8628, 3.3.1): whoever has opened the address that has the code in it shall
/// compare.
fn show(started: &SignInStarted, by_hand: bool, printer: &mut Printer) -> Result<(), CliError> {
    let SignInStarted { user_code, verification_uri, verification_uri_complete, expires_in, .. } = started;
    if printer.is_json() {
        printer.json(&json!({
            "user_code": user_code, "verification_uri": verification_uri,
            "verification_uri_complete": verification_uri_complete, "expires_in": expires_in,
        }))?;
        return printer.flush();
    }
    if by_hand {
        printer.tell(&format!("Your one-time code: {user_code}"));
        printer.tell(&format!("Open {verification_uri} on any device, sign in, and type the code."));
        let minutes = expires_in.div_ceil(60);
        printer.say(&format!("It is good for {minutes} minutes. Approve it only where the page names this instance."));
    }
    Ok(())
}

async fn keep(
    tokens: SignedIn,
    key: Option<&ProofKey>,
    info: &IdentityInfo,
    store: &Store,
    client: &mut Client,
    printer: &mut Printer,
) -> Result<(), CliError> {
    let Target::Remote(remote) = client.target() else { return Ok(()) };
    let reach = Reach::of(remote);
    let url = reach.url.clone();
    // A server that does not bind tokens although it was shown a proof says `Bearer`; then there is no key to keep.
    let key = key.filter(|_| tokens.token_type.eq_ignore_ascii_case("DPoP"));
    let scopes = tokens.scopes.clone();
    let stored = Stored::begun(reach, info.issuer.clone(), info.token_endpoint.clone(), key, tokens);
    let lock = store.lock(&url).await?;
    let before = store.load(&url).await.ok().flatten();
    let saved = store.save(&lock, &stored).await?;
    drop(lock);
    // The session before would stand for weeks with nobody to use it.
    if let Some(token) = before.as_ref().map(|before| before.refresh_token().unwrap_or(before.access_token())) {
        let _ = client.sign_out(token).await;
    }
    if let Some(note) = &saved.note {
        printer.warn(note);
    }
    done(&stored.session, &scopes, Some(saved.kept), printer)
}

/// On the instance's own host the socket says who asks, so that a session would only be something to lose.
async fn end(tokens: SignedIn, client: &mut Client, printer: &mut Printer) -> Result<(), CliError> {
    let mut tokens = tokens;
    let ended = client.sign_out(tokens.refresh_token.as_deref().unwrap_or(&tokens.access_token)).await;
    zeroize::Zeroize::zeroize(&mut tokens.access_token);
    zeroize::Zeroize::zeroize(&mut tokens.refresh_token);
    done(&tokens.session, &tokens.scopes, None, printer)?;
    match ended {
        Ok(_) => printer.say("On this host you need no session, so it was ended: the Unix socket says who you are."),
        Err(error) => printer.warn(&format!(
            "on this host you need no session, and it could not be ended: {error}; merlon session revoke {}",
            tokens.session.id
        )),
    }
    Ok(())
}

fn done(
    session: &merlon_api::Session,
    scopes: &[Scope],
    kept: Option<Kept>,
    printer: &mut Printer,
) -> Result<(), CliError> {
    if printer.is_json() {
        return printer.json(&json!({ "session": session, "scopes": scopes, "kept": kept }));
    }
    let name = if session.name.is_empty() { &session.subject } else { &session.name };
    let place = match kept {
        Some(Kept::Keyring) => "; the session is in your keyring",
        Some(Kept::File) => "; the session is in a file that only you can read",
        None => "",
    };
    printer.say(&format!("signed in as {name}, role {}{place}", session.role));
    Ok(())
}

/// `flows:read,replay`
fn scopes(text: &str) -> Result<Vec<Scope>, CliError> {
    let words = text.split([',', ' ']).filter(|word| !word.is_empty());
    let scopes = words.map(|word| {
        Scope::ALL.into_iter().find(|scope| scope.as_str() == word).ok_or_else(|| {
            let all: Vec<_> = Scope::ALL.iter().map(|scope| scope.as_str()).collect();
            CliError::usage(format!("there is no scope `{word}`")).hint(format!("scopes: {}", all.join(" ")))
        })
    });
    let scopes = scopes.collect::<Result<Vec<_>, _>>()?;
    if scopes.is_empty() { Err(CliError::usage("--scope names no scope")) } else { Ok(scopes) }
}

/// A key for this session alone, if the server binds tokens.
fn proof_key(info: &IdentityInfo) -> Result<Option<Arc<ProofKey>>, CliError> {
    let offered = info.token_endpoint.is_some() && info.dpop_algorithms.iter().any(|name| name == PROOF_ALGORITHM);
    if !offered {
        return Ok(None);
    }
    let key = ProofKey::generate().map_err(|e| CliError::failed("no key for the session could be made").because(e))?;
    Ok(Some(Arc::new(key)))
}

/// 43 characters out of 32 random bytes (RFC 7636, 4.1).
fn verifier() -> Result<PollSignIn, CliError> {
    let mut random = zeroize::Zeroizing::new([0u8; 32]);
    aws_lc_rs::rand::fill(&mut random[..]).map_err(|_| CliError::failed("the system gives no random bytes"))?;
    Ok(PollSignIn { verifier: BASE64URL_NOPAD.encode(&random[..]) })
}

/// What lists of sessions call this client: at most 128 bytes.
fn label() -> String {
    let host = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok()).unwrap_or_default();
    let host: String = host.chars().filter(|c| c.is_ascii_graphic()).take(64).collect();
    if host.is_empty() { "merlon".to_owned() } else { format!("merlon on {host}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Exit;

    #[test]
    fn scopes_are_joined_by_commas_or_spaces() {
        assert_eq!(scopes("flows:read, replay").unwrap(), [Scope::FlowsRead, Scope::Replay]);
        assert_eq!(scopes("flows:reed").unwrap_err().exit, Exit::Usage);
        assert_eq!(scopes(" ,").unwrap_err().exit, Exit::Usage);
    }

    #[test]
    fn a_verifier_is_fresh_and_as_long_as_rfc_7636_wants() {
        let (one, other) = (verifier().unwrap().verifier, verifier().unwrap().verifier);
        assert!(one != other && one.len() == 43);
        assert!(one.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b)));
        assert!(label().starts_with("merlon") && label().len() <= 128);
    }
}
