//! A small file that is read again when it has changed: one `stat` a look, and no thread.

use std::fs::{self, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

/// More than any of these files ever has; a larger one is cut.
const LONGEST: u64 = 8 << 20;

/// What tells one state of a file from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    len: u64,
    changed: (i64, i64),
}

impl From<Metadata> for Stamp {
    fn from(metadata: Metadata) -> Self {
        Self { inode: metadata.ino(), len: metadata.len(), changed: (metadata.ctime(), metadata.ctime_nsec()) }
    }
}

/// A file and what was last read of it.
pub(crate) struct Watched<T> {
    path: PathBuf,
    parse: fn(&[u8]) -> T,
    last: Mutex<Last<T>>,
    out_of_reach: Notify,
}

struct Last<T> {
    stamp: Option<Stamp>,
    value: Option<Arc<T>>,
}

impl<T> Watched<T> {
    /// Reads the file if it is there.
    pub(crate) fn open(path: &Path, parse: fn(&[u8]) -> T) -> Self {
        let last = Mutex::new(Last { stamp: None, value: None });
        let watched = Self { path: path.to_owned(), parse, last, out_of_reach: Notify::new() };
        watched.look(false);
        watched
    }

    /// The file's meaning as it is now; none if there is no such file. A file that has changed and cannot be read keeps
    /// its last meaning.
    pub(crate) fn get(&self) -> Option<Arc<T>> {
        self.look(true)
    }

    /// Completes once the file has been replaced by one that the sandbox, set up for its predecessor, keeps from us.
    pub(crate) async fn out_of_reach(&self) -> String {
        self.out_of_reach.notified().await;
        self.path.display().to_string()
    }

    fn look(&self, again: bool) -> Option<Arc<T>> {
        // A panic inside `parse` leaves the last value whole.
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        match fs::metadata(&self.path).map(Stamp::from) {
            Ok(stamp) if last.stamp == Some(stamp) => {}
            Ok(stamp) => {
                last.stamp = Some(stamp);
                match self.read() {
                    Ok(text) => last.value = Some(Arc::new((self.parse)(&text))),
                    // What could not be read at the start will not be read after another start either.
                    Err(error) if again && error.kind() == io::ErrorKind::PermissionDenied => {
                        self.out_of_reach.notify_one();
                    }
                    Err(_) => {}
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => *last = Last { stamp: None, value: None },
            Err(_) => {}
        }
        last.value.clone()
    }

    fn read(&self) -> io::Result<Vec<u8>> {
        let mut text = Vec::new();
        fs::File::open(&self.path)?.take(LONGEST).read_to_end(&mut text)?;
        Ok(text)
    }
}

#[cfg(test)]
impl<T> Watched<T> {
    /// A value without a file, which never changes.
    pub(crate) fn fixed(value: T) -> Self {
        let last = Mutex::new(Last { stamp: None, value: Some(Arc::new(value)) });
        // A path through a file cannot be looked at, and is not missing either.
        let path = PathBuf::from("/proc/version/none");
        Self { path, parse: |_| unreachable!("there is no file to parse"), last, out_of_reach: Notify::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_file_is_read_again_and_a_missing_one_is_none() {
        let path = std::env::temp_dir().join(format!("merlon-watched-{}", std::process::id()));
        let watched = Watched::open(&path, <[u8]>::len);
        assert_eq!(watched.get(), None);
        fs::write(&path, "abc").unwrap();
        assert_eq!(watched.get().as_deref(), Some(&3));
        fs::write(&path, "abcd").unwrap();
        assert_eq!(watched.get().as_deref(), Some(&4));
        fs::remove_file(&path).unwrap();
        assert_eq!(watched.get(), None);
    }
}
