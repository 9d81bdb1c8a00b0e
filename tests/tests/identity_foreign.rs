//! An instance at another's authorization server, npm `oidc-provider`: it registers there, is claimed with its code by the
//! first who signs in, lets nobody else in, refreshes, ends sessions on both sides, and goes. Access tokens are JWTs for a
//! resource, or opaque and asked about.

use std::process::Command;

use data_encoding::BASE64URL_NOPAD;
use merlon_tests::TempDir;
use merlon_tests::foreign::{Provider, release};
use merlon_tests::instance::{Instance, Options, wait_for};
use merlon_tests::process::{output, stderr, stdout};
use serde_json::{Value, json};

/// What is asked of a client with a verifier of its own.
const VERIFIER: &str = "a-verifier-of-forty-three-characters-or-more";

struct Case {
    provider: Provider,
    instance: Instance,
    _dir: TempDir,
    options: Options,
}

impl Case {
    /// A registered instance that nobody owns.
    fn new(more: &str) -> Self {
        let provider = Provider::start();
        let dir = TempDir::new("foreign");
        let config = format!("[identity]\nissuer = \"{}\"\nrecheck_seconds = 5\n{more}\n", provider.issuer);
        let options = Options { config, ..Options::default() };
        let instance = Instance::start(&dir.path().join("data"), &options);
        let case = Self { provider, instance, _dir: dir, options };
        case.wait_state("unclaimed");
        case
    }

    fn wait_state(&self, state: &str) {
        wait_for(&format!("the state {state}"), || {
            (self.ask("GET", "/api/v1/identity", None, None).1["state"] == state).then_some(())
        });
    }

    /// One request to the API as a client on the network sends it: status and body.
    fn ask(&self, method: &str, path: &str, token: Option<&str>, body: Option<&Value>) -> (u16, Value) {
        let mut command = Command::new("curl");
        command.args([
            "--silent",
            "--show-error",
            "--max-time",
            "50",
            "--noproxy",
            "*",
            "--write-out",
            "\n%{http_code}",
        ]);
        command.arg("--cacert").arg(&self.instance.ready.ca).args(["--request", method]);
        if let Some(token) = token {
            command.args(["--header", &format!("Authorization: Bearer {token}")]);
        }
        if let Some(body) = body {
            command.args(["--header", "Content-Type: application/json", "--data", &body.to_string()]);
        }
        let done = output(command.arg(format!("{}{path}", self.instance.ready.api)));
        assert!(done.status.success(), "{}\n{}", stderr(&done), self.instance.log());
        let text = stdout(&done);
        let (body, status) = text.rsplit_once('\n').unwrap();
        (status.parse().unwrap(), serde_json::from_str(body).unwrap_or(Value::Null))
    }

    /// Begins to sign in; the path to poll and the address for the person.
    fn begin(&self, claim_code: Option<&str>) -> (String, String) {
        let challenge = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, VERIFIER.as_bytes());
        let challenge = BASE64URL_NOPAD.encode(challenge.as_ref());
        let mut asked = json!({ "challenge": challenge, "label": "a test" });
        if let Some(code) = claim_code {
            asked["claim_code"] = code.into();
        }
        let (status, begun) = self.ask("POST", "/api/v1/sign-ins", None, Some(&asked));
        assert_eq!(status, 201, "{begun}\n{}", self.instance.log());
        let path = format!("/api/v1/sign-ins/{}/poll", begun["id"].as_str().unwrap());
        (path, begun["verification_uri_complete"].as_str().unwrap().to_owned())
    }

    fn poll(&self, path: &str) -> (u16, Value) {
        self.ask("POST", path, None, Some(&json!({ "verifier": VERIFIER })))
    }

    /// Signs a person in, from the first request to the answer of the last poll.
    fn sign_in(&self, person: &str, claim_code: Option<&str>) -> (u16, Value) {
        let (path, address) = self.begin(claim_code);
        assert_eq!(self.poll(&path).0, 202, "nobody has approved yet");
        let page = self.provider.approve(&address, person);
        assert!(page.contains("successful"), "{page}");
        wait_for("the end of the sign-in", || {
            let (status, answer) = self.poll(&path);
            (status != 202).then_some((status, answer))
        })
    }

    fn claim_code(&self) -> String {
        self.instance.cli_ok(&["claim-code"]).trim().to_owned()
    }

    /// The role of who has this token, or the code of the problem.
    fn role(&self, token: &str) -> Result<String, (u16, String)> {
        let (status, answer) = self.ask("GET", "/api/v1/whoami", Some(token), None);
        let text = |name: &str| answer[name].as_str().unwrap_or_default().to_owned();
        if status == 200 { Ok(text("role")) } else { Err((status, text("code"))) }
    }

    fn refresh(&self, token: &str) -> (u16, Value) {
        self.ask("POST", "/api/v1/sign-ins/refresh", None, Some(&json!({ "refresh_token": token })))
    }
}

