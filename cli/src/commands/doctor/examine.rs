//! What the instance says of itself, judged. Pure.

use merlon_api::status::{Authentication, RECOVERED, Service};
use merlon_api::{Exposure, Listener, Process, Sandbox, Status};

use super::Check;
use crate::commands::status::OPENING;

/// Whoever belongs to an instance, the asked one included.
const PROCESSES: [&str; 3] = ["merlond", "merlon-keeper", "merlon-dialer"];
const LOGS: &str = "read its log: merlon logs (or the terminal of `merlond run`)";

pub(super) fn all(status: &Status, opening: bool) -> Vec<Check> {
    let mut checks = vec![instance(status, opening)];
    checks.extend(keys(status));
    if status.locked {
        // It tells no more than that until it is open.
        return checks;
    }
    for name in PROCESSES {
        match status.processes.iter().find(|process| process.name == name) {
            Some(found) => checks.extend(process(found)),
            None => checks.push(Check::wrong(name, "not there", LOGS)),
        }
    }
    checks.push(recorder(status));
    checks.extend(status.listeners.iter().map(listener));
    // The state of recovery has a line of its own.
    let notes = status.warnings.iter().filter(|note| !note.to_ascii_lowercase().starts_with("recovery unconfirmed"));
    checks.extend(notes.map(|note| Check::warning("note", note, LOGS)));
    checks
}

fn instance(status: &Status, opening: bool) -> Check {
    match &status.project {
        _ if opening => Check::warning("instance", OPENING, "wait; if none does: merlon unlock"),
        _ if status.locked => Check::wrong("instance", "locked: proxy and API answer 503", "merlon unlock"),
        None => Check::wrong(
            "instance",
            "no project is open, nothing is recorded",
            "merlon project list, then merlon project open ID",
        ),
        Some(project) if status.ready => {
            Check::ok("instance", format!("ready, recording into project `{}`", project.name))
        }
        Some(_) => Check::wrong("instance", "not ready", LOGS),
    }
}

fn keys(status: &Status) -> Vec<Check> {
    let Some(keys) = &status.keys else {
        return vec![Check::wrong("keys", "unknown, because the keeper is away", LOGS)];
    };
    let memory = match keys.secret_memory.as_str() {
        "memfd_secret" => Check::ok("key memory", "memfd_secret: out of reach even of the kernel's own tools"),
        other => Check::warning(
            "key memory",
            format!("{other}: ordinary pages that are locked, undumpable and wiped on fork"),
            "a kernel with memfd_secret (Linux 5.14; before 6.5 boot with secretmem.enable=1) and keeper.memfd_secret = true",
        ),
    };
    let kinds = keys.keyslots.join(", ");
    let recovery = if keys.recovery_confirmed {
        Check::ok("recovery", "a recovery key was typed back")
    } else if keys.keyslots.iter().any(|kind| kind == "recovery") {
        Check::warning("recovery", "unconfirmed: its key was never typed back", "merlon keyslot confirm")
    } else {
        Check::warning("recovery", "unconfirmed: there is no recovery key", "merlon keyslot add recovery")
    };
    let slots = match keys.keyslots.len() {
        0 => Check::wrong("keyslots", "none", "merlon keyslot add recovery"),
        _ => Check::ok("keyslots", kinds),
    };
    vec![slots, recovery, memory]
}

fn process(process: &Process) -> Vec<Check> {
    let name = process.name.as_str();
    if !process.connected {
        return vec![Check::wrong(name, "not connected; it is started again by itself", LOGS)];
    }
    let pid = process.pid.map(|pid| format!(", pid {pid}")).unwrap_or_default();
    let mut checks = vec![Check::ok(name, format!("connected{pid}"))];
    match &process.sandbox {
        Some(sandbox) => checks.extend(self::sandbox(name, sandbox)),
        None => checks.push(Check::warning(name, "says nothing of its sandbox", LOGS)),
    }
    checks
}

