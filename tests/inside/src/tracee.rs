//! Another process, stopped, that makes the calls it is told to.
//!
//! Owned here: attaching by `ptrace`, one system call at a time in the main thread, and putting everything back: its
//! registers, its stack, the call that was interrupted. What is called and what it means is for others. x86_64 only: the
//! registers and the two bytes of `syscall` are.
//!
//! It is all of the process's confinement that answers: the calls are made by the process itself.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt as _;

use nix::errno::Errno;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

/// Bytes of the target's stack that arguments are written to.
pub(crate) const SCRATCH: usize = 2048;

/// Below the stack pointer a function may keep data that no register shows (System V ABI, "red zone").
const RED_ZONE: u64 = 128;

/// The instruction `syscall`.
const SYSCALL: [u8; 2] = [0x0f, 0x05];

/// `orig_rax` of a thread that is in no system call, so that the kernel restarts none.
const NO_CALL: u64 = u64::MAX;

/// Most pieces of code that are searched, each to this length: far more than any program of Merlon maps.
const MOST_CODE: u64 = 64 << 20;

/// Why a process cannot be made to call.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TraceError {
    #[error("process {pid} cannot be traced ({step}: {source}); run this as root, and nothing else may trace it")]
    Ptrace { pid: Pid, step: &'static str, source: Errno },
    #[error("the memory of process {pid} cannot be used: {source}")]
    Memory { pid: Pid, source: io::Error },
    #[error("process {pid} has no `syscall` instruction in its code, so it cannot be made to call")]
    NoInstruction { pid: Pid },
    #[error("process {pid} ended or stopped otherwise while a call was tried: {status:?}")]
    Gone { pid: Pid, status: WaitStatus },
    #[error("the arguments need {need} bytes, and there are {SCRATCH}")]
    Arguments { need: usize },
}

/// A process that stands still until this is dropped or [`Tracee::leave`] is called.
pub(crate) struct Tracee {
    pid: Pid,
    memory: File,
    instruction: u64,
    /// Registers and stack as they were.
    registers: libc::user_regs_struct,
    stack: Vec<u8>,
    scratch: u64,
    /// Signals that came meanwhile; they are sent again at the end.
    held: Vec<Signal>,
    left: bool,
}

impl Tracee {
    /// Attaches to `pid` and stops its main thread; the others go on.
    ///
    /// # Errors
    /// [`TraceError`].
    pub(crate) fn enter(pid: Pid) -> Result<Self, TraceError> {
        attach(pid)?;
        Self::stopped(pid).inspect_err(|_| let_go(pid))
    }

    /// As [`Self::enter`], but it then runs on until it has loaded `filters` system call filters of its own. A process that
    /// enters its sandbox only when it has been asked something is caught within.
    ///
    /// # Errors
    /// [`TraceError`]; also if it ends before.
    pub(crate) fn enter_after_filters(
        pid: Pid,
        filters: u32,
        ask: impl FnOnce() -> io::Result<()>,
    ) -> Result<Self, TraceError> {
        attach(pid)?;
        ask().map_err(|source| TraceError::Memory { pid, source })?;
        let failed = failure(pid, "going on to its sandbox");
        let mut loaded = 0;
        let mut pass_on = None;
        while loaded < filters {
            ptrace::syscall(pid, pass_on.take()).map_err(&failed)?;
            match waitpid(pid, Some(WaitPidFlag::__WALL)).map_err(&failed)? {
                WaitStatus::PtraceSyscall(_) => {
                    let registers = ptrace::getregs(pid).map_err(&failed)?;
                    // At the entry of a call `rax` is -ENOSYS; afterwards its answer.
                    let call = registers.orig_rax.cast_signed();
                    loaded += u32::from(call == libc::SYS_seccomp && registers.rax == 0);
                }
                WaitStatus::Stopped(_, signal) => pass_on = Some(signal),
                status => return Err(TraceError::Gone { pid, status }),
            }
        }
        Self::stopped(pid).inspect_err(|_| let_go(pid))
    }

    fn stopped(pid: Pid) -> Result<Self, TraceError> {
        let in_memory = |source| TraceError::Memory { pid, source };
        let registers = ptrace::getregs(pid).map_err(failure(pid, "reading registers"))?;
        let memory = File::options().read(true).write(true).open(format!("/proc/{pid}/mem")).map_err(in_memory)?;
        let instruction = find_instruction(pid, &memory)?;
        let scratch = (registers.rsp - RED_ZONE - SCRATCH as u64) & !63;
        let mut stack = vec![0; SCRATCH];
        memory.read_exact_at(&mut stack, scratch).map_err(in_memory)?;
        Ok(Self { pid, memory, instruction, registers, stack, scratch, held: Vec::new(), left: false })
    }

    /// Where argument data will lie.
    pub(crate) fn scratch(&self) -> u64 {
        self.scratch
    }

