//! The answer to one request, written once, into secret memory.

use std::os::fd::OwnedFd;

use merlon_sandbox::secret::SecretBuf;
use merlon_wire::keeper::Refusal;
use merlon_wire::{Frame, admin as admin_wire, encode, keeper as link_wire};
use serde::Serialize;

use super::Violation;

/// Repeats the id of the request.
pub(super) struct Reply<'a> {
    id: u64,
    out: &'a mut SecretBuf,
    fd: Option<OwnedFd>,
}

impl<'a> Reply<'a> {
    pub(super) fn new(id: u64, out: &'a mut SecretBuf) -> Self {
        Self { id, out, fd: None }
    }

    /// An answer on the link.
    pub(super) fn link(&mut self, response: &link_wire::Response<'_>) -> Result<(), Violation> {
        self.write(response)
    }

    /// An answer on the admin socket.
    pub(super) fn admin(&mut self, response: &admin_wire::Response<'_>) -> Result<(), Violation> {
        self.write(response)
    }

    /// A descriptor that goes with the answer.
    pub(super) fn attach(&mut self, fd: OwnedFd) {
        self.fd = Some(fd);
    }

    /// What was attached.
    pub(super) fn take_fd(&mut self) -> Option<OwnedFd> {
        self.fd.take()
    }

    /// A refusal on the admin socket for a reason that the link knows too.
    pub(super) fn refuse(&mut self, refusal: Refusal) -> Result<(), Violation> {
        self.admin(&admin_wire::Response::Refused(admin_wire::AdminRefusal::Keeper(refusal)))
    }

    fn write<T: Serialize>(&mut self, body: &T) -> Result<(), Violation> {
        let used = encode(&Frame { id: self.id, body }, self.out.as_full_mut_slice())?;
        self.out.set_len(used);
        Ok(())
    }
}
