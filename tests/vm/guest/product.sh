# The product's steps that several scenarios take, sourced after checks.sh inside the machine.

export DEBIAN_FRONTEND=noninteractive
proxy=http://127.0.0.1:8080
recovery_key=/bed/kept/recovery-key

install_package() {
    check 'dpkg installs the package without a network' dpkg --install "$1"
}

# The whole of what the manual asks for after the install.
enable_now() {
    check 'systemctl enable --now merlond@default' timeout 300 systemctl enable --now merlond@default
}

is_open() { matches '^state +recording into project' merlon status; }
is_locked() { matches '^state +locked' merlon status; }
flows() { merlon flows --count; }

# An origin with a CA of its own, which the proxy is to trust. The instance must run.
start_origin() {
    if [ ! -f /bed/kept/origin.pem ]; then
        (
            umask 077
            cd /bed/kept || exit 1
            openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj '/CN=CA of the origin' \
                -keyout ca.key -out ca.pem
            openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj '/CN=origin.test' \
                -keyout origin.key -out origin.csr
            openssl x509 -req -in origin.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 30 -out origin.pem \
                -extfile <(echo 'subjectAltName=DNS:origin.test')
        ) 2>/bed/results/openssl.log
        install -m 644 /bed/kept/ca.pem /etc/merlon/origin-ca.pem
        configure '[proxy]' 'upstream_ca = ["/etc/merlon/origin-ca.pem"]'
        check 'the origin'"'"'s CA counts after a reload' systemctl reload merlond@default
    fi
    systemd-run --quiet --unit=origin python3 /bed/payload/origin.py /bed/kept/origin.pem /bed/kept/origin.key
    within 180 'the origin answers' curl -sSf http://origin.test:9080/hello
}

# Writes the instance's configuration anew: every argument a line.
configure() { printf '%s\n' "$@" >/etc/merlon/default.toml; }

# fetch PATH: by HTTPS through the proxy.
fetch() {
    merlon ca export >/bed/results/ca.pem
    curl -sS --fail-with-body --max-time 60 --proxy "$proxy" --cacert /bed/results/ca.pem "https://origin.test:9443$1"
}

# flow_passes NAME: a request through the proxy is answered and recorded.
flow_passes() {
    local before after
    before=$(flows || true)
    expect "$1 is answered through the proxy" "^/$1\$" fetch "/$1"
    within 30 "$1 is recorded" matches "\"path\":\"/$1\"" merlon flows --json --limit 3
    after=$(flows)
    [ "${before:-0}" -lt "$after" ] || fail "$after flows, before $before"
}

# The key is read back from the file that it was just written to.
add_recovery_key() {
    # shellcheck disable=SC2094
    (umask 077 && merlon keyslot add recovery --confirm-file "$recovery_key" >"$recovery_key") 2>&1
}

# Load in the background, and its end: load_start CLIENTS, load_stop. Then /bed/kept/answered and /bed/kept/report.
load_start() {
    rm -f /bed/kept/answered /bed/kept/report
    systemd-run --quiet --unit=load python3 /bed/payload/load.py "$1" /bed/kept/answered /bed/kept/report
    within 180 'the load is under way' answered_at_least 50
}
load_stop() {
    systemctl stop load
    cat /bed/kept/report
}
answered_at_least() {
    local have
    have=$(wc -l </bed/kept/answered)
    echo "$have answered"
    [ "$have" -ge "$1" ]
}
# reported KEY: a number of the load's report.
reported() { sed -n "s/.*\"$1\": \([0-9]*\).*/\1/p" /bed/kept/report; }

# Every answered request is among the recorded flows.
all_answered_are_recorded() {
    merlon flows --json --limit 10000000 | sed 's/.*"path":"\([^"]*\)".*/\1/' | sort >/bed/results/recorded
    sort /bed/kept/answered >/bed/results/answered
    comm -23 /bed/results/answered /bed/results/recorded >/bed/results/lost
    wc -l </bed/results/lost
    head -n 3 /bed/results/lost
    [ ! -s /bed/results/lost ]
}

main_pid() { systemctl show -P MainPID "$1"; }
restarts() { systemctl show -P NRestarts "$1"; }
