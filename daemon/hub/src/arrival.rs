//! How a request came: from which address, and whether nobody on the way could read it. Decided once per connection and
//! request, by the listener; handlers take it as an extractor.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr};

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

/// How a request came. An extractor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Arrival {
    /// The client's address: the peer's, or what a trusted proxy says.
    pub(crate) address: IpAddr,
    /// By TLS, by loopback, or by TLS to a trusted proxy.
    pub(crate) secure: bool,
}

impl<S: Sync> FromRequestParts<S> for Arrival {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        // The listener puts it there. A request without is treated as the least trusted one.
        let nowhere = Self { address: IpAddr::V4(Ipv4Addr::UNSPECIFIED), secure: false };
        Ok(parts.extensions.get().copied().unwrap_or(nowhere))
    }
}
