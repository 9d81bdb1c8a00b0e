//! Kept sessions: used, refreshed once however many ask, written before they are used, forgotten when they end.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use merlon_api::ProblemCode;
use serde_json::{Value, json};

use crate::fake::{Ran, json as ok, problem};
use crate::remote::{Home, Request, Server, created, identity, started, tokens, who_am_i};

const REFRESH: &str = "POST /api/v1/sign-ins/refresh";
const WHO: &str = "GET /api/v1/whoami";

/// An instance whose first access token lives for `life` seconds; `other` answers what is about a session.
fn instance(life: u32, kind: &'static str, other: impl Fn(&Request) -> Vec<u8> + Send + Sync + 'static) -> Server {
    Server::new(move |request, _| match request.line.as_str() {
        "GET /api/v1/identity" => ok(&identity("claimed", "https://hub.example", kind == "DPoP")),
        "POST /api/v1/sign-ins" => created(&started()),
        "POST /api/v1/sign-ins/sig_1/poll" => ok(&tokens(1, kind, life)),
        _ => other(request),
    })
}

fn signed_in(server: &Server) -> Home {
    let home = Home::new();
    home.run(&["--url", &server.url(), "login"]).ended(0, &["signed in"]);
    home
}

fn who(home: &Home, server: &Server) -> Ran {
    home.run(&["--url", &server.url(), "whoami"])
}

#[test]
fn a_session_is_used_with_a_proof_for_the_very_request() {
    let server = instance(600, "DPoP", |_| ok(&who_am_i()));
    let home = signed_in(&server);
    let ran = who(&home, &server);
    ran.ended(0, &[]);
    assert!(ran.out.contains("alice") && ran.out.contains("by signing in"), "{ran:#?}");
    let asked = &server.asked_for(WHO)[0];
    assert_eq!(asked.field("Authorization"), Some("DPoP access-1"));
    let proof = asked.proof().unwrap();
    assert_eq!((&proof["htm"], &proof["htu"]), (&json!("GET"), &json!(format!("{}/api/v1/whoami", server.url()))));
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, b"access-1");
    assert_eq!(proof["ath"], data_encoding::BASE64URL_NOPAD.encode(hash.as_ref()));

    let plain = instance(600, "Bearer", |_| ok(&who_am_i()));
    let home = signed_in(&plain);
    who(&home, &plain).ended(0, &[]);
    assert_eq!(plain.asked_for(WHO)[0].field("Authorization"), Some("Bearer access-1"));
}

#[test]
fn a_token_file_goes_before_the_session() {
    let server = instance(600, "Bearer", |_| ok(&who_am_i()));
    let home = signed_in(&server);
    let file = home.file("token", "mer_local\n");
    home.run(&["--url", &server.url(), "--token-file", &file, "whoami"]).ended(0, &[]);
    assert_eq!(server.asked_for(WHO)[0].field("Authorization"), Some("Bearer mer_local"));
}

#[test]
fn f3_a_new_refresh_token_is_on_disk_before_the_new_access_token_is_used() {
    let seen: &'static Mutex<Vec<Value>> = Box::leak(Box::default());
    let place: &'static Mutex<Option<std::path::PathBuf>> = Box::leak(Box::default());
    let server = instance(1, "DPoP", move |request| match request.line.as_str() {
        REFRESH => ok(&tokens(2, "DPoP", 600)),
        WHO => {
            // What a kill at this moment would leave.
            let file = place.lock().unwrap().clone().unwrap();
            seen.lock().unwrap().push(serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap());
            ok(&who_am_i())
        }
        other => panic!("{other}"),
    });
    let home = signed_in(&server);
    *place.lock().unwrap() = Some(home.session_files()[0].clone());
    who(&home, &server).ended(0, &[]);
    let refresh = &server.asked_for(REFRESH)[0];
    assert_eq!(refresh.json(), json!({ "refresh_token": "refresh-1" }));
    assert_eq!(refresh.proof().unwrap()["htu"], "https://hub.example/token");
    assert!(refresh.field("Authorization").is_none());
    assert_eq!(server.asked_for(WHO)[0].field("Authorization"), Some("DPoP access-2"));
    let seen = seen.lock().unwrap();
    assert_eq!((seen.len(), &seen[0]["secrets"]["refresh_token"]), (1, &json!("refresh-2")));
}

#[test]
fn f3_without_a_new_refresh_token_the_old_one_goes_on() {
    let server = instance(1, "Bearer", |request| match request.line.as_str() {
        REFRESH => {
            let mut answer = tokens(2, "Bearer", 1);
            answer["refresh_token"] = Value::Null;
            ok(&answer)
        }
        _ => ok(&who_am_i()),
    });
    let home = signed_in(&server);
    who(&home, &server).ended(0, &[]);
    who(&home, &server).ended(0, &[]);
    let sent: Vec<_> =
        server.asked_for(REFRESH).iter().map(|request| request.json()["refresh_token"].clone()).collect();
    assert_eq!(sent, [json!("refresh-1"), json!("refresh-1")]);
}

