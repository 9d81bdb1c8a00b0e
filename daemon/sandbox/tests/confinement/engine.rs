//! The engine's profile, and the hub's, which is denied the same.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd};
use std::path::Path;

use merlon_sandbox::profile::Profile;
use merlon_sandbox::secret::Secret;
use merlon_sandbox::{LandlockLevel, Paths, enforce, process, profiles, seqpacket};
use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::eventfd::EventFd;

use crate::tries;

fn enter(store: &Path) {
    enter_as(&profiles::ENGINE, store);
}

fn enter_as(profile: &Profile, store: &Path) {
    process::harden().unwrap();
    let report = enforce(profile, &Paths::new().read_write(store)).unwrap();
    assert!(report.seccomp && report.no_new_privs && report.core_dumps_off && report.dumpable_off);
    assert_ne!(report.landlock, LandlockLevel::None);
    println!("{report}");
}

pub(crate) fn denied(dir: &Path) {
    denied_by(&profiles::ENGINE, dir);
}

pub(crate) fn denied_to_the_hub(dir: &Path) {
    denied_by(&profiles::HUB, dir);
}

fn denied_by(profile: &Profile, dir: &Path) {
    let store = dir.join("store");
    fs::create_dir(&store).unwrap();
    fs::write(dir.join("outside"), "x").unwrap();
    let lists = [tries::NOBODY_MAY, tries::NO_NETWORK, tries::NO_CONNECTING];
    tries::control(&lists);
    enter_as(profile, &store);
    tries::denied(&lists);
    // SAFETY: a null argument block; without the filter this would be EFAULT or EINVAL.
    let clone3 = unsafe { libc::syscall(libc::SYS_clone3, 0, 0) };
    assert_eq!((clone3, Errno::last()), (-1, Errno::ENOSYS), "clone3 hides its flags from filters");
    // SAFETY: getpid takes nothing.
    #[cfg(target_arch = "x86_64")]
    assert_eq!(unsafe { libc::syscall(0x4000_0000 | libc::SYS_getpid) }, -1, "a number of the x32 ABI");

    let mut read = OpenOptions::new();
    read.read(true);
    for path in ["/etc/passwd", "/proc/self/mem", "/proc/self/environ", "/"] {
        tries::cannot_open(path, &read);
    }
    tries::cannot_open(dir.join("outside"), &read);
    tries::cannot_open(dir.join("outside"), OpenOptions::new().write(true));
    tries::cannot_open(dir.join("new"), OpenOptions::new().write(true).create(true));
    fs::rename(store.join("."), dir.join("moved")).unwrap_err();
    fs::write(store.join("inside"), "x").unwrap();
    fs::rename(store.join("inside"), dir.join("moved")).unwrap_err();
    fs::remove_file(dir.join("outside")).unwrap_err();
    std::os::unix::fs::symlink("/etc/passwd", store.join("link")).unwrap_err();
    std::os::unix::net::UnixListener::bind(store.join("sock")).unwrap_err();
    std::process::Command::new("/bin/true").status().unwrap_err();

    // A file of its own store cannot be run or mapped as code either.
    let own = File::open(store.join("inside")).unwrap();
    let exec = libc::PROT_READ | libc::PROT_EXEC;
    // SAFETY: a mapping at an address the kernel chooses, which is refused.
    let mapped = unsafe { libc::mmap(std::ptr::null_mut(), 4096, exec, libc::MAP_PRIVATE, own.as_raw_fd(), 0) };
    assert_eq!((mapped, Errno::last()), (libc::MAP_FAILED, Errno::EPERM));
}

