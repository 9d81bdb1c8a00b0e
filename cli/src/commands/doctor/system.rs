//! An instance that systemd runs: its units, sockets, users, AppArmor and the TPM's device. Reads and judges; changes
//! nothing.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use merlon_api::Status;
use merlon_api::status::Service;
use merlon_config::{Config, InstanceName, ListenAddress, Paths, judge_proxy_bind};
use nix::unistd::{Gid, Group, Uid, User};

use super::Check;
use crate::args::Daemon;
use crate::commands::config;
use crate::units::{State, Units};

const TPM: &str = "/dev/tpmrm0";
const APPARMOR: &str = "/sys/module/apparmor/parameters/enabled";

/// `status` is what the engine reports, if it answers.
pub(super) fn all(name: &InstanceName, paths: &Paths, status: Option<&Status>) -> Vec<Check> {
    let mut checks = Vec::new();
    match Units::connect().and_then(|mut units| units_of(name, paths, status, &mut units)) {
        Ok(of_units) => checks.extend(of_units),
        Err(error) => {
            let why = error.why.map(|why| format!(": {why}")).unwrap_or_default();
            let remedy = error.hint.unwrap_or_else(|| "systemctl status 'merlon*'".to_owned());
            checks.push(Check::warning("services", format!("{}{why}", error.what), remedy));
        }
    }
    checks.extend(owners(name, paths));
    checks.extend(tpm_device(name, Path::new(TPM)));
    checks
}

fn units_of(
    name: &InstanceName,
    paths: &Paths,
    status: Option<&Status>,
    units: &mut Units,
) -> Result<Vec<Check>, crate::error::CliError> {
    let mut checks = Vec::new();
    let mut confined = Vec::new();
    for daemon in Daemon::ALL {
        let unit = daemon.service(name);
        let state = units.state(&unit)?;
        checks.extend(service(daemon, name, &state));
        if state.needs_reload {
            let detail = "its unit was changed since systemd read it";
            checks.push(Check::warning(unit.as_str(), detail, "sudo systemctl daemon-reload"));
        }
        if daemon == Daemon::Engine && state.load == "loaded" {
            checks.push(at_boot(name, &state));
        }
        let pid = units.main_pid(&unit)?;
        if pid != 0 {
            confined.push((daemon, profile(pid)));
        }
    }
    if let Ok(config) = config::of_file(&paths.config) {
        let of_engine = |service| {
            let listeners = status.map(|status| status.listeners.iter().filter(move |l| l.service == service));
            listeners.map(|listeners| listeners.map(|l| plain(&l.address)).collect::<BTreeSet<String>>())
        };
        let api_socket = paths.api_socket().display().to_string();
        let sockets = [
            ("merlon-proxy", wanted(&config.proxy.listen, None), of_engine(Service::Proxy)),
            ("merlon-api", wanted(&config.api.listen, Some(api_socket)), of_engine(Service::Api)),
        ];
        checks.extend(public(name, &config));
        for (socket, wanted, held) in sockets {
            let loaded: BTreeSet<String> = units.listens(&format!("{socket}@{name}.socket"))?.into_iter().collect();
            checks.push(listeners(socket, name, &wanted, &loaded, held.as_ref()));
        }
    }
    checks.extend(apparmor(fs::read_to_string(APPARMOR).is_ok_and(|enabled| enabled.starts_with('Y')), &confined));
    Ok(checks)
}

fn service(daemon: Daemon, name: &InstanceName, state: &State) -> Option<Check> {
    let unit = daemon.service(name);
    let detail = format!("{} ({})", state.active, state.sub);
    let why = format!("merlon logs --process {daemon}");
    Some(match (daemon, state.load.as_str(), state.active.as_str()) {
        (_, "not-found", _) => Check::wrong(unit, "is not installed", "install the package merlon again"),
        // It runs for one operation at a time.
        (Daemon::Seal, _, "inactive" | "active" | "activating") => return None,
        (Daemon::Seal, ..) => {
            Check::warning(unit, detail, format!("{why}, then sudo systemctl reset-failed merlon-seal@{name}"))
        }
        (_, _, "active") => Check::ok(unit, detail),
        (_, _, "activating" | "reloading") => Check::warning(unit, detail, why),
        (_, _, "failed") => {
            Check::wrong(unit, detail, format!("{why}, then sudo systemctl restart {}@{name}", daemon.program()))
        }
        _ => Check::wrong(unit, detail, format!("sudo systemctl start merlond@{name}")),
    })
}

