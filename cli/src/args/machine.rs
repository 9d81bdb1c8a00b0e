//! Arguments about machine slots (TPM, PKCS#11) and of `merlon unlock`.

use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;
use merlon_wire::seal::PCRS;

/// `merlon keyslot add tpm2`.
#[derive(Args, Debug)]
pub(crate) struct Tpm2Args {
    /// Bind it to these PCRs (0 to 23, joined by commas), or to `none`; PCR 7 if left out and it measures something
    #[arg(long, value_name = "PCRS")]
    pub(crate) pcrs: Option<Pcrs>,
    /// Read a PIN for it from this file (one line end at its end does not count)
    #[arg(long, value_name = "FILE", conflicts_with = "pin")]
    pub(crate) pin_file: Option<PathBuf>,
    /// Ask for a PIN for it
    #[arg(long)]
    pub(crate) pin: bool,
    /// Whose signature stands for the PCRs: a PEM file with a public key on P-256
    #[arg(long, value_name = "FILE")]
    pub(crate) policy_key: Option<PathBuf>,
}

/// `merlon keyslot add pkcs11`.
#[derive(Args, Debug)]
pub(crate) struct Pkcs11Args {
    /// Token and key: pkcs11:token=LABEL;id=%01, or with object=LABEL (RFC 7512)
    #[arg(long, value_name = "URI")]
    pub(crate) uri: Pkcs11Uri,
    /// Read the token's PIN from this file (one line end at its end does not count)
    #[arg(long, value_name = "FILE", conflicts_with = "pin")]
    pub(crate) pin_file: Option<PathBuf>,
    /// Ask for the token's PIN
    #[arg(long)]
    pub(crate) pin: bool,
}

/// `merlon keyslot reseal`.
#[derive(Args, Debug)]
pub(crate) struct ResealArgs {
    /// The slot's id, as `merlon keyslot list` shows it
    pub(crate) id: u32,
    /// Make one more slot instead, without PCRs, that opens the next start and is removed by it
    #[arg(long)]
    pub(crate) next_boot_once: bool,
}

/// `merlon keyslot policy`.
#[derive(Args, Debug)]
pub(crate) struct PolicyArgs {
    /// The slot's id, as `merlon keyslot list` shows it
    pub(crate) id: u32,
    /// Write the digest's 32 bytes into this file too, to be signed
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}

/// `merlon keyslot authorize`.
#[derive(Args, Debug)]
pub(crate) struct AuthorizeArgs {
    /// The slot's id, as `merlon keyslot list` shows it
    pub(crate) id: u32,
    /// The signature: ECDSA with SHA-256 in DER, as `openssl dgst -sha256 -sign` writes it
    #[arg(long, value_name = "FILE")]
    pub(crate) signature_file: PathBuf,
    /// The digest that was signed, as `merlon keyslot policy --out` wrote it; the machine's present one if left out
    #[arg(long, value_name = "FILE")]
    pub(crate) policy_file: Option<PathBuf>,
}

/// Open a locked instance (on its host)
#[derive(Args, Debug)]
#[command(long_about = "\
Open a locked instance (on its host).

Needed where no machine slot (tpm2, pkcs11, credential, file) opens at start. Without an option it asks for the PIN if \
a slot has one, else for the passphrase, else for the recovery key.

Before the last try of a PIN, which would lock the TPM or the token, it is refused unless --force is given. --machine \
tries all slots once more that need nobody: after a signature was kept, or a token was plugged in.

Examples:
  merlon unlock
  merlon unlock --recovery-file recovery.txt
  merlon unlock --pin-file pin.txt
  merlon unlock --machine")]
