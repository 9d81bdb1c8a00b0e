//! The profiles of `merlon-seal` with a PKCS#11 module.

use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use merlon_sandbox::{LandlockLevel, Paths, Profile, Report, enforce, environment, process, profiles, seqpacket};
use nix::errno::Errno;

use crate::tries::{self, Try};

const EXEC: i32 = libc::PROT_READ | libc::PROT_EXEC;

fn enter(profile: &Profile, paths: &Paths) -> Report {
    process::harden().unwrap();
    let report = enforce(profile, paths).unwrap();
    assert_ne!(report.landlock, LandlockLevel::None);
    println!("{report}");
    report
}

fn map(file: &File, protection: i32) -> (bool, Errno) {
    // SAFETY: a new private mapping at an address that the kernel chooses; nothing is at it that is in use.
    let at = unsafe { libc::mmap(std::ptr::null_mut(), 4096, protection, libc::MAP_PRIVATE, file.as_raw_fd(), 0) };
    (at != libc::MAP_FAILED, Errno::last())
}

fn tokens(dir: &Path) -> std::path::PathBuf {
    let tokens = dir.join("tokens");
    fs::create_dir(&tokens).unwrap();
    fs::write(dir.join("pin"), "1234").unwrap();
    fs::write(tokens.join("object"), [0; 4096]).unwrap();
    tokens
}

fn cannot_touch_the_rest(dir: &Path) {
    let mut read = OpenOptions::new();
    read.read(true);
    for path in ["/etc/shadow", "/etc/passwd", "/proc/self/mem", "/proc/self/environ", "/root", "/home", "/etc/ssl"] {
        if Path::new(path).exists() {
            tries::cannot_open(path, &read);
        }
    }
    tries::cannot_open(dir.join("pin"), &read);
    tries::cannot_open(dir.join("new"), OpenOptions::new().write(true).create(true));
    tries::cannot_open("/usr/lib/new", OpenOptions::new().write(true).create(true));
    std::process::Command::new("/bin/true").status().unwrap_err();
    std::net::TcpStream::connect("127.0.0.1:1").unwrap_err();
}

pub(crate) fn denied(dir: &Path) {
    let tokens = tokens(dir);
    let lists = [tries::NOBODY_MAY, tries::NO_NETWORK, tries::NO_CONNECTING];
    tries::control(&lists);
    enter(&profiles::SEAL_PKCS11, &Paths::new().read_write(&tokens));
    tries::denied(&lists);
    cannot_touch_the_rest(dir);
    // Code is never writable, be it from a file.
    let own = File::options().read(true).write(true).open(tokens.join("object")).unwrap();
    assert_eq!(map(&own, EXEC | libc::PROT_WRITE), (false, Errno::EPERM));
    std::os::unix::fs::symlink("/etc/passwd", tokens.join("link")).unwrap_err();
    UnixListener::bind(tokens.join("sock")).unwrap_err();
    UnixStream::connect(dir.join("sock")).unwrap_err();
}

pub(crate) fn allowed(dir: &Path) {
    let tokens = tokens(dir);
    let (ours, theirs) = seqpacket::pair().unwrap();
    let told = tries::Told::connect();
    enter(&profiles::SEAL_PKCS11, &Paths::new().read_write(&tokens));
    told.works();
    // A library of the system, found by its name and loaded with its code.
    // SAFETY: libresolv runs nothing harmful when it is loaded.
    let library = unsafe { libc::dlopen(c"libresolv.so.2".as_ptr(), libc::RTLD_NOW) };
    assert!(!library.is_null(), "a library of the system cannot be loaded");
    assert!(map(&File::open(tokens.join("object")).unwrap(), EXEC).0);
    // What a token in files does.
    let mut object = File::create(tokens.join("new")).unwrap();
    object.try_lock().unwrap();
    object.write_all(b"key").unwrap();
    object.sync_all().unwrap();
    fs::rename(tokens.join("new"), tokens.join("object")).unwrap();
    fs::remove_file(tokens.join("object")).unwrap();
    std::thread::spawn(|| ()).join().unwrap();
    seqpacket::send(&ours, b"answer", None).unwrap();
    assert_eq!(seqpacket::recv(&theirs, &mut [0; 8]).unwrap().len, 6);
}

pub(crate) fn attached(dir: &Path) {
    const STREAM: &str = "socket AF_UNIX stream";
    let tokens = tokens(dir);
    let _daemon = UnixListener::bind(tokens.join("pcscd")).unwrap();
    let paths = Paths::new().attached(tokens.join("pcscd")).attached("/dev/null");
    enter(&profiles::SEAL_PKCS11_ATTACHED, &paths);
    let rest: Vec<&Try> = tries::NOBODY_MAY.iter().filter(|one| one.name != STREAM).collect();
    assert_eq!(rest.len() + 1, tries::NOBODY_MAY.len());
    tries::denied_each(rest);
    tries::denied(&[tries::NO_NETWORK]);
    cannot_touch_the_rest(dir);
    let mut client = UnixStream::connect(tokens.join("pcscd")).unwrap();
    client.write_all(b"hello").unwrap();
    let mut device = File::options().read(true).write(true).open("/dev/null").unwrap();
    device.write_all(b"x").unwrap();
    assert_eq!(device.read(&mut [0; 1]).unwrap(), 0);
    let mut unused = [0u8; 256];
    // SAFETY: TCGETS writes at most a termios, which is smaller; the device is no terminal and refuses.
    let asked = unsafe { libc::ioctl(device.as_raw_fd(), libc::TCGETS, unused.as_mut_ptr()) };
    assert_eq!((asked, Errno::last()), (-1, Errno::ENOTTY), "the device itself answers");
    tries::cannot_open("/dev/zero", OpenOptions::new().read(true));
    tries::cannot_open(tokens.join("object"), OpenOptions::new().read(true));
}

pub(crate) fn environment(_dir: &Path) {
    // As in a real start: afterwards `/proc/self` is root's.
    process::harden().unwrap();
    environment::set([("SOFTHSM2_CONF", "/etc/softhsm2.conf"), ("EMPTY", "")]).unwrap();
    assert_eq!(std::env::var("SOFTHSM2_CONF").as_deref(), Ok("/etc/softhsm2.conf"));
    assert_eq!(std::env::var("EMPTY").as_deref(), Ok(""));
    // One that cannot be set leaves the others alone.
    environment::set([("SOFTHSM2_CONF", "/tmp"), ("A=B", "x")]).unwrap_err();
    assert_eq!(std::env::var("SOFTHSM2_CONF").as_deref(), Ok("/etc/softhsm2.conf"));
}
