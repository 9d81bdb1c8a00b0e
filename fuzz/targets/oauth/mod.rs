//! The parsers of the hub's OAuth endpoints, included as source: a program's crate has no library.

#[path = "../../../daemon/hub/src/oauth/pkce.rs"]
pub mod pkce;
#[path = "../../../daemon/hub/src/oauth/redirect.rs"]
pub mod redirect;
#[path = "../../../daemon/hub/src/oauth/registration.rs"]
pub mod registration;
#[path = "../../../daemon/hub/src/oauth/scope.rs"]
pub mod scope;
#[path = "../../../daemon/hub/src/oauth/urlencoded.rs"]
pub mod urlencoded;
#[path = "../../../daemon/hub/src/oauth/user_code.rs"]
pub mod user_code;
