//! An authorization server that does what a test says, for instances and clients: compliant by itself (RFC 8414, 7591,
//! 7592, 6749, 8628, 7662, 7009), and at any path different for as long as a test wants it. It remembers every request.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use data_encoding::BASE64URL_NOPAD;
use serde_json::{Map, Value, json};

use crate::instance::HANG;
use crate::origin::{Origin, Request, Stream};
use crate::pki::Leaf;

/// What is answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Status.
    pub status: u16,
    /// More fields.
    pub headers: Vec<(String, String)>,
    /// Body.
    pub body: String,
}

impl Answer {
    /// JSON with this status.
    #[must_use]
    pub fn json(status: u16, body: &Value) -> Self {
        let headers = vec![("Content-Type".into(), "application/json".into())];
        Self { status, headers, body: body.to_string() }
    }

    /// An OAuth error.
    #[must_use]
    pub fn error(status: u16, error: &str) -> Self {
        Self::json(status, &json!({ "error": error, "error_description": "as the test says" }))
    }

    /// With one more field.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Nothing, and no answer either: the connection is closed.
    #[must_use]
    pub fn hang_up() -> Self {
        Self { status: 0, headers: Vec::new(), body: String::new() }
    }
}

type Script = Box<dyn FnMut(&Request) -> Option<Answer> + Send>;

/// A running server.
pub struct Issuer {
    origin: Option<Origin>,
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    key: EcdsaKeyPair,
}

/// What the server knows; a test may look and change.
pub struct State {
    /// The issuer.
    pub url: String,
    /// Its metadata.
    pub metadata: Map<String, Value>,
    /// Clients by id: their metadata, with `client_secret` and `registration_access_token`.
    pub clients: BTreeMap<String, Map<String, Value>>,
    /// Device codes with whoever approved: none yet, or the subject; `!` for a denial.
    pub devices: BTreeMap<String, Option<String>>,
    /// Refresh tokens that can be used, with their subject.
    pub refresh: BTreeMap<String, String>,
    /// Access tokens that are active, with their subject (the client's id for its own).
    pub access: BTreeMap<String, String>,
    /// Access tokens of people are JWTs (RFC 9068) instead of opaque.
    pub jwt: bool,
    /// A change of a registration gives another registration token, and the old one is dead at once.
    pub rotates: bool,
    /// Every request so far.
    pub requests: Vec<Request>,
    script: BTreeMap<String, VecDeque<Option<Answer>>>,
    always: Option<Script>,
    held: BTreeMap<String, Held>,
    count: u64,
}

/// A path whose requests wait.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Held {
    /// Before the server does anything.
    Before,
    /// When it has done all, before it answers.
    After,
}

impl Default for Issuer {
    fn default() -> Self {
        Self::new()
    }
}

impl Issuer {
    /// Plain HTTP on a free port.
    #[must_use]
    pub fn new() -> Self {
        Self::serve("http", |shared| Origin::http(move |stream| answer_all(stream, &shared)))
    }

    /// Plain HTTP on this port, which must be free: for a server that comes late.
    #[must_use]
    pub fn at(address: SocketAddr) -> Self {
        Self::serve("http", |shared| Origin::http_at(address, move |stream| answer_all(stream, &shared)))
    }

    /// HTTPS with this leaf, for `localhost` or `127.0.0.1`, on a free port.
    #[must_use]
    pub fn https(leaf: Leaf) -> Self {
        Self::serve("https", |shared| Origin::https(leaf, move |stream| answer_all(stream, &shared)))
    }

