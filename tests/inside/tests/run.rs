//! The tables, tried in the processes of `merlond run`: there the in-process sandbox alone holds them. Under systemd the
//! same tables are tried by `tests/vm/scenarios/denials.sh`.
//!
//! Only root may look into these processes, as they are not dumpable; for another user this shows that it may not.
#![cfg(target_arch = "x86_64")]

use std::process::{Command, Output};

use merlon_tests::instance::Instance;
use merlon_tests::origin::{Origin, echo};
use merlon_tests::process::{output, stderr, stdout};
use serde_json::Value;

fn inside(instance: &Instance, kind: &str, pid: u32) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_merlon-inside"));
    command.args([kind, "--pid", &pid.to_string(), "--data-dir"]).arg(instance.dir());
    output(command.arg("--config").arg(instance.dir().with_extension("toml")))
}

#[test]
fn each_process_is_refused_what_its_table_says_and_goes_on_working() {
    let instance = Instance::new();
    let root = nix::unistd::geteuid().is_root();
    for (kind, program) in [("engine", "merlond"), ("keeper", "merlon-keeper"), ("dialer", "merlon-dialer")] {
        let pid = instance.process(program);
        let done = inside(&instance, kind, pid);
        if !root {
            assert_eq!(done.status.code(), Some(2), "{}", stderr(&done));
            continue;
        }
        let lines: Vec<Value> = stdout(&done).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let wrong = |line: &&Value| line["good"] == false || line["verdict"] == "WRONG" || line["verdict"] == "VACUOUS";
        let wrong: Vec<&Value> = lines.iter().filter(wrong).collect();
        assert!(wrong.is_empty() && done.status.success(), "{kind}: {wrong:#?}\n{}", stderr(&done));
        let refused = lines.iter().filter(|line| line["verdict"] == "refused").count();
        assert!(refused > 100, "{kind}: only {refused} refusals: {}", stderr(&done));
        assert_eq!(instance.process(program), pid, "{kind} was started again");
        println!("{}", stderr(&done).trim_end());
    }
    let origin = Origin::http(echo);
    let done = instance.curl(&[&format!("http://127.0.0.1:{}/after", origin.port())]);
    assert!(done.status.success(), "{}\n{}", stderr(&done), instance.log());
    assert_eq!(instance.flow("path:/after")["status"], 200);
}
