#!/bin/bash
# Hub and instance on one machine: installed, claimed, signed in, restarted, upgraded; the hub away and back; a reboot; purged.
# bed: limit 900
# bed: payload target/debug/merlon-inside
# shellcheck source=tests/vm/guest/checks.sh
. /bed/payload/checks.sh
# shellcheck source=tests/vm/guest/product.sh
. /bed/payload/product.sh
# shellcheck source=tests/vm/guest/hub.sh
. /bed/payload/hub.sh

owner_and_mode() { stat -c '%U:%G %a' "$1"; }
as_nobody() { setpriv --reuid=nobody --regid=nogroup --clear-groups "$@"; }
status_word() { sed -n "s/^$2:[[:space:]]*//p" "/proc/$(main_pid "$1")/status"; }
new_process() { [ "$(main_pid "$1")" != "$2" ] && [ "$(main_pid "$1")" != 0 ] && systemctl is-active --quiet "$1"; }
answer_of() { curl -s -o /dev/null -w '%{http_code}' --max-time 30 "$@"; }
nothing_listens() { ! ss -Hlxtn | grep -E 'merlon-hub|:8444'; }

# tried KIND ARGUMENTS...: the table of one process of the hub, all as it should be.
tried() {
    local kind=$1
    shift
    if ! /bed/payload/merlon-inside "$kind" --hub --other default "$@" >"/bed/results/inside-hub-$kind" 2>/bed/results/counts; then
        cat /bed/results/counts
        grep -E '"(WRONG|VACUOUS)"|"good":false' "/bed/results/inside-hub-$kind" || true
        fail "$kind of the hub: not as its table says"
    fi
    ok "the hub's $(tail -n 1 /bed/results/counts)"
}

installed() {
    chapter 'installed: nothing runs that nobody asked for'
    install_with_hub "${OLDER:-$PACKAGE}" "${OLDER_HUB:-$HUB}"
    expect 'the hub is not enabled' '^disabled$' systemctl is-enabled merlon-hub
    expect 'nothing of it runs' '^0$' sh -c 'systemctl list-units --no-legend "merlon-hub*" | grep -c running || true'
    for user in merlon-hub merlon-hub-keeper merlon-hub-seal; do
        check "there is a user $user" id "$user"
        refused 'who is not in the group of people' sh -c "id -nG $user | tr ' ' '\\n' | grep -qx merlon"
    done
    expect 'its seal may use the TPM' '\btss\b' id -nG merlon-hub-seal
    refused 'no instance is made of its configuration' matches merlon-hub merlon instance list
}

started() {
    chapter 'one command starts the hub'
    check 'systemctl enable --now merlon-hub' timeout 300 systemctl enable --now merlon-hub
    within 90 'it is ready' hub_ready
    check 'every service and every socket is there' hub_all_active
    expect 'the directory of its sockets is root'"'"'s' '^root:root 755$' owner_and_mode /run/merlon-hub
    expect 'admin.sock is root'"'"'s' '^root:root 600$' owner_and_mode /run/merlon-hub/admin.sock
    for socket in link-keeper seal; do
        expect "$socket.sock is the keeper's" '^merlon-hub-keeper:merlon-hub-keeper 600$' owner_and_mode "/run/merlon-hub/$socket.sock"
    done
    expect 'the store is the hub'"'"'s' '^merlon-hub:merlon-hub 700$' owner_and_mode /var/lib/merlon-hub
    expect 'the keys are its keeper'"'"'s' '^merlon-hub-keeper:merlon-hub-keeper 700$' owner_and_mode /var/lib/merlon-hub-keeper
    for unit in merlon-hub merlon-hub-keeper; do
        expect "$unit has a user of its own" "^$unit\$" stat -c %U "/proc/$(main_pid "$unit")"
        expect "$unit has no capability and can get none" '^0000000000000000 0000000000000000 1 2$' \
            echo "$(status_word "$unit" CapEff) $(status_word "$unit" CapBnd) $(status_word "$unit" NoNewPrivs) $(status_word "$unit" Seccomp)"
        refused "$unit has no network of the machine" test "/proc/$(main_pid "$unit")/ns/net" -ef /proc/1/ns/net
    done
    [ "$MACHINE" = nspawn ] || expect 'its keys are sealed to the TPM' tpm2 merlon --hub keyslot list
    expect 'its metadata names it' "\"issuer\": *\"$hub\"" curl -sS "$hub/.well-known/oauth-authorization-server"
    expect 'and its keys are there' '"kty"' curl -sS "$hub/jwks"
}

