//! Leaf certificates for intercepted hosts: the engine's own key, signed for by the keeper, in a bounded cache.
//! The CA key is never here.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use quick_cache::sync::Cache;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::{CertifiedKey, SigningKey};

use merlon_wire::keeper::PUBLIC_KEY_LEN;
use merlon_wire::link::KeeperError;

use crate::links::Links;

/// Hosts whose leaf is kept. One leaf is about 1 KB.
const CACHED: usize = 4096;

/// A leaf older than this is asked for again, long before it expires.
const FRESH: Duration = Duration::from_secs(30 * 24 * 3600);

/// The key of all leaves of this engine (never the CA's, made anew at each start) and the leaves made with it.
pub(crate) struct Leaves {
    key: LeafKey,
    links: Links,
    cache: Cache<String, Leaf>,
}

#[derive(Clone)]
struct Leaf {
    certified: Arc<CertifiedKey>,
    issued: SystemTime,
}

/// A P-256 key for TLS, and its public half for the keeper.
pub(crate) struct LeafKey {
    signing: Arc<dyn SigningKey>,
    public: [u8; PUBLIC_KEY_LEN],
}

/// The system gave no randomness, or the provider refused its own key.
#[derive(Debug, thiserror::Error)]
#[error("no TLS key could be made: {0}")]
pub(crate) struct KeyError(String);

impl LeafKey {
    /// A new random key.
    pub(crate) fn generate() -> Result<Self, KeyError> {
        let wrong = |what: &str| KeyError(what.to_owned());
        let pair =
            EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).map_err(|_| wrong("key generation failed"))?;
        let pkcs8 = pair.to_pkcs8v1().map_err(|_| wrong("key encoding failed"))?;
        let der = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(pkcs8.as_ref()));
        let signing = rustls::crypto::aws_lc_rs::sign::any_ecdsa_type(&der).map_err(|e| KeyError(e.to_string()))?;
        let public = pair.public_key().as_ref().try_into().map_err(|_| wrong("the public key has an unknown form"))?;
        Ok(Self { signing, public })
    }

    /// The uncompressed point.
    pub(crate) fn public(&self) -> &[u8; PUBLIC_KEY_LEN] {
        &self.public
    }

    /// This key with a certificate, and with those that are shown after it.
    pub(crate) fn certified(&self, chain: impl IntoIterator<Item = Vec<u8>>) -> Arc<CertifiedKey> {
        let chain = chain.into_iter().map(CertificateDer::from).collect();
        Arc::new(CertifiedKey::new(chain, Arc::clone(&self.signing)))
    }
}

impl Leaves {
    /// An empty cache over a new key.
    pub(crate) fn new(links: Links) -> Result<Self, KeyError> {
        Ok(Self { key: LeafKey::generate()?, links, cache: Cache::new(CACHED) })
    }

    /// The leaf for a host; several callers for one host ask the keeper once.
    ///
    /// # Errors
    /// What the keeper said, or that it is not connected.
    pub(crate) async fn leaf(&self, host: &str) -> Result<Arc<CertifiedKey>, KeeperError> {
        if let Some(leaf) = self.cache.get(host) {
            if is_fresh(leaf.issued) {
                return Ok(leaf.certified);
            }
            self.cache.remove(host);
        }
        let issue = async {
            let certificate = self.links.keeper().await?.issue_leaf(host, self.key.public()).await?;
            Ok::<_, KeeperError>(Leaf { certified: self.key.certified([certificate]), issued: SystemTime::now() })
        };
        Ok(self.cache.get_or_insert_async::<str, KeeperError>(host, issue).await?.certified)
    }
}

/// Can a certificate of the keeper's that was issued then be shown for some time yet? A clock that went back counts as
/// stale too: the certificate may not be valid yet by that clock.
pub(crate) fn is_fresh(issued: SystemTime) -> bool {
    issued.elapsed().is_ok_and(|age| age < FRESH)
}
