//! The command line as it may be typed: names, values and help texts. Parses and explains; does nothing.
//!
//! Commands get these structures as they are. Nothing here reads a file, the environment or a socket, and no argument
//! takes a secret: passphrases, recovery keys and tokens come from files or a prompt.

mod backup;
mod flows;
mod instance;
mod keys;
mod machine;
mod sign_in;
mod system;
mod types;

use std::path::PathBuf;

use crate::quoting::quoted;
use clap::{Args, Parser, Subcommand, ValueEnum};

pub(crate) use backup::{BackupArgs, RestoreArgs};
pub(crate) use flows::{FlowsArgs, ShowArgs};
pub(crate) use instance::{CaCommand, ConfigCommand, ConfigShowArgs, ProjectCommand};
pub(crate) use keys::{
    AddKeyslot, AuditCommand, CounterCommand, KeyslotCommand, ProxyUserCommand, RotateArgs, TestArgs, TokenCommand,
};
pub(crate) use machine::{AuthorizeArgs, Pkcs11Args, PolicyArgs, ResealArgs, Tpm2Args, UnlockArgs};
pub(crate) use sign_in::{IdentityCommand, LoginArgs, LogoutArgs, ResetArgs, SessionCommand};
pub(crate) use system::{
    Daemon, InstanceAddArgs, InstanceCommand, InstanceCreateArgs, InstanceNameArgs, InstanceRemoveArgs, LogsArgs, Since,
};
pub(crate) use types::{ByteRange, Side};

/// Talk to a Merlon instance: its status, its recorded flows, its keys.
#[derive(Debug, Parser)]
#[command(
    name = "merlon",
    version,
    disable_help_subcommand = true,
    max_term_width = 100,
    long_about = "\
Talk to a Merlon instance: its status, its recorded flows, its keys.

Without --data-dir, --instance or --url the instance of `merlon instance use` is meant, or else `default`: the system's, \
or else the user's own. Local instances are asked over their Unix sockets and need no sign-in; whoever may open the \
socket is the owner. At remote ones you sign in: merlon login.",
    after_help = "\
Examples:
  merlon status
  merlon flows 'host:example.com status:5xx' --limit 20
  merlon --data-dir ./lab flows --follow --json
  merlon show 1234 --body response -o page.html
  merlon --url https://lab.example:8443 login

More: merlon help query, merlon help exit-codes, merlon help environment"
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options of every command.
#[derive(Args, Debug, Default)]
pub(crate) struct Global {
    /// The instance in this directory, as given to `merlond run --data-dir`
    #[arg(long, global = true, value_name = "DIR", conflicts_with_all = ["instance", "url", "hub"], help_heading = "Instance")]
    pub(crate) data_dir: Option<PathBuf>,
    /// The instance with this name: one of `merlon instance add`, the system's, or else the user's own
    #[arg(long, global = true, value_name = "NAME", conflicts_with_all = ["url", "hub"], help_heading = "Instance")]
    pub(crate) instance: Option<String>,
    /// A remote instance: the https:// address of its API
    #[arg(long, global = true, value_name = "URL", conflicts_with = "hub", help_heading = "Instance")]
    pub(crate) url: Option<String>,
    /// The hub of this system instead of an instance: its keeper (status, keyslot, unlock, audit)
    #[arg(long, global = true, help_heading = "Instance")]
    pub(crate) hub: bool,
    /// File with an access token for a remote instance (made by `merlon token create`), instead of signing in
    #[arg(long, global = true, value_name = "FILE", help_heading = "Instance")]
    pub(crate) token_file: Option<PathBuf>,
    /// PEM file with the only roots to trust for a remote instance, instead of the system's
    #[arg(long, global = true, value_name = "FILE", help_heading = "Instance")]
    pub(crate) ca_file: Option<PathBuf>,
    /// One JSON value a line instead of text for people
    #[arg(long, global = true, help_heading = "Output")]
    pub(crate) json: bool,
    /// Colours: auto (on a terminal, minding NO_COLOR and CLICOLOR_FORCE), always or never
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto", help_heading = "Output")]
    pub(crate) color: ColourChoice,
    /// Only data, warnings and errors
    #[arg(short, long, global = true, help_heading = "Output")]
    pub(crate) quiet: bool,
}

impl Global {
    pub(crate) fn format(&self) -> Format {
        if self.json { Format::Json } else { Format::People }
    }
}

