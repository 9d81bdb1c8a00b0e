//! Arguments of the commands for instances that systemd runs: `merlon instance` and `merlon logs`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use merlon_api::Timestamp;
use merlon_config::{InstanceName, ListenAddress};

/// `merlon instance`.
#[derive(Debug, Subcommand)]
pub(crate) enum InstanceCommand {
    /// Make a new instance: its configuration with free ports, and its users (as root)
    #[command(long_about = "\
Make a new instance: /etc/merlon/NAME.toml with ports that nobody uses, and a user of its own for each of its four \
services. Nothing is started; the last line says how to. Only root may do this.

Examples:
  sudo merlon instance create work
  sudo merlon instance create lab --proxy-listen 127.0.0.1:9090 --api-listen 127.0.0.1:9443")]
    Create(InstanceCreateArgs),
    /// Give a remote instance a name
    #[command(long_about = "\
Give a remote instance a name, for --instance NAME. The address is --url; how its certificate is known is --ca-file or \
--pin, or else the system's roots. The instance is asked once whether it is there. Then: merlon --instance NAME login.

What you name is written to merlon/instances.toml in your configuration directory. There is no secret in it.

Examples:
  merlon instance add lab --url https://lab.example:8443 --pin \"$(ssh lab.example merlon ca fingerprint)\"
  merlon instance add work --url https://10.0.0.7:8443 --ca-file work-ca.pem")]
    Add(InstanceAddArgs),
    /// Mean this instance wherever none is named: a remote or a local one
    #[command(long_about = "\
Mean this instance wherever none is named by a flag or the environment: a remote one of `merlon instance add`, one of \
the system, or one of your own. `merlon instance use default` goes back.

Examples:
  merlon instance use lab && merlon status")]
    Use(InstanceNameArgs),
    /// The instances that you can name, and how they are; the one in use is marked
    #[command(long_about = "\
The instances that you can name: those that systemd runs on this machine (whether each runs and starts at boot, its \
listeners as configured, and what its daemon says of itself), those of your own (`merlond run` below your data \
directory), and remote ones of `merlon instance add` (which are not asked). The one in use is marked.

Examples:
  merlon instance list
  merlon instance list --json")]
    List,
    /// Forget a remote instance; or remove a stopped one of this machine for good (as root)
    #[command(long_about = "\
A remote instance: forget its name and sign out there. Nothing of the instance itself is touched.

One of this machine: remove a stopped instance for good: its configuration, its keys and all it recorded. Without the keys nothing of it can \
be read again, not even from copies of its files; a backup made by `merlon backup` still can.

Asks to type the instance's name; --yes answers for scripts. Its users stay: a number given away again would own what \
files of the old user are left somewhere. Only root may do this.

Examples:
  sudo systemctl disable --now merlond@work && sudo merlon instance remove work
  sudo merlon instance remove work --keep-data
  merlon instance remove lab")]
    Remove(InstanceRemoveArgs),
}

/// `merlon instance add`; the address and the roots are options of every command.
#[derive(Args, Debug)]
pub(crate) struct InstanceAddArgs {
    /// What to call it: 1 to 17 letters, digits, hyphens and underscores, the first a letter or a digit
    pub(crate) name: InstanceName,
    /// Trust only this certificate, or what it has signed: its SHA-256, as `merlon ca fingerprint` prints it on the host
    #[arg(long, value_name = "SHA256", conflicts_with = "ca_file")]
    pub(crate) pin: Option<String>,
}

/// `merlon instance use`.
#[derive(Args, Debug)]
pub(crate) struct InstanceNameArgs {
    /// The instance
    pub(crate) name: InstanceName,
}

/// `merlon instance create`.
#[derive(Args, Debug)]
pub(crate) struct InstanceCreateArgs {
    /// 1 to 17 letters, digits, hyphens and underscores, the first a letter or a digit
    pub(crate) name: InstanceName,
    /// Where the proxy listens; a free port on 127.0.0.1 if left out
    #[arg(long, value_name = "ADDR:PORT")]
    pub(crate) proxy_listen: Option<ListenAddress>,
    /// Where the API listens, besides its Unix socket; a free port on 127.0.0.1 if left out
    #[arg(long, value_name = "ADDR:PORT")]
    pub(crate) api_listen: Option<ListenAddress>,
}

/// `merlon instance remove`.
#[derive(Args, Debug)]
pub(crate) struct InstanceRemoveArgs {
    /// The instance
    pub(crate) name: InstanceName,
    /// Leave its keys and what it recorded; `merlon instance create` with the same name takes them over
    #[arg(long)]
    pub(crate) keep_data: bool,
    /// Do not ask
    #[arg(short, long)]
    pub(crate) yes: bool,
}