fn at_boot(name: &InstanceName, state: &State) -> Check {
    if matches!(state.file.as_str(), "enabled" | "enabled-runtime") {
        Check::ok("at boot", "it is started")
    } else {
        let remedy = format!("sudo systemctl enable merlond@{name}");
        Check::warning("at boot", format!("it is not started: the unit is {}", state.file), remedy)
    }
}

/// As systemd writes an address.
fn plain(address: &str) -> String {
    address.strip_prefix("unix:").unwrap_or(address).to_owned()
}

fn wanted(addresses: &[ListenAddress], always: Option<String>) -> BTreeSet<String> {
    addresses.iter().map(|address| plain(&address.to_string())).chain(always).collect()
}

/// An address that the generator leaves out, and because of which the engine does not start.
fn public(name: &InstanceName, config: &Config) -> Option<Check> {
    let mut tcp = config.proxy.listen.iter().filter_map(|address| match address {
        ListenAddress::Tcp(address) => Some(*address),
        ListenAddress::Unix(_) => None,
    });
    let refused = tcp.find(|address| judge_proxy_bind(*address, config.proxy.allow_public_bind).is_err())?;
    let detail = format!("{refused} is public, and `proxy.allow_public_bind` does not permit it: nothing listens");
    Some(Check::wrong("proxy.listen", detail, format!("merlon config check /etc/merlon/{name}.toml says what to do")))
}

/// What the configuration says, what systemd has read of it, and what the engine holds.
fn listeners(
    socket: &str,
    name: &InstanceName,
    wanted: &BTreeSet<String>,
    loaded: &BTreeSet<String>,
    held: Option<&BTreeSet<String>>,
) -> Check {
    let what = format!("{socket}@{name}.socket");
    let list = |set: &BTreeSet<String>| match set.len() {
        0 => "nothing".to_owned(),
        _ => set.iter().cloned().collect::<Vec<_>>().join(", "),
    };
    let restart = format!("sudo systemctl stop merlond@{name}, then sudo systemctl start merlond@{name}");
    if loaded != wanted {
        let detail = format!("the configuration says {}, systemd listens on {}", list(wanted), list(loaded));
        let remedy = format!("sudo systemctl daemon-reload, then {restart}");
        return Check::wrong(what, detail, remedy);
    }
    match held {
        Some(held) if held != wanted => {
            let detail = format!("the configuration says {}, the engine still has {}", list(wanted), list(held));
            Check::wrong(what, detail, restart)
        }
        _ => Check::ok(what, format!("as configured: {}", list(wanted))),
    }
}

/// The AppArmor profile of a process, as `merlond (enforce)`; the error where this user may not know.
fn profile(pid: u32) -> Result<String, ErrorKind> {
    let read = |file: &str| fs::read_to_string(format!("/proc/{pid}/attr/{file}"));
    let text = read("apparmor/current").or_else(|_| read("current")).map_err(|e| e.kind())?;
    Ok(text.trim_end_matches(['\n', '\0']).to_owned())
}

fn apparmor(enabled: bool, confined: &[(Daemon, Result<String, ErrorKind>)]) -> Vec<Check> {
    if !enabled {
        return vec![Check::ok(
            "AppArmor",
            "not in use on this machine; the other walls of the sandbox stand without it",
        )];
    }
    let check = |(daemon, profile): &(Daemon, Result<String, ErrorKind>)| {
        let program = daemon.program();
        let remedy =
            format!("sudo apparmor_parser -r /etc/apparmor.d/{program}, then sudo systemctl restart the service");
        match profile {
            Ok(profile) if profile.ends_with("(enforce)") => Check::ok(program, format!("AppArmor: {profile}")),
            Ok(profile) => Check::warning(program, format!("AppArmor does not confine it: {profile}"), remedy),
            Err(error) => {
                Check::warning(program, format!("its AppArmor profile cannot be read: {error}"), "sudo merlon doctor")
            }
        }
    };
    confined.iter().map(check).collect()
}