    fn serve(scheme: &str, start: impl FnOnce(Arc<Shared>) -> Origin) -> Self {
        let random = SystemRandom::new();
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref()).unwrap();
        let state = Mutex::new(State {
            url: String::new(),
            metadata: Map::new(),
            clients: BTreeMap::new(),
            devices: BTreeMap::new(),
            refresh: BTreeMap::new(),
            access: BTreeMap::new(),
            jwt: false,
            rotates: false,
            requests: Vec::new(),
            script: BTreeMap::new(),
            always: None,
            held: BTreeMap::new(),
            count: 0,
        });
        let shared = Arc::new(Shared { state, changed: Condvar::new(), key });
        let origin = start(Arc::clone(&shared));
        let url = format!("{scheme}://127.0.0.1:{}", origin.port());
        let metadata = metadata(&url);
        let mut state = shared.lock();
        (state.url, state.metadata) = (url, metadata);
        drop(state);
        Self { origin: Some(origin), shared }
    }

    /// The issuer.
    #[must_use]
    pub fn url(&self) -> String {
        self.state().url.clone()
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.origin.as_ref().expect("it runs").address()
    }

    /// What it knows. Held only for a moment: it answers nobody meanwhile.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.shared.lock()
    }

    /// The next request at this path is answered so, and not served. Further calls are for further requests.
    pub fn next(&self, path: &str, answer: Answer) {
        self.state().script.entry(path.into()).or_default().push_back(Some(answer));
    }

    /// The next request at this path is served as usual, before what [`Self::next`] adds later.
    pub fn pass(&self, path: &str) {
        self.state().script.entry(path.into()).or_default().push_back(None);
    }

    /// Asked first at every request; what gives none is served as usual.
    pub fn always(&self, script: impl FnMut(&Request) -> Option<Answer> + Send + 'static) {
        self.state().always = Some(Box::new(script));
    }

    /// Requests at this path wait before anything is done, until [`Self::release`].
    pub fn hold_before(&self, path: &str) {
        self.state().held.insert(path.into(), Held::Before);
    }

    /// Requests at this path are served, and their answers wait until [`Self::release`].
    pub fn hold_after(&self, path: &str) {
        self.state().held.insert(path.into(), Held::After);
    }

    /// Lets them go.
    pub fn release(&self, path: &str) {
        self.state().held.remove(path);
        self.shared.changed.notify_all();
    }

    /// Waits until so many requests at this path have come, and returns them.
    pub fn wait_for(&self, path: &str, count: usize) -> Vec<Request> {
        let of = |state: &State| -> Vec<Request> {
            state.requests.iter().filter(|request| without_query(&request.path()) == path).cloned().collect()
        };
        let state = self.state();
        let (state, waited) =
            self.shared.changed.wait_timeout_while(state, HANG, |state| of(state).len() < count).unwrap();
        assert!(!waited.timed_out(), "waited too long for request {count} at {path}");
        of(&state)
    }

    /// Somebody approves every device code that nobody has decided on.
    pub fn approve(&self, subject: &str) {
        for decision in self.state().devices.values_mut().filter(|decision| decision.is_none()) {
            *decision = Some(subject.to_owned());
        }
    }

    /// A signed JWT with these claims and the type `at+jwt`.
    #[must_use]
    pub fn sign(&self, claims: &Value) -> String {
        self.shared.sign(claims)
    }

    /// A JWT with this header and these claims, signed as ES256 whatever the header says.
    #[must_use]
    pub fn sign_as(&self, header: &Value, claims: &Value) -> String {
        self.shared.sign_as(header, claims)
    }
}

fn metadata(url: &str) -> Map<String, Value> {
    let at = |path: &str| Value::from(format!("{url}{path}"));
    let Value::Object(metadata) = json!({
        "issuer": url,
        "token_endpoint": at("/token"),
        "registration_endpoint": at("/register"),
        "device_authorization_endpoint": at("/device_authorization"),
        "introspection_endpoint": at("/introspect"),
        "revocation_endpoint": at("/revoke"),
        "jwks_uri": at("/jwks"),
        "response_types_supported": ["code"],
        "grant_types_supported": [DEVICE, "refresh_token", "client_credentials"],
        "token_endpoint_auth_methods_supported": ["private_key_jwt", "client_secret_basic", "client_secret_post"],
        "token_endpoint_auth_signing_alg_values_supported": ["ES256"],
        "a_member_that_nobody_knows": { "x": [1, null] },
    }) else {
        unreachable!("it is an object")
    };
    metadata
}

