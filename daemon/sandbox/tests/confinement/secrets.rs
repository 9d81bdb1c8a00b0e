//! Secret memory, seen from outside.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;

use merlon_sandbox::secret::{Backend, Secret, SecretBuf, SecretError, backend, force_locked};
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, fork};

/// Bytes of this process as `/proc/self/mem` gives them.
fn peek(address: *const u8, length: usize) -> std::io::Result<Vec<u8>> {
    let mut bytes = vec![0; length];
    File::open("/proc/self/mem")?.read_exact_at(&mut bytes, address.addr() as u64).map(|()| bytes)
}

pub(crate) fn unreadable(_dir: &Path) {
    let ordinary = Box::new([7u8; 32]);
    assert_eq!(peek(ordinary.as_ptr(), 32).unwrap(), [7; 32], "the probe itself works");
    let secret = Secret::<32>::random().unwrap();
    match backend() {
        Backend::MemfdSecret => {
            let error = peek(secret.expose().as_ptr(), 32).unwrap_err();
            assert_eq!(error.raw_os_error(), Some(libc::EIO), "{error}");
        }
        Backend::Locked => println!("this kernel has no memfd_secret"),
    }
    let links = fs::read_dir("/proc/self/fd").unwrap().filter_map(|entry| fs::read_link(entry.unwrap().path()).ok());
    assert_eq!(links.filter(|target| target.to_string_lossy().contains("secretmem")).count(), 0, "no descriptor stays");
}

pub(crate) fn overread(_dir: &Path) {
    let buffer = SecretBuf::with_capacity(4096).unwrap();
    // One page after the data, whatever a page is here.
    read(buffer.as_slice().as_ptr().wrapping_add(4096));
}

pub(crate) fn underread(_dir: &Path) {
    let buffer = SecretBuf::with_capacity(4096).unwrap();
    read(buffer.as_slice().as_ptr().wrapping_sub(1));
}

fn read(address: *const u8) {
    // SAFETY: it is not: the page is to be nobody's, and this ends the process.
    println!("read {}", unsafe { address.read_volatile() });
}

/// How often `masked` (each byte inverted, so that it is not found itself) stands in readable memory.
fn count(masked: &[u8; 32]) -> usize {
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let ranges = maps.lines().filter(|line| line.contains(" r") && !line.contains("[v")).map(|line| {
        let (start, end) = line.split(' ').next().unwrap().split_once('-').unwrap();
        (usize::from_str_radix(start, 16).unwrap(), usize::from_str_radix(end, 16).unwrap())
    });
    let mut found = 0;
    for (start, end) in ranges {
        let Ok(mut bytes) = peek(std::ptr::without_provenance(start), end - start) else { continue };
        found += bytes.windows(32).filter(|window| window.iter().zip(masked).all(|(a, b)| *a == !*b)).count();
        // The copy is not to be found by the next search.
        bytes.fill(0);
        std::hint::black_box(&bytes);
    }
    found
}

pub(crate) fn wiped(_dir: &Path) {
    force_locked().unwrap();
    assert_eq!(backend(), Backend::Locked);
    let secret = Secret::<32>::random().unwrap();
    // Byte by byte: `map` on the array would put a copy of it on the stack.
    let mut masked = [0; 32];
    masked.iter_mut().zip(secret.expose()).for_each(|(masked, byte)| *masked = !*byte);
    assert_eq!(count(&masked), 1, "alive: in its page and nowhere else");
    let mut buffer = SecretBuf::from_slice(secret.expose()).unwrap();
    drop(secret);
    assert_eq!(count(&masked), 1);
    buffer.clear();
    assert_eq!(count(&masked), 0, "cleared");
    drop(buffer);
    assert_eq!(count(&masked), 0);
}

/// What a child says of the secret: its exit code is 0 if it found zeroes, 1 if it found the secret.
fn in_child(secret: &Secret<32>) -> WaitStatus {
    // SAFETY: this process has one thread, so the child may do whatever a process may.
    match unsafe { fork() }.unwrap() {
        ForkResult::Parent { child } => waitpid(child, None).unwrap(),
        ForkResult::Child => {
            let code = i32::from(secret.expose() != &[0; 32]);
            // SAFETY: ends the child at once, without what the parent left to be done at exit.
            unsafe { libc::_exit(code) }
        }
    }
}

pub(crate) fn forked_locked(_dir: &Path) {
    force_locked().unwrap();
    let secret = Secret::<32>::random().unwrap();
    assert!(matches!(in_child(&secret), WaitStatus::Exited(_, 0)), "the child found the secret");
    assert_ne!(secret.expose(), &[0; 32]);
}

pub(crate) fn forked_memfd(_dir: &Path) {
    if backend() == Backend::Locked {
        println!("this kernel has no memfd_secret");
        return;
    }
    assert!(matches!(force_locked(), Err(SecretError::TooLate)));
    let secret = Secret::<32>::random().unwrap();
    let status = in_child(&secret);
    assert!(matches!(status, WaitStatus::Signaled(_, Signal::SIGSEGV, _)), "the page is not in the child: {status:?}");
    assert_ne!(secret.expose(), &[0; 32]);
}

pub(crate) fn limit(_dir: &Path) {
    if nix::unistd::geteuid().is_root() {
        // CAP_IPC_LOCK is above the limit.
        return;
    }
    setrlimit(Resource::RLIMIT_MEMLOCK, 0, 0).unwrap();
    let refused = Secret::<32>::zeroed().err().unwrap();
    assert!(matches!(refused, SecretError::Limit { .. }), "{refused}");
    assert!(refused.to_string().contains("LimitMEMLOCK"), "{refused}");
}
