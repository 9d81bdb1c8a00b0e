//! What a certificate says, for people: names, validity, serial number, fingerprint. A small reader of DER (X.690) and
//! of the outline of X.509 (RFC 5280, 4.1); it judges nothing and verifies nothing.

use aws_lc_rs::digest;
use data_encoding::HEXLOWER;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

/// A certificate in outline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Certificate {
    /// SHA-256 of the DER in hex, pairs joined by `:`.
    pub(crate) fingerprint: String,
    /// What else it says, if it can be read.
    pub(crate) facts: Option<Facts>,
}

/// What stands in a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Facts {
    /// Common name of the subject.
    pub(crate) subject: Option<String>,
    /// Hex.
    pub(crate) serial: String,
    /// `2026-01-31 23:59:59 UTC`.
    pub(crate) not_before: String,
    pub(crate) not_after: String,
}

/// The first certificate of a PEM text; none if there is none.
pub(crate) fn read_pem(pem: &str) -> Option<Certificate> {
    let der = CertificateDer::from_pem_slice(pem.as_bytes()).ok()?;
    let hash = digest::digest(&digest::SHA256, &der);
    let pairs: Vec<String> = hash.as_ref().iter().map(|byte| format!("{byte:02X}")).collect();
    Some(Certificate { fingerprint: pairs.join(":"), facts: facts(&der) })
}

const INTEGER: u8 = 0x02;
const OID: u8 = 0x06;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const VERSION: u8 = 0xA0;
/// 2.5.4.3
const COMMON_NAME: [u8; 3] = [0x55, 0x04, 0x03];

fn facts(der: &[u8]) -> Option<Facts> {
    let mut outer = Der(der);
    let mut certificate = Der(outer.expect(SEQUENCE)?);
    let mut tbs = Der(certificate.expect(SEQUENCE)?);
    if tbs.0.first() == Some(&VERSION) {
        tbs.next()?;
    }
    let serial = tbs.expect(INTEGER)?;
    tbs.expect(SEQUENCE)?; // signature algorithm
    tbs.expect(SEQUENCE)?; // issuer
    let mut validity = Der(tbs.expect(SEQUENCE)?);
    let (not_before, not_after) = (time(validity.next()?)?, time(validity.next()?)?);
    let subject = common_name(Der(tbs.expect(SEQUENCE)?));
    Some(Facts { subject, serial: HEXLOWER.encode(serial), not_before, not_after })
}

fn common_name(mut name: Der<'_>) -> Option<String> {
    while let Some((tag, set)) = name.next() {
        let mut attribute = Der(Der((tag == SET).then_some(set)?).expect(SEQUENCE)?);
        if attribute.expect(OID)? == COMMON_NAME {
            return String::from_utf8(attribute.next()?.1.to_vec()).ok();
        }
    }
    None
}

/// `YYMMDDHHMMSSZ` or `YYYYMMDDHHMMSSZ`; two digits of a year mean 1950 to 2049.
fn time((tag, value): (u8, &[u8])) -> Option<String> {
    let digits = std::str::from_utf8(value).ok()?.strip_suffix('Z')?;
    let digits = match tag {
        UTC_TIME if digits.len() == 12 => {
            format!("{}{digits}", if digits < "50" { "20" } else { "19" })
        }
        GENERALIZED_TIME if digits.len() == 14 => digits.to_owned(),
        _ => return None,
    };
    if !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let [year, month, day, hour, minute, second] =
        [&digits[..4], &digits[4..6], &digits[6..8], &digits[8..10], &digits[10..12], &digits[12..]];
    Some(format!("{year}-{month}-{day} {hour}:{minute}:{second} UTC"))
}

/// Elements one after another.
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let (&[tag, first], rest) = self.0.split_first_chunk::<2>()?;
        let (len, rest) = match first {
            0..=0x7F => (usize::from(first), rest),
            0x81..=0x83 => {
                let (octets, rest) = rest.split_at_checked(usize::from(first & 0x7F))?;
                (octets.iter().fold(0, |len, &octet| len << 8 | usize::from(octet)), rest)
            }
            _ => return None,
        };
        let (value, rest) = rest.split_at_checked(len)?;
        self.0 = rest;
        Some((tag, value))
    }

    fn expect(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.next().filter(|(found, _)| *found == tag).map(|(_, value)| value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn der(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
        let value = parts.concat();
        let len = u8::try_from(value.len()).unwrap();
        let header = if len < 0x80 { vec![tag, len] } else { vec![tag, 0x81, len] };
        [header, value].concat()
    }

    fn sample() -> Vec<u8> {
        let algorithm = der(SEQUENCE, &[&der(OID, &[&[1, 2, 3]])]);
        let name = |text: &[u8]| {
            der(SEQUENCE, &[&der(SET, &[&der(SEQUENCE, &[&der(OID, &[&COMMON_NAME]), &der(0x0C, &[text])])])])
        };
        let validity =
            der(SEQUENCE, &[&der(UTC_TIME, &[b"251121000000Z"]), &der(GENERALIZED_TIME, &[b"20551121000001Z"])]);
        let tbs = der(
            SEQUENCE,
            &[
                &der(VERSION, &[&der(INTEGER, &[&[2]])]),
                &der(INTEGER, &[&[0x12, 0xAB]]),
                &algorithm,
                &name(b"issuer"),
                &validity,
                &name(b"Merlon CA"),
            ],
        );
        der(SEQUENCE, &[&tbs, &algorithm])
    }

    #[test]
    fn the_outline_is_read() {
        let facts = facts(&sample()).unwrap();
        assert_eq!(facts.subject.as_deref(), Some("Merlon CA"));
        assert_eq!(facts.serial, "12ab");
        assert_eq!(facts.not_before, "2025-11-21 00:00:00 UTC");
        assert_eq!(facts.not_after, "2055-11-21 00:00:01 UTC");
    }

    #[test]
    fn a_cut_or_foreign_certificate_is_no_panic() {
        let whole = sample();
        for len in 0..whole.len() {
            let _ = facts(&whole[..len]);
        }
        for at in 0..whole.len() {
            let mut changed = whole.clone();
            changed[at] ^= 0xFF;
            let _ = facts(&changed);
        }
        assert_eq!(facts(b"\x30\x84\xFF\xFF\xFF\xFF"), None);
        assert_eq!(read_pem("no pem"), None);
    }
}
