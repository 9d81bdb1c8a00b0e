//! `merlon login` against a fake instance: what is shown, what is sent, when it ends, and what is kept.

use std::os::unix::fs::PermissionsExt as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;
use merlon_api::ProblemCode;
use merlon_wire::admin::{Request as AdminRequest, Response};
use serde_json::json;

use crate::fake::{Instance, http, json as ok, problem};
use crate::remote::{Home, Request, Server, created, identity, pending, started, tokens};

const ISSUER: &str = "https://hub.example";
const POLL: &str = "POST /api/v1/sign-ins/sig_1/poll";

/// An instance at which `polls` answers the polls, by their number from 0.
fn instance(state: &'static str, proofs: bool, polls: impl Fn(usize) -> Vec<u8> + Send + Sync + 'static) -> Server {
    let polled = AtomicUsize::new(0);
    Server::new(move |request: &Request, _| match request.line.as_str() {
        "GET /api/v1/identity" => ok(&identity(state, ISSUER, proofs)),
        "POST /api/v1/sign-ins" => created(&started()),
        POLL => polls(polled.fetch_add(1, Ordering::SeqCst)),
        "POST /api/v1/sign-out" => ok(&json!({ "revoked_at_issuer": true, "problem": null })),
        other => panic!("{other}"),
    })
}

#[test]
fn d8_code_and_address_are_shown_although_there_is_an_address_with_the_code_in_it() {
    let server = instance("claimed", false, |_| ok(&tokens(1, "Bearer", 600)));
    for quiet in [&[][..], &["--quiet"]] {
        let home = Home::new();
        let ran = home.run(&[&["--url", &server.url(), "login"], quiet].concat());
        ran.ended(0, &["WDJB-MJHT", "Open https://hub.example/device on any device"]);
        assert_eq!(ran.out, "");
    }
    let home = Home::new();
    let ran = home.run(&["--url", &server.url(), "login", "--json"]);
    let lines: Vec<serde_json::Value> = ran.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(
        (&lines[0]["user_code"], &lines[0]["verification_uri"]),
        (&json!("WDJB-MJHT"), &started()["verification_uri"])
    );
    assert_eq!((&lines[1]["session"]["name"], &lines[1]["kept"]), (&json!("alice"), &json!("file")));
    assert!(!ran.out.contains("access-1") && !ran.out.contains("refresh-1"), "{ran:#?}");
}

#[test]
fn a_sign_in_is_bound_to_the_verifier_and_to_a_key_and_kept_privately() {
    let server = instance("claimed", true, |poll| match poll {
        0 => pending(1),
        _ => ok(&tokens(1, "DPoP", 600)),
    });
    let home = Home::new();
    let ran = home.run(&["--url", &server.url(), "login", "--scope", "flows:read replay"]);
    ran.ended(0, &["signed in as alice, role operator"]);

    let start = server.asked_for("POST /api/v1/sign-ins")[0].json();
    let polls = server.asked_for(POLL);
    let verifier = polls[0].json()["verifier"].as_str().unwrap().to_owned();
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, verifier.as_bytes());
    assert_eq!(start["challenge"], BASE64URL_NOPAD.encode(hash.as_ref()));
    assert_eq!(start["scopes"], json!(["flows:read", "replay"]));
    assert!(start["label"].as_str().unwrap().starts_with("merlon"), "{start}");
    assert!(verifier.len() >= 43 && !start.to_string().contains(&verifier));
    for poll in &polls {
        let proof = poll.proof().unwrap();
        assert_eq!((&proof["htm"], &proof["htu"]), (&json!("POST"), &json!("https://hub.example/token")));
        assert!(poll.field("Authorization").is_none());
    }
    assert_ne!(polls[0].proof().unwrap()["jti"], polls[1].proof().unwrap()["jti"]);

    let kept = home.session();
    assert_eq!(kept["secrets"]["refresh_token"], "refresh-1");
    assert!(kept["secrets"]["key"].is_string());
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&home.sessions()), mode(&home.session_files()[0])), (0o700, 0o600));
}

#[test]
fn tokens_that_were_not_bound_are_used_without_a_key() {
    let server = instance("claimed", true, |_| ok(&tokens(1, "Bearer", 600)));
    let home = Home::new();
    home.run(&["--url", &server.url(), "login"]).ended(0, &[]);
    assert!(home.session()["secrets"]["key"].is_null());
}

#[test]
fn p7_any_answer_that_does_not_mean_wait_ends_the_polling() {
    for (code, exit, says) in [
        (ProblemCode::SignInDenied, 5, "denied"),
        (ProblemCode::SignInExpired, 4, " login"),
        (ProblemCode::WrongAccount, 5, "merlon identity reset"),
        (ProblemCode::NotShared, 5, "share it"),
        (ProblemCode::InstanceDeleted, 1, "merlon identity reset"),
        (ProblemCode::ClockWrong, 1, "date -u"),
        (ProblemCode::IssuerRefused, 1, "merlon logs"),
        (ProblemCode::NoSuchSignIn, 4, " login"),
    ] {
        let server = instance("claimed", false, move |_| problem(code));
        let home = Home::new();
        let ran = home.run(&["--url", &server.url(), "login"]);
        ran.ended(exit, &[code.title(), "This is why.", says]);
        assert_eq!(server.asked_for(POLL).len(), 1, "{code}");
        assert!(home.session_files().is_empty(), "{code}");
    }
}