const DEVICE: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// The members of a form; a member given twice has its last value.
#[must_use]
pub fn form(request: &Request) -> BTreeMap<String, String> {
    let text = String::from_utf8_lossy(&request.body).into_owned();
    let decode = |text: &str| {
        let mut bytes = Vec::new();
        let mut rest = text.bytes();
        while let Some(byte) = rest.next() {
            bytes.push(match byte {
                b'+' => b' ',
                b'%' => {
                    let hex: String = rest.by_ref().take(2).map(char::from).collect();
                    u8::from_str_radix(&hex, 16).unwrap()
                }
                other => other,
            });
        }
        String::from_utf8(bytes).unwrap()
    };
    let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (decode(name), decode(value))).collect()
}

/// The JSON of a body.
#[must_use]
pub fn body(request: &Request) -> Value {
    serde_json::from_slice(&request.body).unwrap_or(Value::Null)
}

/// Header and claims of a JWT, unverified.
#[must_use]
pub fn jwt(text: &str) -> (Value, Value) {
    let part = |index: usize| {
        let part = text.split('.').nth(index).expect("three parts");
        serde_json::from_slice(&BASE64URL_NOPAD.decode(part.as_bytes()).unwrap()).unwrap()
    };
    (part(0), part(1))
}

fn without_query(path: &str) -> &str {
    path.split('?').next().unwrap_or_default()
}

fn answer_all(mut stream: Stream, shared: &Shared) {
    while let Some(request) = stream.request() {
        let path = without_query(&request.path()).to_owned();
        let mut state = shared.lock();
        state.requests.push(request.clone());
        shared.changed.notify_all();
        state = shared.wait(state, &path, Held::Before);
        let scripted = state.script.get_mut(&path).and_then(VecDeque::pop_front).flatten();
        let scripted = scripted.or_else(|| state.always.as_mut().and_then(|script| script(&request)));
        let answer = scripted.unwrap_or_else(|| state.serve(&request, &path, shared));
        drop(shared.wait(state, &path, Held::After));
        if answer.status == 0 {
            return;
        }
        let mut head = format!("HTTP/1.1 {} X\r\nContent-Length: {}\r\n", answer.status, answer.body.len());
        for (name, value) in &answer.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        stream.send(format!("{head}\r\n{}", answer.body).as_bytes());
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// As long as the path is held so. Ends by itself with a test that hangs.
    fn wait<'a>(&self, state: MutexGuard<'a, State>, path: &str, held: Held) -> MutexGuard<'a, State> {
        let is_held = |state: &mut State| state.held.get(path) == Some(&held);
        self.changed.wait_timeout_while(state, HANG, is_held).unwrap().0
    }

    fn sign(&self, claims: &Value) -> String {
        self.sign_as(&json!({ "typ": "at+jwt", "alg": "ES256", "kid": "test" }), claims)
    }

    fn sign_as(&self, header: &Value, claims: &Value) -> String {
        let part = |value: &Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
        let input = format!("{}.{}", part(header), part(claims));
        let signature = self.key.sign(&SystemRandom::new(), input.as_bytes()).unwrap();
        format!("{input}.{}", BASE64URL_NOPAD.encode(signature.as_ref()))
    }

    fn jwks(&self) -> Value {
        let point = self.key.public_key().as_ref();
        let half = |from: usize| BASE64URL_NOPAD.encode(&point[from..from + 32]);
        json!({ "keys": [{ "kty": "EC", "crv": "P-256", "x": half(1), "y": half(33), "kid": "test", "use": "sig", "alg": "ES256" }] })
    }
}

