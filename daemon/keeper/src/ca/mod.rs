//! The instance's certificate authority: P-256, made at the first start, its scalar wrapped in `secrets.db`.
//!
//! Owns what a certificate of Merlon looks like. It signs certificates that it built itself, within its own limits,
//! and nothing else. No X.509 is parsed here.

mod host;
mod leaf;
mod signer;

use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyIdMethod, KeyUsagePurpose,
    SerialNumber,
};

use crate::clock;
use crate::crypto::{self, CryptoError};
use crate::instance_id::InstanceId;
use crate::p256;
use crate::secrets_db::{CaRow, SecretName, SecretsDb, SecretsError};

pub(crate) use host::Host;
pub(crate) use leaf::LeafError;
use signer::CaSigner;

const DAY_US: i64 = 24 * 60 * 60 * 1_000_000;
/// Clocks of clients differ; certificates begin to hold this much before now.
const BACKDATE_US: i64 = 2 * DAY_US;
const CA_DAYS: i64 = 10 * 365;

/// Why there is no CA.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CaError {
    /// `secrets.db`.
    #[error(transparent)]
    Secrets(#[from] SecretsError),
    /// Nothing in `secrets.db`.
    #[error("secrets.db holds no CA; restore it together with the keyslots from one backup")]
    Missing,
    /// A key that is none.
    #[error("the CA key in secrets.db is no key on P-256; restore secrets.db from a backup")]
    BadKey,
    /// A fault of memory or of the library.
    #[error(transparent)]
    Crypto(#[from] CryptoError),
    /// The certificate could not be written.
    #[error("the CA certificate could not be made: {0}")]
    Certificate(#[from] rcgen::Error),
}

/// The open CA.
pub(crate) struct Ca {
    issuer: Issuer<'static, CaSigner>,
    certificate: Vec<u8>,
    not_after_us: i64,
}

impl Ca {
    /// Makes key and certificate and stores both.
    pub(crate) fn create(db: &SecretsDb, instance: &InstanceId) -> Result<(), CaError> {
        let (scalar, point) = p256::generate()?;
        let name = format!("Merlon CA {}", &instance.hex()[..8]);
        let now = clock::now_us();
        let not_after_us = now.saturating_sub(BACKDATE_US).saturating_add(CA_DAYS * DAY_US);
        let mut params = issuer_params(&name, &point);
        params.serial_number = Some(random_serial()?);
        set_validity(&mut params, now.saturating_sub(BACKDATE_US), not_after_us);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        let certificate = params.self_signed(&CaSigner::new(&scalar, &point)?)?.der().to_vec();
        db.put_secret(SecretName::CaKey, &scalar)?;
        db.put_ca(&CaRow { name, certificate, not_after_us })?;
        Ok(())
    }

    /// Loads the CA of an instance.
    pub(crate) fn load(db: &SecretsDb) -> Result<Self, CaError> {
        let scalar = db.secret(SecretName::CaKey)?.ok_or(CaError::Missing)?;
        let row = db.ca()?.ok_or(CaError::Missing)?;
        let point = p256::point_of(&scalar).ok_or(CaError::BadKey)?;
        let issuer = Issuer::new(issuer_params(&row.name, &point), CaSigner::new(&scalar, &point)?);
        Ok(Self { issuer, certificate: row.certificate, not_after_us: row.not_after_us })
    }

    /// The certificate, in DER.
    pub(crate) fn certificate(&self) -> &[u8] {
        &self.certificate
    }
}

/// What the issuer of a leaf and the CA certificate itself have in common.
fn issuer_params(name: &str, point: &[u8]) -> CertificateParams {
    let mut params = CertificateParams::default();
    let mut subject = DistinguishedName::new();
    subject.push(DnType::OrganizationName, "Merlon");
    subject.push(DnType::CommonName, name);
    params.distinguished_name = subject;
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.key_identifier_method = key_identifier(point);
    params
}

/// RFC 7093, method 1: the first 160 bits of SHA-256 over the public key.
fn key_identifier(point: &[u8]) -> KeyIdMethod {
    KeyIdMethod::PreSpecified(crypto::sha256(point)[..20].to_vec())
}

/// 128 random bits; positive, and never zero.
fn random_serial() -> Result<SerialNumber, CryptoError> {
    let mut serial = [0; 16];
    crypto::random(&mut serial)?;
    if serial[0] == 0 {
        serial[0] = 1;
    }
    Ok(SerialNumber::from_slice(&serial))
}

/// Sets both ends of a certificate's validity, in whole seconds. Certificates know no time before 1970 here.
fn set_validity(params: &mut CertificateParams, not_before_us: i64, not_after_us: i64) {
    // The end of the year 9999, which a certificate can still say.
    const LAST: u64 = 253_402_300_799;
    let since_epoch = |us: i64| Duration::from_secs(u64::try_from(us / 1_000_000).unwrap_or(0).min(LAST));
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    params.not_before = epoch + since_epoch(not_before_us);
    params.not_after = epoch + since_epoch(not_after_us);
}
