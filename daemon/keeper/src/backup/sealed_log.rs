//! The audit log on its way through a backup: AES-256-GCM in pieces, under a key of its own for each backup.
//!
//! `salt (32 bytes)`, then pieces of 64 KiB, the last one shorter or empty, each followed by its tag. Key: HKDF-SHA256 of
//! the master key with this salt. Nonce: a byte that is 1 for the last piece only, three zero bytes, and the piece's
//! number (64 bits, big-endian). So no piece can be altered, moved, left out or cut off. Associated data: the instance.

use std::io::{self, Read, Write};
use std::path::PathBuf;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};

use super::BackupError;
use crate::crypto::{self, CryptoError};
use crate::keys::MasterKey;

const LABEL: &[u8] = b"merlon v1 backup audit log";
const SALT: usize = 32;
const PIECE: usize = 64 << 10;
const TAG: usize = 16;

/// Seals all of `from`. Returns the bytes written.
pub(super) fn seal(master: &MasterKey, from: &mut impl Read, to: &mut impl Write) -> Result<u64, BackupError> {
    let mut salt = [0; SALT];
    crypto::random(&mut salt)?;
    let key = key(master, &salt)?;
    to.write_all(&salt).map_err(io)?;
    let mut written = SALT as u64;
    let mut number = 0;
    loop {
        let mut piece = Vec::with_capacity(PIECE + TAG);
        from.by_ref().take(PIECE as u64).read_to_end(&mut piece).map_err(io)?;
        let last = piece.len() < PIECE;
        key.seal_in_place_append_tag(nonce(number, last), Aad::from(master.instance().bytes()), &mut piece)
            .map_err(|_| CryptoError::Library)?;
        to.write_all(&piece).map_err(io)?;
        written += piece.len() as u64;
        number += 1;
        if last {
            return Ok(written);
        }
    }
}

/// The reverse. What was written before an error is authentic, and not all.
pub(super) fn open(master: &MasterKey, from: &mut impl Read, to: &mut impl Write) -> Result<(), BackupError> {
    let mut salt = [0; SALT];
    from.read_exact(&mut salt).map_err(|_| CryptoError::Unauthentic)?;
    let key = key(master, &salt)?;
    let mut number = 0;
    loop {
        let mut piece = Vec::with_capacity(PIECE + TAG);
        from.by_ref().take((PIECE + TAG) as u64).read_to_end(&mut piece).map_err(io)?;
        let last = piece.len() < PIECE + TAG;
        let opened = key
            .open_in_place(nonce(number, last), Aad::from(master.instance().bytes()), &mut piece)
            .map_err(|_| CryptoError::Unauthentic)?;
        to.write_all(opened).map_err(io)?;
        number += 1;
        if last {
            return Ok(());
        }
    }
}

fn key(master: &MasterKey, salt: &[u8; SALT]) -> Result<LessSafeKey, CryptoError> {
    let key = crypto::derive(master.key().expose(), salt, LABEL)?;
    let key = UnboundKey::new(&AES_256_GCM, key.expose()).map(LessSafeKey::new).map_err(|_| CryptoError::Library);
    crypto::scrub();
    key
}

fn nonce(number: u64, last: bool) -> Nonce {
    let mut nonce = [0; NONCE_LEN];
    nonce[0] = u8::from(last);
    nonce[4..].copy_from_slice(&number.to_be_bytes());
    Nonce::assume_unique_for_key(nonce)
}

fn io(source: io::Error) -> BackupError {
    BackupError::Io { path: PathBuf::from("the audit log"), source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::instance_id::InstanceId;

    #[test]
    fn a_log_comes_back_whole_and_no_altered_one_does() {
        let master = MasterKey::random(InstanceId::random().unwrap()).unwrap();
        for length in [0, 1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE] {
            let log: Vec<u8> = (0..=250).cycle().take(length).collect();
            let mut sealed = Vec::new();
            assert_eq!(seal(&master, &mut log.as_slice(), &mut sealed).unwrap(), sealed.len() as u64);
            assert!(length < 16 || !sealed.windows(16).any(|window| window == &log[..16]));
            let opens = |bytes: &[u8]| {
                let mut opened = Vec::new();
                open(&master, &mut &*bytes, &mut opened).is_ok().then_some(opened)
            };
            assert_eq!(opens(&sealed).as_deref(), Some(log.as_slice()));
            for cut in [0, 31, 32, sealed.len() - 1, sealed.len().saturating_sub(TAG)] {
                assert_eq!(opens(&sealed[..cut]), None, "{length} bytes, cut at {cut}");
            }
            let mut altered = sealed.clone();
            *altered.last_mut().unwrap() ^= 1;
            assert_eq!(opens(&altered), None);
            altered = [sealed.as_slice(), b"x"].concat();
            assert_eq!(opens(&altered), None);
        }
    }
}
