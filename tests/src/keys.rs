//! The keys of an instance, computed from its files and nothing else, as `docs/keyslot-format.md` describes them, by
//! other code than the keeper's. Reads copies; never touches the instance's own files.

use std::path::Path;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::{hkdf, hmac};
use data_encoding::HEXLOWER;
use rusqlite::{Connection, OpenFlags};
use serde_json::Value;

use crate::TempDir;

/// What a test has computed.
pub struct Keys {
    /// The instance's id.
    pub instance: Vec<u8>,
    /// The content of `file.key`.
    pub file: Vec<u8>,
    /// The key that wraps the master key in the `file` slot.
    pub wrapping: Vec<u8>,
    /// The master key.
    pub master: Vec<u8>,
    /// The page key of `secrets.db`.
    pub pages: Vec<u8>,
    /// The key that wraps the values in `secrets.db`.
    pub values: Vec<u8>,
    /// What HKDF extracts from the master key: whoever has it can derive all the others.
    pub extracted: Vec<u8>,
    /// The keys of the keyslots' MAC, of the hashes of tokens, and of those of proxy passwords.
    pub macs: [Vec<u8>; 3],
    /// The CA's private key.
    pub ca_scalar: Vec<u8>,
    /// The projects, in the order of their ids, each with its key.
    pub projects: Vec<(i64, Vec<u8>)>,
}

impl Keys {
    /// From the instance's directory. Nothing may write `secrets.db` meanwhile.
    #[must_use]
    pub fn read(dir: &Path) -> Self {
        let keeper = dir.join("keeper");
        let text = std::fs::read_to_string(keeper.join("keyslots.a")).unwrap();
        let body: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
        let instance = hex(&body["instance"]);
        let slot = body["slots"].as_array().unwrap().iter().find(|slot| slot["kind"] == "file").unwrap();
        let file = std::fs::read(keeper.join("file.key")).unwrap();
        let (id, salt) = (u32::try_from(slot["id"].as_u64().unwrap()).unwrap(), hex(&slot["salt"]));
        let mut data = Vec::new();
        for part in [&b"merlon v1 keyslot"[..], &instance, &id.to_be_bytes(), b"file", &salt] {
            data.extend(u32::try_from(part.len()).unwrap().to_be_bytes());
            data.extend(part);
        }
        let wrapping = derive(&file, &salt, "merlon v1 keyslot file");
        let master = unwrap(&wrapping, &data, &hex(&slot["wrapped"]));
        let extracted = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &instance), &master).as_ref().to_vec();
        let key = |label| derive(&master, &instance, label);
        let pages = key("merlon v1 secrets.db page key");
        let values = key("merlon v1 value key");
        let macs = ["merlon v1 keyslot mac", "merlon v1 token hash", "merlon v1 proxy password hash"].map(key);

        let copy = TempDir::new("keys");
        for name in ["secrets.db", "secrets.db-wal"] {
            let from = keeper.join(name);
            if from.exists() {
                std::fs::copy(from, copy.path().join(name)).unwrap();
            }
        }
        let db = open(&copy.path().join("secrets.db"), &pages, Form::Secrets);
        let place =
            |table: &str, row: &str| [&instance, b"|".as_slice(), table.as_bytes(), b"|", row.as_bytes()].concat();
        let sealed: Vec<u8> =
            db.query_row("SELECT sealed FROM secrets WHERE name = 'ca-key'", (), |row| row.get(0)).unwrap();
        let ca_scalar = unwrap(&values, &place("secrets", "ca-key"), &sealed);
        let mut statement = db.prepare("SELECT id, key FROM projects ORDER BY id").unwrap();
        let rows = statement.query_map((), |row| Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?))).unwrap();
        let projects = rows
            .map(|row| {
                row.map(|(id, sealed)| (id, unwrap(&values, &place("projects", &id.to_string()), &sealed))).unwrap()
            })
            .collect();
        Self { instance, file, wrapping, master, extracted, pages, values, macs, ca_scalar, projects }
    }

    /// Every key with its name, but for those of projects.
    #[must_use]
    pub fn named(&self) -> Vec<(String, Vec<u8>)> {
        let [keyslots, tokens, passwords] = &self.macs;
        [
            ("file key", &self.file),
            ("wrapping key", &self.wrapping),
            ("master key", &self.master),
            ("extracted key", &self.extracted),
            ("page key", &self.pages),
            ("value key", &self.values),
            ("keyslot MAC key", keyslots),
            ("token hash key", tokens),
            ("password hash key", passwords),
            ("CA scalar", &self.ca_scalar),
        ]
        .map(|(name, key)| (name.to_owned(), key.clone()))
        .into()
    }
}

/// The form of a SQLCipher file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `secrets.db`: SQLCipher's defaults.
    Secrets,
    /// A project: pages of 16 KiB under HMAC-SHA256.
    Project,
}

/// Opens a SQLCipher database by its raw key.
#[must_use]
pub fn open(path: &Path, key: &[u8], form: Form) -> Connection {
    let db = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE).unwrap();
    db.pragma_update(None, "key", format!("x'{}'", HEXLOWER.encode(key))).unwrap();
    if form == Form::Project {
        db.pragma_update(None, "cipher_page_size", 16384).unwrap();
        db.pragma_update(None, "cipher_hmac_algorithm", "HMAC_SHA256").unwrap();
    }
    db
}

/// Authenticates every page of a database that nobody has open, and checks its structure.
pub fn check_integrity(path: &Path, key: &[u8], form: Form) {
    let db = open(path, key, form);
    let mut statement = db.prepare("PRAGMA cipher_integrity_check").unwrap();
    let damaged: Vec<String> = statement.query_map((), |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    assert_eq!(damaged, Vec::<String>::new(), "{}", path.display());
    let sound: String = db.query_row("PRAGMA integrity_check", (), |row| row.get(0)).unwrap();
    assert_eq!(sound, "ok", "{}", path.display());
}

fn derive(material: &[u8], salt: &[u8], info: &str) -> Vec<u8> {
    let mut key = vec![0; 32];
    let extracted = hkdf::Salt::new(hkdf::HKDF_SHA256, salt).extract(material);
    extracted.expand(&[info.as_bytes()], hkdf::HKDF_SHA256).unwrap().fill(&mut key).unwrap();
    key
}

fn unwrap(key: &[u8], data: &[u8], sealed: &[u8]) -> Vec<u8> {
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).unwrap());
    let (nonce, rest) = sealed.split_at(12);
    let nonce = Nonce::try_assume_unique_for_key(nonce).unwrap();
    key.open_in_place(nonce, Aad::from(data), &mut rest.to_vec()).unwrap().to_vec()
}

fn hex(value: &Value) -> Vec<u8> {
    HEXLOWER.decode(value.as_str().unwrap().as_bytes()).unwrap()
}
