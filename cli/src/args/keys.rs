//! Arguments of the commands that talk to the keeper: `token`, `proxy-user`, `keyslot`. Those of machine slots and of
//! `unlock` are in `machine.rs`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::machine::{AuthorizeArgs, Pkcs11Args, PolicyArgs, ResealArgs, Tpm2Args};

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

A passphrase or recovery slot is tested with its secret, and a slot with a PIN with that, from a file or a prompt. A \
wrong PIN counts as one try for the TPM or token.

Examples:
  merlon keyslot test 1
  merlon keyslot test 3 --recovery-file recovery.txt
  merlon keyslot test 4 --pin-file pin.txt")]
    Test(TestArgs),
    /// Seal a tpm2 slot anew, to the machine as it is now; needs no secret
    #[command(long_about = "\
Seal a tpm2 slot anew, to the machine as it is now. The instance must be open; no secret is needed.

After a change of firmware, Secure Boot or boot loader, once the instance was opened by another slot. Before such a \
change, --next-boot-once makes one more slot instead, bound to this TPM but to no PCR: it opens the next start, which \
removes it, and then the slot is sealed anew.

Examples:
  merlon keyslot reseal 1
  merlon keyslot reseal 1 --next-boot-once")]
    Reseal(ResealArgs),
    /// What a policy key has to sign for a slot, for the machine as it is now
    #[command(long_about = "\
What a policy key has to sign for a slot, for the machine as it is now: a digest over its PCRs, in hex. Works while the \
instance is locked.

Examples:
  merlon keyslot policy 4 --out policy.bin
  openssl dgst -sha256 -sign policy-key.pem -out policy.sig policy.bin
  merlon keyslot authorize 4 --signature-file policy.sig")]
    Policy(PolicyArgs),
    /// Keep a signature over a policy, by which the slot opens without being sealed anew
    #[command(long_about = "\
Keep a signature over a policy, by which the slot opens without being sealed anew. Works while the instance is locked; \
the TPM judges the signature.

Without --policy-file the signature is for the machine as it is now.

Examples:
  merlon keyslot authorize 4 --signature-file policy.sig
  merlon keyslot authorize 4 --signature-file next.sig --policy-file next.bin")]
    Authorize(AuthorizeArgs),
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
    /// The rollback counter in the TPM
    #[command(subcommand)]
    Counter(CounterCommand),
    /// Type the recovery key back, to prove that it was kept
    #[command(long_about = "\
Type the recovery key back, to prove that it was kept. Until then status and every start say `recovery unconfirmed`.

Examples:
  merlon keyslot confirm
  merlon keyslot confirm --recovery-file recovery.txt")]
    Confirm(ConfirmArgs),
}

/// `merlon keyslot counter`.
#[derive(Debug, Subcommand)]
pub(crate) enum CounterCommand {
    /// Make a new counter in place of one that is lost or was cleared
    Reset,
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
    /// Sealed to this machine's TPM 2.0
    #[command(long_about = "\
Sealed to this machine's TPM 2.0, so that no other machine opens it.

Without --pcrs it is bound to PCR 7 (Secure Boot) if that measures something, and else to none, which is said. A PIN \
must be given at each start (merlon unlock). With --policy-key a signature over the PCRs stands for the PCRs \
themselves, so that an update needs a signature instead of a new sealing.

Examples:
  merlon keyslot add tpm2
  merlon keyslot add tpm2 --pcrs none --pin
  merlon keyslot add tpm2 --pcrs 7,11 --policy-key policy-public.pem")]
    Tpm2(Tpm2Args),
    /// Encrypted by a key in a PKCS#11 token (a hardware security module)
    #[command(long_about = "\
Encrypted by a key in a PKCS#11 token: a hardware security module, or a smart card. The module is named in the \
configuration (pkcs11.module).

Without --pin-file and --pin the PIN is the one that the configuration names (pkcs11.pin_file, or the credential \
pkcs11-pin), which then also opens the slot at each start.

Examples:
  merlon keyslot add pkcs11 --uri 'pkcs11:token=merlon;id=%01'
  merlon keyslot add pkcs11 --uri 'pkcs11:token=merlon;object=merlon' --pin-file pin.txt")]
    Pkcs11(Pkcs11Args),
    /// The credential `merlon-key`, which systemd decrypts and passes at each start
    #[command(long_about = "\
The credential `merlon-key`, which systemd decrypts and passes to the keeper at each start (LoadCredentialEncrypted=). \
It must be there already.

Example:
  head -c 32 /dev/urandom | sudo systemd-creds encrypt --name=merlon-key - /etc/merlon/default.cred
  sudo merlon keyslot add credential")]
    Credential,
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
    #[arg(long, value_name = "FILE", conflicts_with_all = ["recovery_file", "pin_file"])]
    pub(crate) passphrase_file: Option<PathBuf>,
    /// Read the recovery key from this file
    #[arg(long, value_name = "FILE", conflicts_with = "pin_file")]
    pub(crate) recovery_file: Option<PathBuf>,
    /// Read the PIN from this file
    #[arg(long, value_name = "FILE")]
    pub(crate) pin_file: Option<PathBuf>,
}

/// `merlon keyslot confirm`.
#[derive(Args, Debug)]
pub(crate) struct ConfirmArgs {
    /// Read the recovery key from this file; asks if left out
    #[arg(long, value_name = "FILE")]
    pub(crate) recovery_file: Option<PathBuf>,
}

/// `merlon audit`.
#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// Entries, newest first
    #[command(long_about = "\
Entries of the audit log, newest first: what happened to keyslots, tokens, users and project keys.

Examples:
  merlon audit list
  merlon audit list --limit 1000 --json")]
    List(AuditListArgs),
    /// Is the log whole? Ends with 1, and names the place, if an entry was changed, moved, left out or cut off
    Verify,
}

/// `merlon audit list`.
#[derive(Args, Debug)]
pub(crate) struct AuditListArgs {
    /// At most so many entries
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub(crate) limit: u32,
}
