//! Certificates of test origins: a CA that the instance is told to trust, and leaves with whatever is wrong with them.

use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose, date_time_ymd};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

/// A CA for origins.
pub struct Ca {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

/// A leaf with its key.
pub struct Leaf {
    /// DER.
    pub certificate: CertificateDer<'static>,
    /// PKCS#8.
    pub key: PrivateKeyDer<'static>,
}

impl Leaf {
    /// Writes certificate and key in PEM, in place.
    pub fn write(&self, certificate: &Path, key: &Path) {
        std::fs::write(certificate, pem("CERTIFICATE", &self.certificate)).unwrap();
        std::fs::write(key, pem("PRIVATE KEY", self.key.secret_der())).unwrap();
    }
}

fn pem(label: &str, der: &[u8]) -> String {
    let base64 = data_encoding::BASE64.encode(der);
    let lines: Vec<&str> = base64.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

/// When a leaf is valid.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Validity {
    /// Now.
    Now,
    /// Until 2001.
    Expired,
    /// From 2090.
    NotYet,
}

impl Ca {
    /// A new CA.
    #[must_use]
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, "Merlon test origins");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// Writes the CA's certificate.
    pub fn write(&self, path: &Path) {
        std::fs::write(path, &self.pem).unwrap();
    }

    /// A leaf for these names (DNS names or IP addresses).
    #[must_use]
    pub fn leaf(&self, names: &[&str], validity: Validity) -> Leaf {
        let (params, key) = leaf_params(names, validity);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Leaf { certificate: certificate.der().clone(), key: pkcs8(&key) }
    }
}

impl Default for Ca {
    fn default() -> Self {
        Self::new()
    }
}

/// A leaf that signs itself.
#[must_use]
pub fn self_signed(names: &[&str]) -> Leaf {
    let (params, key) = leaf_params(names, Validity::Now);
    let certificate = params.self_signed(&key).unwrap();
    Leaf { certificate: certificate.der().clone(), key: pkcs8(&key) }
}

fn leaf_params(names: &[&str], validity: Validity) -> (CertificateParams, KeyPair) {
    let mut params = CertificateParams::new(names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>()).unwrap();
    match validity {
        Validity::Now => {}
        Validity::Expired => {
            params.not_before = date_time_ymd(2000, 1, 1);
            params.not_after = date_time_ymd(2001, 1, 1);
        }
        Validity::NotYet => params.not_before = date_time_ymd(2090, 1, 1),
    }
    (params, KeyPair::generate().unwrap())
}

fn pkcs8(key: &KeyPair) -> PrivateKeyDer<'static> {
    PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()))
}

/// A leaf for `localhost` that a CA signed with SHA-1, as only old tools make them; by `openssl`. The CA's certificate is
/// written to `ca`.
#[must_use]
pub fn signed_with_sha1(dir: &Path, ca: &Path) -> Leaf {
    use rustls::pki_types::pem::PemObject as _;
    let script = "openssl req -x509 -newkey rsa:2048 -nodes -sha256 -days 30 -subj /CN=old -keyout ca.key -out ca.crt &&
        openssl req -newkey rsa:2048 -nodes -subj /CN=localhost -keyout leaf.key -out leaf.csr &&
        printf 'subjectAltName=DNS:localhost\\nbasicConstraints=CA:FALSE\\n' > ext &&
        openssl x509 -req -sha1 -days 30 -in leaf.csr -CA ca.crt -CAkey ca.key -CAcreateserial -extfile ext -out leaf.crt";
    let done = std::process::Command::new("sh").current_dir(dir).args(["-c", script]).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    std::fs::copy(dir.join("ca.crt"), ca).unwrap();
    Leaf {
        certificate: CertificateDer::from_pem_file(dir.join("leaf.crt")).unwrap(),
        key: PrivateKeyDer::from_pem_file(dir.join("leaf.key")).unwrap(),
    }
}
