//! The exit codes that scripts rely on, and the words that go with them.

use merlon_api::ProblemCode;

use crate::fake::{Instance, Ran, http, json, problem, program, text};

#[test]
fn an_instance_that_is_not_there_is_69_and_the_message_says_how_to_start_it() {
    let instance = Instance::stopped();
    let start = format!("merlond run --data-dir {}", text(&instance.dir));
    for command in [&["status"][..], &["flows"], &["unlock"], &["token", "list"], &["doctor"]] {
        instance.run(command).ended(69, &["error: ", "is not running", "hint: ", &start]);
    }
    let gone = Instance::stopped();
    std::fs::remove_dir_all(&gone.dir).unwrap();
    gone.run(&["status"]).ended(69, &["there is no instance", "hint: merlond run --data-dir"]);
}

#[test]
fn a_hint_names_the_instance_as_the_command_line_did() {
    let instance = Instance::answering(problem(ProblemCode::Locked));
    let mut command = program();
    command.args(["flows", "--data-dir"]).arg(&instance.dir);
    let hint = format!("hint: merlon --data-dir {} unlock", text(&instance.dir));
    Ran::of(command.output().unwrap()).ended(1, &[&hint]);
}

#[test]
fn a_socket_that_nobody_listens_on_is_69() {
    let instance = Instance::stopped();
    drop(std::os::unix::net::UnixListener::bind(instance.dir.join("run/api.sock")).unwrap());
    instance.run(&["flows"]).ended(69, &["is not running"]);
}

#[test]
fn a_remote_instance_that_does_not_answer_is_69() {
    let ran = Ran::of(program().args(["--url", "http://127.0.0.1:1", "status"]).output().unwrap());
    ran.ended(69, &["does not answer", "ssh 127.0.0.1 merlon status"]);
}

#[test]
fn each_refusal_of_the_api_has_its_code() {
    for (code, exit, hint) in [
        (ProblemCode::TokenMissing, 4, "merlon token create"),
        (ProblemCode::TokenUnknown, 4, "merlon token create"),
        (ProblemCode::ScopeMissing, 5, "role"),
        (ProblemCode::NoSuchFlow, 3, "merlon flows"),
        (ProblemCode::InvalidQuery, 2, "merlon help query"),
        (ProblemCode::Locked, 1, "merlon unlock"),
        (ProblemCode::NoProjectOpen, 1, "merlon project list"),
        (ProblemCode::StorageFailed, 1, "merlon doctor"),
    ] {
        let ran = Instance::answering(problem(code)).run(&["show", "7"]);
        ran.ended(exit, &[code.title(), "This is why.", "hint: ", hint]);
        assert_eq!(ran.out, "", "{code}");
    }
}

#[test]
fn a_refusal_that_says_nothing_still_has_its_code() {
    for (status, exit) in [("401 Unauthorized", 4), ("403 Forbidden", 5), ("404 Not Found", 3), ("500 Oops", 1)] {
        Instance::answering(http(status, "text/html", "<html>")).run(&["flows"]).ended(exit, &["error: "]);
    }
}

#[test]
fn an_answer_that_ends_early_is_one_clear_error() {
    let whole = json(&serde_json::json!({ "flows": [], "next": null }));
    let ran = Instance::answering(&whole[..whole.len() - 3]).run(&["flows"]);
    ran.ended(1, &["did not answer in full", "the connection ended in the middle of the answer"]);
    assert_eq!(ran.err.matches("error:").count(), 1);
    Instance::answering("HTTP/1.1 200 OK\r\nContent-").run(&["flows"]).ended(1, &["did not answer in full"]);
    Instance::answering("").run(&["flows"]).ended(1, &["did not answer in full"]);
}

#[test]
fn an_answer_that_is_none_is_one_clear_error() {
    Instance::answering("SSH-2.0-OpenSSH_9.9\r\n\r\n").run(&["flows"]).ended(1, &["did not answer in full"]);
    Instance::answering(json(&serde_json::json!([1, 2])))
        .run(&["flows"])
        .ended(1, &["cannot be understood", "version"]);
    let huge = "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n";
    Instance::answering(huge).run(&["flows"]).ended(1, &["larger than"]);
}

#[test]
fn wrong_use_is_2() {
    for wrong in [
        &["flow"][..],
        &["show", "x"],
        &["show", "7", "--range", "9-1", "--body", "request"],
        &["--data-dir", "d", "--instance", "x", "status"],
        &["--instance", "../etc", "status"],
        &["--url", "http://merlon.example", "status"],
        &["--url", "https://user:secret@merlon.example", "status"],
        &["--url", "https://merlon.example", "token", "list"],
        &["help", "nonsense"],
    ] {
        Ran::of(program().args(wrong).output().unwrap()).ended(2, &["error"]);
    }
}

#[test]
fn help_and_version_are_data() {
    for asked in [&["--help"][..], &["--version"], &["help"], &["help", "keyslot", "add"], &["help", "exit-codes"]] {
        let ran = Ran::of(program().args(asked).output().unwrap());
        ran.ended(0, &[]);
        assert!(!ran.out.is_empty() && ran.err.is_empty(), "{ran:#?}");
    }
}
