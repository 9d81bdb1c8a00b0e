#!/bin/bash
# What each service is refused, tried from inside it: a tool makes system calls within the running processes, so that unit,
# Landlock, seccomp and AppArmor answer together; and the instance goes on working afterwards.
# bed: limit 600
# bed: payload target/debug/merlon-inside
# shellcheck source=tests/vm/guest/checks.sh
. /bed/payload/checks.sh
# shellcheck source=tests/vm/guest/product.sh
. /bed/payload/product.sh

inside=/bed/payload/merlon-inside
refused_in_all=0 allowed_in_all=0

# tried KIND ARGUMENTS...: the table of one process, all as it should be. Its counts are added up.
tried() {
    local kind=$1 counts refused allowed
    shift
    if ! "$inside" "$kind" --instance default --other second "$@" >"/bed/results/inside-$kind" 2>"/bed/results/counts"; then
        cat /bed/results/counts
        grep -E '"(WRONG|VACUOUS)"|"good":false' "/bed/results/inside-$kind" || true
        fail "$kind: not as its table says"
    fi
    counts=$(tail -n 1 /bed/results/counts)
    ok "$counts"
    # KIND: N refused as they should, M allowed as they should, ...
    read -r _ refused _ _ _ _ allowed _ <<<"$counts"
    refused_in_all=$((refused_in_all + refused)) allowed_in_all=$((allowed_in_all + allowed))
    sed -n "/unshown/s/^/    /p" "/bed/results/inside-$kind"
}

apparmor_enforces() { [ "$(cat /sys/module/apparmor/parameters/enabled 2>/dev/null)" = Y ]; }

# Lines of the kernel about what AppArmor denied to Merlon's profiles.
denied_lines() { journalctl -b -k --no-pager -o cat --grep 'apparmor="DENIED".*profile="merlon' 2>/dev/null || true; }
no_denied_lines() {
    local lines
    lines=$(denied_lines)
    echo "$lines"
    [ -z "$lines" ]
}

# The new recovery key is read back from the file that it was just written to.
rotate_keys() {
    # shellcheck disable=SC2094
    (umask 077 && merlon keyslot rotate --confirm-file "$recovery_key" >"$recovery_key") 2>&1
}

chapter 'two instances, as they are for tries from inside'
install_package "$PACKAGE"
enable_now
within 60 'the instance is open' is_open
start_origin
flow_passes before
check 'there is another instance' merlon instance create second
install -d -o merlon-engine-second -g merlon-engine-second -m 700 /var/lib/merlon/second
install -d -o merlon-keeper-second -g merlon-keeper-second -m 700 /var/lib/merlon-keeper/second
install -d -m 755 /run/merlon/second
if [ "$MACHINE-$SUITE" = vm-bookworm ]; then
    expect 'the journal says what of the sandbox this kernel lacks' 'this kernel lacks: truncation \(ABI 3\), TCP' \
        journalctl -b --no-pager -o cat MERLON_EVENT=sandbox-incomplete
fi
if apparmor_enforces; then
    for service in merlond merlon-keeper merlon-dialer; do
        expect "AppArmor enforces the profile of $service" "^$service \\(enforce\\)$" \
            cat "/proc/$(main_pid "$service@default")/attr/apparmor/current"
    done
fi

# Everything that makes a process touch files, sockets or the TPM in another way; AppArmor must not have noticed.
chapter 'what the product does is not denied'
check 'a recovery key is made and typed back' add_recovery_key
# Without a TPM there is one already.
[ "$MACHINE" = nspawn ] || check 'a slot of a file is made' merlon keyslot add file
(umask 077 && head -c 32 /dev/urandom >/etc/merlon/default.credential)
install -d /etc/systemd/system/merlon-keeper@default.service.d
printf '[Service]\nLoadCredential=merlon-key:/etc/merlon/default.credential\n' \
    >/etc/systemd/system/merlon-keeper@default.service.d/50-credential.conf
systemctl daemon-reload
check 'the keeper is restarted' systemctl restart merlon-keeper@default
within 60 'the instance is open' is_open
check 'a slot of a credential is made' merlon keyslot add credential
check 'all keys are replaced' rotate_keys
check 'a project is made' merlon project create other
check 'a backup is made' merlon backup /bed/kept/backup
# As most editors write: another file takes the name.
since=$EPOCHREALTIME
sed -i 's/^upstream_ca/# written by an editor\n&/' /etc/merlon/default.toml
check 'the engine reads its configuration again' systemctl reload merlond@default
within 60 'which is another file now' \
    matches 'the configuration was read again' journalctl --no-pager -o cat -u merlond@default --since "@$since"
for unit in merlon-dialer merlon-keeper merlond; do
    check "$unit is restarted" systemctl restart "$unit@default"
done
within 60 'the instance is open' is_open
flow_passes between
if apparmor_enforces; then
    check 'AppArmor denied nothing of it' no_denied_lines
fi

chapter 'tried from inside each service'
engine=$(main_pid merlond@default) keeper=$(main_pid merlon-keeper@default) dialer=$(main_pid merlon-dialer@default)
tried engine --pid "$engine"
tried keeper --pid "$keeper"
tried dialer --pid "$dialer"
if [ "$MACHINE" = vm ]; then
    tried seal
fi
tried seal-waiting
note "tried from inside	$refused_in_all refused as they should, $allowed_in_all allowed as they should"

chapter 'everything works afterwards'
expect 'the same engine runs' "^$engine\$" main_pid merlond@default
expect 'the same keeper runs' "^$keeper\$" main_pid merlon-keeper@default
expect 'the same dialer runs' "^$dialer\$" main_pid merlon-dialer@default
check 'merlon status' is_open
flow_passes after
check 'the keeper opens its slot again' merlon keyslot test 1

if apparmor_enforces; then
    # A unit lets merlon-seal read the system and start programs, because its libraries have to be loaded; and before it is
    # asked it has no sandbox of its own. What denies then is the profile, as shows where it is gone.
    chapter 'what AppArmor alone denies'
    expect 'to merlon-seal, before it is asked' '"call":"execve of /bin/true","process":"seal-waiting","unconfined":"ok","verdict":"refused"' \
        cat /bed/results/inside-seal-waiting
    expect 'the kernel wrote it down' 'profile="merlon-seal".*name="/(usr/)?bin/true"' denied_lines
    install -d "/etc/systemd/system/merlon-seal@default.service.d"
    printf '[Service]\nAppArmorProfile=\n' >"/etc/systemd/system/merlon-seal@default.service.d/50-open.conf"
    systemctl daemon-reload
    expect 'without the profile merlon-seal could read /etc/passwd' '"answer":"ok","call":"read /etc/passwd"' \
        "$inside" seal-waiting --instance default --other second --as-with-apparmor
    rm -r "/etc/systemd/system/merlon-seal@default.service.d"
    systemctl daemon-reload
fi
