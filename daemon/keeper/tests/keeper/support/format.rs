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
    /// What the instance signs with in its own name.
    pub(crate) identity: Option<Vec<u8>>,
}

impl Keys {
    /// The master key out of a slot, if this is its material.
    pub(crate) fn with(dir: &Path, slot: &Value, material: &[u8]) -> Option<Vec<u8>> {
        let text = fs::read_to_string(dir.join("keyslots.a")).unwrap();
        let body: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
        let kind = slot["kind"].as_str().unwrap();
        let salt = hex(&slot["salt"]);
        let wrapping = derive(material, &salt, &format!("merlon v1 keyslot {kind}"));
        let id = u32::try_from(slot["id"].as_u64().unwrap()).unwrap();
        let mut parts = vec![
            b"merlon v1 keyslot".to_vec(),
            hex(&body["instance"]),
            id.to_be_bytes().to_vec(),
            kind.as_bytes().to_vec(),
            salt,
        ];
        parts.extend(parameters(slot));
        let mut data = Vec::new();
        for part in &parts {
            data.extend(u32::try_from(part.len()).unwrap().to_be_bytes());
            data.extend(part);
        }
        try_open(&wrapping, &data, &hex(&slot["wrapped"]))
    }

    /// From `file.key`, `keyslots.a` and a closed `secrets.db`.
    pub(crate) fn read(dir: &Path) -> Self {
        let text = fs::read_to_string(dir.join("keyslots.a")).unwrap();
        let (line, seal) = text.split_once('\n').unwrap();
        let body: Value = serde_json::from_str(line).unwrap();
        let seal: Value = serde_json::from_str(seal.trim_end()).unwrap();
        let instance = hex(&body["instance"]);
        let slot = slot(dir, "file");
        let file = fs::read(dir.join("file.key")).unwrap();
        let master = Self::with(dir, &slot, &file).unwrap();
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
        let identity = db
            .query_row("SELECT sealed FROM identity_secrets WHERE name = 'key'", (), |row| row.get::<_, Vec<u8>>(0))
            .ok()
            .map(|sealed| open(&values, &place("identity_secrets", "key"), &sealed));
        Self { instance, file, master, pages, values, ca_scalar, audit, project, identity }
    }
}

/// State and scalar of a hub's ES256 keys, from its files.
pub(crate) fn signing_keys(dir: &Path) -> Vec<(&'static str, Vec<u8>)> {
    let body: Value =
        serde_json::from_str(fs::read_to_string(dir.join("keyslots.a")).unwrap().lines().next().unwrap()).unwrap();
    let instance = hex(&body["instance"]);
    let master = Keys::with(dir, &slot(dir, "file"), &fs::read(dir.join("file.key")).unwrap()).unwrap();
    let pages = derive(&master, &instance, "merlon v1 secrets.db page key");
    let values = derive(&master, &instance, "merlon v1 value key");
    let key = Secret::init(|key| key.copy_from_slice(&pages)).unwrap();
    let db = merlon_cipherdb::open(&dir.join("secrets.db"), &key, merlon_cipherdb::Options::default()).unwrap();
    let mut found = Vec::new();
    for state in ["next", "current", "previous"] {
        let sql = "SELECT kid, sealed FROM signing_keys WHERE algorithm = 'ES256' AND state = ?1";
        let row = db.query_row(sql, [state], |row| Ok((row.get::<_, String>(0)?, row.get::<_, Vec<u8>>(1)?)));
        let (kid, sealed) = row.unwrap();
        found
            .push((state, open(&values, &[&instance, b"|signing_keys|".as_slice(), kid.as_bytes()].concat(), &sealed)));
    }
    found
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

/// The first slot of a kind, as it stands in the file.
pub(crate) fn slot(dir: &Path, kind: &str) -> Value {
    find(dir, |slot| slot["kind"] == kind)
}

/// The slot with this id.
pub(crate) fn slot_with(dir: &Path, id: u32) -> Value {
    find(dir, |slot| slot["id"] == id)
}

fn find(dir: &Path, wanted: impl Fn(&Value) -> bool) -> Value {
    let text = fs::read_to_string(dir.join("keyslots.a")).unwrap();
    let body: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    body["slots"].as_array().unwrap().iter().find(|slot| wanted(slot)).unwrap().clone()
}

/// The parameters of a kind that are authenticated.
fn parameters(slot: &Value) -> Vec<Vec<u8>> {
    let mut parts = Vec::new();
    let tpm2 = &slot["tpm2"];
    if tpm2.is_object() {
        parts.extend(["salt", "srk_name", "public", "private"].map(|name| hex(&tpm2[name])));
        let pcrs = tpm2["pcrs"].as_array().unwrap().iter();
        let index = |pcr: &Value| u8::try_from(pcr["index"].as_u64().unwrap()).unwrap();
        parts.push(pcrs.flat_map(|pcr| [vec![index(pcr)], hex(&pcr["value"])].concat()).collect());
        parts.push(hex(&tpm2["policy_key"]));
        parts.push(["pin", "once"].map(|name| u8::from(tpm2[name].as_bool().unwrap())).to_vec());
        parts.push(tpm2["sealed_us"].as_i64().unwrap().to_be_bytes().to_vec());
    }
    let pkcs11 = &slot["pkcs11"];
    if pkcs11.is_object() {
        parts.push(hex(&pkcs11["salt"]));
        parts.extend(["uri", "mechanism"].map(|name| pkcs11[name].as_str().unwrap().as_bytes().to_vec()));
        parts.extend(["nonce", "ciphertext"].map(|name| hex(&pkcs11[name])));
        parts.push(vec![u8::from(pkcs11["typed_pin"].as_bool().unwrap())]);
    }
    let cost = &slot["argon2id"];
    if cost.is_object() {
        parts.push(hex(&cost["salt"]));
        parts.extend(["memory_kib", "passes", "lanes"].map(|name| number(&cost[name]).to_be_bytes().to_vec()));
    }
    parts
}

fn number(value: &Value) -> u32 {
    u32::try_from(value.as_u64().unwrap()).unwrap()
}

/// Argon2id with the parameters of a slot.
pub(crate) fn argon2id(typed: &[u8], cost: &Value, len: usize) -> Vec<u8> {
    use argon2::{Algorithm, Argon2, Params, Version};
    let [memory, passes, lanes] = ["memory_kib", "passes", "lanes"].map(|name| number(&cost[name]));
    let params = Params::new(memory, passes, lanes, Some(len)).unwrap();
    let mut key = vec![0; len];
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    argon2.hash_password_into(typed, &hex(&cost["salt"]), &mut key[..]).unwrap();
    key
}

fn open(key: &[u8], data: &[u8], sealed: &[u8]) -> Vec<u8> {
    try_open(key, data, sealed).unwrap()
}

fn try_open(key: &[u8], data: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).unwrap());
    let mut rest = sealed[12..].to_vec();
    let nonce = Nonce::try_assume_unique_for_key(&sealed[..12]).unwrap();
    Some(key.open_in_place(nonce, Aad::from(data), &mut rest).ok()?.to_vec())
}

pub(crate) fn hex(value: &Value) -> Vec<u8> {
    HEXLOWER.decode(value.as_str().unwrap().as_bytes()).unwrap()
}
