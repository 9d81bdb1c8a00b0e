//! The API of the instance: HTTP over its own listeners, never over the proxy's.
//!
//! This module owns the connections of the API, the router built from [`merlon_api::ENDPOINTS`], the gate through which
//! every request passes (host, origin, identity, scope), and the words in which failures are told. It must not decide
//! what a role may do (the table does), hold a key or a token longer than a request or stream needs it, or serve a byte
//! of recorded traffic as anything but an attachment.
//!
//! | module | does |
//! |---|---|
//! | `serve` | listeners, connections, limits, drain |
//! | `gate` | one door: every request is judged here, or nowhere |
//! | `router` | the table of endpoints as routes |
//! | `flows`, `bodies`, `events`, `projects`, `backup`, `instance` | what the endpoints do |
//! | `refused` | failures as RFC 9457 problems |

mod backup;
mod bodies;
mod convert;
mod events;
mod flows;
mod gate;
mod identity;
mod input;
mod instance;
mod pieces;
mod projects;
mod range;
mod refused;
mod rotation;
mod router;
mod serve;
mod state;

#[cfg(test)]
mod tests;

pub(crate) use identity::session_of;
pub(crate) use refused::Refused;
pub(crate) use serve::{ApiListener, Arrival, serve};
pub(crate) use state::{ApiState, Facts};
