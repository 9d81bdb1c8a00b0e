//! `merlon logs` against real journal files, which systemd-journal-remote makes of what a test says.

use crate::alone::script;
use crate::fake::{Instance, Ran};

/// `journal UNIT SECONDS MESSAGE [FIELD=VALUE]...` appends an entry of that second of 2026.
const JOURNAL: &str = r#"
echo 0123456789abcdef0123456789abcdef > /etc/machine-id
directory=/var/log/journal/0123456789abcdef0123456789abcdef
mkdir -p $directory
touch /etc/merlon/work.toml
journal() {
    {
        printf '__REALTIME_TIMESTAMP=%s000000\n' $((1767225600 + $2))
        printf '__MONOTONIC_TIMESTAMP=%s000000\n_BOOT_ID=aaaabbbbccccddddaaaabbbbccccdddd\n' $2
        unit=$1; message=$3; shift 3
        case $unit in
        1:*) printf '_PID=1\nUNIT=%s\n' "${unit#1:}" ;;
        *) printf '_PID=77\n_SYSTEMD_UNIT=%s\n' "$unit" ;;
        esac
        printf 'MESSAGE=%s\n' "$message"
        for field in "$@"; do printf '%s\n' "$field"; done
        echo
    } | /lib/systemd/systemd-journal-remote -o $directory/system.journal - 2>/dev/null
}
"#;

const SOME: &str = r#"
journal merlond@work.service 1 'started' PRIORITY=6
journal merlond@other.service 2 'of another instance' PRIORITY=6
journal merlon-keeper@work.service 3 'opened by keyslot 1' PRIORITY=5 MERLON_EVENT=unlocked MESSAGE_ID=00112233445566778899aabbccddeeff
journal sshd.service 4 'I am the keeper' MERLON_INSTANCE=work MERLON_PROCESS=merlon-keeper UNIT=merlond@work.service
journal 1:merlond@work.service 5 'Main process exited, status=78' PRIORITY=4
journal 1:merlon-api@work.socket 5 'Listening' PRIORITY=6
journal 1:merlon-seal@work.service 5 'Deactivated' PRIORITY=6
journal 1:merlon-api@other.socket 5 'of another instance' PRIORITY=3
journal 1:merlon-api@work.socket 5 'Address already in use' PRIORITY=3
journal merlon-dialer@work.service 6 "$(printf 'evil \033[31m red')" PRIORITY=3
"#;

fn logs(text: &str) -> Ran {
    script(&format!("{JOURNAL}{SOME}{text}"))
}

#[test]
fn entries_of_the_instances_units_are_shown_in_order_and_made_safe() {
    let ran = logs("m --instance work logs");
    assert_eq!(
        ran.out,
        "2026-01-01 00:00:01  engine   info     started\n\
         2026-01-01 00:00:03  keeper   notice   [unlocked] opened by keyslot 1\n\
         2026-01-01 00:00:05  systemd  warning  Main process exited, status=78\n\
         2026-01-01 00:00:05  systemd  error    Address already in use\n\
         2026-01-01 00:00:06  dialer   error    evil \\x1b[31m red\n= 0\n"
    );
}

#[test]
fn a_process_a_time_a_count_and_events_choose() {
    let ran = logs(
        r#"
        m --instance work logs --process keeper
        m --instance work logs --lines 1
        m --instance work logs --since '2026-01-01 00:00:05'
        m --instance work logs --since '2026-01-01 00:00:02' --lines 9 --process engine
        m --instance work logs --events
        m --instance work logs --process seal
        m --instance work logs --process dialer --events
        m --instance work logs --since 5s
        "#,
    );
    let parts: Vec<Vec<&str>> = ran.out.split("= ").map(|part| part.lines().collect()).collect();
    let lines = |part: usize| parts[part].iter().filter(|line| line.starts_with("2026")).count();
    assert_eq!([lines(0), lines(1), lines(2), lines(3), lines(4), lines(5)], [1, 1, 3, 1, 1, 1], "{}", ran.out);
    assert!(parts[1][1].ends_with("red") && parts[4][1].contains("[unlocked]"), "{}", ran.out);
    assert!(ran.out.ends_with("sudo systemctl start merlond@work\n= 3\n"), "{}", ran.out);
    assert_eq!((parts[7][0], parts[8][0]), ("3", "3"), "{}", ran.out);
}

#[test]
fn a_program_gets_every_field() {
    let ran = logs("m --instance work logs --events --json");
    let entry: serde_json::Value = serde_json::from_str(ran.out.lines().next().unwrap()).unwrap();
    let expected = serde_json::json!({
        "time": "2026-01-01T00:00:03.000000Z", "process": "keeper", "unit": "merlon-keeper@work.service", "pid": 77,
        "priority": 5, "message": "opened by keyslot 1", "event": "unlocked",
        "message_id": "00112233445566778899aabbccddeeff",
    });
    assert_eq!(entry, expected);
}

#[test]
fn following_shows_what_comes_until_it_is_interrupted() {
    let ran = logs(
        r#"
        "$MERLON" --instance work logs --follow --lines 1 > /mnt/out 2>&1 &
        follower=$!
        until_there() { tries=0; until grep -q "$1" /mnt/out; do tries=$((tries + 1)); [ $tries -lt 600 ]; sleep 0.05; done; }
        until_there red
        journal merlond@work.service 9 'later' PRIORITY=6
        until_there later
        kill -INT $follower
        code=0; wait $follower || code=$?
        cat /mnt/out
        echo "= $code"
        "#,
    );
    let expected = "2026-01-01 00:00:06  dialer   error    evil \\x1b[31m red\n\
                    2026-01-01 00:00:09  engine   info     later\n= 130\n";
    assert_eq!(ran.out, expected);
}

#[test]
fn whoever_may_not_read_the_journal_is_told_so() {
    let ran = logs(
        r#"
        chmod 0 $directory/system.journal
        setpriv --bounding-set=-all "$MERLON" --instance work logs 2>&1 || echo "= $?"
        rm $directory/system.journal
        m --instance work logs
        "#,
    );
    let (refused, none) = ran.out.split_once("= 5\n").unwrap();
    assert!(refused.contains("may not read the system's journal") && refused.contains("systemd-journal`"), "{refused}");
    assert!(none.contains("no journal of the system") && none.ends_with("= 3\n"), "{none}");
}

#[test]
fn an_instance_that_systemd_does_not_run_has_no_journal() {
    let instance = Instance::stopped();
    instance.run(&["logs"]).ended(2, &["keeps no log in the journal", "on its standard error", "--instance NAME"]);
    instance.run(&["logs", "--since", "yesterday"]).ended(2, &["is no time"]);
}