fn sandbox(name: &str, sandbox: &Sandbox) -> Vec<Check> {
    let missing = sandbox.missing.join(", ");
    let abi = sandbox.landlock_abi;
    let kernel = "a newer kernel, with `landlock` in /sys/kernel/security/lsm";
    let mut checks = vec![match sandbox.landlock.as_str() {
        "full" => Check::ok(name, format!("Landlock: everything asked for (ABI {abi})")),
        "partial" => Check::warning(name, format!("Landlock: ABI {abi} of this kernel lacks {missing}"), kernel),
        _ => Check::wrong(name, "Landlock: nothing is enforced; this kernel has none", kernel),
    }];
    // What is missing beside Landlock's own parts.
    if sandbox.landlock == "full" && !sandbox.missing.is_empty() {
        checks.push(Check::warning(name, format!("this kernel lacks {missing}"), "a newer kernel"));
    }
    let facts = [
        (sandbox.seccomp, "seccomp filter"),
        (sandbox.no_new_privs, "no new privileges"),
        (sandbox.core_dumps_off, "no core dumps"),
    ];
    let held: Vec<&str> = facts.iter().filter(|(on, _)| *on).map(|(_, text)| *text).collect();
    if !held.is_empty() {
        checks.push(Check::ok(name, held.join(", ")));
    }
    let off = facts.iter().filter(|(on, _)| !on);
    checks.extend(off.map(|(_, text)| Check::wrong(name, format!("not in force: {text}"), LOGS)));
    checks
}

fn recorder(status: &Status) -> Check {
    let recorder = &status.recorder;
    match &recorder.last_error {
        Some(error) if error.starts_with(RECOVERED) => {
            Check::warning("recorder", error, "nothing now; the flows counted as not recorded meanwhile are lost")
        }
        Some(error) => Check::wrong("recorder", error, "free space on the disk, or mend what the message names"),
        None if recorder.unrecorded > 0 => Check::warning(
            "recorder",
            format!("{} flows passed and were not recorded", recorder.unrecorded),
            "a faster disk, or a larger `recording.queue_bytes` or `recording.max_wait_milliseconds`",
        ),
        None => Check::ok("recorder", format!("{} flows recorded, none lost", recorder.recorded)),
    }
}

fn listener(listener: &Listener) -> Check {
    let what = match listener.service {
        Service::Proxy => "proxy",
        Service::Api => "api",
    };
    let address = &listener.address;
    let asks = match listener.authentication {
        Authentication::None => "asks for nothing",
        Authentication::Socket => "admits by the socket's mode",
        Authentication::Basic => "asks for a password",
        Authentication::Bearer => "asks for a token",
    };
    match (listener.exposure, listener.authentication, listener.tls) {
        (Exposure::Public, Authentication::None, _) => Check::wrong(
            what,
            format!("{address} is open to whoever reaches it"),
            "remove `proxy.auth = \"none\"`, or listen on 127.0.0.1 and use a tunnel (SSH, WireGuard)",
        ),
        (Exposure::Public, _, false) => Check::warning(
            what,
            format!("{address} is public; it {asks}, which travels unencrypted"),
            "listen on 127.0.0.1 and use a tunnel (SSH, WireGuard)",
        ),
        (Exposure::Public, _, true) => Check::ok(what, format!("{address} is public, with TLS; it {asks}")),
        (Exposure::Loopback, ..) => Check::ok(what, format!("{address}, this host only; it {asks}")),
        (Exposure::Unix, ..) => Check::ok(what, format!("{address}; it {asks}")),
    }
}

#[cfg(test)]
mod tests {
    use merlon_api::status::OpenProject;
    use merlon_api::{Keys, Recorder};

    use super::super::Verdict;
    use super::*;

