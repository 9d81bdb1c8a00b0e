//! What the keeper asks of `merlon-seal`: one request on a socket of its own, one answer, and the process ends.
//!
//! Secrets travel in both directions, so both sides hold frames in secret memory. `merlon-seal` never sees the master
//! key: what it seals is a random value that, with more, becomes the key that wraps it.

use serde::{Deserialize, Serialize};

/// Bytes of a value that is sealed.
pub const SECRET_LEN: usize = 32;
/// A public key on P-256 as an uncompressed point (SEC 1, 2.3.3).
pub const POLICY_KEY_LEN: usize = 65;
/// Signatures that are tried for one object.
pub const MAX_APPROVALS: usize = 16;
/// PCRs of a bank (TCG PC Client Platform TPM Profile, 4.6).
pub const PCRS: u8 = 24;

/// A request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request<'a> {
    /// Seal a value to this machine's TPM. Answer: [`Response::Sealed`].
    Seal(Tpm2Seal<'a>),
    /// The reverse. Answer: [`Response::Secret`].
    Unseal(Tpm2Unseal<'a>),
    /// What the TPM is and how it stands. Changes nothing. Answer: [`Response::Report`].
    Describe {
        /// PCRs whose values are wanted.
        pcrs: Vec<u8>,
    },
    /// A new NV counter (TPM 2.0 part 3, 31.3). Answer: [`Response::Counter`].
    DefineCounter {
        /// 32 random bytes: who may move or remove the counter.
        auth: &'a [u8],
    },
    /// Moves the counter by one and reads it. Answer: [`Response::Counter`].
    MoveCounter(Counter<'a>),
    /// Reads the counter. Answer: [`Response::Counter`].
    ReadCounter(Counter<'a>),
    /// Removes the counter. Answer: [`Response::Done`].
    RemoveCounter(Counter<'a>),
    /// Encrypt a value by a key in a PKCS#11 token. Answer: [`Response::Wrapped`].
    Wrap(Pkcs11Wrap<'a>),
    /// The reverse. Answer: [`Response::Secret`].
    Unwrap(Pkcs11Unwrap<'a>),
}

/// How a value is to be sealed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tpm2Seal<'a> {
    /// [`SECRET_LEN`] bytes.
    pub secret: &'a [u8],
    /// Which PCRs; none given: PCR 7 if it measures something, else none.
    pub pcrs: Option<Vec<u8>>,
    /// 32 bytes made of the PIN by Argon2id; empty without a PIN.
    pub auth: &'a [u8],
    /// Whose signature over a policy stands for the PCRs; a point of [`POLICY_KEY_LEN`] bytes, or empty.
    pub policy_key: &'a [u8],
}

/// A sealed value, as a keyslot keeps it. None of it is secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tpm2Object {
    /// Name of the storage root key that it is sealed to (TPM 2.0 part 1, 16).
    pub srk_name: Vec<u8>,
    /// TPMT_PUBLIC, as the TPM lays it out (without the size that TPM2B_PUBLIC puts in front).
    pub public: Vec<u8>,
    /// What is in TPM2B_PRIVATE, without its size.
    pub private: Vec<u8>,
    /// The PCRs of bank SHA-256 that the policy names, with their values when it was sealed; rising.
    pub pcrs: Vec<Pcr>,
    /// As in [`Tpm2Seal`].
    pub policy_key: Vec<u8>,
    /// It needs a PIN.
    pub pin: bool,
}

/// A PCR and its value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pcr {
    /// 0 to 23.
    pub index: u8,
    /// SHA-256.
    pub value: [u8; 32],
}

/// What is to be unsealed, and by what right.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tpm2Unseal<'a> {
    /// The sealed value.
    pub object: Tpm2Object,
    /// As in [`Tpm2Seal`].
    pub auth: &'a [u8],
    /// Try even if a failure would lock the TPM out.
    pub force: bool,
    /// Signed policies, at most [`MAX_APPROVALS`]; for an object with a policy key.
    pub approvals: Vec<Approval<'a>>,
}

/// A signature over a policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval<'a> {
    /// The policy digest that is approved (32 bytes).
    pub policy: &'a [u8],
    /// ECDSA over SHA-256 of these 32 bytes (TPM 2.0 part 3, 23.16: `aHash` with an empty policyRef), in DER (RFC 3279,
    /// 2.2.3).
    pub signature: &'a [u8],
}

/// An NV counter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counter<'a> {
    /// NV index.
    pub index: u32,
    /// As in [`Request::DefineCounter`].
    pub auth: &'a [u8],
}

/// What is to be encrypted, and by which key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pkcs11Wrap<'a> {
    /// RFC 7512; names the token and the key.
    pub uri: &'a str,
    /// The user PIN; none: from the file or the credential that the configuration names.
    pub pin: Option<&'a [u8]>,
    /// [`SECRET_LEN`] bytes.
    pub secret: &'a [u8],
    /// Authenticated with it where the mechanism can.
    pub aad: &'a [u8],
}

