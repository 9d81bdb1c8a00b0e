//! Finding the token and getting into it.
//!
//! Owned here: that exactly one token fits, and that a PIN is tried at most once, and not at all where the token says
//! that it would be the last try.

use cryptoki::context::Pkcs11 as Module;
use cryptoki::error::{Error, RvError};
use cryptoki::session::{Session, UserType};
use cryptoki::slot::{Slot, TokenInfo};
use cryptoki::types::RawAuthPin;
use merlon_sandbox::secret::SecretBuf;
use merlon_wire::seal::Failure;

use super::failed;
use super::uri::Uri;

/// A token in its slot.
pub(crate) struct Token {
    slot: Slot,
    info: TokenInfo,
}

/// The one token that the URI names.
pub(crate) fn find(module: &Module, uri: &Uri) -> Result<Token, Failure> {
    let slots = module.get_slots_with_token().map_err(failed::doing("listing its slots"))?;
    let mut found = Vec::new();
    for slot in slots {
        match module.get_token_info(slot) {
            Ok(info) if fits(&info, uri) => found.push(Token { slot, info }),
            Ok(_) => {}
            // Pulled out since the slots were listed, or not made for this module.
            Err(Error::Pkcs11(
                RvError::TokenNotPresent
                | RvError::TokenNotRecognized
                | RvError::DeviceRemoved
                | RvError::SlotIdInvalid,
                _,
            )) => {}
            Err(error) => return Err(failed::doing("describing itself")(error)),
        }
    }
    match (found.pop(), found.len()) {
        (Some(token), 0) => Ok(token),
        (None, _) => Err(Failure::NoToken(uri.token_text())),
        (Some(_), more) => Err(Failure::Uri(format!("{} tokens fit it; add ;serial=SERIAL", more + 1))),
    }
}

fn fits(info: &TokenInfo, uri: &Uri) -> bool {
    let is = |wanted: &Option<String>, value: &str| wanted.as_deref().is_none_or(|wanted| wanted == value);
    info.token_initialized()
        && info.label() == uri.token
        && is(&uri.serial, info.serial_number())
        && is(&uri.manufacturer, info.manufacturer_id())
        && is(&uri.model, info.model())
}

/// A session in which the user is logged in, if the token wants that.
pub(crate) fn open(module: &Module, token: &Token, pin: Option<SecretBuf>, force: bool) -> Result<Session, Failure> {
    let session = module.open_ro_session(token.slot).map_err(failed::doing("opening a session"))?;
    let flags = &token.info;
    if !flags.login_required() {
        return Ok(session);
    }
    may_try(flags.user_pin_locked(), flags.user_pin_final_try(), force)?;
    let answer = match pin {
        Some(pin) => {
            // cryptoki wants a vector; it wipes it when it is done.
            let copy = RawAuthPin::new(Box::new(pin.as_slice().to_vec()));
            drop(pin);
            session.login_with_raw(UserType::User, &copy)
        }
        // A reader with keys of its own asks for it.
        None if flags.protected_authentication_path() => session.login(UserType::User, None),
        None => return Err(Failure::PinNeeded),
    };
    match answer {
        Ok(()) | Err(Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => Ok(session),
        Err(error) => Err(failed::login(&error)),
    }
}

fn may_try(locked: bool, final_try: bool, force: bool) -> Result<(), Failure> {
    match (locked, final_try) {
        (true, _) => Err(Failure::TokenLocked),
        (false, true) if !force => Err(Failure::TokenLastTry),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_try_is_made_only_when_it_is_asked_for() {
        assert_eq!(may_try(false, false, false), Ok(()));
        assert_eq!(may_try(false, true, false), Err(Failure::TokenLastTry));
        assert_eq!(may_try(false, true, true), Ok(()));
        assert_eq!(may_try(true, true, true), Err(Failure::TokenLocked));
    }
}
