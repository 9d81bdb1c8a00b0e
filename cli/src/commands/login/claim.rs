//! The claim code on its way to the instance: from a file, from the keeper on the instance's own host, or typed.

use merlon_sandbox::secret::SecretBuf;
use merlon_wire::admin::{Request, Response};

use crate::admin::Admin;
use crate::args::LoginArgs;
use crate::error::CliError;
use crate::output::Printer;
use crate::secret;
use crate::target::Target;

/// The longest code that is sent: several times its length.
const MAX: usize = 128;

pub(super) struct ClaimCode {
    code: SecretBuf,
    typed: bool,
}

impl ClaimCode {
    /// # Errors
    /// There is none to be had.
    pub(super) fn find(args: &LoginArgs, target: &Target, printer: &mut Printer) -> Result<Self, CliError> {
        if let Some(file) = &args.claim_code_file {
            return Ok(Self { code: secret::from_file(file, "claim code", printer)?, typed: false });
        }
        if let Target::Local(local) = target
            && let Ok(mut admin) = Admin::connect(local)
            && let Ok(Response::ClaimCode(Some(code))) = admin.ask(&Request::ClaimCode)
        {
            let code = SecretBuf::from_slice(code.as_bytes())
                .map_err(|e| CliError::failed("there is no memory for secrets").because(e))?;
            return Ok(Self { code, typed: false });
        }
        Self::ask(printer)
    }

    pub(super) fn ask(printer: &mut Printer) -> Result<Self, CliError> {
        printer.say("Nobody owns this instance yet. Its claim code is on its host: sudo merlon claim-code");
        let code = secret::ask("Claim code: ", true, "merlon login --claim-code-file FILE", printer)?;
        Ok(Self { code, typed: true })
    }

    pub(super) fn was_typed(&self) -> bool {
        self.typed
    }

    pub(super) fn text(&self) -> Result<String, CliError> {
        let wrong = || CliError::usage("this is no claim code").hint("on the instance's host: sudo merlon claim-code");
        let text = std::str::from_utf8(self.code.as_slice()).map_err(|_| wrong())?.trim();
        if text.len() > MAX || !text.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(wrong());
        }
        Ok(text.to_owned())
    }
}
