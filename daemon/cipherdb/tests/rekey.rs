//! Replacing a key: what opens before, after, and when the process is killed in the middle.
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed; clippy knows only functions marked as tests"
)]

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use merlon_cipherdb::{DbError, Options, PageMac, integrity, open, rekey};
use merlon_sandbox::secret::Secret;
use rusqlite::Connection;

/// A directory of its own, removed at the end.
struct Dir(PathBuf);

impl Dir {
    fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("merlon-rekey-{name}-{}", std::process::id()));
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

/// As projects are.
fn form() -> Options {
    Options { page_size: 16 << 10, page_mac: PageMac::HmacSha256, ..Options::default() }
}

const ROWS: i64 = 64;

/// About 4 MiB under key 1.
fn filled(path: &Path, options: Options) -> Connection {
    let connection = open(path, &key(1), options).unwrap();
    connection.execute_batch("CREATE TABLE t(x)").unwrap();
    for _ in 0..ROWS {
        connection.execute("INSERT INTO t VALUES (randomblob(65536))", ()).unwrap();
    }
    connection
}

fn rows(connection: &Connection) -> i64 {
    connection.query_row("SELECT count(*) FROM t WHERE length(x) = 65536", (), |row| row.get(0)).unwrap()
}

fn existing() -> Options {
    Options { create: false, ..form() }
}

#[test]
fn after_it_the_new_key_opens_and_the_old_one_does_not() {
    for options in [form(), Options::default()] {
        let dir = Dir::new(&format!("after{}", options.page_size));
        let connection = filled(&dir.db(), options);
        let before = fs::read(dir.db()).unwrap();
        rekey(&connection, &key(2)).unwrap();
        assert_eq!(rows(&connection), ROWS, "the connection goes on");
        connection.execute("INSERT INTO t VALUES (randomblob(65536))", ()).unwrap();
        drop(connection);
        let existing = Options { create: false, ..options };
        assert!(matches!(open(&dir.db(), &key(1), existing), Err(DbError::WrongKeyOrCorrupt)));
        let connection = open(&dir.db(), &key(2), existing).unwrap();
        assert_eq!(rows(&connection), ROWS + 1);
        integrity(&connection).unwrap();
        drop(connection);
        // No page is as it was.
        let after = fs::read(dir.db()).unwrap();
        let page = options.page_size as usize;
        let same = before.chunks(page).zip(after.chunks(page)).filter(|(old, new)| old == new).count();
        assert_eq!(same, 0, "of {} pages", after.len() / page);
    }
}

#[test]
fn another_connection_keeps_it_from_beginning() {
    let dir = Dir::new("locked");
    let connection = filled(&dir.db(), Options { busy_timeout: std::time::Duration::ZERO, ..form() });
    let reader = open(&dir.db(), &key(1), Options { read_only: true, ..existing() }).unwrap();
    let mut statement = reader.prepare("SELECT x FROM t").unwrap();
    let mut reading = statement.query(()).unwrap();
    reading.next().unwrap().unwrap();
    connection.execute("INSERT INTO t VALUES (1)", ()).unwrap();
    assert!(matches!(rekey(&connection, &key(2)), Err(DbError::Locked)));
    drop(reading);
    drop(statement);
    drop(reader);
    drop(connection);
    assert_eq!(rows(&open(&dir.db(), &key(1), existing()).unwrap()), ROWS);
}

/// Run by the next test in a process of its own, which is killed.
#[test]
#[ignore = "the process that another test starts and kills; it runs with that one"]
fn victim() {
    let path = PathBuf::from(std::env::var_os("MERLON_REKEY_VICTIM").unwrap());
    let connection = open(&path, &key(1), existing()).unwrap();
    println!("begun");
    rekey(&connection, &key(2)).unwrap();
    println!("done");
    drop(std::io::stdin().read_line(&mut String::new()));
}

/// The kill comes when the log has grown past a chosen size (which is how far the new pages have come), or after the end.
#[test]
fn a_kill_in_the_middle_leaves_the_old_key_or_the_new_one() {
    let dir = Dir::new("kill");
    let original = dir.0.join("original.db");
    drop(filled(&original, form()));
    let size = fs::metadata(&original).unwrap().len();
    let (mut old, mut new) = (0, 0);
    for step in 0..24 {
        fs::copy(&original, dir.db()).unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "--nocapture", "victim"])
            .env("MERLON_REKEY_VICTIM", dir.db())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(lines.any(|line| line.unwrap().contains("begun")));
        let mut log = dir.db().into_os_string();
        log.push("-wal");
        let until = size * step / 20;
        // The log is emptied at the end; then the kill comes late, which is a moment, too.
        let mut grown = 0;
        loop {
            let now = fs::metadata(&log).map_or(0, |log| log.len());
            if now >= until || now < grown {
                break;
            }
            grown = now;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let connection = match open(&dir.db(), &key(2), existing()) {
            Ok(connection) => {
                new += 1;
                connection
            }
            Err(DbError::WrongKeyOrCorrupt) => {
                old += 1;
                open(&dir.db(), &key(1), existing()).unwrap()
            }
            Err(error) => panic!("{error}"),
        };
        assert_eq!(rows(&connection), ROWS);
        integrity(&connection).unwrap();
        drop(connection);
        for suffix in ["", "-wal", "-shm"] {
            let mut name = dir.db().into_os_string();
            name.push(suffix);
            drop(fs::remove_file(name));
        }
    }
    println!("the old key opened {old} times, the new one {new} times");
    assert!(old > 0 && new > 0, "old {old}, new {new}");
}

/// By hand: `cargo test --release -p merlon-cipherdb --test rekey -- --ignored --nocapture cost`.
#[test]
#[ignore = "a measurement: cargo test -p merlon-cipherdb --test rekey -- --ignored --nocapture cost"]
fn cost() {
    let dir = Dir::new("cost");
    let megabytes: i64 = std::env::var("MERLON_REKEY_MB").map_or(200, |text| text.parse().unwrap());
    let connection = open(&dir.db(), &key(1), Options { cache_kib: 4 << 10, ..form() }).unwrap();
    connection.execute_batch("CREATE TABLE t(x); BEGIN").unwrap();
    for _ in 0..megabytes * 16 {
        connection.execute("INSERT INTO t VALUES (randomblob(65000))", ()).unwrap();
    }
    connection.execute_batch("COMMIT").unwrap();
    merlon_cipherdb::checkpoint(&connection).unwrap();
    let mut sums = [std::time::Duration::ZERO; 2];
    for round in 0..6_u8 {
        // What one leaves in the log is not the other's.
        merlon_cipherdb::checkpoint(&connection).unwrap();
        let new = key(2 + round);
        let begun = std::time::Instant::now();
        if round % 2 == 0 {
            let hex: String = new.expose().iter().map(|byte| format!("{byte:02x}")).collect();
            connection.query_row(&format!("PRAGMA rekey = \"x'{hex}'\""), (), |_| Ok(())).unwrap();
        } else {
            rekey(&connection, &new).unwrap();
        }
        sums[usize::from(round % 2)] += begun.elapsed();
    }
    let [pragma, ours] = sums.map(|sum| sum.as_secs_f64() / 3.0);
    println!("{megabytes} MB: PRAGMA rekey {pragma:.2} s, rekey {ours:.2} s, ratio {:.2}", ours / pragma);
    assert!(rows(&connection) == 0);
}
