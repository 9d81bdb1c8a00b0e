//! `merlon logout`: ends the session at the instance, which ends it at the authorization server, and forgets its tokens.
//!
//! The tokens are forgotten whatever the instance says: whoever signs out wants nothing of it to stay on this machine.

use merlon_api::SessionEnded;
use serde_json::json;

use crate::args::LogoutArgs;
use crate::client::{Client, Credentials};
use crate::env::Env;
use crate::error::{CliError, Exit};
use crate::output::Printer;
use crate::session::{Reach, Store, Stored};
use crate::target::{Remote, Target};

pub(super) async fn run(args: &LogoutArgs, client: &Client, env: &Env, printer: &mut Printer) -> Result<(), CliError> {
    let store = Store::needed(env)?;
    if args.all {
        let all = store.all(printer).await;
        if all.is_empty() {
            return Err(nowhere());
        }
        let mut worst = None;
        for stored in &all {
            if let Err(error) = end(stored, &store, printer).await
                && let Some(earlier) = worst.replace(error)
            {
                printer.error(&earlier);
            }
        }
        return worst.map_or(Ok(()), Err);
    }
    let remote = match client.target() {
        Target::Remote(remote) => remote,
        Target::Local(_) => {
            return Err(CliError::usage("there is no session with a local instance")
                .because("its Unix socket says who you are")
                .hint("merlon --instance NAME logout, or for all: merlon logout --all"));
        }
    };
    of(remote, &store, printer).await?.ok_or_else(nowhere)
}

/// Signs out at one instance; none if there is no session.
pub(super) async fn of(remote: &Remote, store: &Store, printer: &mut Printer) -> Result<Option<()>, CliError> {
    match store.load(&Reach::of(remote).url).await? {
        Some(stored) => end(&stored, store, printer).await.map(Some),
        None => Ok(None),
    }
}

fn nowhere() -> CliError {
    CliError::new(Exit::NothingFound, "you are not signed in there").hint("merlon instance list")
}

async fn end(stored: &Stored, store: &Store, printer: &mut Printer) -> Result<(), CliError> {
    let url = &stored.reach.url;
    let lock = store.lock(url).await?;
    // Another `merlon` may have refreshed it meanwhile.
    let newest = store.load(url).await?;
    let newest = newest.as_ref().unwrap_or(stored);
    let token = newest.refresh_token().unwrap_or(newest.access_token());
    let answer = match stored.reach.remote() {
        Ok(remote) => Client::new(Target::Remote(remote), Credentials::Nobody).sign_out(token).await,
        Err(error) => Err(error),
    };
    store.forget(&lock).await?;
    let here_only = |why: String| {
        CliError::failed(format!("signed out of {url} on this machine only")).because(why).hint(
            "end the session at the instance (merlon session list, merlon session revoke ID) or in the hub's dashboard",
        )
    };
    let SessionEnded { revoked_at_issuer, problem } = answer.map_err(|error| {
        let why = error.why.as_deref().map(|why| format!(": {why}")).unwrap_or_default();
        here_only(format!("{error}{why}"))
    })?;
    if printer.is_json() {
        printer.json(&json!({ "url": url, "revoked_at_issuer": revoked_at_issuer, "problem": problem }))?;
    }
    printer.say(&format!("signed out of {url}"));
    if let Some(problem) = problem.filter(|_| !revoked_at_issuer) {
        printer.warn(&format!("the authorization server still has the session: {problem}"));
    }
    Ok(())
}
