//! What an instance asks for when it registers (RFC 7591, 2), and what it does without, rung by rung, at a server that
//! refuses. Servers differ in what they take; each rung is one that some server needs. Pure.

use aws_lc_rs::digest::{SHA256, digest};
use data_encoding::BASE64URL_NOPAD;
use merlon_wire::identity::{ClientAuth, PUBLIC_KEY_HALF};
use serde_json::{Map, Value, json};

use super::discovery::Server;
use super::error::OAuthError;

/// The device grant (RFC 8628, 3.4).
pub(crate) const DEVICE_GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";
/// Client credentials (RFC 6749, 4.4).
pub(crate) const CLIENT_CREDENTIALS: &str = "client_credentials";

/// The redirect URI of servers that want one though no grant of ours redirects. Nobody listens there.
const REDIRECT: &str = "http://127.0.0.1/merlon";

/// The client's key: X and Y.
pub(super) type PublicKey = [[u8; PUBLIC_KEY_HALF]; 2];

/// What is the same on every rung.
pub(super) struct Wanted<'a> {
    pub(super) name: &'a str,
    pub(super) version: &'a str,
    /// Space-separated.
    pub(super) scope: &'a str,
    pub(super) key: &'a PublicKey,
}

/// One rung.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rung {
    /// How the client wants to authenticate.
    pub(super) auth: ClientAuth,
    redirect: bool,
    scope: bool,
    client_credentials: bool,
    plain_name: bool,
}

/// What some server does not take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    Scope,
    ClientCredentials,
    Name,
    Auth,
    Redirect,
}

impl Rung {
    /// Everything.
    pub(super) fn first(server: &Server) -> Self {
        let auth = if server.takes_assertions() { ClientAuth::PrivateKeyJwt } else { with_secret(server) };
        Self {
            auth,
            redirect: false,
            scope: true,
            client_credentials: server.offers_grant(CLIENT_CREDENTIALS),
            plain_name: false,
        }
    }

    /// The next rung after this refusal; none: there is nothing left to do without.
    pub(super) fn next(&self, refusal: &OAuthError, server: &Server) -> Option<Self> {
        if !matches!(refusal.status, 400 | 422) {
            return None;
        }
        if refusal.error == "invalid_redirect_uri" {
            return self.without(Trouble::Redirect, server);
        }
        // What the server names goes first; then what is least missed.
        let said = refusal.description.to_ascii_lowercase();
        let named = [
            (Trouble::Redirect, "redirect"),
            (Trouble::Redirect, "response_type"),
            (Trouble::ClientCredentials, "grant"),
            (Trouble::ClientCredentials, "client_credentials"),
            (Trouble::Auth, "jwks"),
            (Trouble::Auth, "auth_method"),
            (Trouble::Scope, "scope"),
            (Trouble::Name, "client_name"),
        ];
        let named = named.into_iter().filter(|(_, word)| said.contains(word)).map(|(trouble, _)| trouble);
        let order = [Trouble::Scope, Trouble::ClientCredentials, Trouble::Name, Trouble::Redirect, Trouble::Auth];
        named.chain(order).find_map(|trouble| self.without(trouble, server))
    }

    fn without(&self, trouble: Trouble, server: &Server) -> Option<Self> {
        let mut next = self.clone();
        match trouble {
            Trouble::Scope if self.scope => next.scope = false,
            Trouble::ClientCredentials if self.client_credentials => next.client_credentials = false,
            Trouble::Name if !self.plain_name => next.plain_name = true,
            Trouble::Redirect if !self.redirect => next.redirect = true,
            Trouble::Auth if self.auth == ClientAuth::PrivateKeyJwt => next.auth = with_secret(server),
            _ => return None,
        }
        Some(next)
    }

    /// The metadata to ask for. Empty lists are sent: some servers take a list that is missing for their default.
    pub(super) fn metadata(&self, wanted: &Wanted<'_>) -> Map<String, Value> {
        let mut grants = vec![DEVICE_GRANT, "refresh_token"];
        if self.client_credentials {
            grants.push(CLIENT_CREDENTIALS);
        }
        if self.redirect {
            grants.push("authorization_code");
        }
        let name = if self.plain_name { plain(wanted.name) } else { wanted.name.to_owned() };
        let mut metadata = Map::new();
        let mut put = |name: &str, value: Value| metadata.insert(name.to_owned(), value);
        put("client_name", name.into());
        put("grant_types", grants.into());
        put("response_types", if self.redirect { json!(["code"]) } else { json!([]) });
        put("redirect_uris", if self.redirect { json!([REDIRECT]) } else { json!([]) });
        put("token_endpoint_auth_method", method(self.auth).into());
        if self.auth == ClientAuth::PrivateKeyJwt {
            put("token_endpoint_auth_signing_alg", "ES256".into());
            put("jwks", json!({ "keys": [jwk(wanted.key)] }));
        }
        if self.scope && !wanted.scope.is_empty() {
            put("scope", wanted.scope.into());
        }
        put("software_id", "merlon".into());
        put("software_version", wanted.version.into());
        metadata
    }
}

/// `token_endpoint_auth_method` (RFC 7591, 2).
pub(super) fn method(auth: ClientAuth) -> &'static str {
    match auth {
        ClientAuth::PrivateKeyJwt => "private_key_jwt",
        ClientAuth::SecretBasic => "client_secret_basic",
        ClientAuth::SecretPost => "client_secret_post",
    }
}

