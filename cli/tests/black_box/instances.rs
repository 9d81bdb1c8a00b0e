//! Instances of the system are made, listed and removed, on a machine of the test's own.

use crate::alone::script;
use crate::fake::program;

#[test]
fn a_new_instance_gets_a_configuration_with_free_ports_and_four_users() {
    let ran = script(
        r#"
        m instance create work
        stat -c '%A %U %n' /etc/merlon/work.toml /etc/sysusers.d/merlon-work.conf
        ls /etc/merlon /etc/sysusers.d
        grep -c '^merlon-[a-z]*-work:.*nologin$' /etc/passwd
        grep '^tss:.*merlon-seal-work' /etc/group
        m config check /etc/merlon/work.toml
        m instance create lab
        m instance create own --proxy-listen 127.0.0.1:9090 --api-listen '[::1]:9443'
        grep -h '^listen' /etc/merlon/lab.toml /etc/merlon/own.toml
        "#,
    );
    let out = &ran.out;
    let place = |text: &str| out.find(text).unwrap_or_else(|| panic!("`{text}` is not in {out}"));
    assert!(out.starts_with("created instance `work`: proxy 127.0.0.1:8080, API 127.0.0.1:8443\n"), "{out}");
    assert!(place("sudo systemctl enable --now merlond@work") < place("-rw-r--r-- root /etc/merlon/work.toml"));
    place("-rw-r--r-- root /etc/sysusers.d/merlon-work.conf");
    place("/etc/merlon:\nwork.toml\n\n/etc/sysusers.d:\nmerlon-work.conf\n4\ntss:");
    place("/etc/merlon/work.toml is right\n= 0\n");
    place("created instance `lab`: proxy 127.0.0.1:8081, API 127.0.0.1:8444\n");
    assert!(
        out.ends_with(
            "listen = [\"127.0.0.1:8444\"]\nlisten = [\"127.0.0.1:8081\"]\n\
             listen = [\"[::1]:9443\"]\nlisten = [\"127.0.0.1:9090\"]\n"
        ),
        "{out}"
    );
}

#[test]
fn what_cannot_be_created_is_refused_and_leaves_nothing() {
    let ran = script(
        r#"
        m instance create work
        m instance create work
        m instance create new --proxy-listen 127.0.0.1:8443
        m instance create new --proxy-listen 0.0.0.0:9000
        m instance create new --api-listen 127.0.0.1:0
        m instance create new --api-listen 192.0.2.1:9000
        m instance create new --proxy-listen 127.0.0.1:9000 --api-listen 127.0.0.1:9000
        m instance create eighteen-letters-x
        # No place for users: nothing stays.
        mount --bind /dev/null /etc/group
        m instance create new
        ls /etc/merlon /etc/sysusers.d
        "#,
    );
    let parts: Vec<&str> = ran.out.split("\n= ").collect();
    let refused = |part: usize, code: &str, says: &str| {
        assert!(parts[part].contains(says), "{part}: `{says}` is not in {parts:#?}");
        assert!(parts[part + 1].starts_with(code), "{part}: {parts:#?}");
    };
    refused(1, "1", "there is an instance `work` already");
    refused(2, "2", "is configured to use this port");
    refused(3, "2", "whoever reaches an open proxy can use it");
    refused(4, "2", "needs to know the port");
    refused(5, "2", "192.0.2.1:9000 cannot be used");
    refused(6, "2", "cannot both listen");
    refused(7, "2", "1 to 17 letters");
    refused(8, "1", "systemd-sysusers /etc/sysusers.d/merlon-new.conf failed");
    assert!(ran.out.ends_with("/etc/merlon:\nwork.toml\n\n/etc/sysusers.d:\nmerlon-work.conf\n"), "{}", ran.out);
}