    fn healthy() -> Status {
        let sandbox = Sandbox {
            landlock_abi: 7,
            landlock: "full".into(),
            missing: Vec::new(),
            seccomp: true,
            no_new_privs: true,
            core_dumps_off: true,
            secret_memory: "memfd_secret".into(),
        };
        let process = |name: &&str| Process {
            name: (*name).into(),
            connected: true,
            pid: Some(1),
            sandbox: Some(sandbox.clone()),
        };
        Status {
            name: "merlon".into(),
            version: "0".into(),
            instance: None,
            ready: true,
            locked: false,
            keys: Some(Keys {
                opened_by: Some("file".into()),
                keyslots: vec!["file".into(), "recovery".into()],
                recovery_confirmed: true,
                secret_memory: "memfd_secret".into(),
            }),
            warnings: Vec::new(),
            project: Some(OpenProject { id: 1, name: "default".into() }),
            recorder: Recorder::default(),
            listeners: vec![Listener {
                service: Service::Proxy,
                address: "127.0.0.1:8080".into(),
                exposure: Exposure::Loopback,
                tls: false,
                authentication: Authentication::None,
            }],
            processes: PROCESSES.iter().map(process).collect(),
            identity: None,
        }
    }

    fn worst(status: &Status) -> (Verdict, Vec<String>) {
        let checks = all(status, false);
        for check in &checks {
            assert_eq!(check.remedy.is_none(), check.verdict == Verdict::Ok, "{check:?}");
        }
        let worst = [Verdict::Wrong, Verdict::Warning]
            .into_iter()
            .find(|verdict| checks.iter().any(|check| check.verdict == *verdict))
            .unwrap_or(Verdict::Ok);
        (worst, checks.into_iter().filter(|check| check.verdict == worst).map(|check| check.what).collect())
    }

    #[test]
    fn a_healthy_instance_has_nothing_to_mend() {
        assert_eq!(worst(&healthy()).0, Verdict::Ok);
    }

    #[test]
    fn an_instance_that_is_not_open_yet_is_no_fault() {
        let status = Status { locked: true, project: None, ..healthy() };
        let first = &all(&status, true)[0];
        assert_eq!(first.verdict, Verdict::Warning);
        assert!(first.remedy.as_ref().unwrap().contains("merlon unlock"), "{first:?}");
    }

    #[test]
    fn each_fault_is_found_and_has_its_weight() {
        type Fault = fn(&mut Status);
        let faults: [(Fault, Verdict, &str); 13] = [
            (|s| s.locked = true, Verdict::Wrong, "instance"),
            (|s| s.project = None, Verdict::Wrong, "instance"),
            (|s| s.keys = None, Verdict::Wrong, "keys"),
            (|s| s.keys.as_mut().unwrap().recovery_confirmed = false, Verdict::Warning, "recovery"),
            (|s| s.keys.as_mut().unwrap().secret_memory = "locked".into(), Verdict::Warning, "key memory"),
            (|s| s.processes[1].connected = false, Verdict::Wrong, "merlon-keeper"),
            (|s| drop(s.processes.pop()), Verdict::Wrong, "merlon-dialer"),
            (|s| s.processes[0].sandbox.as_mut().unwrap().landlock = "none".into(), Verdict::Wrong, "merlond"),
            (|s| s.processes[0].sandbox.as_mut().unwrap().landlock = "partial".into(), Verdict::Warning, "merlond"),
            (|s| s.processes[2].sandbox.as_mut().unwrap().seccomp = false, Verdict::Wrong, "merlon-dialer"),
            (|s| s.recorder.unrecorded = 1, Verdict::Warning, "recorder"),
            (|s| s.recorder.last_error = Some("full disk".into()), Verdict::Wrong, "recorder"),
            (|s| s.listeners[0].exposure = Exposure::Public, Verdict::Wrong, "proxy"),
        ];
        for (at, (fault, verdict, what)) in faults.into_iter().enumerate() {
            let mut status = healthy();
            fault(&mut status);
            assert_eq!(worst(&status), (verdict, vec![what.to_owned()]), "fault {at}");
        }
    }
}
