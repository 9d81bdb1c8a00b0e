//! What the black-box tests share: an instance of the real binaries in a directory of its own, origins that answer as
//! a test says, and certificates. Everything is on loopback, and every process started here is ended here.
//!
//! Nothing here waits for a time to pass: a test waits for an event (a line, a byte, an exit), and a limit only ends a
//! test that would hang.

pub mod browser;
pub mod client;
pub mod foreign;
pub mod hub;
pub mod hub_instance;
pub mod instance;
pub mod issuer;
pub mod jwt;
pub mod keys;
pub mod memory;
pub mod origin;
pub mod person;
pub mod pki;
pub mod process;
pub mod registered;
pub mod relay;
pub mod softhsm;
pub mod starting;
pub mod swtpm;
pub mod units;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// A directory that goes with the test.
pub struct TempDir(PathBuf);

impl TempDir {
    /// A new directory, mode 0700.
    #[must_use]
    pub fn new(name: &str) -> Self {
        use std::os::unix::fs::DirBuilderExt as _;
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        // Short, because the path of a Unix socket has 107 bytes at most.
        let path = std::env::temp_dir().join(format!("merlon-{name}-{}-{number}", std::process::id()));
        std::fs::DirBuilder::new().mode(0o700).create(&path).unwrap();
        Self(path)
    }

    /// Its path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        // A directory that is gone already is as good.
        drop(std::fs::remove_dir_all(&self.0));
    }
}