impl State {
    fn fresh(&mut self, kind: &str) -> String {
        self.count += 1;
        format!("{kind}-{}", self.count)
    }

    fn serve(&mut self, request: &Request, path: &str, shared: &Shared) -> Answer {
        let line = request.line();
        let method = line.split(' ').next().unwrap_or_default();
        match (method, path) {
            ("GET", "/.well-known/oauth-authorization-server") => {
                Answer::json(200, &Value::Object(self.metadata.clone()))
            }
            ("GET", "/jwks") => Answer::json(200, &shared.jwks()),
            ("POST", "/register") => self.register(request),
            (_, path) if path.starts_with("/register/") => self.manage(method, &path[10..], request),
            ("POST", "/token") => self.token(request, shared),
            ("POST", "/device_authorization") => match self.client(request) {
                None => Answer::error(401, "invalid_client"),
                Some(_) => self.device(),
            },
            ("POST", "/introspect") => match self.client(request) {
                None => Answer::error(401, "invalid_client"),
                Some(client) => match self.access.get(&form(request)["token"]) {
                    Some(subject) => Answer::json(
                        200,
                        &json!({ "active": true, "sub": subject, "client_id": client, "exp": now() + 600, "scope": "openid" }),
                    ),
                    None => Answer::json(200, &json!({ "active": false })),
                },
            },
            ("POST", "/revoke") => match self.client(request) {
                None => Answer::error(401, "invalid_client"),
                Some(_) => {
                    let token = form(request)["token"].clone();
                    if let Some(subject) = self.refresh.remove(&token) {
                        self.access.retain(|_, of| *of != subject);
                    }
                    self.access.remove(&token);
                    Answer { status: 200, headers: Vec::new(), body: String::new() }
                }
            },
            _ => Answer::error(404, "not_found"),
        }
    }

    /// Whoever authenticated: by an assertion (its issuer), or by a secret in header or body.
    fn client(&self, request: &Request) -> Option<String> {
        let form = form(request);
        if let Some(assertion) = form.get("client_assertion") {
            let id = jwt(assertion).1["iss"].as_str()?.to_owned();
            return self.clients.contains_key(&id).then_some(id);
        }
        let (id, secret) = match request.field("authorization") {
            Some(basic) => {
                let pair = data_encoding::BASE64.decode(basic.strip_prefix("Basic ")?.as_bytes()).ok()?;
                let (id, secret) =
                    String::from_utf8(pair).ok()?.split_once(':').map(|(a, b)| (a.to_owned(), b.to_owned()))?;
                (id, secret)
            }
            None => (form.get("client_id")?.clone(), form.get("client_secret")?.clone()),
        };
        let known = self.clients.get(&id)?.get("client_secret")? == &Value::from(secret);
        known.then_some(id)
    }

    fn register(&mut self, request: &Request) -> Answer {
        let Value::Object(mut client) = body(request) else { return Answer::error(400, "invalid_client_metadata") };
        let id = self.fresh("client");
        if client.get("token_endpoint_auth_method").is_none_or(|method| method != "private_key_jwt") {
            client.insert("client_secret".into(), self.fresh("secret").into());
            client.insert("client_secret_expires_at".into(), 0.into());
        }
        client.insert("registration_access_token".into(), self.fresh("rat").into());
        client.insert("registration_client_uri".into(), format!("{}/register/{id}", self.url).into());
        client.insert("client_id".into(), id.as_str().into());
        client.insert("client_id_issued_at".into(), now().into());
        self.clients.insert(id, client.clone());
        Answer::json(201, &Value::Object(client))
    }