#[test]
fn p9_p5_polls_keep_their_distance_and_a_greater_one_for_good() {
    let server = instance("claimed", false, |poll| match poll {
        0 => pending(2),
        1 => pending(1),
        _ => ok(&tokens(1, "Bearer", 600)),
    });
    let home = Home::new();
    home.run(&["--url", &server.url(), "login"]).ended(0, &[]);
    let start = server.asked_for("POST /api/v1/sign-ins")[0].at;
    let polls: Vec<_> = server.asked_for(POLL).iter().map(|poll| poll.at).collect();
    assert!(polls[0] - start >= Duration::from_millis(990));
    assert!(polls[1] - polls[0] >= Duration::from_millis(1990));
    assert!(polls[2] - polls[1] >= Duration::from_millis(1990), "it had been told 2 seconds");
}

#[test]
fn p8_an_authorization_server_that_is_away_is_waited_for_longer_each_time() {
    let server = instance("claimed", false, |poll| match poll {
        0 => problem(ProblemCode::HubUnreachable),
        // No answer at all.
        1 => Vec::new(),
        _ => ok(&tokens(1, "Bearer", 600)),
    });
    let home = Home::new();
    home.run(&["--url", &server.url(), "login"]).ended(0, &["signed in"]);
    let polls = server.asked_for(POLL);
    assert!(polls[1].at - polls[0].at >= Duration::from_millis(1990));
    assert!(polls[2].at - polls[1].at >= Duration::from_millis(3990));
}

#[test]
fn q6_the_nonce_that_the_server_wants_is_in_the_second_proof() {
    let server = instance("claimed", true, |poll| match poll {
        0 => crate::remote::problem_with(ProblemCode::ProofNonce, "DPoP-Nonce: n-1"),
        _ => ok(&tokens(1, "DPoP", 600)),
    });
    let home = Home::new();
    home.run(&["--url", &server.url(), "login"]).ended(0, &["signed in"]);
    let nonces: Vec<_> = server.asked_for(POLL).iter().map(|poll| poll.proof().unwrap()["nonce"].clone()).collect();
    assert_eq!(nonces, [json!(null), json!("n-1")]);

    let server = instance("claimed", true, |_| crate::remote::problem_with(ProblemCode::ProofNonce, "DPoP-Nonce: n-1"));
    let home = Home::new();
    home.run(&["--url", &server.url(), "login"]).ended(4, &[]);
    assert_eq!(server.asked_for(POLL).len(), 2, "once again, not for ever");
}

#[test]
fn where_nobody_can_sign_in_it_says_so_at_once() {
    let server = instance("local", false, |_| panic!("nobody polls"));
    Home::new()
        .run(&["--url", &server.url(), "login"])
        .ended(1, &["Nobody can sign in here", "ssh 127.0.0.1 merlon token create"]);
    let server = instance("deleted", false, |_| panic!("nobody polls"));
    Home::new().run(&["--url", &server.url(), "login"]).ended(1, &["merlon identity reset"]);
    let server = instance("claimed", false, |_| panic!("nobody polls"));
    Home::new().run(&["--url", &server.url(), "login", "--scope", "everything"]).ended(2, &["no scope `everything`"]);
    assert!(server.asked().is_empty());
}

#[test]
fn the_claim_code_comes_from_a_file_and_is_never_asked_for_without_a_terminal() {
    let server = instance("unclaimed", false, |_| ok(&tokens(1, "Bearer", 600)));
    let home = Home::new();
    home.run(&["--url", &server.url(), "login"]).ended(2, &["--claim-code-file"]);
    assert!(server.asked_for("POST /api/v1/sign-ins").is_empty());
    let file = home.file("code", "ABCD-EFGH-JKLM\n");
    home.run(&["--url", &server.url(), "login", "--claim-code-file", &file]).ended(0, &["signed in"]);
    assert_eq!(server.asked_for("POST /api/v1/sign-ins")[0].json()["claim_code"], "ABCD-EFGH-JKLM");
}

#[test]
fn a_wrong_claim_code_is_refused_with_the_way_to_the_right_one() {
    let server = Server::new(|request, _| match request.line.as_str() {
        "GET /api/v1/identity" => ok(&identity("unclaimed", ISSUER, false)),
        _ => problem(ProblemCode::ClaimCodeWrong),
    });
    let home = Home::new();
    let file = home.file("code", "ABCD\n");
    home.run(&["--url", &server.url(), "login", "--claim-code-file", &file]).ended(5, &["sudo merlon claim-code"]);
}

