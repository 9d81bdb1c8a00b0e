//! What can go wrong, whose fault it was, and the exit code that says so. The only place that maps one to the other.
//!
//! An error is three parts: *what* failed, *why*, and a *hint* that can be acted on (mostly a command to paste). It
//! never holds a secret, and nothing here prints.

use std::io;
use std::process::ExitCode;

use merlon_api::ProblemCode;
use merlon_wire::admin::AdminRefusal;
use merlon_wire::keeper::Refusal;
use merlon_wire::seal::Failure;

/// Whose fault it was. The discriminants are the exit codes that scripts rely on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// Done. Also the end by a closed pipe: the reader had enough.
    Done = 0,
    /// The instance, the disk or the network failed, or something is wrong with the instance.
    Failed = 1,
    /// The command line is wrong, or does not fit this target.
    Usage = 2,
    /// What was asked for is not there.
    NothingFound = 3,
    /// The instance wants to know who asks.
    SignIn = 4,
    /// The instance knows who asks, and refuses.
    Refused = 5,
    /// The instance does not answer.
    Unreachable = 69,
    /// Ctrl-C.
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// An error fit for the user.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub(crate) struct CliError {
    pub(crate) exit: Exit,
    pub(crate) what: String,
    pub(crate) why: Option<String>,
    pub(crate) hint: Option<String>,
    /// The code of the API's problem, if it was one.
    pub(crate) problem: Option<ProblemCode>,
    /// The request was sent, and its answer may have been lost on the way.
    pub(crate) lost: bool,
}

impl CliError {
    pub(crate) fn new(exit: Exit, what: impl Into<String>) -> Self {
        Self { exit, what: what.into(), why: None, hint: None, problem: None, lost: false }
    }

    pub(crate) fn failed(what: impl Into<String>) -> Self {
        Self::new(Exit::Failed, what)
    }

    pub(crate) fn usage(what: impl Into<String>) -> Self {
        Self::new(Exit::Usage, what)
    }

    /// An error about one keyslot: where the message says `ID`, this number stands.
    #[must_use]
    pub(crate) fn of_slot(mut self, id: u32) -> Self {
        for verb in ["reseal", "authorize", "policy"] {
            self.what = self.what.replace(&format!("keyslot {verb} ID"), &format!("keyslot {verb} {id}"));
        }
        self
    }

    /// Ctrl-C at a prompt or while following: nothing to say, only the code.
    pub(crate) fn interrupted() -> Self {
        Self::new(Exit::Interrupted, "")
    }

    #[must_use]
    pub(crate) fn because(mut self, why: impl ToString) -> Self {
        self.why = Some(why.to_string());
        self
    }

    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// A failed write on standard output: a closed pipe is the reader's right and no error.
    pub(crate) fn from_output(error: &io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self::new(Exit::Done, "");
        }
        Self::failed("standard output cannot be written").because(error)
    }

    /// Is there anything to tell the user?
    pub(crate) fn is_silent(&self) -> bool {
        self.what.is_empty()
    }
}

impl From<AdminRefusal> for CliError {
    fn from(refusal: AdminRefusal) -> Self {
        let (exit, hint) = match &refusal {
            AdminRefusal::Keeper(Refusal::Locked) => (Exit::Failed, Some("merlon unlock")),
            AdminRefusal::NoSuchSlot(_) => (Exit::NothingFound, Some("merlon keyslot list")),
            AdminRefusal::NoSlotOfKind(_) => (Exit::NothingFound, Some("merlon keyslot list")),
            AdminRefusal::NotFound(_) => (Exit::NothingFound, None),
            // Wrong use: the command line, not the machine, has to change.
            AdminRefusal::OtherKind(..) => (Exit::Usage, Some("merlon keyslot list")),
            AdminRefusal::Seal(Failure::Uri(_)) => (Exit::Usage, None),
            AdminRefusal::Seal(Failure::NoToken(_) | Failure::Key(_)) => (Exit::NothingFound, None),
            AdminRefusal::NoSeal(_) => (Exit::Failed, Some("merlon doctor")),
            AdminRefusal::LastSlot => (Exit::Failed, Some("merlon keyslot add recovery")),
            _ => (Exit::Failed, None),
        };
        Self { hint: hint.map(str::to_owned), ..Self::new(exit, refusal.to_string()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_are_those_of_the_contract() {
        let codes = [
            (Exit::Done, 0),
            (Exit::Failed, 1),
            (Exit::Usage, 2),
            (Exit::NothingFound, 3),
            (Exit::SignIn, 4),
            (Exit::Refused, 5),
            (Exit::Unreachable, 69),
            (Exit::Interrupted, 130),
        ];
        for (exit, code) in codes {
            assert_eq!(exit as u8, code);
        }
    }

    #[test]
    fn a_message_about_a_slot_names_it() {
        let error = CliError::from(AdminRefusal::Seal(Failure::OtherTpm)).of_slot(7);
        assert!(error.what.contains("`merlon keyslot reseal 7`"), "{}", error.what);
    }

    #[test]
    fn a_closed_pipe_is_a_quiet_end() {
        let error = CliError::from_output(&io::ErrorKind::BrokenPipe.into());
        assert!(error.is_silent());
        assert_eq!(error.exit, Exit::Done);
        assert_eq!(CliError::from_output(&io::ErrorKind::StorageFull.into()).exit, Exit::Failed);
    }

    #[test]
    fn a_missing_slot_is_nothing_found_and_a_wrong_secret_a_failure() {
        assert_eq!(CliError::from(AdminRefusal::NoSuchSlot(7)).exit, Exit::NothingFound);
        assert_eq!(CliError::from(AdminRefusal::WrongSecret("passphrase".into())).exit, Exit::Failed);
        assert_eq!(CliError::from(AdminRefusal::OtherKind(1, "tpm2".into())).exit, Exit::Usage);
        assert_eq!(CliError::from(AdminRefusal::Seal(Failure::Uri("x".into()))).exit, Exit::Usage);
        assert_eq!(CliError::from(AdminRefusal::Seal(Failure::NoToken("x".into()))).exit, Exit::NothingFound);
        let locked = CliError::from(AdminRefusal::Keeper(Refusal::Locked));
        assert_eq!(locked.hint.as_deref(), Some("merlon unlock"));
    }
}