#[test]
fn an_access_token_that_the_instance_finds_too_old_is_refreshed_once() {
    let server = instance(600, "Bearer", |request| match (request.line.as_str(), request.field("Authorization")) {
        (REFRESH, _) => ok(&tokens(2, "Bearer", 600)),
        (WHO, Some("Bearer access-2")) => ok(&who_am_i()),
        _ => problem(ProblemCode::TokenExpired),
    });
    let home = signed_in(&server);
    who(&home, &server).ended(0, &[]);
    assert_eq!((server.asked_for(WHO).len(), server.asked_for(REFRESH).len()), (2, 1));

    let never = instance(600, "Bearer", |request| match request.line.as_str() {
        REFRESH => ok(&tokens(2, "Bearer", 600)),
        _ => problem(ProblemCode::TokenExpired),
    });
    let home = signed_in(&never);
    who(&home, &never).ended(4, &["The access token has expired", " login"]);
    assert_eq!(never.asked_for(REFRESH).len(), 1);
}

#[test]
fn many_at_once_use_one_refresh() {
    let server = instance(1, "DPoP", |request| match request.line.as_str() {
        REFRESH => ok(&tokens(2, "DPoP", 600)),
        _ => ok(&who_am_i()),
    });
    let home = signed_in(&server);
    let children: Vec<_> = (0..6)
        .map(|_| {
            let mut command = home.command(&["--url", &server.url(), "whoami"]);
            command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap()
        })
        .collect();
    for child in children {
        Ran::of(child.wait_with_output().unwrap()).ended(0, &[]);
    }
    assert_eq!(server.asked_for(REFRESH).len(), 1);
    assert!(server.asked_for(WHO).iter().all(|request| request.field("Authorization") == Some("DPoP access-2")));
}

#[test]
fn a_lost_answer_is_asked_for_once_more() {
    let refreshes: &'static AtomicU32 = Box::leak(Box::default());
    let server = instance(1, "Bearer", move |request| match request.line.as_str() {
        REFRESH if refreshes.fetch_add(1, Ordering::SeqCst) == 0 => Vec::new(),
        REFRESH => ok(&tokens(2, "Bearer", 600)),
        _ => ok(&who_am_i()),
    });
    let home = signed_in(&server);
    who(&home, &server).ended(0, &[]);
    assert_eq!(server.asked_for(REFRESH).len(), 2);
    assert_eq!(home.session()["secrets"]["refresh_token"], "refresh-2");
}

#[test]
fn what_a_killed_merlon_left_half_written_does_no_harm() {
    let server = instance(1, "Bearer", |request| match request.line.as_str() {
        REFRESH => ok(&tokens(2, "Bearer", 600)),
        _ => ok(&who_am_i()),
    });
    let home = signed_in(&server);
    let half = home.session_files()[0].with_extension("new");
    std::fs::write(&half, "{\"version\":1,\"rea").unwrap();
    who(&home, &server).ended(0, &[]);
    assert_eq!(home.session()["secrets"]["refresh_token"], "refresh-2");
    assert!(!half.exists());
}

#[test]
fn a_session_that_was_revoked_is_forgotten() {
    let server = instance(1, "Bearer", |_| problem(ProblemCode::SessionRevoked));
    let home = signed_in(&server);
    who(&home, &server).ended(4, &["The session was ended", " login"]);
    assert!(home.session_files().is_empty());
    who(&home, &server).ended(4, &[" login"]);
}

#[test]
fn an_authorization_server_that_is_away_costs_no_session() {
    let server = instance(1, "Bearer", |_| problem(ProblemCode::HubUnreachable));
    let home = signed_in(&server);
    // Long enough for the last seconds of the token to be over, or not: neither loses the session.
    let ran = who(&home, &server);
    assert_eq!(ran.code, Some(1), "{ran:#?}");
    assert_eq!(home.session()["secrets"]["refresh_token"], "refresh-1");
}

#[test]
fn what_others_could_have_read_is_not_used() {
    let server = instance(600, "Bearer", |_| ok(&who_am_i()));
    let home = signed_in(&server);
    let file = home.session_files()[0].clone();
    let mode = |path: &Path, mode| std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    mode(&file, 0o640);
    who(&home, &server).ended(1, &["others may look into it (mode 0640)", "chmod 600"]);
    mode(&file, 0o600);
    mode(&home.sessions(), 0o755);
    who(&home, &server).ended(1, &["others may look into it (mode 0755)", "chmod 700"]);
    mode(&home.sessions(), 0o700);
    who(&home, &server).ended(0, &[]);
    let elsewhere = home.path().join("elsewhere");
    std::fs::rename(&file, &elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, &file).unwrap();
    who(&home, &server).ended(1, &["cannot be read"]);
    assert_eq!(server.asked_for(WHO).len(), 1);
}

