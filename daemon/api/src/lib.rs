//! The HTTP contract of an instance: what the API says and takes, who may ask for it, and how it refuses.
//!
//! This crate owns the shapes on the wire (DTOs), the roles and scopes, the problem codes, and the one table of
//! endpoints from which the engine builds its router and [`openapi`] builds the description. It does no IO, knows no
//! HTTP library, and holds no secret: nothing in it can carry a key or the value of a token.
//!
//! | module | holds |
//! |---|---|
//! | [`access`] | roles, scopes, what an endpoint demands |
//! | [`endpoints`] | the table of endpoints |
//! | [`flows`] | flows, pages, details, events |
//! | [`identity`] | signing in, sessions |
//! | [`problem`] | RFC 9457 problems and their codes |
//! | [`projects`] | projects |
//! | [`status`] | health and status |

pub mod access;
pub mod endpoints;
pub mod flows;
pub mod identity;
pub mod problem;
pub mod projects;
pub mod status;

mod openapi;
mod timestamp;

pub use access::{Access, Role, Scope};
pub use endpoints::{ENDPOINTS, Endpoint, Operation};
pub use flows::{CountQuery, EventsQuery, Flow, FlowCount, FlowDetail, FlowPage, FlowsQuery, Lagged, Message, Tls};
pub use identity::{
    IdentityInfo, IdentityKind, IdentityReset, IdentityState, PollSignIn, Refresh, Session, SessionEnded, Sessions,
    SignInPending, SignInStarted, SignOut, SignedIn, StartSignIn, WhoAmI,
};
pub use openapi::openapi;
pub use problem::{Problem, ProblemCode};
pub use projects::{CreateProject, Project, Projects, Rotation};
pub use status::{Exposure, Health, Keys, Listener, OpenProject, Process, Recorder, Sandbox, Status};
pub use timestamp::{BadTimestamp, Timestamp};

/// The product's name, as `/health` says it.
pub const NAME: &str = "merlon";
/// Flows of a page if the request does not say.
pub const DEFAULT_LIMIT: u32 = 100;
/// The most flows of a page.
pub const MAX_LIMIT: u32 = 1000;
/// The longest query, in bytes.
pub const MAX_QUERY: usize = 4096;
/// The largest body of any request, in bytes.
pub const MAX_BODY: usize = 64 * 1024;
