//! Asks the keeper on its admin socket: one frame out, one frame back, in secret memory both ways.
//!
//! Owns the connection and its buffers. It knows what may be asked (the wire crate says), not why, and prints nothing.
//! Whoever calls looks at an answer in place; with the next question, or the end, its bytes are wiped.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::PathBuf;

use merlon_sandbox::secret::SecretBuf;
use merlon_sandbox::seqpacket;
use merlon_wire::admin::{Request, Response};
use merlon_wire::{Frame, MAX_FRAME, decode, encode};
use nix::sys::socket::{setsockopt, sockopt};
use nix::sys::time::TimeVal;

use crate::error::{CliError, Exit};
use crate::target::Local;

/// Until an answer. Argon2id takes a second or so, and the keeper serves one administrator after another.
const ANSWER_LIMIT_SECONDS: i64 = 60;
/// Until an answer for which a TPM or a token works. Each of the slots may take `keeper.seal_seconds` (at most 600);
/// the keeper ends what hangs, so this only ends a wait for a keeper that hangs itself.
const MACHINE_LIMIT_SECONDS: i64 = 3600;
/// When somebody who waits for a TPM or a token is told so.
const PATIENCE_SECONDS: i64 = 3;

/// A connection to the keeper of one instance.
pub(crate) struct Admin {
    local: Local,
    socket: PathBuf,
    link: OwnedFd,
    outgoing: SecretBuf,
    incoming: SecretBuf,
    next_id: u64,
    file: Option<File>,
}

impl Admin {
    /// # Errors
    /// The instance does not run, or its owner is somebody else.
    pub(crate) fn connect(local: &Local) -> Result<Self, CliError> {
        keep_out_of_dumps();
        let socket = local.paths.admin_socket();
        let link = seqpacket::connect(&socket).map_err(|e| local.unreachable(&socket, &e))?;
        let limit = TimeVal::new(ANSWER_LIMIT_SECONDS, 0);
        setsockopt(&link, sockopt::SendTimeout, &limit).map_err(not_set_up)?;
        let (outgoing, incoming) = (crate::secret::buffer(MAX_FRAME)?, crate::secret::buffer(MAX_FRAME)?);
        Ok(Self { local: local.clone(), socket, link, outgoing, incoming, next_id: 1, file: None })
    }

    /// One question, one answer. A refusal is an error.
    ///
    /// # Errors
    /// The keeper refused, is gone, or said something else.
    pub(crate) fn ask(&mut self, request: &Request<'_>) -> Result<Response<'_>, CliError> {
        let id = self.say(request)?;
        let received = self.receive(ANSWER_LIMIT_SECONDS)?;
        self.understand(id, received)
    }

    /// As [`Self::ask`], for what a TPM or a token has to work; `waiting` is called once if that takes long.
    ///
    /// # Errors
    /// As [`Self::ask`].
    pub(crate) fn ask_machine(
        &mut self,
        request: &Request<'_>,
        waiting: impl FnOnce(),
    ) -> Result<Response<'_>, CliError> {
        let id = self.say(request)?;
        let received = match self.receive(PATIENCE_SECONDS)? {
            None => {
                waiting();
                self.receive(MACHINE_LIMIT_SECONDS)?
            }
            received => received,
        };
        self.understand(id, received)
    }

    fn say(&mut self, request: &Request<'_>) -> Result<u64, CliError> {
        let id = self.next_id;
        self.next_id += 1;
        self.send(&Frame { id, body: request })?;
        self.incoming.clear();
        Ok(id)
    }

    /// The length of the answer, or none if it did not come in time.
    fn receive(&mut self, seconds: i64) -> Result<Option<usize>, CliError> {
        setsockopt(&self.link, sockopt::ReceiveTimeout, &TimeVal::new(seconds, 0)).map_err(not_set_up)?;
        match seqpacket::recv(self.link.as_fd(), self.incoming.as_full_mut_slice()) {
            Ok(received) if received.len == 0 => Err(self.gone("it ended the connection")),
            Ok(received) => {
                self.file = received.fd.map(File::from);
                Ok(Some(received.len))
            }
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(e) => Err(self.gone(&e.to_string())),
        }
    }

    fn understand(&mut self, id: u64, received: Option<usize>) -> Result<Response<'_>, CliError> {
        let len = received.ok_or_else(|| self.gone("no answer came in time"))?;
        self.incoming.set_len(len);
        let strange = || {
            CliError::failed("the keeper's answer cannot be understood")
                .because("it is no message of this version's protocol")
                .hint("do both have the same version? merlon --version; merlon status")
        };
        let answer: Frame<Response<'_>> = decode(self.incoming.as_slice()).map_err(|_| strange())?;
        match answer.body {
            _ if answer.id != id => Err(strange()),
            Response::Refused(refusal) => Err(refusal.into()),
            response => Ok(response),
        }
    }

    /// The file that came with the last answer.
    pub(crate) fn take_file(&mut self) -> Option<File> {
        self.file.take()
    }

    fn send(&mut self, frame: &Frame<&Request<'_>>) -> Result<(), CliError> {
        let sent = encode(frame, self.outgoing.as_full_mut_slice())
            .map_err(|e| CliError::usage("what was typed is too long").because(e))
            .map(|len| {
                self.outgoing.set_len(len);
                seqpacket::send(self.link.as_fd(), self.outgoing.as_slice(), None)
            });
        self.outgoing.clear();
        sent?.map_err(|e| self.gone(&e.to_string()))
    }

    fn gone(&self, why: &str) -> CliError {
        CliError::new(Exit::Unreachable, format!("the keeper of the {} did not answer", self.local))
            .because(format!("{}: {why}", self.socket.display()))
            .hint("merlon doctor")
    }
}

fn not_set_up(error: nix::errno::Errno) -> CliError {
    CliError::failed("the admin socket cannot be set up").because(error)
}

/// The answer to a question that has only one kind of answer was of another kind.
pub(crate) fn unexpected() -> CliError {
    CliError::failed("the keeper answered something else than it was asked")
        .hint("do both have the same version? merlon --version; merlon status")
}

/// This process is about to hold a passphrase, a recovery key or a token. Best effort: the frames themselves are in
/// secret memory. (It stays "dumpable": otherwise `/dev/fd/N`, and with it `--passphrase-file <(...)`, would be closed
/// to it.)
fn keep_out_of_dumps() {
    let _ = nix::sys::resource::setrlimit(nix::sys::resource::Resource::RLIMIT_CORE, 0, 0);
}
