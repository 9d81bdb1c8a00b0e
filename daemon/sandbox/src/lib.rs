//! What keeps one process of Merlon apart from the rest of the machine, and from the others.
//!
//! Owned here: memory for secrets, hardening of the process, Landlock and seccomp profiles, descriptor passing, the
//! small protocols of systemd, the journal, and the few file operations that must be crash-safe or owner-checked. With
//! `cipherdb` this is the only place of `unsafe`; each block says why it is needed.
//!
//! It must not know what Merlon is for: no protocol, no cryptography, no async runtime, no serialisation.
//!
//! The order in a `main` is: [`journal::open`], [`inherit::Inherited::take`] and [`process::harden`], then everything
//! that needs the world (configuration, directories, [`systemd::Notify`]), then [`profile::enforce`], then threads.

pub mod bound;
pub mod environment;
pub mod files;
pub mod inherit;
pub mod journal;
pub mod lock;
pub mod process;
pub mod profile;
pub mod profiles;
mod report;
mod ruleset;
mod seccomp;
pub mod secret;
pub mod seqpacket;
pub mod spawn;
pub mod systemd;
pub mod wipe;

pub use profile::{Paths, Profile, SandboxError, enforce};
pub use report::{LandlockLevel, Report};
