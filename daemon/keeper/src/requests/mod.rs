//! Who may ask what: the table of all requests, and the way from a frame to its handler.
//!
//! This is the keeper's whole surface. A frame that is no request of its socket, that is longer than a frame, that
//! brings a descriptor, or that is asked too often drops the peer: nothing of Merlon ever sends one, so there is no
//! error reply for it. A request that is understood and refused is answered with the reason.

mod admin;
mod backup;
mod events;
mod evidence;
mod hub;
mod identity;
mod link;
mod reply;
mod rotate;
mod sealed;
mod sessions;
mod table;

use std::os::fd::OwnedFd;

use merlon_sandbox::secret::SecretBuf;
use merlon_wire::keeper::Refusal;
use merlon_wire::{Frame, FrameError, admin as admin_wire, decode, keeper as link_wire};

use crate::keeper::Keeper;
use reply::Reply;
use table::{Row, Run, TABLE, Times};

/// What a peer did that no peer of this build does. It is dropped.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Violation {
    /// No message of this protocol.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// A descriptor came with a request.
    #[error("it sent a descriptor, and no request takes one")]
    Descriptor,
    /// Not a request of this socket, or not of this kind of keeper.
    #[error("{0} is not permitted on this socket")]
    NotPermitted(&'static str),
    /// Asked more often than the table permits.
    #[error("{0} was asked too often")]
    TooOften(&'static str),
}

/// The sockets on which requests come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Socket {
    /// The engine.
    Link,
    /// `merlon`, run by root or the instance's owner.
    Admin,
}

/// One connection: where it is, and how often it has asked each row of the table.
pub(crate) struct Session {
    socket: Socket,
    asked: [u32; TABLE.len()],
}

impl Session {
    /// A new connection.
    pub(crate) fn new(socket: Socket) -> Self {
        Self { socket, asked: [0; TABLE.len()] }
    }

    /// Answers one frame into `out`, which is empty and holds [`merlon_wire::MAX_FRAME`] bytes.
    ///
    /// The descriptor, if there is one, goes with the answer.
    pub(crate) fn answer(
        &mut self,
        keeper: &Keeper,
        frame: &[u8],
        out: &mut SecretBuf,
    ) -> Result<Option<OwnedFd>, Violation> {
        match self.socket {
            Socket::Link => {
                let Frame { id, body } = decode::<Frame<link_wire::Request<'_>>>(frame)?;
                let mut reply = Reply::new(id, out);
                let run = self.find(keeper, link::name(&body))?;
                let _turn = keeper.turn();
                match (run, keeper.open()) {
                    (Run::Link(handler), _) => handler(keeper, &body, &mut reply),
                    (Run::LinkUnlocked(handler), Some(open)) => handler(keeper, &open, &body, &mut reply),
                    (Run::LinkUnlocked(_), None) => reply.link(&link_wire::Response::Refused(Refusal::Locked)),
                    _ => Err(Violation::NotPermitted(link::name(&body))),
                }?;
                events::of_link(keeper, &body, out.as_slice());
                Ok(None)
            }
            Socket::Admin => {
                let Frame { id, body } = decode::<Frame<admin_wire::Request<'_>>>(frame)?;
                let mut reply = Reply::new(id, out);
                let run = self.find(keeper, admin::name(&body))?;
                // Whoever is going to be refused keeps nobody waiting.
                if matches!(run, Run::AdminAlone(_)) && keeper.open().is_some() {
                    let _alone = keeper.turn_alone();
                    match (run, keeper.open()) {
                        (Run::AdminAlone(handler), Some(open)) => handler(keeper, &open, &body, &mut reply),
                        _ => reply.refuse(Refusal::Locked),
                    }?;
                    let attached = reply.take_fd();
                    events::of_admin(keeper, &body, out.as_slice());
                    return Ok(attached);
                }
                let _turn = keeper.turn();
                match (run, keeper.open()) {
                    (Run::Admin(handler), _) => handler(keeper, &body, &mut reply),
                    (Run::AdminUnlocked(handler), Some(open)) => handler(keeper, &open, &body, &mut reply),
                    (Run::AdminUnlocked(_) | Run::AdminAlone(_), None) => reply.refuse(Refusal::Locked),
                    _ => Err(Violation::NotPermitted(admin::name(&body))),
                }?;
                let attached = reply.take_fd();
                events::of_admin(keeper, &body, out.as_slice());
                Ok(attached)
            }
        }
    }

    /// The row of a request, counted.
    fn find(&mut self, keeper: &Keeper, request: &'static str) -> Result<Run, Violation> {
        let permitted = TABLE.iter().zip(&mut self.asked);
        let served = |row: &Row| {
            row.request == request && row.run.socket() == self.socket && row.of.includes(keeper.means().serving)
        };
        let found = permitted.into_iter().find(|(row, _)| served(row));
        let Some((row, asked)) = found else { return Err(Violation::NotPermitted(request)) };
        *asked = asked.saturating_add(1);
        match row.times {
            Times::AtMost(most) if *asked > most => Err(Violation::TooOften(request)),
            _ => Ok(row.run),
        }
    }
}
