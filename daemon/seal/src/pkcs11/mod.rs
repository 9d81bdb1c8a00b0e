//! A key in a PKCS#11 token.
#![expect(dead_code, reason = "the token's half is written beside this one")]

use merlon_config::Pkcs11;
use merlon_sandbox::secret::Secret;
use merlon_wire::seal::{Failure, Pkcs11Object, Pkcs11Unwrap, Pkcs11Wrap};

/// What is asked of the token.
pub(crate) enum Operation<'a> {
    Wrap(Pkcs11Wrap<'a>),
    Unwrap(Pkcs11Unwrap<'a>),
}

/// What the token did.
pub(crate) enum Outcome {
    Wrapped(Pkcs11Object),
    Secret(Secret<32>),
}

/// Does it.
pub(crate) fn run(_config: &Pkcs11, _operation: &Operation<'_>) -> Result<Outcome, Failure> {
    Err(Failure::NoModule)
}
