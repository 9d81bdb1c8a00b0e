//! JSON Web Tokens as Merlon reads them: access tokens (RFC 9068), client assertions (RFC 7523), and proofs of possession
//! (RFC 9449), with the keys that verify them (RFC 7517).
//!
//! Hub, engine and command line share it, because each checks or makes what another made. It verifies and, for the
//! command line's own key, signs; it does no IO, and the keeper does not use it: that one signs by itself.
