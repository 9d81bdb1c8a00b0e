//! Arguments of the commands around signing in: `login`, `logout`, `session`, `identity`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// Sign in at an instance, in a browser anywhere
#[derive(Args, Debug)]
#[command(long_about = "\
Sign in at an instance, in a browser anywhere.

Shows a code and an address. Open the address on any device, sign in at the instance's authorization server, and type the \
code; this command waits for it. What it gets is kept in your keyring, or else in a file that only you can read, and used \
by all commands to this instance until `merlon logout`.

An instance that nobody owns yet wants its claim code, which `merlon claim-code` shows on its host; whoever signs in \
with it owns the instance. On the host itself the code is found, and the session is ended at once: the Unix socket \
needs none.

Examples:
  merlon --url https://lab.example:8443 login
  merlon --instance lab login --scope flows:read
  merlon --instance lab login --with-token-file pat.txt --issuer https://hub.example")]
pub(crate) struct LoginArgs {
    /// Only these scopes, joined by commas or spaces; all that your role gives if left out
    #[arg(long, value_name = "SCOPES")]
    pub(crate) scope: Option<String>,
    /// Do not offer to open the browser
    #[arg(long)]
    pub(crate) no_browser: bool,
    /// Approve it by a personal access token of the hub in this file, instead of in a browser
    #[arg(long, value_name = "FILE")]
    pub(crate) with_token_file: Option<PathBuf>,
    /// The hub that the personal access token is for; it is sent nowhere else (needed for a remote instance)
    #[arg(long, value_name = "URL", requires = "with_token_file")]
    pub(crate) issuer: Option<String>,
    /// PEM file with the only roots to trust for that hub, instead of the system's
    #[arg(long, value_name = "FILE", requires = "with_token_file")]
    pub(crate) issuer_ca_file: Option<PathBuf>,
    /// Read the claim code from this file, for an instance that nobody owns yet
    #[arg(long, value_name = "FILE")]
    pub(crate) claim_code_file: Option<PathBuf>,
}

/// `merlon logout`.
#[derive(Args, Debug)]
pub(crate) struct LogoutArgs {
    /// At all instances at which you are signed in
    #[arg(long)]
    pub(crate) all: bool,
}

/// `merlon session`.
#[derive(Debug, Subcommand)]
pub(crate) enum SessionCommand {
    /// Who is signed in, with what, and until when
    List,
    /// End a session: its tokens are dead at once, here and at the authorization server
    Revoke(SessionArgs),
}

/// A session.
#[derive(Args, Debug)]
pub(crate) struct SessionArgs {
    /// The session's id, as `merlon session list` shows it
    pub(crate) id: String,
}

/// `merlon identity`.
#[derive(Debug, Subcommand)]
pub(crate) enum IdentityCommand {
    /// How far the instance is with its authorization server
    Show,
    /// Register the instance anew; data, keys and local tokens stay
    #[command(long_about = "\
Register the instance anew, for example after it was deleted at its hub. Its registration is deleted at the \
authorization server if that can be reached, owner and sessions are forgotten, and there is a new claim code. Recorded \
data, keys and local tokens stay as they are.

Asks to type the instance's name; --yes answers for scripts. Never asks without a terminal.

Examples:
  sudo merlon identity reset
  merlon --instance lab identity reset --yes")]
    Reset(ResetArgs),
}

/// `merlon identity reset`.
#[derive(Args, Debug)]
pub(crate) struct ResetArgs {
    /// Do not ask
    #[arg(short, long)]
    pub(crate) yes: bool,
}