/// Directories and sockets belong to the one user that identity is built on.
fn owners(name: &InstanceName, paths: &Paths) -> Vec<Check> {
    let keeper = Daemon::Keeper.user(name);
    let root = || "root".to_owned();
    let expected: [(PathBuf, String); 9] = [
        (paths.config.clone(), root()),
        (paths.run.clone(), root()),
        (paths.store.clone(), Daemon::Engine.user(name)),
        (paths.keeper.clone(), keeper.clone()),
        (paths.api_socket(), root()),
        (paths.admin_socket(), root()),
        (paths.keeper_link_socket(), keeper.clone()),
        (paths.dialer_link_socket(), Daemon::Dialer.user(name)),
        (paths.seal_socket(), keeper),
    ];
    let mut checks = Vec::new();
    for daemon in Daemon::ALL {
        let user = daemon.user(name);
        if matches!(User::from_name(&user), Ok(None)) {
            let remedy = "sudo systemd-sysusers";
            checks.push(Check::wrong(user, "there is no such user, so the service cannot start", remedy));
        }
    }
    checks.extend(expected.iter().filter_map(|(path, user)| owner(path, user)));
    checks
}

/// What is wrong with the owner of a file; none if nothing is, or if it cannot be known.
fn owner(path: &Path, user: &str) -> Option<Check> {
    // Modes and what cannot be looked at are judged with the other files.
    let owner = fs::symlink_metadata(path).ok()?.uid();
    let expected = User::from_name(user).ok()??;
    if expected.uid == Uid::from_raw(owner) {
        return None;
    }
    let is = User::from_uid(Uid::from_raw(owner)).ok().flatten().map_or_else(|| owner.to_string(), |is| is.name);
    let remedy = format!("sudo chown {user} {}", path.display());
    Some(Check::wrong(path.display().to_string(), format!("belongs to {is}, not to {user}"), remedy))
}

