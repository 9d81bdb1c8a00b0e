//! Arguments of the commands that talk to the keeper: `token`, `proxy-user`, `keyslot`, `unlock`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

/// What a token may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Role {
    /// Reads flows and status.
    Viewer,
    /// Everything but secrets and the instance itself.
    Operator,
    /// Everything.
    Owner,
}

impl Role {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Owner => "owner",
        }
    }
}

/// `merlon token`.
#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Make a token; it is shown once
    #[command(long_about = "\
Make an access token for the API; it is shown once, the instance keeps a keyed hash only.

Examples:
  (umask 077; merlon token create --role viewer --label report > report.token)
  merlon --url https://host:8443 --token-file report.token flows")]
    Create(TokenCreateArgs),
    /// All tokens, without their values
    List,
    /// Revoke a token at once
    Revoke(TokenRevokeArgs),
}

/// `merlon token create`.
#[derive(Args, Debug)]
pub(crate) struct TokenCreateArgs {
    /// What the token may do
    #[arg(long)]
    pub(crate) role: Role,
    /// A name to know it by; the role if left out
    #[arg(long)]
    pub(crate) label: Option<String>,
}

/// `merlon token revoke`.
#[derive(Args, Debug)]
pub(crate) struct TokenRevokeArgs {
    /// The token's id, as `merlon token list` shows it
    pub(crate) id: String,
}

/// `merlon proxy-user`.
#[derive(Debug, Subcommand)]
pub(crate) enum ProxyUserCommand {
    /// Make a user; the password is generated and shown once
    Add(ProxyUserArgs),
    /// The names of all users
    List,
    /// Remove a user
    Remove(ProxyUserArgs),
}

/// A user of the proxy.
#[derive(Args, Debug)]
pub(crate) struct ProxyUserArgs {
    /// Name of the user
    pub(crate) name: String,
}

/// `merlon keyslot`.
#[derive(Debug, Subcommand)]
pub(crate) enum KeyslotCommand {
    /// All keyslots
    List,
    /// Add a way to open the instance
    #[command(subcommand)]
    Add(AddKeyslot),
    /// Remove a keyslot
    #[command(long_about = "\
Remove a keyslot.

This is not revocation: whoever has an old copy of the keyslot file and the slot's secret still has the master key. \
`merlon keyslot rotate` replaces that key.")]
    Remove(SlotArgs),
    /// Does a keyslot still open? Changes nothing
    #[command(long_about = "\
Does a keyslot still open? Changes nothing.

A passphrase or recovery slot is tested with its secret, from a file or a prompt.

Examples:
  merlon keyslot test 1
  merlon keyslot test 3 --recovery-file recovery.txt")]
    Test(TestArgs),
    /// Replace the master key, all slots and the keys of all projects
    #[command(long_about = "\
Replace the master key, the material of all slots and the keys of all projects. The instance goes on recording.

Afterwards the old keys open nothing: neither a removed slot, nor a copy of the old key file, keyslots or secrets.db \
opens what the instance has from then on. (What was copied before, keys and data, stays readable to whoever has it.)

Slots that open by themselves are made again. A passphrase slot is kept if its passphrase is given, and goes otherwise. \
The old recovery key goes; a new one is printed once, and to be typed back as for `merlon keyslot add recovery`. What \
was interrupted goes on when this is run again, and at the next start.

Examples:
  merlon keyslot rotate
  (umask 077; merlon keyslot rotate --passphrase-file pass.txt --confirm-file key.txt > key.txt)")]
    Rotate(RotateArgs),
    /// Type the recovery key back, to prove that it was kept
    #[command(long_about = "\
Type the recovery key back, to prove that it was kept. Until then status and every start say `recovery unconfirmed`.

Examples:
  merlon keyslot confirm
  merlon keyslot confirm --recovery-file recovery.txt")]
    Confirm(ConfirmArgs),
}

