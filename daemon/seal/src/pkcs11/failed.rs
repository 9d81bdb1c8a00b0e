//! What a module answers, as a [`Failure`].
//!
//! Owned here: which answer means what, and its code in the standard's spelling, by which people search.

use cryptoki::error::{Error, RvError};
use merlon_wire::seal::Failure;

/// It does not load or does not begin.
pub(crate) fn loading(error: &Error) -> Failure {
    Failure::Module(match error {
        Error::LibraryLoading(why) => why.to_string(),
        Error::MissingSymbol(name) => format!("it is no PKCS#11 module, as it has no {name}"),
        other => code(other),
    })
}

/// It fails at something that has nothing to do with PIN or key.
pub(crate) fn doing(doing: &'static str) -> impl Fn(Error) -> Failure {
    move |error| Failure::Token { doing: doing.into(), what: code(&error) }
}

/// It does not let us in.
pub(crate) fn login(error: &Error) -> Failure {
    match error {
        Error::Pkcs11(RvError::PinIncorrect | RvError::PinInvalid | RvError::PinLenRange, _) => Failure::TokenPin,
        Error::Pkcs11(RvError::PinLocked, _) => Failure::TokenLocked,
        Error::Pkcs11(RvError::PinExpired, _) => Failure::Token {
            doing: "logging in".into(),
            what: "CKR_PIN_EXPIRED: the token wants a new PIN first, set one with `pkcs11-tool --change-pin`".into(),
        },
        other => Failure::Token { doing: "logging in".into(), what: code(other) },
    }
}

/// It does not encrypt.
pub(crate) fn encrypting(error: &Error, aes: bool) -> Failure {
    let mut what = code(error);
    if matches!(error, Error::Pkcs11(RvError::MechanismInvalid | RvError::MechanismParamInvalid, _)) {
        let (unknown, other) = if aes { ("CKM_AES_GCM", "an RSA pair") } else { ("CKM_RSA_PKCS_OAEP", "an AES key") };
        what.push_str(&format!("; it knows no {unknown}: make {other} for Merlon instead"));
    }
    Failure::Token { doing: "encrypting".into(), what }
}

/// It does not decrypt. Tokens answer a wrong key or a wrong tag by all kinds of codes (SoftHSM: CKR_GENERAL_ERROR), so
/// the codes that clearly mean something else are told apart, and the rest is taken for that.
pub(crate) fn decrypting(error: &Error) -> Failure {
    if let Error::Pkcs11(code, _) = error
        && !about_token(*code)
    {
        Failure::TokenKey(name(*code))
    } else {
        Failure::Token { doing: "decrypting".into(), what: code(error) }
    }
}

/// The token itself failed, or it does not do such things: another mechanism would not change that.
pub(crate) fn about_token(code: RvError) -> bool {
    matches!(
        code,
        RvError::HostMemory
            | RvError::DeviceError
            | RvError::DeviceMemory
            | RvError::DeviceRemoved
            | RvError::FunctionCanceled
            | RvError::KeyFunctionNotPermitted
            | RvError::MechanismInvalid
            | RvError::OperationActive
            | RvError::SessionClosed
            | RvError::SessionHandleInvalid
            | RvError::TokenNotPresent
            | RvError::UserNotLoggedIn
    )
}

/// The code of an error, and the function that answered with it.
pub(crate) fn code(error: &Error) -> String {
    match error {
        Error::Pkcs11(code, function) => format!("{} from C_{function:?}", name(*code)),
        other => other.to_string(),
    }
}

/// `PinIncorrect` as `CKR_PIN_INCORRECT`.
fn name(code: RvError) -> String {
    match code {
        RvError::VendorDefined(number) | RvError::UnknownErrorCode(number) => format!("CKR {number:#010x}"),
        known => {
            let mut name = String::from("CKR");
            for letter in format!("{known:?}").chars() {
                if letter.is_ascii_uppercase() {
                    name.push('_');
                }
                name.push(letter.to_ascii_uppercase());
            }
            name
        }
    }
}

#[cfg(test)]
mod tests {
    use cryptoki::context::Function;

    use super::*;

    #[test]
    fn codes_are_spelt_as_in_the_standard() {
        let text = code(&Error::Pkcs11(RvError::PinIncorrect, Function::Login));
        assert_eq!(text, "CKR_PIN_INCORRECT from C_Login");
        let text = code(&Error::Pkcs11(RvError::VendorDefined(0x8000_0011), Function::Decrypt));
        assert_eq!(text, "CKR 0x80000011 from C_Decrypt");
    }

    #[test]
    fn what_a_login_answers_is_told_apart() {
        let failure = |code| login(&Error::Pkcs11(code, Function::Login));
        for wrong in [RvError::PinIncorrect, RvError::PinInvalid, RvError::PinLenRange] {
            assert_eq!(failure(wrong), Failure::TokenPin);
        }
        assert_eq!(failure(RvError::PinLocked), Failure::TokenLocked);
        let other = failure(RvError::DeviceError).to_string();
        assert_eq!(other, "the token failed while logging in: CKR_DEVICE_ERROR from C_Login");
    }

    #[test]
    fn a_token_without_the_mechanism_says_which_key_to_make_instead() {
        let failure =
            |aes| encrypting(&Error::Pkcs11(RvError::MechanismInvalid, Function::EncryptInit), aes).to_string();
        assert!(failure(true).contains("CKR_MECHANISM_INVALID") && failure(true).contains("make an RSA pair"));
        assert!(failure(false).contains("make an AES key"));
        let lost = encrypting(&Error::Pkcs11(RvError::DeviceRemoved, Function::Encrypt), true).to_string();
        assert_eq!(lost, "the token failed while encrypting: CKR_DEVICE_REMOVED from C_Encrypt");
    }

    #[test]
    fn a_lost_token_is_not_taken_for_a_wrong_key() {
        let failure = |code| decrypting(&Error::Pkcs11(code, Function::Decrypt));
        assert_eq!(failure(RvError::GeneralError), Failure::TokenKey("CKR_GENERAL_ERROR".into()));
        assert!(matches!(failure(RvError::DeviceRemoved), Failure::Token { .. }));
    }
}