/// May the one service that speaks to the TPM open its device? A machine without a TPM has nothing to judge.
fn tpm_device(name: &InstanceName, device: &Path) -> Option<Check> {
    let metadata = fs::metadata(device).ok()?;
    let what = device.display().to_string();
    let user = Daemon::Seal.user(name);
    let group = Group::from_gid(Gid::from_raw(metadata.gid())).ok().flatten();
    let group_name = group.as_ref().map_or_else(|| metadata.gid().to_string(), |group| group.name.clone());
    if metadata.mode() & 0o060 != 0o060 || group_name != "tss" {
        let detail =
            format!("belongs to group {group_name} with mode {:04o}: {user} cannot open it", metadata.mode() & 0o7777);
        return Some(Check::warning(what, detail, "install the package tpm-udev, then restart the machine"));
    }
    if group.is_some_and(|group| group.mem.contains(&user)) {
        Some(Check::ok(what, format!("group tss, to which {user} belongs")))
    } else {
        let remedy = format!("sudo usermod --append --groups tss {user}");
        Some(Check::warning(what, format!("{user} is not in the group tss and cannot open it"), remedy))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::doctor::Verdict;

    fn name() -> InstanceName {
        "work".parse().unwrap()
    }

    fn state(active: &str) -> State {
        State {
            load: "loaded".into(),
            active: active.into(),
            sub: "x".into(),
            file: "disabled".into(),
            needs_reload: false,
        }
    }

    fn set(addresses: &[&str]) -> BTreeSet<String> {
        addresses.iter().map(|address| (*address).to_owned()).collect()
    }

    #[test]
    fn services_that_are_down_are_wrong_and_say_how_to_go_on() {
        let judged = |daemon, active| service(daemon, &name(), &state(active));
        assert_eq!(judged(Daemon::Keeper, "active").unwrap().verdict, Verdict::Ok);
        let failed = judged(Daemon::Keeper, "failed").unwrap();
        assert_eq!(failed.verdict, Verdict::Wrong);
        assert_eq!(
            failed.remedy.unwrap(),
            "merlon logs --process keeper, then sudo systemctl restart merlon-keeper@work"
        );
        assert_eq!(judged(Daemon::Engine, "inactive").unwrap().remedy.unwrap(), "sudo systemctl start merlond@work");
        assert_eq!(judged(Daemon::Seal, "inactive"), None);
        assert_eq!(judged(Daemon::Seal, "failed").unwrap().verdict, Verdict::Warning);
        let missing = State { load: "not-found".into(), ..state("inactive") };
        assert!(service(Daemon::Dialer, &name(), &missing).unwrap().remedy.unwrap().contains("package"));
        assert!(at_boot(&name(), &state("active")).remedy.unwrap().contains("enable merlond@work"));
    }

    #[test]
    fn sockets_are_held_against_the_configuration_and_against_the_engine() {
        let (old, new, none) = (set(&["127.0.0.1:8080"]), set(&["127.0.0.1:9090"]), set(&[]));
        let judged = |wanted, loaded, held| listeners("merlon-proxy", &name(), wanted, loaded, held);
        assert_eq!(judged(&old, &old, Some(&old)).verdict, Verdict::Ok);
        assert_eq!(judged(&old, &old, None).verdict, Verdict::Ok);
        let unread = judged(&new, &old, Some(&old));
        assert!(
            unread.remedy.unwrap().contains("daemon-reload") && unread.detail.contains("listens on 127.0.0.1:8080")
        );
        assert!(judged(&new, &none, None).detail.ends_with("systemd listens on nothing"));
        let unopened = judged(&new, &new, Some(&old));
        assert!(unopened.remedy.unwrap().starts_with("sudo systemctl stop merlond@work"));
    }

    #[test]
    fn a_public_proxy_that_is_not_permitted_is_named() {
        let mut config = Config::default();
        assert_eq!(public(&name(), &config), None);
        config.proxy.listen.push("0.0.0.0:8080".parse().unwrap());
        assert!(public(&name(), &config).unwrap().detail.starts_with("0.0.0.0:8080 is public"));
        config.proxy.allow_public_bind = true;
        assert_eq!(public(&name(), &config), None);
    }

    #[test]
    fn a_profile_that_is_not_enforced_is_told() {
        let of = |profile: &str| apparmor(true, &[(Daemon::Engine, Ok(profile.to_owned()))]).remove(0).verdict;
        assert_eq!((of("merlond (enforce)"), of("unconfined")), (Verdict::Ok, Verdict::Warning));
        assert_eq!(of("merlond (complain)"), Verdict::Warning);
        let unknown = apparmor(true, &[(Daemon::Seal, Err(ErrorKind::PermissionDenied))]).remove(0);
        assert_eq!(unknown.remedy.as_deref(), Some("sudo merlon doctor"));
        assert_eq!(apparmor(false, &[]).len(), 1);
    }

    #[test]
    fn a_file_of_somebody_else_is_told() {
        let path = std::env::temp_dir().join(format!("merlon-cli-owner-{}", std::process::id()));
        fs::write(&path, "").unwrap();
        let me = User::from_uid(nix::unistd::geteuid()).unwrap().unwrap().name;
        assert_eq!(owner(&path, &me), None);
        let other = owner(&path, "nobody").unwrap();
        assert_eq!(other.remedy.unwrap(), format!("sudo chown nobody {}", path.display()));
        assert!(tpm_device(&name(), &path).is_some_and(|check| check.verdict == Verdict::Warning));
        fs::remove_file(&path).unwrap();
        assert_eq!(tpm_device(&name(), &path), None);
    }
}