    fn manage(&mut self, method: &str, id: &str, request: &Request) -> Answer {
        let given = request.field("authorization").unwrap_or_default();
        let next = self.fresh("rat");
        let rotates = self.rotates;
        let known = |client: &&mut Map<String, Value>| {
            client
                .get("registration_access_token")
                .and_then(Value::as_str)
                .is_some_and(|rat| given == format!("Bearer {rat}"))
        };
        let Some(client) = self.clients.get_mut(id).filter(known) else {
            return Answer::error(401, "invalid_token");
        };
        match method {
            "GET" => Answer::json(200, &Value::Object(client.clone())),
            "DELETE" => {
                self.clients.remove(id);
                Answer { status: 204, headers: Vec::new(), body: String::new() }
            }
            "PUT" => {
                let Value::Object(new) = body(request) else { return Answer::error(400, "invalid_client_metadata") };
                let forbidden = [
                    "registration_access_token",
                    "registration_client_uri",
                    "client_secret_expires_at",
                    "client_id_issued_at",
                ];
                if new.get("client_id") != Some(&id.into()) || forbidden.iter().any(|name| new.contains_key(*name)) {
                    return Answer::error(400, "invalid_request");
                }
                let kept =
                    ["registration_access_token", "registration_client_uri", "client_secret", "client_id_issued_at"];
                let old: Map<String, Value> =
                    kept.iter().filter_map(|name| Some(((*name).to_owned(), client.get(*name)?.clone()))).collect();
                *client = new;
                client.extend(old);
                if rotates {
                    client.insert("registration_access_token".into(), next.into());
                }
                Answer::json(200, &Value::Object(client.clone()))
            }
            _ => Answer::error(405, "invalid_request"),
        }
    }

    fn device(&mut self) -> Answer {
        let code = self.fresh("device");
        self.devices.insert(code.clone(), None);
        let (user_code, page) = (format!("USER-{}", self.count), format!("{}/device", self.url));
        Answer::json(
            200,
            &json!({ "device_code": code, "user_code": user_code, "verification_uri": page, "expires_in": 600, "interval": 1 }),
        )
    }

    fn token(&mut self, request: &Request, shared: &Shared) -> Answer {
        let Some(client) = self.client(request) else { return Answer::error(401, "invalid_client") };
        let form = form(request);
        let value = |name: &str| form.get(name).cloned().unwrap_or_default();
        match value("grant_type").as_str() {
            "client_credentials" => {
                let token = self.fresh("own");
                self.access.insert(token.clone(), client);
                Answer::json(200, &json!({ "access_token": token, "token_type": "bearer", "expires_in": 600 }))
            }
            DEVICE => match self.devices.get(&value("device_code")).cloned() {
                None => Answer::error(400, "invalid_grant"),
                Some(None) => Answer::error(400, "authorization_pending"),
                Some(Some(subject)) if subject == "!" => Answer::error(400, "access_denied"),
                Some(Some(subject)) => {
                    self.devices.remove(&value("device_code"));
                    self.tokens(&client, &subject, shared)
                }
            },
            "refresh_token" => match self.refresh.remove(&value("refresh_token")) {
                Some(subject) => self.tokens(&client, &subject, shared),
                None => Answer::error(400, "invalid_grant"),
            },
            _ => Answer::error(400, "unsupported_grant_type"),
        }
    }

    fn tokens(&mut self, client: &str, subject: &str, shared: &Shared) -> Answer {
        let (id, refresh) = (self.fresh("access"), self.fresh("refresh"));
        let access = if self.jwt {
            shared.sign(&json!({
                "iss": self.url, "sub": subject, "aud": client, "client_id": client, "jti": id,
                "iat": now(), "exp": now() + 600, "scope": "openid offline_access",
            }))
        } else {
            id
        };
        self.access.insert(access.clone(), subject.to_owned());
        self.refresh.insert(refresh.clone(), subject.to_owned());
        Answer::json(
            200,
            &json!({
                "access_token": access, "token_type": "BEARER", "expires_in": 600, "refresh_token": refresh,
                "scope": "openid offline_access", "a_member_that_nobody_knows": [],
            }),
        )
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs()
}