pub(crate) struct UnlockArgs {
    /// Read the passphrase from this file
    #[arg(long, value_name = "FILE", group = "with")]
    pub(crate) passphrase_file: Option<PathBuf>,
    /// Read the recovery key from this file
    #[arg(long, value_name = "FILE", group = "with")]
    pub(crate) recovery_file: Option<PathBuf>,
    /// Read the PIN of a tpm2 or pkcs11 slot from this file
    #[arg(long, value_name = "FILE", group = "with")]
    pub(crate) pin_file: Option<PathBuf>,
    /// Ask for the passphrase
    #[arg(long, group = "with")]
    pub(crate) passphrase: bool,
    /// Ask for the recovery key
    #[arg(long, group = "with")]
    pub(crate) recovery: bool,
    /// Ask for the PIN
    #[arg(long, group = "with")]
    pub(crate) pin: bool,
    /// Try all slots once more that need nobody
    #[arg(long, group = "with")]
    pub(crate) machine: bool,
    /// Try the PIN even if one more failure would lock the TPM or the token
    #[arg(long, conflicts_with_all = ["passphrase_file", "recovery_file", "passphrase", "recovery", "machine"])]
    pub(crate) force: bool,
    /// Open although this is an old copy (secrets.db, keyslots), or cannot be read (counter); for this time only
    #[arg(long, value_name = "NAME", value_parser = ["secrets.db", "keyslots", "counter"])]
    pub(crate) accept_rollback: Option<String>,
}

/// `7,11` or `none`: rising, each once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pcrs(pub(crate) Vec<u8>);

impl FromStr for Pcrs {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "none" {
            return Ok(Self(Vec::new()));
        }
        let number = |part: &str| {
            let digits = part.bytes().all(|b| b.is_ascii_digit());
            part.parse().ok().filter(|&index: &u8| digits && index < PCRS)
        };
        let pcrs: Option<Vec<u8>> = text.split(',').map(number).collect();
        let mut pcrs = pcrs.ok_or_else(|| {
            format!("`{text}` is no list of PCRs; write numbers from 0 to {}, for example 7,11, or none", PCRS - 1)
        })?;
        pcrs.sort_unstable();
        pcrs.dedup();
        Ok(Self(pcrs))
    }
}

/// A PKCS#11 URI (RFC 7512) without a PIN. `merlon-seal` reads the rest of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pkcs11Uri(pub(crate) String);

impl FromStr for Pkcs11Uri {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // What was given is not repeated: it may hold a PIN.
        let Some(rest) = text.strip_prefix("pkcs11:") else {
            return Err("it does not begin with `pkcs11:`; write pkcs11:token=LABEL;id=%01".to_owned());
        };
        let mut attributes = rest.split([';', '?', '&']).map(|part| part.split('=').next().unwrap_or_default());
        if attributes.any(|name| matches!(name, "pin-value" | "pin-source")) {
            return Err(
                "a PIN has no place in an argument, where others can read it; use --pin-file FILE or --pin".to_owned()
            );
        }
        Ok(Self(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pcrs_are_a_list_or_none() {
        assert_eq!("7,11".parse(), Ok(Pcrs(vec![7, 11])));
        assert_eq!("11,7,7,0".parse(), Ok(Pcrs(vec![0, 7, 11])));
        assert_eq!("none".parse(), Ok(Pcrs(Vec::new())));
        for wrong in ["", "24", "7,", "7;11", "-1", "+7", "sha256:7", "None", "7, 11"] {
            let error = wrong.parse::<Pcrs>().unwrap_err();
            assert!(error.contains("0 to 23") && error.contains("none"), "{wrong}: {error}");
        }
    }

    #[test]
    fn a_uri_holds_no_pin() {
        let uri = "pkcs11:token=a%20b;id=%01?module-name=x";
        assert_eq!(uri.parse(), Ok(Pkcs11Uri(uri.to_owned())));
        for wrong in ["pkcs11:token=a;id=%01?pin-value=1234", "pkcs11:token=a?x=y&pin-source=/f"] {
            let error = wrong.parse::<Pkcs11Uri>().unwrap_err();
            assert!(error.contains("--pin-file") && !error.contains("1234"), "{error}");
        }
        assert!("token=a".parse::<Pkcs11Uri>().unwrap_err().contains("pkcs11:"));
    }
}