#[test]
fn on_the_host_itself_the_code_is_found_and_no_session_stays() {
    let instance = Instance::keeper(|request| match request {
        AdminRequest::ClaimCode => Response::ClaimCode(Some("ABCD-EFGH")),
        other => panic!("{other:?}"),
    });
    let server = instance_on_socket();
    let instance = instance.with_api(server);
    let ran = instance.run(&["login"]);
    ran.ended(0, &["signed in as alice", "the Unix socket says who you are"]);
    let ran = instance.run(&["claim-code"]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(0), "ABCD-EFGH\n"));
}

/// Heads only: the fake of the socket reads no body, and needs none.
fn instance_on_socket() -> impl Fn(&crate::fake::Asked) -> Vec<u8> + Send + 'static {
    |asked| match asked.target.as_str() {
        "/api/v1/identity" => ok(&identity("unclaimed", ISSUER, false)),
        "/api/v1/sign-ins" => created(&started()),
        "/api/v1/sign-ins/sig_1/poll" => ok(&tokens(1, "Bearer", 600)),
        "/api/v1/sign-out" => ok(&json!({ "revoked_at_issuer": true, "problem": null })),
        other => panic!("{other}"),
    }
}

#[test]
fn an_owned_instance_has_no_claim_code_to_show() {
    let instance = Instance::keeper(|_| Response::ClaimCode(None));
    instance.run(&["claim-code"]).ended(3, &["has an owner already"]);
    Home::new().run(&["--url", "https://h", "claim-code"]).ended(2, &["ssh h merlon"]);
}

#[test]
fn a_personal_access_token_goes_to_the_hub_and_nowhere_else() {
    let hub = Server::new(|request, _| match request.line.as_str() {
        "GET /tenant/api/device?user_code=WDJB-MJHT" => ok(&json!({ "client_name": "lab", "owner": "bob" })),
        "POST /tenant/api/device" => http("204 No Content", "application/json", ""),
        other => panic!("{other}"),
    });
    let issuer = format!("{}/tenant", hub.url());
    let told = issuer.clone();
    let server = Server::new(move |request, _| match request.line.as_str() {
        "GET /api/v1/identity" => ok(&identity("claimed", &told, false)),
        "POST /api/v1/sign-ins" => created(&started()),
        POLL => ok(&tokens(1, "Bearer", 600)),
        other => panic!("{other}"),
    });
    let home = Home::new();
    let file = home.file("pat", "mhp_secret\n");
    let login = ["--url", &server.url(), "login", "--scope", "flows:read", "--with-token-file", &file];
    home.run(&login).ended(2, &["--issuer", "a hub of its own choice"]);
    let other = [&login[..], &["--issuer", "https://other.example"]].concat();
    home.run(&other).ended(5, &["the personal access token was not sent"]);
    assert!(hub.asked().is_empty());

    let ran = home.run(&[&login[..], &["--issuer", &issuer]].concat());
    ran.ended(0, &["approving the sign-in at `lab`, owned by bob", "signed in as alice"]);
    let approved = hub.asked_for("POST /tenant/api/device");
    assert_eq!(approved[0].field("Authorization"), Some("Bearer mhp_secret"));
    assert_eq!(approved[0].json(), json!({ "user_code": "WDJB-MJHT", "decision": "approve", "scope": "flows:read" }));
    assert!(server.asked().iter().all(|request| !request.head.contains("mhp_") && !request.body.contains("mhp_")));
    assert!(!ran.err.contains("mhp_") && !ran.out.contains("mhp_"));
}

#[test]
fn a_hub_that_refuses_the_token_says_why() {
    let hub = Server::new(|_, _| {
        http(
            "401 Unauthorized",
            "application/json",
            json!({ "error": "invalid_token", "error_description": "It was revoked." }).to_string(),
        )
    });
    let issuer = hub.url();
    let server = Server::new(move |request, _| match request.line.as_str() {
        "GET /api/v1/identity" => ok(&identity("claimed", &issuer, false)),
        _ => created(&started()),
    });
    let home = Home::new();
    let file = home.file("pat", "mhp_secret\n");
    let issuer = hub.url();
    let ran = home.run(&["--url", &server.url(), "login", "--with-token-file", &file, "--issuer", &issuer]);
    ran.ended(4, &["It was revoked.", "personal access token"]);
    assert!(server.asked_for(POLL).is_empty());
}

#[test]
fn a_second_sign_in_ends_the_session_before() {
    let server = instance("claimed", false, |poll| ok(&tokens(u32::try_from(poll).unwrap(), "Bearer", 600)));
    let home = Home::new();
    home.run(&["--url", &server.url(), "login"]).ended(0, &[]);
    home.run(&["--url", &server.url(), "login"]).ended(0, &[]);
    let ended = server.asked_for("POST /api/v1/sign-out");
    assert_eq!(ended.iter().map(|request| request.json()["token"].clone()).collect::<Vec<_>>(), [json!("refresh-0")]);
    assert_eq!(home.session()["secrets"]["refresh_token"], "refresh-1");
}