/// How a token encrypted a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mechanism {
    /// CKM_AES_GCM, a tag of 128 bits.
    AesGcm,
    /// CKM_RSA_PKCS_OAEP with SHA-256.
    RsaOaepSha256,
    /// CKM_RSA_PKCS_OAEP with SHA-1, for tokens that know no other.
    RsaOaepSha1,
}

impl Mechanism {
    /// As in files and messages.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::AesGcm => "aes-gcm",
            Self::RsaOaepSha256 => "rsa-oaep-sha256",
            Self::RsaOaepSha1 => "rsa-oaep-sha1",
        }
    }
}

/// A value that a token encrypted. None of it is secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pkcs11Object {
    /// How.
    pub mechanism: Mechanism,
    /// The nonce; empty for RSA.
    pub nonce: Vec<u8>,
    /// With the tag, for AES-GCM.
    pub ciphertext: Vec<u8>,
}

/// What is to be decrypted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pkcs11Unwrap<'a> {
    /// As in [`Pkcs11Wrap`].
    pub uri: &'a str,
    /// As in [`Pkcs11Wrap`].
    pub pin: Option<&'a [u8]>,
    /// The encrypted value.
    pub object: Pkcs11Object,
    /// As in [`Pkcs11Wrap`].
    pub aad: &'a [u8],
    /// Try even if a failure would lock the token.
    pub force: bool,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Response<'a> {
    /// To [`Request::Seal`].
    Sealed {
        /// For the keyslot.
        object: Tpm2Object,
        /// What the operator should know (PCR 7 measures nothing, no lockout authorisation); whole sentences.
        notes: Vec<String>,
    },
    /// To [`Request::Unseal`] and [`Request::Unwrap`].
    Secret {
        /// [`SECRET_LEN`] bytes.
        secret: &'a [u8],
    },
    /// To [`Request::Describe`].
    Report(Tpm2Report),
    /// To requests about counters.
    Counter {
        /// NV index.
        index: u32,
        /// Its value.
        value: u64,
    },
    /// To [`Request::Wrap`].
    Wrapped(Pkcs11Object),
    /// Done, nothing to tell.
    Done,
    /// It could not be done.
    Failed(Failure),
}

/// A TPM as it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tpm2Report {
    /// How it is reached.
    pub tcti: String,
    /// A resource manager stands in between (the kernel's `/dev/tpmrm0`).
    pub resource_manager: bool,
    /// Who made it (TPM_PT_MANUFACTURER and the vendor strings).
    pub maker: String,
    /// Name of the storage root key at 0x81000001; empty if there is none.
    pub srk_name: Vec<u8>,
    /// Values of the PCRs asked for.
    pub pcrs: Vec<Pcr>,
    /// Digest of the policy over the PCRs asked for, as they are now; zeroes without PCRs. A policy key signs these 32
    /// bytes by ECDSA with SHA-256: `openssl dgst -sha256 -sign KEY -out SIGNATURE FILE`, where FILE holds them raw.
    pub policy: [u8; 32],
    /// Failed authorisations so far (TPM_PT_LOCKOUT_COUNTER).
    pub lockout_counter: u32,
    /// Failures until it locks (TPM_PT_MAX_AUTH_FAIL).
    pub lockout_after: u32,
    /// Seconds after which one failure is forgotten (TPM_PT_LOCKOUT_INTERVAL).
    pub lockout_interval: u32,
    /// A password guards the reset of the lockout counter. Without it whoever reaches the TPM can reset it.
    pub lockout_auth_set: bool,
}

