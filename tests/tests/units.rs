//! The units of systemd and the generator that gives them their addresses: what is written is judged by systemd's own
//! checker, and what must not be written is not.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use merlon_tests::TempDir;
use merlon_tests::process::{output, program, stderr, stdout};

const PROGRAMS: [&str; 4] = ["merlond", "merlon-keeper", "merlon-dialer", "merlon-seal"];
const OF_THE_HUB: [&str; 3] = ["merlon-hub.service", "merlon-hub-keeper.service", "merlon-hub-seal.service"];

fn shipped() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../systemd")
}

/// The root of a machine: this one's units, ours, the programs that they name, and the configurations of instances.
struct Machine(TempDir);

impl Machine {
    fn new() -> Self {
        let machine = Self(TempDir::new("units"));
        let units = machine.at("usr/lib/systemd/system");
        fs::create_dir_all(&units).unwrap();
        for directory in [Path::new("/usr/lib/systemd/system"), &shipped()] {
            for entry in fs::read_dir(directory).unwrap().map(Result::unwrap) {
                if entry.path().is_file() {
                    fs::copy(entry.path(), units.join(entry.file_name())).unwrap();
                }
            }
        }
        let programs = PROGRAMS.map(|name| format!("usr/bin/{name}"));
        for path in programs.iter().map(String::as_str).chain(["usr/bin/merlon-hub", "bin/sh"]) {
            fs::create_dir_all(machine.at(path).parent().unwrap()).unwrap();
            fs::write(machine.at(path), "").unwrap();
            fs::set_permissions(machine.at(path), fs::Permissions::from_mode(0o755)).unwrap();
        }
        fs::create_dir_all(machine.at("etc/merlon")).unwrap();
        machine
    }