/// `merlon keyslot add`.
#[derive(Debug, Subcommand)]
pub(crate) enum AddKeyslot {
    /// A random key in a file beside the keyslots, readable by the keeper only
    File,
    /// A passphrase, hardened by Argon2id
    Passphrase(PassphraseArgs),
    /// A recovery key: 256 random bits, printed once, to be kept away from this host
    #[command(long_about = "\
A recovery key: 256 random bits, printed once on standard output, to be kept away from this host.

On a terminal it must then be typed back, which confirms it. With --confirm-file it is read back from that file \
instead, after it was printed: from a named pipe, or from a file that is written meanwhile (it is waited for, up to \
two minutes). Without either, the slot stays unconfirmed.

Examples:
  merlon keyslot add recovery
  (umask 077; merlon keyslot add recovery --confirm-file key.txt > key.txt)")]
    Recovery(RecoveryArgs),
}

/// `merlon keyslot add passphrase`.
#[derive(Args, Debug)]
pub(crate) struct PassphraseArgs {
    /// Read the passphrase from this file (one line end at its end does not count); asks if left out
    #[arg(long, value_name = "FILE")]
    pub(crate) passphrase_file: Option<PathBuf>,
}

/// `merlon keyslot add recovery`.
#[derive(Args, Debug)]
pub(crate) struct RecoveryArgs {
    /// Read the key back from this file once it was printed, instead of from the terminal
    #[arg(long, value_name = "FILE")]
    pub(crate) confirm_file: Option<PathBuf>,
}

/// `merlon keyslot rotate`.
#[derive(Args, Debug)]
pub(crate) struct RotateArgs {
    /// Read the passphrase of the slot to be kept from this file (one line end at its end does not count)
    #[arg(long, value_name = "FILE")]
    pub(crate) passphrase_file: Option<PathBuf>,
    /// Read the new recovery key back from this file once it was printed, instead of from the terminal
    #[arg(long, value_name = "FILE")]
    pub(crate) confirm_file: Option<PathBuf>,
}

/// `merlon keyslot remove`.
#[derive(Args, Debug)]
pub(crate) struct SlotArgs {
    /// The slot's id, as `merlon keyslot list` shows it
    pub(crate) id: u32,
}

/// `merlon keyslot test`.
#[derive(Args, Debug)]
pub(crate) struct TestArgs {
    /// The slot's id, as `merlon keyslot list` shows it
    pub(crate) id: u32,
    /// Read the passphrase from this file
    #[arg(long, value_name = "FILE", conflicts_with = "recovery_file")]
    pub(crate) passphrase_file: Option<PathBuf>,
    /// Read the recovery key from this file
    #[arg(long, value_name = "FILE")]
    pub(crate) recovery_file: Option<PathBuf>,
}

/// `merlon keyslot confirm`.
#[derive(Args, Debug)]
pub(crate) struct ConfirmArgs {
    /// Read the recovery key from this file; asks if left out
    #[arg(long, value_name = "FILE")]
    pub(crate) recovery_file: Option<PathBuf>,
}

/// Open a locked instance (on its host)
#[derive(Args, Debug)]
#[command(long_about = "\
Open a locked instance (on its host).

Needed where no machine slot (file) opens at start. Asks for the passphrase, or with --recovery for the recovery key, \
unless a file is given.

Examples:
  merlon unlock
  merlon unlock --recovery-file recovery.txt")]
pub(crate) struct UnlockArgs {
    /// Read the passphrase from this file
    #[arg(long, value_name = "FILE", conflicts_with_all = ["recovery_file", "recovery"])]
    pub(crate) passphrase_file: Option<PathBuf>,
    /// Read the recovery key from this file
    #[arg(long, value_name = "FILE", conflicts_with = "recovery")]
    pub(crate) recovery_file: Option<PathBuf>,
    /// Ask for the recovery key instead of the passphrase
    #[arg(long)]
    pub(crate) recovery: bool,
}
