# The hub's steps, sourced after product.sh inside the machine: its package, its pages, and signing in at the instance.
# shellcheck disable=SC2154 # variables of product.sh

hub=http://127.0.0.1:8444
api=https://127.0.0.1:8443
# What the person who signs in keeps: password, cookies, and the command line's session.
person=/bed/kept/person
export HOME=$person

hub_parts=(merlon-hub.service merlon-hub-keeper.service merlon-hub.socket merlon-hub-link-keeper.socket
    merlon-hub-admin.socket merlon-hub-seal.socket)

install_with_hub() {
    check 'dpkg installs both packages without a network' dpkg --install "$1" "$2"
}

hub_ready() { matches '"ready": *true' curl -sS --max-time 30 "$hub/health"; }

hub_all_active() {
    local part
    for part in "${hub_parts[@]}"; do
        systemctl is-active --quiet "$part" || {
            systemctl status --no-pager "$part"
            return 1
        }
    done
}

# page PAGE FIELD=VALUE...: the person fills a form of the hub.
page() { python3 /bed/payload/person.py "$hub" "$person/cookies" "$@"; }

# The person and their password.
be_person() {
    install -d -m 700 "$person"
    (umask 077 && head -c 18 /dev/urandom | base64 >"$person/password")
}

# From a browser that the hub does not know.
sign_in_at_hub() {
    rm -f "$person/cookies"
    page /sign-in name=ann "password=@$person/password"
}

# The person's command line, over the API's address as from another machine.
ann() { merlon --url "$api" --ca-file "$person/ca.pem" "$@"; }

# The instance as a client of the hub.
identity_is() { matches "\"state\": *\"$1\"" merlon identity show --json; }
ann_is_owner() { matches '"name":"ann".*"role":"owner"|"role":"owner".*"name":"ann"' ann whoami --json; }

# sign_in ARGUMENTS...: `merlon login` until it shows its code, approved at the hub's page, until it ends.
sign_in() {
    local out=/bed/results/login pid code
    merlon ca export >"$person/ca.pem"
    ann login --no-browser "$@" >"$out" 2>&1 </dev/null &
    pid=$!
    within 60 'the command line shows a code' grep -Eq '[BCDFGHJKLMNPQRSTVWXZ]{4}-[BCDFGHJKLMNPQRSTVWXZ]{4}' "$out"
    code=$(grep -Eo '[BCDFGHJKLMNPQRSTVWXZ]{4}-[BCDFGHJKLMNPQRSTVWXZ]{4}' "$out" | head -n 1)
    expect 'the page tells which instance asks' 'default' page "/device" "user_code=$code"
    check 'the person approves' page /device "user_code=$code" -- decision=approve
    wait "$pid" || {
        cat "$out"
        fail 'merlon login ended with a failure'
    }
    expect 'and is signed in' 'signed in' cat "$out"
}