first_account() {
    chapter 'the first account, by whoever may read its code'
    be_person
    refused 'nobody else reads the code' as_nobody merlon-hub setup-code
    refused 'another code makes no account' page /setup code=BCDF-GHJK-LMNP-QRST-VWXZ name=ann \
        "password=@$person/password" "again=@$person/password"
    (umask 077 && merlon-hub setup-code >"$person/setup-code")
    check 'the code makes it' page /setup "code=@$person/setup-code" name=ann "password=@$person/password" "again=@$person/password"
    refused 'and is gone' merlon-hub setup-code
    check 'the person signs in' sign_in_at_hub
}

claimed() {
    chapter 'the instance registers, and is claimed by its code alone'
    enable_now
    within 90 'the instance is open' is_open
    start_origin
    flow_passes before
    configure '[proxy]' 'upstream_ca = ["/etc/merlon/origin-ca.pem"]' '[identity]' "issuer = \"$hub\""
    check 'it is told its hub' systemctl restart merlond@default
    within 90 'it is open' is_open
    within 90 'it is registered and nobody'"'"'s' identity_is unclaimed
    merlon ca export >"$person/ca.pem"
    refused 'without the code nobody signs in' timeout 60 merlon --url "$api" --ca-file "$person/ca.pem" login --no-browser </dev/null
    refused 'nobody else reads the code' as_nobody merlon claim-code
    (umask 077 && echo BCDF-GHJK-LMNP-QRST-VWXZ-BCDF >"$person/no-code")
    refused 'another code is refused' timeout 60 merlon --url "$api" --ca-file "$person/ca.pem" login --no-browser \
        --claim-code-file "$person/no-code" </dev/null
    (umask 077 && merlon claim-code >"$person/claim-code")
    sign_in --claim-code-file "$person/claim-code"
    within 30 'the instance is claimed' identity_is claimed
    refused 'the claim code is gone' merlon claim-code
    check 'the person is its owner' ann_is_owner
    expect 'a request with the token is answered' '"path":"/before"' ann flows --json
    expect 'one without is not' '^401$' answer_of --cacert "$person/ca.pem" "$api/api/v1/flows"
    expect 'the hub lists the instance' 'default' page /
    for unit in merlon-hub merlon-hub-keeper; do
        [ "$MACHINE" = nspawn ] || note "memory of $unit at rest, bytes	$(systemctl show -P MemoryCurrent "$unit")"
    done
}

inside() {
    chapter 'tried from inside the hub'"'"'s processes'
    tried hub --pid "$(main_pid merlon-hub)"
    tried keeper --pid "$(main_pid merlon-hub-keeper)"
    [ "$MACHINE" = nspawn ] || tried seal
    if [ "$(cat /sys/module/apparmor/parameters/enabled 2>/dev/null)" = Y ]; then
        expect 'AppArmor enforces the hub'"'"'s profile' '^merlon-hub \(enforce\)$' cat "/proc/$(main_pid merlon-hub)/attr/apparmor/current"
        # What was tried is denied, and so told; what the product does is not among it.
        refused 'AppArmor denied nothing to the hub before' sh -c \
            "journalctl -b -k --no-pager -o cat --until '@$1' --grep 'apparmor=\"DENIED\".*merlon-hub' | grep ."
    fi
}

restarts() {
    chapter 'restarted, killed and stopped, each alone'
    for unit in merlon-hub-keeper merlon-hub; do
        local other=merlon-hub pid before
        [ "$unit" = merlon-hub-keeper ] || other=merlon-hub-keeper
        before=$(main_pid "$other")
        check "systemctl restart $unit" systemctl restart "$unit"
        within 90 'the hub is ready' hub_ready
        expect "$other did not notice" "^$before\$" main_pid "$other"
        pid=$(main_pid "$unit")
        kill -KILL "$pid"
        within 60 "$unit runs again after a kill" new_process "$unit" "$pid"
        within 90 'the hub is ready' hub_ready
        pid=$(main_pid "$unit")
        kill -STOP "$pid"
        within 90 "$unit was ended by its watchdog and runs again" new_process "$unit" "$pid"
        within 90 'the hub is ready' hub_ready
    done
    check 'systemctl reload' systemctl reload merlon-hub
    check 'the session stands' ann whoami
    check 'the instance is restarted, with its keeper' systemctl restart merlond@default merlon-keeper@default
    within 90 'it is open' is_open
    within 60 'it knows its hub again' identity_is claimed
    within 60 'the session stands' ann whoami

    chapter 'a public address without TLS: no socket, and no restart'
    cp /etc/merlon-hub.toml /bed/kept/hub.toml
    printf '[hub]\nlisten = ["0.0.0.0:8444"]\n' >/etc/merlon-hub.toml
    systemctl daemon-reload
    refused 'the generator writes no address for it' test -e /run/systemd/generator/merlon-hub.socket.d
    systemctl stop merlon-hub
    refused 'the hub does not start' timeout 60 systemctl start merlon-hub
    expect 'it ended with 78' '^78$' systemctl show -P ExecMainStatus merlon-hub
    within 10 'nothing listens' nothing_listens
    expect 'the journal says what to do' 'hub\.tls_cert' journalctl -b -u merlon-hub --no-pager
    cp /bed/kept/hub.toml /etc/merlon-hub.toml
    systemctl daemon-reload
    systemctl reset-failed merlon-hub
}

