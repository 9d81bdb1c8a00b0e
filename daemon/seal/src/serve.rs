//! One request, one answer.
//!
//! Both are received and written in secret memory. What goes wrong with the TPM or the token is the answer; without an
//! answer the program ends only if it cannot run at all.

use std::os::fd::OwnedFd;

use merlon_config::Config;
use merlon_sandbox::inherit::is_listening;
use merlon_sandbox::secret::{Secret, SecretBuf};
use merlon_sandbox::seqpacket;
use merlon_wire::seal::{Failure, Pkcs11Object, Request, Response, Tpm2Object, Tpm2Report};
use merlon_wire::{MAX_FRAME, decode, encode};
use nix::sys::signal::{SigSet, Signal};

use crate::exit::Fatal;
use crate::{pkcs11, tpm};

/// What an operation came to.
pub(crate) enum Answer {
    Sealed { object: Tpm2Object, notes: Vec<String> },
    Secret(Secret<32>),
    Report(Tpm2Report),
    Counter { index: u32, value: u64 },
    Wrapped(Pkcs11Object),
    Done,
}

impl From<pkcs11::Outcome> for Answer {
    fn from(outcome: pkcs11::Outcome) -> Self {
        match outcome {
            pkcs11::Outcome::Wrapped(object) => Self::Wrapped(object),
            pkcs11::Outcome::Secret(secret) => Self::Secret(secret),
        }
    }
}

/// From now on the kernel ends this process after so many seconds: a TPM may hang for ever, and libtss2 waits for it.
pub(crate) fn limit(seconds: u32) -> Result<(), Fatal> {
    SigSet::from(Signal::SIGALRM).thread_unblock().map_err(|errno| Fatal::Io(errno.into()))?;
    nix::unistd::alarm::set(seconds);
    Ok(())
}

/// Takes a connection that waits, and hangs up: whoever asks learns at once that there will be no answer. A connection
/// that nobody takes would have systemd start this program again and again.
pub(crate) fn turn_away(asked: &OwnedFd) {
    if is_listening(asked) {
        // Without a connection there is nobody to hang up on, and nobody is told of what fails here: why this program
        // ends is in the log.
        let _ = seqpacket::set_nonblocking(asked, true).and_then(|()| seqpacket::accept(asked).map(drop));
    }
}

/// Serves the one connection.
pub(crate) fn one(asked: &OwnedFd, config: &Config) -> Result<(), Fatal> {
    let accepted = if is_listening(asked) { Some(seqpacket::accept(asked).map_err(Fatal::Io)?) } else { None };
    let connection = accepted.as_ref().unwrap_or(asked);
    let mut frame = SecretBuf::with_capacity(MAX_FRAME)?;
    let received = seqpacket::recv(connection, frame.as_full_mut_slice()).map_err(Fatal::Io)?;
    if received.len == 0 {
        // The keeper went away before it asked.
        return Ok(());
    }
    frame.set_len(received.len);
    let answer = match decode::<Request<'_>>(frame.as_slice()) {
        Ok(request) => dispatch(request, config)?,
        Err(error) => Err(Failure::Request(error.to_string())),
    };
    frame.clear();
    let written = encode(&response(&answer), frame.as_full_mut_slice()).map_err(Fatal::Answer)?;
    frame.set_len(written);
    seqpacket::send(connection, frame.as_slice(), None).map_err(Fatal::Io)
}

fn dispatch(request: Request<'_>, config: &Config) -> Result<Result<Answer, Failure>, Fatal> {
    let operation = match request {
        Request::Wrap(wrap) => pkcs11::Operation::Wrap(wrap),
        Request::Unwrap(unwrap) => pkcs11::Operation::Unwrap(unwrap),
        of_tpm => {
            let connected = match tpm::Tpm::connect(&config.tpm) {
                Ok(connected) => connected,
                Err(failure) => return Ok(Err(failure)),
            };
            tpm::confine(&config.tpm, config.sandbox.required)?;
            return Ok(tpm::run(connected, &of_tpm));
        }
    };
    Ok(pkcs11::run(&config.pkcs11, &config.sandbox, &operation).map(Answer::from))
}

fn response(answer: &Result<Answer, Failure>) -> Response<'_> {
    match answer {
        Ok(Answer::Sealed { object, notes }) => Response::Sealed { object: object.clone(), notes: notes.clone() },
        Ok(Answer::Secret(secret)) => Response::Secret { secret: secret.expose() },
        Ok(Answer::Report(report)) => Response::Report(report.clone()),
        Ok(Answer::Counter { index, value }) => Response::Counter { index: *index, value: *value },
        Ok(Answer::Wrapped(object)) => Response::Wrapped(object.clone()),
        Ok(Answer::Done) => Response::Done,
        Err(failure) => Response::Failed(failure.clone()),
    }
}
