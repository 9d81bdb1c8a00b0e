//! The keeper's profiles.

use std::fs;
use std::path::Path;

use merlon_sandbox::lock::DirLock;
use merlon_sandbox::secret::SecretBuf;
use merlon_sandbox::{Paths, enforce, files, process, profiles, seqpacket};

use crate::tries;

pub(crate) fn denied(dir: &Path) {
    let lists = [tries::NOBODY_MAY, tries::NO_NETWORK, tries::NO_CONNECTING];
    tries::control(&lists);
    process::harden().unwrap();
    println!("{}", enforce(&profiles::KEEPER, &Paths::new().read_write(dir)).unwrap());
    tries::denied(&lists);
    tries::cannot_open("/etc/shadow", fs::OpenOptions::new().read(true));
    tries::cannot_open("/dev/null", fs::OpenOptions::new().write(true));
}

pub(crate) fn allowed(dir: &Path) {
    let admin = seqpacket::listen(&dir.join("admin.sock"), 0o600).unwrap();
    let client = seqpacket::connect(&dir.join("admin.sock")).unwrap();
    let told = tries::Told::connect();
    process::harden().unwrap();
    let paths = Paths::new().read_write(dir).read_only("/etc/hostname".to_owned());
    let paths = if Path::new("/etc/hostname").exists() { paths } else { Paths::new().read_write(dir) };
    enforce(&profiles::KEEPER, &paths).unwrap();
    told.works();

    let _lock = DirLock::acquire(dir, std::time::Duration::ZERO).unwrap();
    files::write_atomic(dir, "keyslots.a", b"{}", 0o600).unwrap();
    assert_eq!(files::read_owned(&dir.join("keyslots.a"), 16, 0o077).unwrap(), b"{}");
    let connection = seqpacket::accept(&admin).unwrap();
    assert_eq!(seqpacket::peer_cred(&connection).unwrap().pid.unsigned_abs(), std::process::id());
    let answering = std::thread::spawn(move || {
        let mut frame = SecretBuf::with_capacity(32 * 1024).unwrap();
        let received = seqpacket::recv(&connection, frame.as_full_mut_slice()).unwrap();
        frame.set_len(received.len);
        seqpacket::send(&connection, frame.as_slice(), None).unwrap();
    });
    seqpacket::send(&client, b"status", None).unwrap();
    assert_eq!(seqpacket::recv(&client, &mut [0; 16]).unwrap().len, 6);
    answering.join().unwrap();
}

pub(crate) fn linking(dir: &Path) {
    let link = dir.join("link.sock");
    let _engine = seqpacket::listen(&link, 0o600).unwrap();
    process::harden().unwrap();
    let store = dir.join("keeper");
    fs::create_dir(&store).unwrap();
    enforce(&profiles::KEEPER_LINKING, &Paths::new().read_write(store).unix_socket(&link)).unwrap();
    tries::denied(&[tries::NOBODY_MAY, tries::NO_NETWORK]);
    seqpacket::connect(&link).unwrap();
    // Again, as after a hang-up; the owner may have made the socket anew.
    seqpacket::connect(&link).unwrap();
    tries::cannot_open(dir.join("x"), fs::OpenOptions::new().write(true).create(true));
}
