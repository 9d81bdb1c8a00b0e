//! One mapping of secret memory: how it is made, and that it is wiped.
//!
//! Owned here: the two backends and their choice. Nothing outside this file sees a raw pointer.
#![expect(unsafe_code, reason = "mappings are raw memory; std and nix have no safe owner for them")]

use std::num::NonZeroUsize;
use std::os::fd::{AsFd, FromRawFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use nix::errno::Errno;
use nix::sys::mman::{MapFlags, MmapAdvise, ProtFlags, madvise, mlock, mmap, mmap_anonymous, munmap};
use nix::unistd::{SysconfVar, ftruncate, sysconf};
use zeroize::Zeroize;

use super::SecretError;

/// Where secrets live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// Pages that the kernel itself cannot reach: not by `/proc/PID/mem`, not by ptrace, not by a dump, not by swap.
    /// While one exists the machine cannot hibernate.
    MemfdSecret,
    /// Ordinary pages: locked, left out of dumps, and zero in a child.
    Locked,
}

impl Backend {
    /// The name that status and reports show.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MemfdSecret => "memfd_secret",
            Self::Locked => "locked",
        }
    }
}

impl std::fmt::Display for Backend {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(self.as_str())
    }
}

static FORCE_LOCKED: AtomicBool = AtomicBool::new(false);
static BACKEND: OnceLock<Backend> = OnceLock::new();

/// The backend of this process. The first call tries `memfd_secret` once.
pub fn backend() -> Backend {
    *BACKEND.get_or_init(|| {
        if !FORCE_LOCKED.load(Ordering::SeqCst) && Region::with_backend(Backend::MemfdSecret, 1).is_ok() {
            Backend::MemfdSecret
        } else {
            Backend::Locked
        }
    })
}

/// Keeps to [`Backend::Locked`], for hosts that have to hibernate.
///
/// # Errors
/// [`SecretError::TooLate`] once secrets live in `memfd_secret` pages.
pub fn force_locked() -> Result<(), SecretError> {
    FORCE_LOCKED.store(true, Ordering::SeqCst);
    match backend() {
        Backend::Locked => Ok(()),
        Backend::MemfdSecret => Err(SecretError::TooLate),
    }
}

/// How many wiped pages a process keeps for its next secrets. Making one costs some 80 µs, because the kernel takes it
/// out of its own page tables on every processor.
const SPARES: usize = 16;
static SPARE: Mutex<Vec<Mapping>> = Mutex::new(Vec::new());

/// Secret memory of `len` bytes: a [`Mapping`] whose middle is ready for use.
pub(super) struct Region {
    /// Taken out by `drop` only.
    mapping: Option<Mapping>,
    len: usize,
    /// The page may be used again by this process's next secret.
    reusable: bool,
}

impl Region {
    /// Zeroed memory of the process's backend.
    pub(super) fn new(len: usize) -> Result<Self, SecretError> {
        let backend = backend();
        if len <= page_size()
            && let Some(mapping) = spare().pop()
        {
            return Ok(Self { mapping: Some(mapping), len, reusable: true });
        }
        let mut region = Self::with_backend(backend, len)?;
        region.reusable = len <= page_size();
        Ok(region)
    }

    pub(super) fn with_backend(backend: Backend, len: usize) -> Result<Self, SecretError> {
        let mapping = Mapping::reserve(len)?;
        match backend {
            Backend::MemfdSecret => mapping.fill_with_memfd_secret()?,
            Backend::Locked => mapping.fill_with_locked()?,
        }
        Ok(Self { mapping: Some(mapping), len, reusable: false })
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn as_slice(&self) -> &[u8] {
        // SAFETY: a Region exists only once `middle >= len` bytes from start on are readable and zero-filled; they
        // live as long as self.
        unsafe { std::slice::from_raw_parts(self.start(), self.len) }
    }

    pub(super) fn as_mut_slice(&mut self) -> &mut [u8] {
        // SAFETY: as in as_slice, and writable; `&mut self` proves that no other slice of it is alive.
        unsafe { std::slice::from_raw_parts_mut(self.start(), self.len) }
    }

    fn start(&self) -> *mut u8 {
        self.mapping.as_ref().expect("only drop takes it out").start.as_ptr()
    }

    pub(super) fn wipe(&mut self) {
        self.as_mut_slice().zeroize();
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        self.wipe();
        let mut spare = spare();
        if self.reusable && spare.len() < SPARES {
            spare.extend(self.mapping.take());
        }
    }
}

/// What is in it is whole whatever a panicking thread did: pages are pushed and popped.
fn spare() -> MutexGuard<'static, Vec<Mapping>> {
    SPARE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A mapping of its own, with an untouchable page on each side of its middle.
struct Mapping {
    /// First byte of the middle; the mapping begins one page before it.
    start: NonNull<u8>,
    /// Bytes of the middle, in whole pages.
    middle: usize,
    page: usize,
}

// SAFETY: the mapping is memory that this value alone owns; no thread has a special claim to it.
unsafe impl Send for Mapping {}
// SAFETY: a shared Mapping gives out nothing that could be written through.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Address space for `len` bytes that nobody can touch yet.
    fn reserve(len: usize) -> Result<Self, SecretError> {
        let page = page_size();
        let too_much = || SecretError::Limit { bytes: len };
        let middle = len.max(1).checked_next_multiple_of(page).ok_or_else(too_much)?;
        let whole = middle.checked_add(2 * page).and_then(NonZeroUsize::new).ok_or_else(too_much)?;
        // SAFETY: a fresh private mapping at an address the kernel chooses touches nothing that exists.
        let base = unsafe { mmap_anonymous(None, whole, ProtFlags::PROT_NONE, MapFlags::MAP_PRIVATE) }
            .map_err(|errno| kernel("mmap", errno))?;
        // SAFETY: base + page is inside the mapping just made, which is at least three pages long.
        let start = unsafe { base.cast::<u8>().add(page) };
        Ok(Self { start, middle, page })
    }