    fn at(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    fn configure(&self, instance: &str, text: &str) {
        self.write(&format!("etc/merlon/{instance}.toml"), text);
    }

    fn configure_hub(&self, text: &str) {
        self.write("etc/merlon-hub.toml", text);
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.at(path);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    }

    /// As systemd runs it, but that the drop-ins come where the checker looks for them below another root.
    fn generate(&self) -> Output {
        let [normal, early, late] = ["etc/systemd/system", "early", "late"].map(|name| self.at(name));
        for directory in [&normal, &early, &late] {
            fs::create_dir_all(directory).unwrap();
        }
        let generated =
            output(Command::new(program("merlon-generator")).args([&normal, &early, &late]).arg(self.at("etc/merlon")));
        assert!(generated.status.success(), "{generated:?}");
        assert_eq!(stdout(&generated), "");
        for unused in [early, late] {
            assert_eq!(fs::read_dir(unused).unwrap().count(), 0);
        }
        generated
    }

    /// The addresses that `merlon-SERVICE@INSTANCE.socket` is given.
    fn addresses(&self, service: &str, instance: &str) -> Vec<String> {
        self.addresses_of(&format!("merlon-{service}@{instance}"))
    }

    /// The addresses that this socket unit is given.
    fn addresses_of(&self, unit: &str) -> Vec<String> {
        let path = self.at(&format!("etc/systemd/system/{unit}.socket.d/50-listen.conf"));
        let Ok(text) = fs::read_to_string(path) else { return Vec::new() };
        text.lines().filter_map(|line| line.strip_prefix("ListenStream=")).map(str::to_owned).collect()
    }

    /// systemd's checker has nothing to say about these units.
    fn verify(&self, units: &[&str]) {
        let mut command = Command::new("systemd-analyze");
        command.arg("verify").arg(format!("--root={}", self.0.path().display())).arg("--man=no").args(units);
        let verified = output(&mut command);
        assert!(verified.status.success(), "{verified:?}");
        // It ends with 0 for a line that it does not understand, but says so.
        assert_eq!(stderr(&verified), "");
    }
}

#[test]
fn systemd_understands_every_unit_and_every_address() {
    let machine = Machine::new();
    machine.configure("default", "# listen = []\n");
    machine.configure(
        "lab-1",
        "[proxy]\nallow_public_bind = true\nlisten = ['0.0.0.0:3128', '[::1]:3128', '[fe80::1%1]:8080', 'unix:/run/merlon/lab-1/proxy%n.sock']\n\
         [api]\nlisten = ['[::1]:443']\n[limits]\ndrain_seconds = 600\n",
    );
    machine.configure("no_tcp", "[api]\nlisten = []\n[proxy]\nlisten = ['unix:/run/merlon/no_tcp/proxy.sock']\n");
    assert_eq!(stderr(&machine.generate()), "");
    assert_eq!(machine.addresses("proxy", "default"), ["127.0.0.1:8080"]);
    assert_eq!(machine.addresses("api", "default"), ["127.0.0.1:8443"]);
    assert_eq!(machine.addresses("proxy", "lab-1").len(), 4);
    assert_eq!(machine.addresses("api", "no_tcp"), [""; 0]);
    for instance in ["default", "lab-1", "no_tcp"] {
        let mut units: Vec<String> = PROGRAMS.iter().map(|program| format!("{program}@{instance}.service")).collect();
        for socket in ["api", "proxy", "link-keeper", "link-dialer", "admin", "seal"] {
            units.push(format!("merlon-{socket}@{instance}.socket"));
        }
        machine.verify(&units.iter().map(String::as_str).collect::<Vec<_>>());
    }
}

#[test]
fn systemd_understands_the_units_of_the_hub() {
    let machine = Machine::new();
    machine.configure_hub(
        "[hub]\nlisten = ['0.0.0.0:443', '[::1]:8444']\ntls_cert = '/etc/merlon-hub/c'\ntls_key = '/etc/merlon-hub/k'\n\
         [limits]\ndrain_seconds = 60\n",
    );
    machine.configure("default", "");
    assert_eq!(stderr(&machine.generate()), "");
    assert_eq!(machine.addresses_of("merlon-hub"), ["0.0.0.0:443", "[::1]:8444"]);
    assert_eq!(machine.addresses("proxy", "default"), ["127.0.0.1:8080"]);
    let stop = fs::read_to_string(machine.at("etc/systemd/system/merlon-hub.service.d/50-stop.conf")).unwrap();
    assert!(stop.contains("TimeoutStopSec=80s"), "{stop}");
    let sockets = ["", "-link-keeper", "-admin", "-seal"].map(|part| format!("merlon-hub{part}.socket"));
    let units: Vec<&str> = OF_THE_HUB.into_iter().chain(sockets.iter().map(String::as_str)).collect();
    machine.verify(&units);
}

#[test]
fn a_hub_that_cannot_be_used_gets_no_address_and_the_instances_go_on() {
    let machine = Machine::new();
    machine.configure("good", "");
    let hub = machine.at("etc/merlon-hub.toml");
    for (text, mode, word) in [
        ("[hub]\nlisten = ['127.0.0.1:1', '192.0.2.1:443']\n", 0o644, "hub.tls_cert"),
        ("[hub\n", 0o644, "merlon-hub.toml"),
        ("", 0o666, "chmod 644"),
    ] {
        machine.configure_hub(text);
        fs::set_permissions(&hub, fs::Permissions::from_mode(mode)).unwrap();
        let told = stderr(&machine.generate());
        assert!(told.contains(word) && told.contains("the hub gets no address"), "{told}");
        assert_eq!(machine.addresses_of("merlon-hub"), [""; 0]);
        assert_eq!(machine.addresses("proxy", "good"), ["127.0.0.1:8080"]);
    }
    fs::remove_file(&hub).unwrap();
    symlink(machine.at("etc/merlon/good.toml"), &hub).unwrap();
    assert!(stderr(&machine.generate()).contains("symbolic link"));
    assert_eq!(machine.addresses_of("merlon-hub"), [""; 0]);
}

#[test]
fn a_public_bind_that_is_not_permitted_gets_no_address_and_the_reason_is_told() {
    let machine = Machine::new();
    machine.configure("open", "[proxy]\nlisten = ['127.0.0.1:8080', '192.0.2.1:8080']\n");
    machine.configure("shut", "");
    let told = stderr(&machine.generate());
    assert!(told.contains("192.0.2.1:8080") && told.contains("proxy.allow_public_bind"), "{told}");
    assert!(told.contains("instance open"), "{told}");
    assert_eq!(machine.addresses("proxy", "open"), [""; 0]);
    assert_eq!(machine.addresses("api", "open"), ["127.0.0.1:8443"]);
    assert_eq!(machine.addresses("proxy", "shut"), ["127.0.0.1:8080"]);
}

#[test]
fn what_cannot_be_used_is_told_and_the_other_instances_go_on() {
    let machine = Machine::new();
    machine.configure("broken", "[proxy\n");
    machine.configure("control", "[proxy]\nlisten = ['\u{1b}[2J']\n");
    machine.configure("large", &"#".repeat(2 << 20));
    machine.configure("writable", "");
    fs::set_permissions(machine.at("etc/merlon/writable.toml"), fs::Permissions::from_mode(0o664)).unwrap();
    machine.configure("not a name", "");
    symlink(machine.at("etc/merlon/good.toml"), machine.at("etc/merlon/link.toml")).unwrap();
    nix::unistd::mkfifo(&machine.at("etc/merlon/pipe.toml"), nix::sys::stat::Mode::S_IRUSR).unwrap();
    fs::create_dir(machine.at("etc/merlon/directory.toml")).unwrap();
    fs::write(machine.at("etc/merlon/good.toml.dpkg-new"), "[proxy\n").unwrap();
    machine.configure("good", "");
    let told = stderr(&machine.generate());
    for name in ["broken", "control", "large", "writable", "not a name", "link", "pipe", "directory"] {
        assert!(told.contains(&format!("{name}.toml")), "{name}: {told}");
        assert_eq!(machine.addresses("proxy", name), [""; 0], "{name}");
    }
    assert!(!told.contains("dpkg-new") && !told.contains('\u{1b}'), "{told}");
    assert_eq!(machine.addresses("proxy", "good"), ["127.0.0.1:8080"]);
}

#[test]
fn without_instances_or_with_wrong_use_nothing_is_written() {
    let machine = Machine::new();
    fs::remove_dir(machine.at("etc/merlon")).unwrap();
    assert_eq!(stderr(&machine.generate()), "");
    assert_eq!(fs::read_dir(machine.at("etc/systemd/system")).unwrap().count(), 0);
    let wrong = output(&mut Command::new(program("merlon-generator")));
    assert_eq!(wrong.status.code(), Some(64));
    assert!(stderr(&wrong).contains("--help"));
    let help = output(Command::new(program("merlon-generator")).arg("--help"));
    assert!(help.status.success() && stdout(&help).contains("NORMAL"));
}

#[test]
fn every_user_of_a_unit_is_made() {
    let read = |file: &str| fs::read_to_string(shipped().join("sysusers.d").join(file)).unwrap();
    let made = read("merlon.conf") + &read("merlon-hub.conf");
    let is_made = |kind: &str, name: &str| made.lines().any(|line| line.split_whitespace().take(2).eq([kind, name]));
    for program in PROGRAMS {
        let unit = fs::read_to_string(shipped().join(format!("{program}@.service"))).unwrap();
        let user = unit.lines().find_map(|line| line.strip_prefix("User=")).unwrap().replace("%i", "default");
        assert!(is_made("u", &user), "{user}");
    }
    for unit in OF_THE_HUB {
        let unit = fs::read_to_string(shipped().join(unit)).unwrap();
        let user = unit.lines().find_map(|line| line.strip_prefix("User=")).unwrap();
        assert!(is_made("u", user), "{user}");
    }
    for entry in fs::read_dir(shipped()).unwrap().map(Result::unwrap) {
        let Ok(unit) = fs::read_to_string(entry.path()) else { continue };
        for group in unit.lines().filter_map(|line| line.strip_prefix("SocketGroup=")).filter(|group| *group != "root")
        {
            let group = group.replace("%i", "default");
            assert!(is_made("u", &group) || is_made("g", &group), "{group} of {}", entry.path().display());
        }
    }
}
