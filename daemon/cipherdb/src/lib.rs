//! SQLCipher databases opened with a raw key out of secret memory.
//!
//! This crate owns the way from a 32-byte key to a ready connection: keying, page size, durability, migrations,
//! checkpoint and integrity. It knows no table of any database, and it never writes a key into SQL text: a key that
//! passes through `PRAGMA key` stays behind in freed heap, one that goes through `sqlite3_key` or `sqlite3_rekey` does
//! not.

mod care;
mod error;
mod migrate;
mod open;

pub use care::{checkpoint, integrity};
pub use error::DbError;
pub use migrate::migrate;
pub use open::{Options, PageMac, Synchronous, open, rekey};
