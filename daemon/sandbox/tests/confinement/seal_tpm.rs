//! The profiles of `merlon-seal` for a TPM.

use std::fs::{self, OpenOptions};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::path::Path;

use merlon_sandbox::secret::Secret;
use merlon_sandbox::{Paths, enforce, process, profiles, seqpacket};

use crate::tries;

fn without_files(dir: &Path) {
    for path in ["/etc/passwd", "/proc/self/mem", "/dev/null", "/"] {
        tries::cannot_open(path, OpenOptions::new().read(true));
    }
    tries::cannot_open(dir.join("file"), OpenOptions::new().read(true));
    tries::cannot_open(dir.join("file"), OpenOptions::new().write(true));
    std::process::Command::new("/bin/true").status().unwrap_err();
}

pub(crate) fn denied(dir: &Path) {
    fs::write(dir.join("file"), "x").unwrap();
    let lists = [tries::NOBODY_MAY, tries::NO_NETWORK, tries::NO_CONNECTING];
    tries::control(&lists);
    process::harden().unwrap();
    println!("{}", enforce(&profiles::SEAL_TPM, &Paths::new()).unwrap());
    tries::denied(&lists);
    without_files(dir);
}

pub(crate) fn allowed(dir: &Path) {
    // In place of the device, which a test cannot have: a file that is open already.
    let mut device = OpenOptions::new().read(true).write(true).create_new(true).open(dir.join("tpm")).unwrap();
    let (keeper, own) = seqpacket::pair().unwrap();
    let told = tries::Told::connect();
    process::harden().unwrap();
    enforce(&profiles::SEAL_TPM, &Paths::new()).unwrap();
    told.works();
    device.write_all(b"command").unwrap();
    assert_eq!(device.read(&mut [0; 8]).unwrap(), 0);
    let secret = Secret::<32>::random().unwrap();
    seqpacket::send(&own, secret.expose(), None).unwrap();
    assert_eq!(seqpacket::recv(&keeper, &mut [0; 64]).unwrap().len, 32);
}

pub(crate) fn emulator(dir: &Path) {
    fs::write(dir.join("file"), "x").unwrap();
    let tpm = TcpListener::bind("127.0.0.1:0").unwrap();
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    process::harden().unwrap();
    let paths = Paths::new().tcp_port(tpm.local_addr().unwrap().port());
    let report = enforce(&profiles::SEAL_EMULATOR, &paths).unwrap();
    tries::denied(&[tries::NOBODY_MAY]);
    without_files(dir);
    TcpStream::connect(tpm.local_addr().unwrap()).unwrap();
    TcpStream::connect(tpm.local_addr().unwrap()).unwrap();
    UdpSocket::bind("127.0.0.1:0").unwrap_err();
    TcpListener::bind("127.0.0.1:0").unwrap_err();
    if report.landlock_abi >= 4 {
        let refused = TcpStream::connect(other.local_addr().unwrap()).unwrap_err();
        assert_eq!(refused.raw_os_error(), Some(libc::EACCES), "{refused}");
    }
}
