//! The public keys as a JWK Set (RFC 7517), written once for each change of them.

use data_encoding::BASE64URL_NOPAD;
use merlon_wire::hub::{Algorithm, SigningKey};
use serde::Serialize;

#[derive(Serialize)]
struct Set<'a> {
    keys: Vec<Key<'a>>,
}

#[derive(Serialize)]
struct Key<'a> {
    kid: &'a str,
    alg: &'static str,
    #[serde(rename = "use")]
    usage: &'static str,
    #[serde(flatten)]
    material: Material,
}

#[derive(Serialize)]
#[serde(tag = "kty")]
enum Material {
    #[serde(rename = "EC")]
    Ec { crv: &'static str, x: String, y: String },
    #[serde(rename = "RSA")]
    Rsa { n: String, e: String },
}

/// The JSON of these keys. One that is not what its algorithm says is left out.
pub(super) fn json(keys: &[SigningKey]) -> String {
    let keys = keys.iter().filter_map(|key| {
        let (alg, material) = match key.algorithm {
            Algorithm::Es256 => ("ES256", point(&key.public_key)?),
            Algorithm::Rs256 => ("RS256", rsa(&key.public_key)?),
        };
        Some(Key { kid: &key.id, alg, usage: "sig", material })
    });
    // Strings only: it always has a JSON form.
    serde_json::to_string(&Set { keys: keys.collect() }).unwrap_or_default()
}

/// `0x04 || X || Y`
fn point(bytes: &[u8]) -> Option<Material> {
    let (x, y) = bytes.strip_prefix(&[4]).filter(|rest| rest.len() == 64)?.split_at(32);
    Some(Material::Ec { crv: "P-256", x: BASE64URL_NOPAD.encode(x), y: BASE64URL_NOPAD.encode(y) })
}

/// `SEQUENCE { INTEGER n, INTEGER e }` in DER.
fn rsa(der: &[u8]) -> Option<Material> {
    let (body, rest) = element(der, 0x30)?;
    let (n, body) = element(body, 0x02)?;
    let (e, end) = element(body, 0x02)?;
    if !rest.is_empty() || !end.is_empty() {
        return None;
    }
    // A number that would be negative begins with a zero byte, which a JWK does not have (RFC 7518, 6.3.1).
    let number = |bytes: &[u8]| BASE64URL_NOPAD.encode(bytes.strip_prefix(&[0]).unwrap_or(bytes));
    Some(Material::Rsa { n: number(n), e: number(e) })
}

/// The content of the first element, which has this tag, and what stands behind it.
fn element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (first, rest) = der.split_first()?;
    let (length, rest) = rest.split_first()?;
    let (length, rest) = match length {
        0..=0x7f => (usize::from(*length), rest),
        0x81 | 0x82 => {
            let (digits, rest) = rest.split_at_checked(usize::from(length & 3))?;
            (digits.iter().fold(0, |sum, digit| sum << 8 | usize::from(*digit)), rest)
        }
        _ => return None,
    };
    (*first == tag).then(|| rest.split_at_checked(length)).flatten()
}

#[cfg(test)]
mod tests {
    use merlon_wire::hub::KeyState;

    use super::*;

    fn key(algorithm: Algorithm, public_key: Vec<u8>) -> SigningKey {
        SigningKey { id: "k1".into(), algorithm, state: KeyState::Current, public_key, created_us: 0 }
    }

    #[test]
    fn keys_are_written_as_rfc_7518_has_them() {
        let mut point = vec![4];
        point.extend([1; 32]);
        point.extend([2; 32]);
        let mut rsa = vec![0x30, 0x82, 0x01, 0x0a, 0x02, 0x82, 0x01, 0x01, 0x00];
        rsa.extend([0xc3; 256]);
        rsa.extend([0x02, 0x03, 0x01, 0x00, 0x01]);
        let set: serde_json::Value =
            serde_json::from_str(&json(&[key(Algorithm::Es256, point), key(Algorithm::Rs256, rsa.clone())])).unwrap();
        let (ec, rs) = (&set["keys"][0], &set["keys"][1]);
        assert_eq!((&ec["kty"], &ec["crv"], &ec["alg"]), (&"EC".into(), &"P-256".into(), &"ES256".into()));
        assert_eq!(ec["x"], BASE64URL_NOPAD.encode(&[1; 32]));
        assert_eq!(ec["y"], BASE64URL_NOPAD.encode(&[2; 32]));
        assert_eq!((&rs["kty"], &rs["e"], &rs["use"]), (&"RSA".into(), &"AQAB".into(), &"sig".into()));
        assert_eq!(rs["n"], BASE64URL_NOPAD.encode(&[0xc3; 256]));
        // What is cut off or goes on is no key.
        for bad in [&rsa[..rsa.len() - 1], &rsa[..4], &[]] {
            assert_eq!(json(&[key(Algorithm::Rs256, bad.to_vec())]), "{\"keys\":[]}");
        }
        rsa.push(0);
        assert_eq!(json(&[key(Algorithm::Rs256, rsa)]), "{\"keys\":[]}");
    }
}
