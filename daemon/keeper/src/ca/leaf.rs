//! Leaf certificates: built here from a name and a public key, within limits that no caller can change.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, ParsedPublicKey};
use merlon_wire::keeper::PUBLIC_KEY_LEN;
use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256, PublicKeyData, SanType, SignatureAlgorithm,
};

use super::{BACKDATE_US, Ca, CaError, DAY_US, Host, key_identifier, random_serial, set_validity};
use crate::clock;

/// From beginning to end, backdate included. Browsers refuse leaves of 200 days and more (from 2026-03-15).
const LEAF_DAYS: i64 = 199;
/// The longest common name (RFC 5280, ub-common-name).
const MAX_COMMON_NAME: usize = 64;

/// Why no leaf was issued.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LeafError {
    /// Not 65 bytes of an uncompressed point on P-256, or the CA's own.
    #[error("the public key is not a point on P-256, or is the CA's own")]
    BadPublicKey,
    /// A fault of the library.
    #[error(transparent)]
    Ca(#[from] CaError),
}

/// A public key that is a point on P-256 and not the CA's.
struct LeafKey<'a>(&'a [u8]);

impl PublicKeyData for LeafKey<'_> {
    fn der_bytes(&self) -> &[u8] {
        self.0
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ECDSA_P256_SHA256
    }
}

impl Ca {
    /// A server certificate for `hosts` (at least one) and a public key, in DER.
    pub(crate) fn issue(&self, hosts: &[Host], public_key: &[u8]) -> Result<Vec<u8>, LeafError> {
        self.issue_at(hosts, public_key, clock::now_us())
    }

    fn issue_at(&self, hosts: &[Host], public_key: &[u8], now: i64) -> Result<Vec<u8>, LeafError> {
        let key = self.check(public_key)?;
        let not_before = now.saturating_sub(BACKDATE_US);
        // The last second counts, so that both ends together are not a second too long.
        let not_after = not_before.saturating_add(LEAF_DAYS * DAY_US - 1_000_000).min(self.not_after_us);
        let mut params = CertificateParams::default();
        params.distinguished_name = subject(hosts);
        params.subject_alt_names =
            hosts.iter().map(alternative_name).collect::<Result<_, _>>().map_err(CaError::from)?;
        params.serial_number = Some(random_serial().map_err(CaError::from)?);
        set_validity(&mut params, not_before, not_after);
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        params.key_identifier_method = key_identifier(public_key);
        let leaf = params.signed_by(&key, &self.issuer).map_err(CaError::from)?;
        Ok(leaf.der().to_vec())
    }

    fn check<'a>(&self, public_key: &'a [u8]) -> Result<LeafKey<'a>, LeafError> {
        let uncompressed = public_key.len() == PUBLIC_KEY_LEN && public_key.first() == Some(&4);
        if !uncompressed
            || public_key == self.issuer.key().der_bytes()
            || ParsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, public_key).is_err()
        {
            return Err(LeafError::BadPublicKey);
        }
        Ok(LeafKey(public_key))
    }
}

/// The first host as common name, if it fits; else an empty subject (the alternative names are critical then).
fn subject(hosts: &[Host]) -> DistinguishedName {
    let mut subject = DistinguishedName::new();
    if let Some(name) = hosts.first().map(Host::to_string).filter(|name| name.len() <= MAX_COMMON_NAME) {
        subject.push(DnType::CommonName, name);
    }
    subject
}

fn alternative_name(host: &Host) -> Result<SanType, rcgen::Error> {
    Ok(match host {
        Host::Ip(address) => SanType::IpAddress(*address),
        Host::Dns(name) => SanType::DnsName(name.as_str().try_into()?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::instance_id::InstanceId;
    use crate::keys::MasterKey;
    use crate::secrets_db::SecretsDb;

    #[test]
    fn a_clock_that_jumps_makes_no_panic() {
        let dir = std::env::temp_dir().join(format!("merlon-ca-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let master = MasterKey::random(InstanceId::random().unwrap()).unwrap();
        let db = SecretsDb::create(&dir, &master, |db| Ca::create(db, master.instance())).unwrap();
        let ca = Ca::load(&db).unwrap();
        let point = crate::p256::generate().unwrap().1;
        let hosts = [Host::parse("example.com").unwrap()];
        for now in [i64::MIN, -1, 0, 1, 4_102_444_800_000_000, 253_402_300_799_000_000, i64::MAX] {
            ca.issue_at(&hosts, &point, now).unwrap();
        }
        drop(db);
        std::fs::remove_dir_all(dir).unwrap();
    }
}