/// How the client authenticates by what the server registered; none: not in a way that is known here.
pub(super) fn auth(method: &str) -> Option<ClientAuth> {
    let all = [ClientAuth::PrivateKeyJwt, ClientAuth::SecretBasic, ClientAuth::SecretPost];
    all.into_iter().find(|auth| self::method(*auth) == method)
}

/// How to send a secret: in the header, unless the server takes it in the body only.
pub(super) fn with_secret(server: &Server) -> ClientAuth {
    let offers = |name: &str| server.auth_methods.iter().any(|method| method == name);
    match offers("client_secret_post") && !offers("client_secret_basic") {
        true => ClientAuth::SecretPost,
        false => ClientAuth::SecretBasic,
    }
}

/// The public key as a JWK (RFC 7517; RFC 7518, 6.2.1), under the name that the keeper's assertions have for it.
fn jwk([x, y]: &PublicKey) -> Value {
    let [x, y] = [x, y].map(|half| BASE64URL_NOPAD.encode(half));
    // Members in the order of RFC 7638, 3.
    let canonical = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
    let kid = BASE64URL_NOPAD.encode(digest(&SHA256, canonical.as_bytes()).as_ref());
    json!({ "kty": "EC", "crv": "P-256", "x": x, "y": y, "kid": kid, "use": "sig", "alg": "ES256" })
}

/// Letters, digits, blanks and hyphens.
fn plain(name: &str) -> String {
    let plain: String = name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { ' ' }).collect();
    let words: Vec<_> = plain.split_whitespace().collect();
    if words.is_empty() { "merlon".to_owned() } else { words.join(" ") }
}

#[cfg(test)]
mod tests {
    use super::super::url::Endpoint;
    use super::*;

    fn server(methods: &[&str]) -> Server {
        Server {
            token: Endpoint::parse("https://h/t").unwrap(),
            device: None,
            registration: None,
            introspection: None,
            revocation: None,
            jwks: None,
            instance: None,
            auth_methods: methods.iter().map(|m| (*m).to_owned()).collect(),
            auth_algorithms: None,
            grant_types: None,
            scopes: None,
            dpop_algorithms: Vec::new(),
            read: std::time::Instant::now(),
        }
    }

    fn refusal(error: &str, description: &str) -> OAuthError {
        OAuthError { status: 400, error: error.into(), description: description.into(), nonce: None }
    }

    const KEY: PublicKey = [[1; 32], [2; 32]];
    const WANTED: Wanted<'_> = Wanted { name: "a@b: c's", version: "1.2.3", scope: "x y", key: &KEY };

    #[test]
    fn the_first_rung_asks_for_everything_with_a_key_and_no_secret() {
        let metadata = Rung::first(&server(&["private_key_jwt", "client_secret_basic"])).metadata(&WANTED);
        assert_eq!(metadata["token_endpoint_auth_method"], "private_key_jwt");
        assert_eq!(metadata["grant_types"], json!([DEVICE_GRANT, "refresh_token", "client_credentials"]));
        assert_eq!((&metadata["redirect_uris"], &metadata["response_types"]), (&json!([]), &json!([])));
        assert_eq!(metadata["jwks"]["keys"][0]["crv"], "P-256");
        assert!(!metadata.contains_key("jwks_uri"));
        assert_eq!(metadata["scope"], "x y");
    }

    #[test]
    fn each_refusal_takes_one_thing_away_and_the_ladder_ends() {
        let server = server(&["private_key_jwt", "client_secret_post"]);
        let mut rung = Rung::first(&server);
        let mut rungs = 1;
        while let Some(next) = rung.next(&refusal("invalid_client_metadata", ""), &server) {
            assert_ne!(next, rung);
            rung = next;
            rungs += 1;
        }
        assert_eq!(rungs, 6);
        let last = rung.metadata(&WANTED);
        assert_eq!(last["grant_types"], json!([DEVICE_GRANT, "refresh_token", "authorization_code"]));
        assert_eq!(last["redirect_uris"], json!([REDIRECT]));
        assert_eq!(last["token_endpoint_auth_method"], "client_secret_post");
        assert_eq!(last["client_name"], "a b c s");
        assert!(!last.contains_key("scope") && !last.contains_key("jwks"));
    }

    #[test]
    fn what_the_server_names_goes_first() {
        let server = server(&["private_key_jwt", "client_secret_basic"]);
        let first = Rung::first(&server);
        let after = |error: &str, said: &str| first.next(&refusal(error, said), &server).unwrap();
        assert!(after("invalid_redirect_uri", "").redirect);
        assert!(after("invalid_redirect_uri", "").scope);
        assert_eq!(after("invalid_client_metadata", "jwks is not supported").auth, ClientAuth::SecretBasic);
        assert!(!after("invalid_client_metadata", "unknown grant_types").client_credentials);
        assert!(!after("invalid_client_metadata", "").scope);
    }

    #[test]
    fn other_errors_end_the_ladder() {
        let server = server(&["private_key_jwt"]);
        let denied = OAuthError { status: 403, ..refusal("insufficient_scope", "") };
        assert_eq!(Rung::first(&server).next(&denied, &server), None);
    }
}