away() {
    chapter 'the hub is away: local tokens work, and the instance says so'
    within 10 'nothing listens' nothing_listens
    merlon token create --role viewer --label away >/bed/kept/token 2>/dev/null
    (umask 077 && printf 'header = "Authorization: Bearer %s"\n' "$(grep -Eo 'merlon_[A-Za-z0-9_-]+' /bed/kept/token | head -n 1)" >/bed/kept/token.curl)
    expect 'a local token' '^200$' answer_of -K /bed/kept/token.curl --cacert "$person/ca.pem" "$api/api/v1/flows"
    check 'the local socket' is_open
    flow_passes away
    check 'the instance is started without it' systemctl restart merlond@default
    within 90 'it is open' is_open
    expect 'a local token still' '^200$' answer_of -K /bed/kept/token.curl --cacert "$person/ca.pem" "$api/api/v1/flows"
    within 60 'status says that the hub is not reached' matches 'cannot be reached|unreachable|not reached' merlon status
    check 'the hub is started' systemctl start merlon-hub
    within 90 'it is ready' hub_ready
    within 180 'the session stands' ann whoami
}

upgraded() {
    chapter 'an upgrade of both restarts what runs'
    local hub_pid keeper_pid
    hub_pid=$(main_pid merlon-hub) keeper_pid=$(main_pid merlon-hub-keeper)
    install_with_hub "$PACKAGE" "$HUB"
    within 60 'the hub is a new process' new_process merlon-hub "$hub_pid"
    within 60 'and so is its keeper' new_process merlon-hub-keeper "$keeper_pid"
    within 90 'it is ready' hub_ready
    within 90 'the instance is open' is_open
    within 60 'the instance knows its hub again' identity_is claimed
    within 60 'the session stands' ann whoami
}

purged() {
    chapter 'removed and purged'
    check 'dpkg removes the hub' dpkg --remove merlon-hub
    expect 'nothing of it runs' '^0$' sh -c 'pgrep -c "^merlon-hub" || true'
    check 'nothing listens' nothing_listens
    check 'the instance goes on' is_open
    check 'accounts and keys are there' test -e /var/lib/merlon-hub-keeper/keyslots.a
    check 'dpkg purges it' dpkg --purge merlon-hub
    refused 'no configuration is left' test -e /etc/merlon-hub.toml
    check 'nobody said that data may be destroyed: it is there' test -e /var/lib/merlon-hub/hub.db
    check 'it is installed again' dpkg --install "$HUB"
    echo 'merlon-hub merlon-hub/remove-data boolean true' | debconf-set-selections
    check 'asked to, dpkg purges data as well' dpkg --purge merlon-hub
    refused 'no keys are left' test -e /var/lib/merlon-hub-keeper
    refused 'no accounts are left' test -e /var/lib/merlon-hub
    expect 'no unit is left' '^0$' sh -c 'systemctl list-unit-files --no-legend "merlon-hub*" | wc -l'
    check 'the instance goes on' is_open
}

case $PHASE in
1)
    installed
    started
    first_account
    claimed
    inside "$EPOCHSECONDS"
    restarts
    away
    [ -z "$OLDER_HUB" ] || upgraded
    if [ "$MACHINE" = vm ]; then
        chapter 'a reboot: both open by themselves, the session stands'
        next_boot
    fi
    purged
    ;;
2)
    within 180 'the hub is ready without anybody' hub_ready
    within 180 'the instance is open without anybody' is_open
    expect 'the hub'"'"'s keys were sealed to the TPM' tpm2 merlon --hub keyslot list
    within 60 'the session stands' ann whoami
    check 'the person signs out' ann logout
    refused 'and is signed out' ann whoami
    check 'the person signs in at the hub' sign_in_at_hub
    sign_in
    check 'the person is the owner still' ann_is_owner
    purged
    ;;
esac