    fn fill_with_memfd_secret(&self) -> Result<(), SecretError> {
        // SAFETY: memfd_secret takes one flag word and no pointer; libc has no wrapper for it.
        let number = unsafe { libc::syscall(libc::SYS_memfd_secret, libc::O_CLOEXEC) };
        let number = Errno::result(number).map_err(|errno| kernel("memfd_secret", errno))?;
        let number = i32::try_from(number).map_err(|_| kernel("memfd_secret", Errno::EBADF))?;
        // SAFETY: the kernel has just opened this descriptor for us and nobody else knows its number.
        let file = unsafe { OwnedFd::from_raw_fd(number) };
        let size = i64::try_from(self.middle).map_err(|_| SecretError::Limit { bytes: self.middle })?;
        ftruncate(&file, size).map_err(|errno| kernel("ftruncate", errno))?;
        let (address, length) = self.place();
        let flags = MapFlags::MAP_SHARED | MapFlags::MAP_FIXED;
        // SAFETY: MAP_FIXED replaces pages of our own PROT_NONE mapping only, into which no reference exists yet.
        unsafe { mmap(address, length, ProtFlags::PROT_READ | ProtFlags::PROT_WRITE, flags, file.as_fd(), 0) }
            .map_err(|errno| self.refused("mmap of memfd_secret", errno))?;
        // The descriptor closes here: whoever could take it over could map the secret.
        self.advise("madvise(DONTFORK)", MmapAdvise::MADV_DONTFORK)
    }

    fn fill_with_locked(&self) -> Result<(), SecretError> {
        let (address, length) = self.place();
        let flags = MapFlags::MAP_PRIVATE | MapFlags::MAP_FIXED;
        // SAFETY: MAP_FIXED replaces pages of our own PROT_NONE mapping only, into which no reference exists yet.
        unsafe { mmap_anonymous(address, length, ProtFlags::PROT_READ | ProtFlags::PROT_WRITE, flags) }
            .map_err(|errno| kernel("mmap", errno))?;
        // SAFETY: the range is the mapping just made.
        unsafe { mlock(self.start.cast(), self.middle) }.map_err(|errno| self.refused("mlock", errno))?;
        self.advise("madvise(DONTDUMP)", MmapAdvise::MADV_DONTDUMP)?;
        self.advise("madvise(WIPEONFORK)", MmapAdvise::MADV_WIPEONFORK)
    }

    fn advise(&self, step: &'static str, advice: MmapAdvise) -> Result<(), SecretError> {
        // SAFETY: the range is our own mapping; the advices used say what dumps and forks do, they free nothing.
        unsafe { madvise(self.start.cast(), self.middle, advice) }.map_err(|errno| kernel(step, errno))
    }

    fn place(&self) -> (Option<NonZeroUsize>, NonZeroUsize) {
        (Some(self.start.addr()), NonZeroUsize::new(self.middle).expect("reserve() makes it at least one page"))
    }

    /// Both backends count against `RLIMIT_MEMLOCK`, and each names its excess differently.
    fn refused(&self, step: &'static str, errno: Errno) -> SecretError {
        match errno {
            Errno::EAGAIN | Errno::ENOMEM | Errno::EPERM => SecretError::Limit { bytes: self.middle },
            other => kernel(step, other),
        }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: start lies one page inside the mapping, so this is its first byte.
        let base = unsafe { self.start.sub(self.page) };
        // SAFETY: the whole mapping is ours, and no slice of it can outlive self.
        let unmapped = unsafe { munmap(base.cast(), self.middle + 2 * self.page) };
        debug_assert!(unmapped.is_ok(), "an own mapping can be unmapped");
    }
}

/// Random bytes from the kernel, by libc because neither std nor nix offers them.
pub(super) fn fill_random(bytes: &mut [u8]) -> Result<(), SecretError> {
    let mut done = 0;
    while done < bytes.len() {
        let rest = &mut bytes[done..];
        // SAFETY: pointer and length are those of a live, writable slice.
        let got = unsafe { libc::getrandom(rest.as_mut_ptr().cast(), rest.len(), 0) };
        match Errno::result(got) {
            Ok(count) => done += usize::try_from(count).unwrap_or(0),
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(kernel("getrandom", errno)),
        }
    }
    Ok(())
}

fn page_size() -> usize {
    static PAGE: OnceLock<usize> = OnceLock::new();
    *PAGE.get_or_init(|| {
        let size = sysconf(SysconfVar::PAGE_SIZE).ok().flatten().and_then(|size| usize::try_from(size).ok());
        // Linux has no page size below or between these; a multiple of the true one serves as well.
        size.unwrap_or(65_536)
    })
}

fn kernel(step: &'static str, errno: Errno) -> SecretError {
    SecretError::Kernel { step, source: errno.into() }
}