fn text<'a>(answer: &'a Value, name: &str) -> &'a str {
    answer[name].as_str().unwrap_or_else(|| panic!("no {name} in {answer}"))
}

/// The whole life of an instance there.
fn lives(more: &str) {
    let mut case = Case::new(more);
    // Without the code nobody begins, and a wrong one is told.
    let challenge = BASE64URL_NOPAD.encode(&[7; 32]);
    let (status, refused) =
        case.ask("POST", "/api/v1/sign-ins", None, Some(&json!({ "challenge": challenge, "label": "x" })));
    assert!(status >= 400, "{refused}");
    assert_eq!(refused["code"], "claim_code_needed", "{refused}");

    let code = case.claim_code();
    let (status, ann) = case.sign_in("ann", Some(&code));
    assert_eq!(status, 200, "{ann}\n{}", case.instance.log());
    assert_eq!((text(&ann["session"], "subject"), text(&ann["session"], "role")), ("ann", "owner"));
    case.wait_state("claimed");
    assert_eq!(case.role(text(&ann, "access_token")), Ok("owner".to_owned()));
    assert_eq!(case.role("nonsense").unwrap_err().0, 401);

    // Claimed is claimed: another account of the same server is nobody here, unless the configuration names it.
    let (status, bob) = case.sign_in("bob", None);
    assert_eq!((status, text(&bob, "code")), (403, "not_shared"), "{bob}");
    let (status, eve) = case.sign_in("eve", None);
    assert_eq!(status, 200, "{eve}");
    assert_eq!(case.role(text(&eve, "access_token")), Ok("viewer".to_owned()));

    // A refresh gives a new pair, and the session goes on.
    let (status, second) = case.refresh(text(&ann, "refresh_token"));
    assert_eq!(status, 200, "{second}\n{}", case.instance.log());
    assert_ne!(second["refresh_token"], ann["refresh_token"]);
    assert_eq!(second["session"]["id"], ann["session"]["id"]);
    assert_eq!(case.role(text(&second, "access_token")), Ok("owner".to_owned()));

    // Who it is, and who is signed in, outlives the processes.
    case.instance.stop();
    let data = case.instance.dir().to_owned();
    case.instance = Instance::start(&data, &case.options);
    case.wait_state("claimed");
    assert_eq!(case.role(text(&second, "access_token")), Ok("owner".to_owned()));
    assert_eq!(case.role(text(&eve, "access_token")), Ok("viewer".to_owned()));

    // A session that is ended here is over here at once, and over there too.
    let path = format!("/api/v1/sessions/{}", text(&eve["session"], "id"));
    let (status, ended) = case.ask("DELETE", &path, text(&second, "access_token").into(), None);
    assert_eq!(status, 200, "{ended}");
    assert_eq!(case.role(text(&eve, "access_token")).unwrap_err(), (401, "session_revoked".to_owned()));
    let (status, refused) = case.refresh(text(&eve, "refresh_token"));
    assert!(status >= 400 && refused["code"] == "session_revoked", "{status} {refused}");

    // A refresh token that was used before ends the family at the server, as its rule is.
    let (status, refused) = case.refresh(text(&ann, "refresh_token"));
    assert!(status >= 400, "{refused}");
    let (status, refused) = case.refresh(text(&second, "refresh_token"));
    assert!(status >= 400, "{refused}");

    let (status, ann) = case.sign_in("ann", None);
    assert_eq!((status, text(&ann["session"], "role")), (200, "owner"), "{ann}");
    let signed_out = json!({ "token": ann["refresh_token"] });
    let (status, over) = case.ask("POST", "/api/v1/sign-out", None, Some(&signed_out));
    assert_eq!((status, &over["revoked_at_issuer"]), (200, &json!(true)), "{over}");
    assert_eq!(case.role(text(&ann, "access_token")).unwrap_err().0, 401);

    // A reset takes the registration away there, and the instance is anybody's who can read its new code.
    let reset = case.instance.cli_ok(&["identity", "reset", "--yes"]);
    case.wait_state("unclaimed");
    assert_ne!(case.claim_code(), code, "{reset}");
    let (status, bob) = case.sign_in("bob", Some(&case.claim_code()));
    assert_eq!((status, text(&bob["session"], "role")), (200, "owner"), "{bob}");
    println!("oidc-provider {}", release("oidc-provider"));
}

#[test]
fn an_instance_lives_at_oidc_provider_with_jwt_access_tokens() {
    lives("resource = \"urn:test:instance\"\n[identity.members]\neve = \"viewer\"");
}

#[test]
fn an_instance_lives_at_oidc_provider_with_opaque_access_tokens() {
    lives("[identity.members]\neve = \"viewer\"");
}
