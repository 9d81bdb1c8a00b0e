//! The public key whose signature stands for a TPM's PCRs, out of a PEM file.
//!
//! One shape is taken: a SubjectPublicKeyInfo (RFC 5480) with an uncompressed point on P-256, which is what
//! `openssl pkey -pubout` writes. Its DER is always the same 26 bytes before the point, so nothing is parsed: they are
//! compared.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use data_encoding::BASE64;
use merlon_wire::seal::POLICY_KEY_LEN;

use crate::error::CliError;

/// SEQUENCE { SEQUENCE { id-ecPublicKey, secp256r1 }, BIT STRING of a point }, up to the point.
const BEFORE_THE_POINT: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce,
    0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];
/// First byte of an uncompressed point (SEC 1, 2.3.3).
const UNCOMPRESSED: u8 = 4;
const BEGIN: &str = "-----BEGIN PUBLIC KEY-----";
const END: &str = "-----END PUBLIC KEY-----";
/// The longest file that is read; a key takes about 180 bytes.
const MAX_FILE: u64 = 64 << 10;
const MAKE: &str = "openssl ecparam -name prime256v1 -genkey -noout -out policy-key.pem; openssl pkey -in policy-key.pem -pubout -out policy-public.pem";

/// The point of the key in this file.
///
/// # Errors
/// The file cannot be read, or holds something else; the error says what.
pub(crate) fn read(path: &Path) -> Result<[u8; POLICY_KEY_LEN], CliError> {
    let what = || format!("{} holds no policy key", path.display());
    let mut text = String::new();
    File::open(path)
        .and_then(|file| file.take(MAX_FILE).read_to_string(&mut text))
        .map_err(|e| CliError::failed(format!("the policy key cannot be read from {}", path.display())).because(e))?;
    point(&text).map_err(|(why, hint)| CliError::failed(what()).because(why).hint(hint))
}

/// The point, or why there is none and what to do.
fn point(text: &str) -> Result<[u8; POLICY_KEY_LEN], (&'static str, &'static str)> {
    const PUBLIC_HALF: &str = "openssl pkey -in policy-key.pem -pubout -out policy-public.pem";
    if text.contains("PRIVATE KEY-----") {
        return Err(("it is a private key, which has no place here; the public half is wanted", PUBLIC_HALF));
    }
    if text.contains("-----BEGIN CERTIFICATE-----") {
        let hint = "openssl x509 -in certificate.pem -pubkey -noout -out policy-public.pem";
        return Err(("it is a certificate; its public key alone is wanted", hint));
    }
    let Some((_, rest)) = text.split_once(BEGIN) else {
        return Err(("it is no PEM file with a public key (`BEGIN PUBLIC KEY`)", MAKE));
    };
    let Some((body, after)) = rest.split_once(END) else {
        return Err(("its end is missing (`END PUBLIC KEY`)", PUBLIC_HALF));
    };
    if after.contains(BEGIN) {
        return Err(("it holds more than one key", "one key a file; add one slot for each"));
    }
    let base64: String = body.split_ascii_whitespace().collect();
    let Ok(der) = BASE64.decode(base64.as_bytes()) else {
        return Err(("it is damaged: what stands between the lines is no Base64", PUBLIC_HALF));
    };
    let Some(point) = der.strip_prefix(&BEFORE_THE_POINT) else {
        let compressed = der.get(..2) == Some(&[0x30, 0x39]) && der.get(2..23) == BEFORE_THE_POINT.get(2..23);
        return Err(if compressed {
            ("its point is compressed", "openssl pkey -in policy-key.pem -pubout -ec_conv_form uncompressed")
        } else {
            ("it is a key of another kind; only P-256 (prime256v1) is taken: no RSA, Ed25519 or other curve", MAKE)
        });
    };
    match <[u8; POLICY_KEY_LEN]>::try_from(point) {
        Ok(point) if point[0] == UNCOMPRESSED => Ok(point),
        _ => Err(("its point is damaged", PUBLIC_HALF)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pem(der: &[u8]) -> String {
        let text = BASE64.encode(der);
        let (first, second) = text.split_at(text.len().min(64));
        format!("{BEGIN}\n{first}\n{second}\n{END}\n")
    }

    fn whole() -> Vec<u8> {
        [&BEFORE_THE_POINT[..], &[UNCOMPRESSED], &[7; 64]].concat()
    }

    #[test]
    fn the_one_shape_is_taken() {
        let taken = point(&pem(&whole())).unwrap();
        assert_eq!((taken[0], &taken[1..]), (UNCOMPRESSED, &[7; 64][..]));
        let windows = pem(&whole()).replace('\n', "\r\n");
        assert_eq!(point(&format!("Comment\r\n{windows}")).unwrap(), taken);
    }

    #[test]
    fn what_openssl_writes_is_that_shape() {
        // openssl ecparam -name prime256v1 -genkey -noout | openssl pkey -pubout
        let text = "-----BEGIN PUBLIC KEY-----\n\
            MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEaGlMWAbraPeOzIG5cKVVX/q+ABzE\n\
            Ku+z6W55wmn+zcKSmWG8DNwi6T7w1mRGrlLhYsNKKP53GcreCD6d2w4MKA==\n\
            -----END PUBLIC KEY-----\n";
        assert_eq!(point(text).unwrap().len(), POLICY_KEY_LEN);
    }

    #[test]
    fn whatever_else_is_named_and_has_a_remedy() {
        // openssl pkey -pubout -ec_conv_form compressed
        let compressed = format!(
            "{BEGIN}\nMDkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDIgACaGlMWAbraPeOzIG5cKVVX/q+ABzE\nKu+z6W55wmn+zcI=\n{END}\n"
        );
        let mut damaged = whole();
        damaged[26] = 5;
        let cases = [
            (
                "-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----\n".to_owned(),
                "private key",
                "-pubout",
            ),
            ("-----BEGIN PRIVATE KEY-----\n".to_owned(), "private key", "-pubout"),
            ("-----BEGIN CERTIFICATE-----\n".to_owned(), "certificate", "x509"),
            (String::new(), "BEGIN PUBLIC KEY", "genkey"),
            (format!("{BEGIN}\nAAAA\n"), "END PUBLIC KEY", "-pubout"),
            (pem(&whole()).repeat(2), "more than one", "one key a file"),
            (pem(&whole()).replace("MFkw", "MF*w"), "Base64", "-pubout"),
            (compressed, "compressed", "uncompressed"),
            (pem(&[0x30; 294]), "another kind", "genkey"),
            (pem(&damaged), "damaged", "-pubout"),
            (pem(&whole()[..90]), "damaged", "-pubout"),
        ];
        for (text, why, hint) in cases {
            let (said, remedy) = point(&text).unwrap_err();
            assert!(said.contains(why) && remedy.contains(hint), "{text}: {said}, {remedy}");
        }
    }
}
