//! Environment variables for a foreign library that reads its settings there.
//!
//! Owned here: that they are set only while no other thread can read them. Which ones, and for what, is the caller's.
//! Merlon's own processes carry no settings this way.
#![expect(unsafe_code, reason = "the environment has no lock that C code would respect")]

use std::io;

use crate::process;

/// Why the environment was left as it was.
#[derive(Debug, thiserror::Error)]
pub enum EnvironmentError {
    /// Another thread could be reading it.
    #[error("{count} threads run already: the environment can only be changed before the second one starts")]
    Threads {
        /// How many.
        count: usize,
    },
    /// It cannot be shown that there is no other thread.
    #[error("the threads of this process cannot be counted: {0}")]
    Count(io::Error),
    /// No environment holds such a name or value.
    #[error(
        "`{name}` cannot be set in the environment: a name is not empty and has no `=`, and neither has a zero byte"
    )]
    Malformed {
        /// The name.
        name: String,
    },
}

/// Sets variables in the environment of this process. Call it before any thread starts.
///
/// # Errors
/// [`EnvironmentError`]; nothing was set then.
pub fn set<'a>(variables: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<(), EnvironmentError> {
    let variables: Vec<(&str, &str)> = variables.into_iter().collect();
    for (name, value) in &variables {
        if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
            return Err(EnvironmentError::Malformed { name: (*name).to_owned() });
        }
    }
    let count = process::thread_count().map_err(EnvironmentError::Count)?;
    if count != 1 {
        return Err(EnvironmentError::Threads { count });
    }
    for (name, value) in variables {
        #[expect(clippy::disallowed_methods, reason = "a PKCS#11 module takes its settings from nowhere else")]
        // SAFETY: the environment must not be read or written elsewhere meanwhile. The kernel has just counted one
        // thread in this process, which is this one, and here it starts no other.
        unsafe {
            std::env::set_var(name, value);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_set_while_threads_run() {
        let (wait, waiting) = std::sync::mpsc::channel::<()>();
        let thread = std::thread::spawn(move || waiting.recv());
        let refused = set([("MERLON_TEST_ENVIRONMENT", "x")]).unwrap_err();
        assert!(matches!(refused, EnvironmentError::Threads { count: 2.. }), "{refused}");
        assert!(std::env::var_os("MERLON_TEST_ENVIRONMENT").is_none());
        drop(wait);
        thread.join().unwrap().unwrap_err();
    }

    #[test]
    fn a_name_that_no_environment_holds_is_an_error_and_no_panic() {
        for (name, value) in [("", "x"), ("A=B", "x"), ("A\0", "x"), ("A", "x\0")] {
            assert!(matches!(set([(name, value)]), Err(EnvironmentError::Malformed { .. })), "{name:?} {value:?}");
        }
    }
}
