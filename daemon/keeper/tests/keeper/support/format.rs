//! The files of a keeper, read without the keeper: as `docs/keyslot-format.md` describes them, by other means.

use std::fs;
use std::path::Path;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::{hkdf, hmac};
use data_encoding::HEXLOWER;
use merlon_sandbox::secret::Secret;
use serde_json::Value;

/// The keys of an instance that a test has computed by itself.
pub(crate) struct Keys {
    pub(crate) instance: Vec<u8>,
    pub(crate) file: Vec<u8>,
    pub(crate) master: Vec<u8>,
    pub(crate) pages: Vec<u8>,
    pub(crate) values: Vec<u8>,
    pub(crate) ca_scalar: Vec<u8>,
    pub(crate) audit: Vec<u8>,
    pub(crate) project: Option<Vec<u8>>,
}

impl Keys {
    /// From `file.key`, `keyslots.a` and a closed `secrets.db`.
    pub(crate) fn read(dir: &Path) -> Self {
        let text = fs::read_to_string(dir.join("keyslots.a")).unwrap();
        let (line, seal) = text.split_once('\n').unwrap();
        let body: Value = serde_json::from_str(line).unwrap();
        let seal: Value = serde_json::from_str(seal.trim_end()).unwrap();
        let instance = hex(&body["instance"]);
        let slot = body["slots"].as_array().unwrap().iter().find(|slot| slot["kind"] == "file").unwrap();
        let file = fs::read(dir.join("file.key")).unwrap();
        let salt = hex(&slot["salt"]);
        let wrapping = derive(&file, &salt, "merlon v1 keyslot file");
        let id = u32::try_from(slot["id"].as_u64().unwrap()).unwrap();
        let mut data = Vec::new();
        for part in [&b"merlon v1 keyslot"[..], &instance, &id.to_be_bytes(), b"file", &salt] {
            data.extend(u32::try_from(part.len()).unwrap().to_be_bytes());
            data.extend(part);
        }
        let master = open(&wrapping, &data, &hex(&slot["wrapped"]));
        let mac = hmac::sign(
            &hmac::Key::new(hmac::HMAC_SHA256, &derive(&master, &instance, "merlon v1 keyslot mac")),
            line.as_bytes(),
        );
        assert_eq!(hex(&seal["mac"]), mac.as_ref());
        let pages = derive(&master, &instance, "merlon v1 secrets.db page key");
        let values = derive(&master, &instance, "merlon v1 value key");

        let key = Secret::init(|key| key.copy_from_slice(&pages)).unwrap();
        let db = merlon_cipherdb::open(&dir.join("secrets.db"), &key, merlon_cipherdb::Options::default()).unwrap();
        let place =
            |table: &str, row: &str| [&instance, b"|".as_slice(), table.as_bytes(), b"|", row.as_bytes()].concat();
        let secret = |name: &str| {
            let sql = "SELECT sealed FROM secrets WHERE name = ?1";
            let sealed: Vec<u8> = db.query_row(sql, [name], |row| row.get(0)).unwrap();
            open(&values, &place("secrets", name), &sealed)
        };
        let (ca_scalar, audit) = (secret("ca-key"), secret("audit-key"));
        let project = db
            .query_row("SELECT id, key FROM projects ORDER BY id LIMIT 1", (), |row| {
                Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?))
            })
            .ok()
            .map(|(id, sealed)| open(&values, &place("projects", &id.to_string()), &sealed));
        Self { instance, file, master, pages, values, ca_scalar, audit, project }
    }
}

pub(crate) fn derive(material: &[u8], salt: &[u8], info: &str) -> Vec<u8> {
    let mut key = vec![0; 32];
    hkdf::Salt::new(hkdf::HKDF_SHA256, salt)
        .extract(material)
        .expand(&[info.as_bytes()], hkdf::HKDF_SHA256)
        .unwrap()
        .fill(&mut key)
        .unwrap();
    key
}

fn open(key: &[u8], data: &[u8], sealed: &[u8]) -> Vec<u8> {
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).unwrap());
    let mut rest = sealed[12..].to_vec();
    let nonce = Nonce::try_assume_unique_for_key(&sealed[..12]).unwrap();
    key.open_in_place(nonce, Aad::from(data), &mut rest).unwrap().to_vec()
}

fn hex(value: &Value) -> Vec<u8> {
    HEXLOWER.decode(value.as_str().unwrap().as_bytes()).unwrap()
}