/// `merlon logs`.
#[derive(Args, Debug)]
#[command(long_about = "\
What the services of an instance logged, read from the system's journal. Times are UTC. Security events stand with \
their names in brackets.

Reading needs root or the group `systemd-journal` (or `adm`). An instance of `merlond run` logs on its standard error \
instead. Ends with 3 if nothing is found.

Examples:
  sudo merlon logs
  sudo merlon --instance work logs --follow
  sudo merlon logs --since 2h --process keeper
  sudo merlon logs --events --since '2026-01-31 12:00' --json")]
pub(crate) struct LogsArgs {
    /// Go on with what comes, until Ctrl-C
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// The last N entries; without --since 100, with --follow 10
    #[arg(short = 'n', long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) lines: Option<u64>,
    /// From this time on (UTC): 2026-01-31, '2026-01-31 23:59', or ago: 30s, 15m, 2h, 7d
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<Since>,
    /// Only of this process
    #[arg(long)]
    pub(crate) process: Option<Daemon>,
    /// Only security events: keys, tokens, refusals, the sandbox
    #[arg(long)]
    pub(crate) events: bool,
}

/// One of the services of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Daemon {
    /// Proxy, store and API.
    Engine,
    /// Keys.
    Keeper,
    /// Outbound connections.
    Dialer,
    /// TPM and PKCS#11.
    Seal,
}

impl Daemon {
    pub(crate) const ALL: [Self; 4] = [Self::Engine, Self::Keeper, Self::Dialer, Self::Seal];

    /// The program, which the names of units begin with.
    pub(crate) fn program(self) -> &'static str {
        match self {
            Self::Engine => "merlond",
            Self::Keeper => "merlon-keeper",
            Self::Dialer => "merlon-dialer",
            Self::Seal => "merlon-seal",
        }
    }

    /// Its service for one instance.
    pub(crate) fn service(self, name: &InstanceName) -> String {
        format!("{}@{name}.service", self.program())
    }

    /// The user that it runs as.
    pub(crate) fn user(self, name: &InstanceName) -> String {
        format!("merlon-{self}-{name}")
    }
}

impl fmt::Display for Daemon {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Engine => "engine",
            Self::Keeper => "keeper",
            Self::Dialer => "dialer",
            Self::Seal => "seal",
        })
    }
}

/// `--since`: a moment, or so long ago.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Since {
    /// So long before now.
    Ago(Duration),
    /// This moment.
    At(Timestamp),
}

impl FromStr for Since {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no time; write 2026-01-31, '2026-01-31 23:59' (UTC), or 30s, 15m, 2h, 7d");
        if let Some(ago) = ago(text) {
            return Ok(Self::Ago(ago));
        }
        let moment = text.trim_end_matches('Z').replacen(' ', "T", 1);
        let rest = match moment.len() {
            10 => "T00:00:00Z",
            16 => ":00Z",
            _ => "Z",
        };
        let moment: Timestamp = format!("{moment}{rest}").parse().map_err(|_| wrong())?;
        if moment < Timestamp(0) { Err(wrong()) } else { Ok(Self::At(moment)) }
    }
}

/// `15m`
fn ago(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return None,
    };
    if !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    digits.parse::<u64>().ok()?.checked_mul(seconds).map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_a_moment_or_so_long_ago() {
        let at = |text: &str| Ok(Since::At(text.parse().unwrap()));
        assert_eq!("2026-01-31".parse(), at("2026-01-31T00:00:00Z"));
        assert_eq!("2026-01-31 23:59".parse(), at("2026-01-31T23:59:00Z"));
        assert_eq!("2026-01-31T23:59:58.5Z".parse(), at("2026-01-31T23:59:58.5Z"));
        assert_eq!("90m".parse(), Ok(Since::Ago(Duration::from_secs(5400))));
        assert_eq!("7d".parse(), Ok(Since::Ago(Duration::from_secs(604_800))));
        for wrong in ["", "m", "yesterday", "5", "-5m", "+5m", "2026-02-30", "1969-01-01", "é", "99999999999999999999d"]
        {
            assert!(wrong.parse::<Since>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_longest_name_fits_into_a_user() {
        let name: InstanceName = "seventeen-letters".parse().unwrap();
        for daemon in Daemon::ALL {
            assert!(daemon.user(&name).len() <= 31);
        }
        assert_eq!(Daemon::Engine.service(&name), "merlond@seventeen-letters.service");
    }
}
