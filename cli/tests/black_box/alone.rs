//! A machine of one's own, as far as files and ports go: namespaces in which a script is root, `/etc`, `/run` and `/var`
//! are its own, and nobody else listens. What it does there nobody else sees, and it is gone at its end.

use std::process::{Command, Stdio};

use crate::fake::Ran;

/// `m ARGUMENTS` runs the program and prints its exit code.
const PRELUDE: &str = r#"
set -eu
mount -t tmpfs none /mnt
mkdir /mnt/etc
cp /etc/passwd /etc/group /etc/ld.so.cache /mnt/etc
mount --bind /mnt/etc /etc
mount -t tmpfs none /run
mount -t tmpfs none /var
mkdir -p /etc/merlon /var/lib /var/log
ip link set lo up
m() { code=0; "$MERLON" "$@" 2>&1 || code=$?; echo "= $code"; }
"#;

/// What a shell script printed there.
pub(crate) fn script(text: &str) -> Ran {
    let output = Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "--net", "--pid", "--fork", "--kill-child", "sh", "-c"])
        .arg(format!("{PRELUDE}{text}"))
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env("HOME", "/nonexistent")
        .env("MERLON", env!("CARGO_BIN_EXE_merlon"))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let ran = Ran::of(output);
    assert_eq!(ran.code, Some(0), "{ran:#?}");
    ran
}