pub(crate) fn allowed(dir: &Path) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (link, keeper) = seqpacket::pair().unwrap();
    let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let told = tries::Told::connect();
    enter(dir);

    told.works();
    File::open("/dev/urandom").unwrap();
    fs::create_dir(dir.join("projects")).unwrap();
    let path = dir.join("projects/1.db");
    let mut file = File::options().read(true).write(true).create(true).truncate(false).open(&path).unwrap();
    file.write_all(&[1; 9000]).unwrap();
    file.set_len(4096).unwrap();
    file.sync_data().unwrap();
    file.try_lock().unwrap();
    merlon_sandbox::files::write_atomic(dir, "ca.pem", b"pem", 0o644).unwrap();
    fs::rename(&path, dir.join("projects/2.db")).unwrap();
    fs::remove_file(dir.join("projects/2.db")).unwrap();
    assert_eq!(fs::read_dir(dir).unwrap().count(), 2);

    let named = std::thread::Builder::new().name("writer".to_owned());
    let bytes = named.spawn(|| *Secret::<32>::random().unwrap().expose()).unwrap().join().unwrap();
    assert_ne!(bytes, [0; 32]);

    let (mut served, _) = listener.accept().unwrap();
    served.set_nodelay(true).unwrap();
    served.set_nonblocking(true).unwrap();
    assert_eq!(served.read(&mut [0; 8]).unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    client.write_all(b"hello").unwrap();
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).unwrap();
    epoll.add(&served, EpollEvent::new(EpollFlags::EPOLLIN, 1)).unwrap();
    let mut events = [EpollEvent::empty()];
    assert_eq!(epoll.wait(&mut events, EpollTimeout::NONE).unwrap(), 1);
    assert_eq!(served.read(&mut [0; 8]).unwrap(), 5);
    assert!(served.take_error().unwrap().is_none() && served.peer_addr().is_ok());
    served.shutdown(Shutdown::Write).unwrap();
    EventFd::new().unwrap().write(1).unwrap();
    std::os::unix::net::UnixStream::pair().unwrap();

    seqpacket::send(&keeper, b"link", Some(client.as_fd())).unwrap();
    let received = seqpacket::recv(&link, &mut [0; 8]).unwrap();
    assert!(received.len == 4 && received.fd.is_some());
}

pub(crate) fn repointing(dir: &Path) {
    let (good, evil) = (TcpListener::bind("127.0.0.1:0").unwrap(), TcpListener::bind("127.0.0.1:0").unwrap());
    let control = TcpStream::connect(good.local_addr().unwrap()).unwrap();
    let received = TcpStream::connect(good.local_addr().unwrap()).unwrap();
    assert_eq!(repoint(&control, &evil), (Ok(()), Ok(())), "without the sandbox a connection can be re-pointed");
    enter(dir);
    assert_eq!(repoint(&received, &evil), (Err(Errno::EPERM), Err(Errno::EPERM)));
    assert_eq!(received.peer_addr().unwrap(), good.local_addr().unwrap());
}

fn repoint(stream: &TcpStream, to: &TcpListener) -> (nix::Result<()>, nix::Result<()>) {
    // SAFETY: all zero is a valid sockaddr of family AF_UNSPEC.
    let nowhere: libc::sockaddr = unsafe { std::mem::zeroed() };
    // SAFETY: a live sockaddr and its size.
    let cut = unsafe { libc::connect(stream.as_raw_fd(), &raw const nowhere, 16) };
    let cut = Errno::result(cut).map(drop);
    let std::net::SocketAddr::V4(address) = to.local_addr().unwrap() else { unreachable!("bound to IPv4") };
    let address = nix::sys::socket::SockaddrIn::from(address);
    (cut, nix::sys::socket::connect(stream.as_raw_fd(), &address))
}

pub(crate) fn abort(dir: &Path) {
    enter(dir);
    std::process::abort();
}

#[cfg(target_arch = "x86_64")]
pub(crate) fn foreign_architecture(dir: &Path) {
    enter(dir);
    // SAFETY: getpid by the 32-bit entry: no memory is touched, and the filter ends the process.
    unsafe { std::arch::asm!("int 0x80", inout("eax") 20 => _) };
}