    /// Makes one call with `data` at [`Self::scratch`]. Answers what the kernel did: a value, or an error as a negative
    /// number.
    ///
    /// # Errors
    /// [`TraceError`]: it could not be made to call.
    pub(crate) fn call(&mut self, number: i64, arguments: [u64; 6], data: &[u8]) -> Result<i64, TraceError> {
        let failed = failure(self.pid, "calling");
        if data.len() > SCRATCH {
            return Err(TraceError::Arguments { need: data.len() });
        }
        self.memory.write_all_at(data, self.scratch).map_err(|source| TraceError::Memory { pid: self.pid, source })?;
        let [rdi, rsi, rdx, r10, r8, r9] = arguments;
        let registers = libc::user_regs_struct {
            rax: number.cast_unsigned(),
            orig_rax: NO_CALL,
            rip: self.instruction,
            rdi,
            rsi,
            rdx,
            r10,
            r8,
            r9,
            ..self.registers
        };
        ptrace::setregs(self.pid, registers).map_err(&failed)?;
        loop {
            ptrace::step(self.pid, None).map_err(&failed)?;
            match waitpid(self.pid, Some(WaitPidFlag::__WALL)).map_err(&failed)? {
                WaitStatus::Stopped(_, Signal::SIGTRAP) => break,
                WaitStatus::Stopped(_, signal) => self.held.push(signal),
                status => return Err(TraceError::Gone { pid: self.pid, status }),
            }
        }
        let after = ptrace::getregs(self.pid).map_err(&failed)?;
        Ok(after.rax.cast_signed())
    }

    /// Puts everything back and lets the process go on, with the signals that came meanwhile.
    ///
    /// # Errors
    /// [`TraceError`]; the process may then be damaged.
    pub(crate) fn leave(mut self) -> Result<(), TraceError> {
        self.put_back()
    }

    /// Leaves it as it is, without putting anything back: for a process that is ended next.
    pub(crate) fn abandon(mut self) {
        self.left = true;
    }

    fn put_back(&mut self) -> Result<(), TraceError> {
        self.left = true;
        let failed = failure(self.pid, "letting it go");
        self.memory
            .write_all_at(&self.stack, self.scratch)
            .map_err(|source| TraceError::Memory { pid: self.pid, source })?;
        // It stands in a stop for a signal, where the kernel still looks at `orig_rax` and `rax`: a call that was
        // interrupted is begun again.
        ptrace::setregs(self.pid, self.registers).map_err(&failed)?;
        ptrace::detach(self.pid, None).map_err(&failed)?;
        for signal in self.held.drain(..) {
            kill(self.pid, signal).map_err(&failed)?;
        }
        Ok(())
    }
}

impl Drop for Tracee {
    fn drop(&mut self) {
        if !self.left {
            // An error is on its way already; this is the best that can be done for the process.
            drop(self.put_back());
        }
    }
}

fn attach(pid: Pid) -> Result<(), TraceError> {
    ptrace::seize(pid, Options::PTRACE_O_TRACESYSGOOD).map_err(failure(pid, "attaching"))?;
    let stopped = ptrace::interrupt(pid)
        .map_err(failure(pid, "stopping"))
        .and_then(|()| waitpid(pid, Some(WaitPidFlag::__WALL)).map_err(failure(pid, "waiting")));
    match stopped? {
        WaitStatus::PtraceEvent(..) | WaitStatus::Stopped(..) => Ok(()),
        status => Err(TraceError::Gone { pid, status }),
    }
}

/// After a failure: the first error is what counts, and a tracer that ends lets go anyway.
fn let_go(pid: Pid) {
    let _ = ptrace::detach(pid, None);
}

fn failure(pid: Pid, step: &'static str) -> impl Fn(Errno) -> TraceError {
    move |source| TraceError::Ptrace { pid, step, source }
}

/// An address of two bytes in executable memory that say `syscall`; it need not be where the compiler meant one.
fn find_instruction(pid: Pid, memory: &File) -> Result<u64, TraceError> {
    let in_memory = |source| TraceError::Memory { pid, source };
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).map_err(in_memory)?;
    // From the end, where the small [vdso] lies.
    for (start, end) in maps.lines().rev().filter_map(executable) {
        let length = (end - start).min(MOST_CODE);
        let mut code = vec![0; usize::try_from(length).unwrap_or(0)];
        // Pages such as [vsyscall] cannot be read this way.
        if memory.read_exact_at(&mut code, start).is_err() {
            continue;
        }
        if let Some(offset) = code.windows(SYSCALL.len()).position(|bytes| bytes == SYSCALL) {
            return Ok(start + offset as u64);
        }
    }
    Err(TraceError::NoInstruction { pid })
}

/// The range of a line of `/proc/PID/maps`, if it may be executed.
fn executable(line: &str) -> Option<(u64, u64)> {
    let (range, rest) = line.split_once(' ')?;
    let (start, end) = range.split_once('-')?;
    let number = |text| u64::from_str_radix(text, 16).ok();
    rest.starts_with("r-x").then_some((number(start)?, number(end)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn executable_ranges_are_read_from_maps() {
        let code = "7f0e23901000-7f0e23903000 r-xp 00000000 00:00 0                          [vdso]";
        assert_eq!(executable(code), Some((0x7f0e_2390_1000, 0x7f0e_2390_3000)));
        assert_eq!(executable("7f0e23901000-7f0e23903000 rw-p 00000000 00:00 0"), None);
        assert_eq!(executable("nothing"), None);
    }
}
