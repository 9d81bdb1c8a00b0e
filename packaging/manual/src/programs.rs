//! The programs of the packages with their command lines, which are read from the sources of each. Only what explains a
//! command line is taken from there: none of those files does anything.

use clap::{Command, CommandFactory as _};

#[path = "../../../daemon/dialer/src/arguments.rs"]
mod dialer;
#[path = "../../../daemon/hub/src/command_line.rs"]
mod hub;
#[path = "../../../daemon/keeper/src/command_line.rs"]
mod keeper;
#[path = "../../../cli/src/args/mod.rs"]
#[expect(dead_code, reason = "only the explanation of the command line is used here")]
#[expect(unused_imports, reason = "the commands of the program use them")]
mod merlon;
#[path = "../../../daemon/engine/src/args.rs"]
#[expect(unexpected_cfgs, reason = "the engine has a feature that no shipped binary has")]
mod merlond;
#[path = "../../../daemon/seal/src/command_line.rs"]
mod seal;

/// A program and where its manual page stands.
pub(crate) struct Program {
    /// What its command line says of itself.
    pub(crate) command: Command,
    /// The manual's section: 1 for what people type, 8 for what the system runs.
    pub(crate) section: &'static str,
    /// Files that it uses, with what they are.
    pub(crate) files: &'static [(&'static str, &'static str)],
    /// Other pages.
    pub(crate) see_also: &'static str,
}

/// Every program that a person may start, by hand or by its unit.
pub(crate) fn all() -> [Program; 6] {
    const CONFIGURATION: (&str, &str) = ("/etc/merlon/NAME.toml", "The instance's configuration, merlon.toml(5).");
    const HUB: (&str, &str) = ("/etc/merlon-hub.toml", "That of the system's hub.");
    [
        Program {
            command: merlon::Cli::command(),
            section: "1",
            files: &[
                ("/run/merlon/NAME/api.sock", "The API of an instance, for root and the group merlon."),
                ("/run/merlon/NAME/admin.sock", "The keeper of an instance, for root."),
                CONFIGURATION,
            ],
            see_also: "merlond(8), merlon.toml(5)",
        },
        Program {
            command: merlond::Cli::command(),
            section: "8",
            files: &[
                CONFIGURATION,
                ("/var/lib/merlon/NAME", "The encrypted databases of the instance's projects."),
                ("/run/merlon/NAME", "The sockets of the instance."),
            ],
            see_also: "merlon(1), merlon.toml(5), merlon-keeper(8), merlon-dialer(8), merlon-generator(8)",
        },
        Program {
            command: hub::Cli::command(),
            section: "8",
            files: &[
                HUB,
                ("/etc/merlon-hub", "The certificate and the key of its listeners."),
                ("/var/lib/merlon-hub", "The encrypted database of accounts, registrations and sessions."),
                ("/run/merlon-hub", "The sockets of the hub."),
            ],
            see_also: "merlon(1), merlon.toml(5), merlon-keeper(8), merlon-generator(8)",
        },
        Program {
            command: keeper::Arguments::command(),
            section: "8",
            files: &[
                CONFIGURATION,
                ("/var/lib/merlon-keeper/NAME", "Keyslots, secrets.db and the audit log."),
                HUB,
                ("/var/lib/merlon-hub-keeper", "The same of the hub."),
            ],
            see_also: "merlon(1), merlond(8), merlon-hub(8), merlon-seal(8), merlon.toml(5)",
        },
        Program {
            command: dialer::Arguments::command(),
            section: "8",
            files: &[CONFIGURATION],
            see_also: "merlond(8), merlon.toml(5)",
        },
        Program {
            command: seal::Arguments::command(),
            section: "8",
            files: &[CONFIGURATION, HUB, ("/dev/tpmrm0", "The TPM.")],
            see_also: "merlon-keeper(8), merlon.toml(5)",
        },
    ]
}