impl Global {
    /// The flags that name the instance, as they can be typed again.
    pub(crate) fn instance_flags(&self) -> String {
        let path = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
        let flags = [
            ("--data-dir", path(&self.data_dir)),
            ("--instance", self.instance.clone()),
            ("--url", self.url.clone()),
            ("--token-file", path(&self.token_file)),
            ("--ca-file", path(&self.ca_file)),
        ];
        let typed = flags.into_iter().filter_map(|(flag, value)| Some(format!("{flag} {}", quoted(&value?))));
        typed.chain(self.hub.then(|| "--hub".to_owned())).collect::<Vec<_>>().join(" ")
    }
}

/// For whom data is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// Tables.
    People,
    /// NDJSON.
    Json,
}

/// `--color`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum ColourChoice {
    /// Where a terminal can show them.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Is the instance there, open and recording?
    #[command(long_about = "\
Is the instance there, open and recording?

Shows the version, listeners, the open project, what was recorded and what was not, and the state of the keys. Ends \
with 0 if the instance answers, and with 69 if it does not.

Examples:
  merlon status
  merlon --instance lab status --json")]
    Status,
    /// Recorded flows: list, search, follow
    Flows(FlowsArgs),
    /// One flow: its facts, heads and bodies
    Show(ShowArgs),
    /// Sign in at an instance, in a browser anywhere
    Login(LoginArgs),
    /// Sign out: the session ends at the instance and at its authorization server, and its tokens are forgotten
    Logout(LogoutArgs),
    /// Who am I at this instance, and what may I do?
    Whoami,
    /// Sessions: who is signed in at the instance
    #[command(subcommand)]
    Session(SessionCommand),
    /// The one-time code that ties a new instance to an account (on its host, as root or its owner)
    ClaimCode,
    /// The instance's registration at its authorization server
    #[command(subcommand)]
    Identity(IdentityCommand),
    /// The certificate that clients of the proxy must trust
    #[command(subcommand)]
    Ca(CaCommand),
    /// Projects: the encrypted databases that flows are recorded into
    #[command(subcommand)]
    Project(ProjectCommand),
    /// Access tokens for the API (on the instance's host)
    #[command(subcommand)]
    Token(TokenCommand),
    /// Users of the proxy, where it asks for a password (on the instance's host)
    #[command(subcommand)]
    ProxyUser(ProxyUserCommand),
    /// The ways in which the master key can be unwrapped (on the instance's host)
    #[command(subcommand)]
    Keyslot(KeyslotCommand),
    /// Open a locked instance (on its host)
    Unlock(UnlockArgs),
    /// The audit log: what happened to the keys (on the instance's host)
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Back the instance up into one encrypted file, while it runs (on its host)
    Backup(BackupArgs),
    /// Lay a backup out as a new instance's directory
    Restore(RestoreArgs),
    /// The configuration: what holds, where it comes from, whether a file is right
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Instances: those that systemd runs on this machine, and remote ones that you name
    #[command(subcommand)]
    Instance(InstanceCommand),
    /// What the services of an instance logged (on its host)
    Logs(LogsArgs),
    /// Is everything as it should be? What is not, and what to do
    #[command(long_about = "\
Is everything as it should be? What is not, and what to do.

Checks that keeper and dialer are connected, what each process has enforced on itself and what this kernel lacks, \
where keys are held, the keyslots, the modes of files and sockets, and who can reach the listeners. Ends with 1 if \
something is wrong; a warning alone ends with 0.

Examples:
  merlon doctor
  sudo merlon doctor --json")]
    Doctor,
    /// Help: for a command, or a topic (query, exit-codes, environment)
    Help(HelpArgs),
    /// Print a completion script for a shell
    #[command(hide = true)]
    Completions(CompletionsArgs),
}

/// `merlon help`.
#[derive(Args, Debug)]
pub(crate) struct HelpArgs {
    /// A command, or `query`, `exit-codes` or `environment`
    #[arg(value_name = "COMMAND|TOPIC")]
    pub(crate) words: Vec<String>,
}

/// `merlon completions`.
#[derive(Args, Debug)]
pub(crate) struct CompletionsArgs {
    /// The shell
    pub(crate) shell: clap_complete::Shell,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_and_argument_explains_itself() {
        fn check(command: &clap::Command) {
            assert!(command.get_about().is_some(), "{} has no help", command.get_name());
            for argument in command.get_arguments() {
                assert!(argument.get_help().is_some(), "{} {} has no help", command.get_name(), argument.get_id());
            }
            command.get_subcommands().for_each(check);
        }
        check(&Cli::command());
    }

    #[test]
    fn an_instance_is_named_in_one_way() {
        assert!(Cli::try_parse_from(["merlon", "--data-dir", "d", "--instance", "x", "status"]).is_err());
        assert!(Cli::try_parse_from(["merlon", "--instance", "x", "--url", "https://h", "status"]).is_err());
        assert!(Cli::try_parse_from(["merlon", "status", "--data-dir", "d"]).is_ok());
    }
}