#[test]
fn signing_out_ends_the_session_there_and_forgets_it_here() {
    let server = instance(600, "DPoP", |_| ok(&json!({ "revoked_at_issuer": false, "problem": "It is away." })));
    let home = signed_in(&server);
    home.run(&["--url", &server.url(), "logout"]).ended(0, &["signed out", "It is away."]);
    let asked = server.asked_for("POST /api/v1/sign-out");
    assert_eq!(asked[0].json(), json!({ "token": "refresh-1" }));
    assert!(home.session_files().is_empty());
    home.run(&["--url", &server.url(), "logout"]).ended(3, &["not signed in"]);
}

#[test]
fn signing_out_where_nobody_answers_forgets_all_the_same_and_says_so() {
    let server = instance(600, "Bearer", |_| problem(ProblemCode::Locked));
    let other = instance(600, "Bearer", |_| ok(&json!({ "revoked_at_issuer": true, "problem": null })));
    let home = signed_in(&server);
    home.run(&["--url", &other.url(), "login"]).ended(0, &[]);
    assert_eq!(home.session_files().len(), 2);
    home.run(&["logout", "--all"]).ended(1, &["on this machine only", "signed out of"]);
    assert!(home.session_files().is_empty());
}

#[test]
fn sessions_of_an_instance_are_listed_and_ended() {
    let server = instance(600, "Bearer", |request| match request.line.as_str() {
        "GET /api/v1/sessions" => ok(&json!({ "sessions": [crate::remote::session(true)] })),
        "DELETE /api/v1/sessions/ses_0123456789ab" => ok(&json!({ "revoked_at_issuer": true, "problem": null })),
        _ => problem(ProblemCode::NoSuchSession),
    });
    let home = signed_in(&server);
    let ran = home.run(&["--url", &server.url(), "session", "list"]);
    assert!(ran.out.contains("ses_0123456789ab") && ran.out.contains("merlon on laptop"), "{ran:#?}");
    home.run(&["--url", &server.url(), "session", "revoke", "ses_0123456789ab"]).ended(0, &["ended session"]);
    home.run(&["--url", &server.url(), "session", "revoke", "ses_0"]).ended(3, &["session list"]);
    home.run(&["--url", &server.url(), "session", "revoke", "../x"]).ended(2, &[]);
}

#[test]
fn a_keyring_keeps_the_session_and_no_argument_has_a_secret() {
    let server = instance(1, "DPoP", |request| match request.line.as_str() {
        REFRESH => ok(&tokens(2, "DPoP", 600)),
        "POST /api/v1/sign-out" => ok(&json!({ "revoked_at_issuer": true, "problem": null })),
        _ => ok(&who_am_i()),
    });
    let home = Home::new();
    let tool = home.path().join("secret-tool");
    let script = r#"#!/bin/sh
echo "$@" >> "$0.arguments"
case $1 in
    store) /bin/cat > "$0.kept" ;;
    lookup) [ -e "$0.kept" ] || exit 1; /bin/cat "$0.kept" ;;
    clear) /bin/rm -f "$0.kept" ;;
esac
"#;
    program_file(&tool, script);
    let run = |arguments: &[&str]| {
        let mut command = home.command(&[&["--url", &server.url()], arguments].concat());
        command.env("PATH", home.path()).env("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent");
        Ran::of(command.output().unwrap())
    };
    run(&["login"]).ended(0, &["in your keyring"]);
    assert_eq!(home.session()["kept"], "keyring");
    assert!(!home.session().to_string().contains("refresh"));
    run(&["whoami"]).ended(0, &[]);
    let kept: Value = serde_json::from_slice(&std::fs::read(home.path().join("secret-tool.kept")).unwrap()).unwrap();
    assert_eq!(kept["secrets"]["refresh_token"], "refresh-2");
    let arguments = std::fs::read_to_string(home.path().join("secret-tool.arguments")).unwrap();
    assert!(arguments.contains("store --label") && !arguments.contains("access-") && !arguments.contains("refresh-"));
    run(&["logout"]).ended(0, &[]);
    assert!(home.session_files().is_empty() && !home.path().join("secret-tool.kept").exists());

    // One that fails is told of, and the file has the session.
    program_file(&tool, "#!/bin/sh\necho 'no bus' >&2\nexit 1\n");
    run(&["login"]).ended(0, &["the keyring did not take the session (no bus)", "in a file"]);
    assert_eq!(home.session()["version"], 1);
}

/// Written by another process: one that this process had open for writing could not be run while another thread's child
/// still has that descriptor.
fn program_file(path: &Path, script: &str) {
    let status = std::process::Command::new("sh")
        .args(["-c", "printf '%s' \"$2\" > \"$1\" && chmod 700 \"$1\"", "sh", path.to_str().unwrap(), script])
        .status()
        .unwrap();
    assert!(status.success());
}
