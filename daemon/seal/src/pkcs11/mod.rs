//! Keys in a PKCS#11 token: one value is encrypted or decrypted by a key that stays there.
//!
//! Owned here: the order of one operation. What can be read without the vendor's module (URI, PIN) is read first, then
//! the sandbox begins, and only then is the module loaded. A PIN is given to the token once. The module is foreign code
//! in this process: whatever it is handed it may keep, so it gets the PIN and the one value and nothing else.

mod cipher;
mod confine;
mod failed;
mod key;
mod pin;
mod token;
mod uri;

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11 as Module};
use merlon_config::{Pkcs11, Sandbox};
use merlon_sandbox::secret::{Secret, SecretBuf};
use merlon_wire::seal::{Failure, Pkcs11Object, Pkcs11Unwrap, Pkcs11Wrap, SECRET_LEN};

use uri::Uri;

/// What is asked of the token.
pub(crate) enum Operation<'a> {
    /// Encrypt.
    Wrap(Pkcs11Wrap<'a>),
    /// Decrypt.
    Unwrap(Pkcs11Unwrap<'a>),
}

/// What the token has done.
pub(crate) enum Outcome {
    /// To [`Operation::Wrap`].
    Wrapped(Pkcs11Object),
    /// To [`Operation::Unwrap`].
    Secret(Secret<SECRET_LEN>),
}

impl Operation<'_> {
    fn uri(&self) -> &str {
        match self {
            Self::Wrap(wrap) => wrap.uri,
            Self::Unwrap(unwrap) => unwrap.uri,
        }
    }

    fn pin(&self) -> Option<&[u8]> {
        match self {
            Self::Wrap(wrap) => wrap.pin,
            Self::Unwrap(unwrap) => unwrap.pin,
        }
    }

    /// A try that could lock the token is made all the same.
    fn force(&self) -> bool {
        match self {
            Self::Wrap(_) => false,
            Self::Unwrap(unwrap) => unwrap.force,
        }
    }
}

/// Puts this process into the sandbox for PKCS#11, loads the module and does the operation. To be called once, before
/// any thread starts; afterwards the process can answer on the sockets it has, and end.
///
/// # Errors
/// [`Failure`]. It holds neither the PIN nor the value.
pub(crate) fn run(config: &Pkcs11, sandbox: &Sandbox, operation: &Operation<'_>) -> Result<Outcome, Failure> {
    let path = config.module.as_deref().ok_or(Failure::NoModule)?;
    let uri = Uri::parse(operation.uri()).map_err(Failure::Uri)?;
    let pin = pin::find(operation.pin(), config.pin_file.as_deref())?;
    confine::enter(config, path, sandbox.required)?;

    let module = Module::new(path).map_err(|error| failed::loading(&error))?;
    module
        .initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK))
        .map_err(|error| failed::loading(&error))?;
    let outcome = on_token(&module, &uri, pin, operation);
    // Frees what the token holds for this process, which ends now; if it cannot be told, it notices by itself.
    drop(module.finalize());
    outcome
}

fn on_token(module: &Module, uri: &Uri, pin: Option<SecretBuf>, operation: &Operation<'_>) -> Result<Outcome, Failure> {
    let token = token::find(module, uri)?;
    let session = token::open(module, &token, pin, operation.force())?;
    match operation {
        Operation::Wrap(wrap) => {
            let secret = wrap.secret.try_into();
            let secret = secret.map_err(|_| Failure::Request("a value of another length".into()))?;
            let key = key::find(&session, uri, None)?;
            cipher::wrap(&session, &key, secret, wrap.aad).map(Outcome::Wrapped)
        }
        Operation::Unwrap(unwrap) => {
            let key = key::find(&session, uri, Some(unwrap.object.mechanism))?;
            cipher::unwrap(&session, &key, &unwrap.object, unwrap.aad).map(Outcome::Secret)
        }
    }
}
