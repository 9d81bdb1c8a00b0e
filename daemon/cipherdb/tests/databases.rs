//! Databases on a real disk: keys, page sizes, damage, migrations.
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed; clippy knows only functions marked as tests"
)]

use std::fs;
use std::os::unix::fs::{FileExt as _, PermissionsExt as _};
use std::path::PathBuf;

use merlon_cipherdb::{DbError, Options, PageMac, checkpoint, integrity, migrate, open};
use merlon_sandbox::secret::Secret;

/// A directory of its own, removed at the end.
struct Dir(PathBuf);

impl Dir {
    fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("merlon-cipherdb-{name}-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        Self(dir)
    }

    fn db(&self) -> PathBuf {
        self.0.join("x.db")
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn key(byte: u8) -> Secret<32> {
    Secret::init(|bytes| bytes.fill(byte)).unwrap()
}

const EXISTING: Options = Options {
    page_mac: PageMac::HmacSha512,
    create: false,
    page_size: 4096,
    cache_kib: 100,
    read_only: false,
    synchronous: merlon_cipherdb::Synchronous::Normal,
    busy_timeout: std::time::Duration::ZERO,
};

fn filled(dir: &Dir, options: Options) {
    let connection = open(&dir.db(), &key(1), options).unwrap();
    connection.execute_batch("CREATE TABLE t(x); INSERT INTO t VALUES ('a name that must not be seen');").unwrap();
    for _ in 0..10 {
        connection.execute_batch("INSERT INTO t SELECT x FROM t").unwrap();
    }
    checkpoint(&connection).unwrap();
}

#[test]
fn what_is_written_is_read_with_the_same_key_only_and_is_not_in_the_file() {
    for page_size in [4096, 16384] {
        let dir = Dir::new(&format!("key{page_size}"));
        let options = Options { page_size, ..Options::default() };
        filled(&dir, options);
        let bytes = fs::read(dir.db()).unwrap();
        assert_eq!(bytes.len() % page_size as usize, 0);
        assert!(!bytes.windows(6).any(|w| w == b"SQLite" || w == b"a name"));

        let connection = open(&dir.db(), &key(1), Options { create: false, ..options }).unwrap();
        assert_eq!(connection.query_row("SELECT count(*) FROM t", (), |r| r.get::<_, i64>(0)).unwrap(), 1024);
        // SQLCipher answers this one in text.
        let found: String = connection.pragma_query_value(None, "cipher_page_size", |r| r.get(0)).unwrap();
        assert_eq!(found, page_size.to_string());
        assert_eq!(connection.pragma_query_value(None, "journal_mode", |r| r.get::<_, String>(0)).unwrap(), "wal");
        assert!(connection.pragma_query_value(None, "foreign_keys", |r| r.get::<_, bool>(0)).unwrap());
        assert_eq!(connection.pragma_query_value(None, "synchronous", |r| r.get::<_, u8>(0)).unwrap(), 2);
        integrity(&connection).unwrap();
        drop(connection);
        assert!(matches!(open(&dir.db(), &key(2), options), Err(DbError::WrongKeyOrCorrupt)));
    }
}

#[test]
fn a_missing_or_empty_file_is_not_created_unless_asked() {
    let dir = Dir::new("missing");
    assert!(matches!(open(&dir.db(), &key(1), EXISTING), Err(DbError::CannotOpen { .. })));
    fs::write(dir.db(), b"").unwrap();
    assert!(matches!(open(&dir.db(), &key(1), EXISTING), Err(DbError::WrongKeyOrCorrupt)));
    assert_eq!(fs::metadata(dir.db()).unwrap().len(), 0);
}

#[test]
fn damage_is_found_in_the_first_page_at_opening_and_elsewhere_by_the_check() {
    let dir = Dir::new("damage");
    filled(&dir, Options::default());
    let file = fs::OpenOptions::new().write(true).open(dir.db()).unwrap();
    file.write_all_at(&[0xff; 64], 3 * 4096 + 100).unwrap();
    let connection = open(&dir.db(), &key(1), EXISTING).unwrap();
    assert!(matches!(integrity(&connection), Err(DbError::WrongKeyOrCorrupt | DbError::Damaged { .. })));
    drop(connection);
    file.write_all_at(&[0xff; 64], 100).unwrap();
    assert!(matches!(open(&dir.db(), &key(1), EXISTING), Err(DbError::WrongKeyOrCorrupt)));
}

#[test]
fn read_only_reads_and_refuses_to_write() {
    let dir = Dir::new("readonly");
    filled(&dir, Options::default());
    let connection = open(&dir.db(), &key(1), Options { read_only: true, ..Options::default() }).unwrap();
    assert_eq!(connection.query_row("SELECT count(*) FROM t", (), |r| r.get::<_, i64>(0)).unwrap(), 1024);
    let error = connection.execute("DELETE FROM t", ()).unwrap_err();
    assert!(matches!(DbError::from(error), DbError::ReadOnly));
}

#[test]
fn migrations_run_once_in_order_and_newer_files_are_left_alone() {
    let dir = Dir::new("migrate");
    let mut connection = open(&dir.db(), &key(1), Options::default()).unwrap();
    let steps = ["CREATE TABLE a(x)", "ALTER TABLE a ADD COLUMN y; INSERT INTO a VALUES (1, 2)"];
    assert_eq!(migrate(&mut connection, &steps[..1]).unwrap(), 0);
    assert_eq!(migrate(&mut connection, &steps).unwrap(), 1);
    assert_eq!(migrate(&mut connection, &steps).unwrap(), 2);
    assert_eq!(connection.query_row("SELECT count(*) FROM a", (), |r| r.get::<_, u32>(0)).unwrap(), 1);
    let error = migrate(&mut connection, &steps[..1]).unwrap_err();
    assert!(matches!(error, DbError::NewerSchema { found: 2, known: 1 }), "{error}");
}

#[test]
fn a_failed_migration_leaves_the_old_schema() {
    let dir = Dir::new("failed");
    let mut connection = open(&dir.db(), &key(1), Options::default()).unwrap();
    migrate(&mut connection, &["CREATE TABLE a(x)"]).unwrap();
    assert!(migrate(&mut connection, &["", "CREATE TABLE b(x)", "CREATE NONSENSE"]).is_err());
    assert_eq!(connection.pragma_query_value(None, "user_version", |r| r.get::<_, u32>(0)).unwrap(), 1);
    assert_eq!(connection.query_row("SELECT count(*) FROM sqlite_schema", (), |r| r.get::<_, u32>(0)).unwrap(), 1);
}

#[test]
fn a_lock_is_told_from_other_failures() {
    let dir = Dir::new("lock");
    let first = open(&dir.db(), &key(1), Options::default()).unwrap();
    first.execute_batch("CREATE TABLE t(x); BEGIN IMMEDIATE").unwrap();
    let second = open(&dir.db(), &key(1), EXISTING).unwrap();
    assert!(matches!(DbError::from(second.execute("INSERT INTO t VALUES (1)", ()).unwrap_err()), DbError::Locked));
}

#[test]
fn a_directory_that_cannot_be_opened_is_named() {
    let dir = Dir::new("name");
    fs::set_permissions(&dir.0, fs::Permissions::from_mode(0o700)).unwrap();
    let error = open(&dir.0.join("no/such/x.db"), &key(1), Options::default()).unwrap_err().to_string();
    assert!(error.contains("no/such/x.db"), "{error}");
}