#[test]
fn an_instance_is_removed_with_its_data_and_nothing_else() {
    let ran = script(
        r#"
        m instance create work >/dev/null
        m instance create lab >/dev/null
        mkdir -p /var/lib/merlon/work/projects /var/lib/merlon-keeper/work /var/lib/merlon/lab /var/lib/other
        echo x > /var/lib/other/file
        echo x > /var/lib/merlon-keeper/work/secrets.db
        ln -s /var/lib/other /var/lib/merlon/work/projects/link
        m instance remove work
        m instance remove work --yes --keep-data
        m instance list --json
        m instance remove work --yes
        m instance remove work --yes
        find /etc/merlon /etc/sysusers.d /var/lib -type f -o -type l | sort
        grep -c '^merlon-[a-z]*-work:' /etc/passwd
        "#,
    );
    let out = &ran.out;
    let parts: Vec<&str> = out.split("\n= ").collect();
    assert!(parts[0].contains("no terminal") && parts[0].contains("merlon instance remove work --yes"), "{out}");
    assert!(parts[1].starts_with("2\nremoved instance `work`: /etc/merlon/work.toml, /etc/sysusers.d/"), "{out}");
    assert!(parts[1].contains("kept: /var/lib/merlon-keeper/work, /var/lib/merlon/work"), "{out}");
    assert!(parts[2].contains(r#"{"name":"lab","state":null,"#), "{out}");
    assert!(parts[2].contains(r#""proxy":["127.0.0.1:8081"],"api":["127.0.0.1:8444"]"#), "{out}");
    assert!(parts[2].contains(r#""problem":"only data: /etc/merlon/work.toml is gone""#), "{out}");
    assert!(parts[3].contains("removed instance `work`: /var/lib/merlon-keeper/work, /var/lib/merlon/work\n"), "{out}");
    assert!(parts[4].contains("there is no instance `work`"), "{out}");
    let left = "3\n/etc/merlon/lab.toml\n/etc/sysusers.d/merlon-lab.conf\n/var/lib/other/file\n4\n";
    assert_eq!(parts[5], left, "{out}");
}

#[test]
fn a_symbolic_link_in_the_place_of_data_stops_the_removal() {
    let ran = script(
        r#"
        m instance create work >/dev/null
        mkdir -p /var/lib/merlon /var/lib/other
        echo x > /var/lib/other/file
        ln -s /var/lib/other /var/lib/merlon/work
        m instance remove work --yes
        cat /var/lib/other/file
        ls /etc/merlon
        "#,
    );
    assert!(ran.out.contains("/var/lib/merlon/work is a symbolic link"), "{}", ran.out);
    assert!(ran.out.ends_with("\n= 1\nx\nwork.toml\n"), "{}", ran.out);
}

#[test]
fn only_root_makes_and_removes() {
    let ran = script(
        r#"
        user() { unshare --user --map-user=1000 "$MERLON" "$@" 2>&1 || echo "= $?"; }
        user instance create x
        user instance remove x --yes
        "#,
    );
    let refused =
        |what: &str, command: &str| format!("error: only root may {what} an instance\nhint: sudo {command}\n= 5\n");
    let expected = refused("create", "merlon instance create x") + &refused("remove", "merlon instance remove x");
    assert_eq!(ran.out, expected);
}

#[test]
fn the_instance_is_named_by_the_argument_alone() {
    let output = program().args(["--instance", "x", "instance", "list"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn doctor_looks_at_what_there_is_of_an_instance_that_does_not_run() {
    let ran = script(
        r#"
        m instance create work >/dev/null
        sed -i /merlon-dialer-work/d /etc/passwd
        mkdir -p /var/lib/merlon/work
        chmod 750 /var/lib/merlon/work
        m --instance work doctor
        m --instance work status
        "#,
    );
    for line in [
        "warning  services              systemd cannot be asked how the units are: it does not run on this machine\n",
        "WRONG    merlon-dialer-work    there is no such user, so the service cannot start\n",
        "WRONG    /var/lib/merlon/work  belongs to root, not to merlon-engine-work\n",
        "-> sudo chown merlon-engine-work /var/lib/merlon/work\n",
        "WRONG    /var/lib/merlon/work  mode 0750 lets in more than 0700\n",
        "instance `work` is not running\n",
        "hint: sudo systemctl start merlond@work; why it is not: sudo merlon --instance work logs\n= 69\n",
    ] {
        assert!(ran.out.contains(line), "`{line}` is not in {}", ran.out);
    }
    assert_eq!(ran.out.matches("= 69\n").count(), 2, "{}", ran.out);
}