/// Why it could not be done. Each says what to do next; `ID` is the keyslot's number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Failure {
    /// The configuration does not permit this TPM.
    #[error(
        "tpm.tcti = \"{0}\" is not permitted: write \"device:/dev/tpmrm0\"; an emulator (\"swtpm:host=127.0.0.1,port=N\") needs tpm.allow_emulator = true"
    )]
    Tcti(String),
    /// No TPM.
    #[error(
        "there is no TPM at {device} ({why}); check that the firmware has it switched on and that merlon-seal may open it, or open the instance otherwise: `merlon unlock`"
    )]
    NoDevice {
        /// As configured.
        device: String,
        /// The system's or the library's words.
        why: String,
    },
    /// The storage root key is not the pinned one.
    #[error(
        "this is another TPM, or it was cleared: its storage root key has another name than the keyslot's. Nothing was sent to it. Open the instance with the recovery key (`merlon unlock --recovery`), then `merlon keyslot reseal ID`"
    )]
    OtherTpm,
    /// What sits at 0x81000001 is no storage key.
    #[error(
        "the object at 0x81000001 is no storage root key ({0}); merlon does not replace what others put there: remove it with tpm2_evictcontrol if nothing uses it, then `merlon keyslot reseal ID`"
    )]
    NotAStorageKey(String),
    /// The storage root key cannot be made.
    #[error(
        "the TPM has no storage root key, and its owner hierarchy has a password: make the key with `tpm2_createprimary` and `tpm2_evictcontrol` at 0x81000001 first, then try again"
    )]
    OwnerAuth,
    /// A wrong PIN; the TPM counted it.
    #[error("wrong PIN; {tries_left} more tries before the TPM locks out. Try again: `merlon unlock --pin-file FILE`")]
    WrongPin {
        /// Until lockout.
        tries_left: u32,
    },
    /// One more failure would lock out.
    #[error(
        "one more wrong PIN would lock the TPM for every program on this machine; wait {wait_seconds} s for one try to be forgiven, or be sure and run `merlon unlock --pin-file FILE --force`"
    )]
    LastTry {
        /// Until one failure is forgotten.
        wait_seconds: u32,
    },
    /// Locked out.
    #[error(
        "the TPM is locked out after too many wrong PINs, and refuses the right one too; wait {wait_seconds} s, or reset it with `tpm2_dictionarylockout --clear-lockout`, or open the instance with the recovery key: `merlon unlock --recovery`"
    )]
    Lockout {
        /// Until one failure is forgotten.
        wait_seconds: u32,
    },
    /// PCRs changed.
    #[error("the machine's state has changed: PCR {} differ from when the key was sealed (firmware, Secure Boot or boot loader). If you changed it, open the instance with `merlon unlock --recovery`, then `merlon keyslot reseal ID`", list(.changed))]
    PcrMismatch {
        /// Which.
        changed: Vec<u8>,
    },
    /// No signature for the policy.
    #[error(
        "no signature for the machine's present state (policy {policy}); sign it with the policy key, then `merlon keyslot authorize ID --signature-file FILE` and `merlon unlock --machine`"
    )]
    NoSignature {
        /// Digest, in hex.
        policy: String,
    },
    /// The signature is not by the policy key.
    #[error(
        "the signature does not fit: it is not by the keyslot's policy key, or not over this policy; sign again and `merlon keyslot authorize ID --signature-file FILE`"
    )]
    BadSignature,
    /// The sealed object was altered.
    #[error(
        "the TPM refuses the sealed object: it was altered, or sealed by another TPM; open the instance otherwise (`merlon unlock --recovery`), then `merlon keyslot reseal ID`"
    )]
    Damaged,
    /// The counter is not there.
    #[error(
        "the TPM has no counter at index {0:#010x}: it was cleared, or somebody removed it; if that was you: `merlon keyslot counter reset`"
    )]
    NoCounter(u32),
    /// Another error of the TPM.
    #[error("the TPM failed while {doing}: {what}; `merlon doctor` shows its state")]
    Tpm {
        /// What was being done.
        doing: String,
        /// Its code and words.
        what: String,
    },
    /// No module is configured.
    #[error("no PKCS#11 module is configured: set pkcs11.module to its path in the instance's configuration")]
    NoModule,
    /// The module does not load.
    #[error(
        "the PKCS#11 module does not work ({0}); check pkcs11.module, pkcs11.read, pkcs11.write and pkcs11.environment in the configuration"
    )]
    Module(String),
    /// The URI.
    #[error("this is no PKCS#11 URI that names a token and a key ({0}); write pkcs11:token=LABEL;id=%01 (RFC 7512)")]
    Uri(String),
    /// No such token.
    #[error("no token is labelled `{0}`; plug it in, or see `pkcs11-tool --list-slots`")]
    NoToken(String),
    /// No such key, or several.
    #[error(
        "the token has {0} keys that fit the URI, and exactly one is needed (AES, or an RSA pair); see `pkcs11-tool --list-objects`"
    )]
    Key(u32),
    /// A PIN is needed and none is at hand.
    #[error("the token asks for its PIN: `merlon unlock --pin-file FILE`, or set pkcs11.pin_file in the configuration")]
    PinNeeded,
    /// There is a place for the PIN, and it cannot be read from there.
    #[error("the token's PIN cannot be read: {0}")]
    PinSource(String),
    /// A wrong PIN.
    #[error(
        "the token refuses the PIN; it was tried once and is not tried again by itself. Mind that tokens lock after a few tries: `merlon unlock --pin-file FILE`"
    )]
    TokenPin,
    /// One try is left.
    #[error(
        "the token says that this is the last try before it locks; be sure and run `merlon unlock --pin-file FILE --force`"
    )]
    TokenLastTry,
    /// Locked.
    #[error(
        "the token's PIN is locked; its security officer has to set a new one. Meanwhile: `merlon unlock --recovery`"
    )]
    TokenLocked,
    /// The token does not decrypt.
    #[error(
        "the key in the token does not decrypt the keyslot: another key under the same label, or the keyslot was altered ({0})"
    )]
    TokenKey(String),
    /// Another error of the token.
    #[error("the token failed while {doing}: {what}")]
    Token {
        /// What was being done.
        doing: String,
        /// Its code.
        what: String,
    },
    /// The request makes no sense; a fault of the keeper.
    #[error("merlon-seal did not understand the request ({0}); are all packages of one release?")]
    Request(String),
}

fn list(pcrs: &[u8]) -> String {
    pcrs.iter().map(u8::to_string).collect::<Vec<_>>().join(", ")
}
