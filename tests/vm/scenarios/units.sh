#!/bin/bash
# The units: who runs as whom, which socket is whose, and what start, stop, restart, reload, a crash, a hang and a
# configuration that cannot be used do to an instance and to its neighbours.
# bed: limit 900
. /bed/payload/checks.sh
. /bed/payload/product.sh
proxy=http://127.0.0.1:8080

services=(merlond merlon-keeper merlon-dialer)
sockets=(merlon-api merlon-proxy merlon-link-keeper merlon-link-dialer merlon-admin merlon-seal)
run=/run/merlon/default

state() { systemctl show -P ActiveState "$1"; }
all_active() {
    local unit
    for unit in "${services[@]/%/@default.service}" "${sockets[@]/%/@default.socket}"; do
        [ "$(state "$unit")" = active ] || {
            systemctl status --no-pager "$unit"
            return 1
        }
    done
}
# Nothing of the instance listens, on any path or port.
nothing_listens() {
    ss -Hlxtn | grep -E 'merlon|:8080|:8443' && return 1
    [ -z "$(ls -A "$run")" ]
}
owner_and_mode() { stat -c '%U:%G %a' "$1"; }
user_of() { ps -o user:32= -p "$(main_pid "$1@default")" | tr -d ' '; }
pids() {
    local service
    for service in "${services[@]}"; do main_pid "$service@default"; done
}
# When the sockets were opened: the same as long as nobody closed them.
opened() {
    local socket
    for socket in "${sockets[@]}"; do systemctl show -P InvocationID "$socket@default.socket"; done
}
same() { [ "$1" = "$2" ] || fail "$3: $1 is not $2"; ok "$3"; }
runs_again() { [ "$(main_pid "$1@default")" != "$2" ] && [ "$(main_pid "$1@default")" != 0 ] && [ "$(state "$1@default")" = active ]; }
status_word() { sed -n "s/^$2:[[:space:]]*//p" "/proc/$(main_pid "$1@default")/status"; }

chapter 'installed: nothing runs that nobody asked for'
install_package "$PACKAGE"
expect 'the instance is not enabled' '^disabled$' systemctl is-enabled merlond@default
expect 'and not started' '^inactive$' state merlond@default.service
for service in engine keeper dialer seal; do
    check "there is a user for $service" id "merlon-$service-default"
    refused "who is not in the group of people" sh -c "id -nG merlon-$service-default | tr ' ' '\\n' | grep -qx merlon"
done
expect 'the user of seal may use the TPM' tss id -nG merlon-seal-default

chapter 'one command starts the instance'
enable_now
check 'every service and every socket is there' all_active
within 30 'it is open' is_open
expect 'and says so' '^open by keyslot' systemctl show -P StatusText merlond@default
expect 'the journal finds the event by its fields' 'unlocked' \
    journalctl -b --no-pager -o cat MERLON_EVENT=unlocked MERLON_INSTANCE=default
same "$(user_of merlond)" merlon-engine-default 'the engine has a user of its own'
same "$(user_of merlon-keeper)" merlon-keeper-default 'the keeper has'
same "$(user_of merlon-dialer)" merlon-dialer-default 'the dialer has'
same "$(owner_and_mode $run)" 'root:root 755' 'the directory of the sockets is root'"'"'s'
same "$(owner_and_mode $run/api.sock)" 'root:merlon 660' 'the API is for root and the group merlon'
same "$(owner_and_mode $run/admin.sock)" 'root:root 600' 'the keeper'"'"'s admin socket is for root'
same "$(owner_and_mode $run/link-keeper.sock)" 'merlon-keeper-default:merlon-keeper-default 600' 'the keeper'"'"'s link is the keeper'"'"'s'
same "$(owner_and_mode $run/link-dialer.sock)" 'merlon-dialer-default:merlon-dialer-default 600' 'the dialer'"'"'s link is the dialer'"'"'s'
same "$(owner_and_mode $run/seal.sock)" 'merlon-keeper-default:merlon-keeper-default 600' 'the way to the TPM is the keeper'"'"'s'
same "$(owner_and_mode /var/lib/merlon/default)" 'merlon-engine-default:merlon-engine-default 700' 'the store is the engine'"'"'s'
same "$(owner_and_mode /var/lib/merlon-keeper/default)" 'merlon-keeper-default:merlon-keeper-default 700' 'the keys are the keeper'"'"'s'
for service in "${services[@]}"; do
    same "$(status_word "$service" CapEff) $(status_word "$service" CapBnd)" '0000000000000000 0000000000000000' "$service has no capability and can get none"
    same "$(status_word "$service" NoNewPrivs) $(status_word "$service" Seccomp)" '1 2' "$service has no new privileges, and a filter"
done
# The unit's namespaces, seen from outside.
for service in merlond merlon-keeper; do
    refused "$service has no network of the machine" test "/proc/$(main_pid $service@default)/ns/net" -ef /proc/1/ns/net
done
check 'the dialer has' test "/proc/$(main_pid merlon-dialer@default)/ns/net" -ef /proc/1/ns/net
expect 'the way to the TPM is open: seal answers' '^(ok|warning) +tpm' merlon doctor
within 10 'and ended after its one operation' matches '^(inactive|failed)$' state merlon-seal@default.service
check 'without a mark on anybody else' all_active

chapter 'the first flow'
start_origin
flow_passes first

chapter 'each one restarted alone: the others stay, and it heals'
open_since=$(opened)
for service in merlon-keeper merlon-dialer merlond; do
    mapfile -t before < <(pids)
    check "systemctl restart $service" systemctl restart "$service@default"
    mapfile -t after < <(pids)
    for i in "${!services[@]}"; do
        if [ "${services[i]}" = "$service" ]; then
            [ "${before[i]}" != "${after[i]}" ] || fail "$service has its old pid ${before[i]}"
        else
            same "${after[i]}" "${before[i]}" "${services[i]} did not notice the restart of $service"
        fi
    done
    within 30 'it is open' is_open
    flow_passes "after-restart-of-$service"
done
same "$(opened)" "$open_since" 'no socket was closed by it'

chapter 'clients wait while the engine restarts'
pid=$(main_pid merlond@default)
merlon ca export >/bed/results/ca.pem
systemctl restart --no-block merlond@default
asked=0
until runs_again merlond "$pid" && [ "$asked" -ge 20 ]; do
    asked=$((asked + 1))
    [ "$asked" -le 1000 ] || fail 'the engine does not come back'
    curl -sS --fail-with-body --max-time 60 --proxy "$proxy" --cacert /bed/results/ca.pem -o /dev/null \
        "https://origin.test:9443/during-a-restart-$asked" || fail "request $asked was not answered"
done
ok "$asked requests in a row were answered"
within 30 'it is open' is_open

chapter 'reload'
mapfile -t before < <(pids)
# As most editors write: another file takes the name.
since=$EPOCHREALTIME
sed -i 's/^upstream_ca/# written by an editor\n&/' /etc/merlon/default.toml
check 'systemctl reload' systemctl reload merlond@default
within 10 'a file that was replaced is read again' \
    matches 'the configuration was read again' journalctl --no-pager -o cat -u merlond@default --since "@$since"
expect 'the dialer was told as well' 'Reloaded' journalctl --no-pager -u merlon-dialer@default
mapfile -t after < <(pids)
same "${after[*]}" "${before[*]}" 'nobody was restarted'
flow_passes after-reload

chapter 'killed'
for service in "${services[@]}"; do
    pid=$(main_pid "$service@default")
    kill -KILL "$pid"
    within 30 "$service runs again" runs_again "$service" "$pid"
done
within 30 'it is open' is_open
flow_passes after-kills
same "$(opened)" "$open_since" 'no socket was closed by it'

chapter 'stopped processes: the watchdog'
mapfile -t before < <(pids)
kill -STOP "${before[@]}"
for i in "${!services[@]}"; do
    within 90 "${services[i]} was killed and runs again" runs_again "${services[i]}" "${before[i]}"
    expect 'by its watchdog' 'Watchdog timeout' journalctl --no-pager -u "${services[i]}@default"
done
within 30 'it is open' is_open
flow_passes after-the-watchdog

chapter 'a public bind that is not permitted: no socket, and no restart'
cp /etc/merlon/default.toml /bed/kept/good.toml
keeper=$(main_pid merlon-keeper@default)
{
    echo '[proxy]'
    echo 'listen = ["0.0.0.0:8080"]'
    grep upstream_ca /bed/kept/good.toml
} >/etc/merlon/default.toml
systemctl daemon-reload
refused 'the generator writes no address for it' test -e /run/systemd/generator/merlon-proxy@default.socket.d
systemctl stop merlond@default
refused 'the instance does not start' systemctl start merlond@default
same "$(systemctl show -P ExecMainStatus merlond@default)" 78 'with 78'
within 10 'nothing listens' nothing_listens
expect 'it is not started again' '^failed$' state merlond@default.service
same "$(restarts merlond@default)" 0 'not once'
expect 'the journal says why' '0\.0\.0\.0:8080' journalctl --no-pager -u merlond@default
expect 'and what to do' 'proxy\.allow_public_bind' journalctl --no-pager -u merlond@default
cp /bed/kept/good.toml /etc/merlon/default.toml
systemctl daemon-reload
check 'mended, it starts' systemctl start merlond@default
within 30 'it is open' is_open
check 'with every socket' all_active
flow_passes after-the-refusal
[ "$(main_pid merlon-keeper@default)" != "$keeper" ] || fail 'the keeper went on all the time'

chapter 'a crash loop ends'
loop_ended() {
    local pid
    pid=$(main_pid merlond@default)
    [ "$pid" = 0 ] || kill -KILL "$pid"
    [ "$(state merlond@default.service)" = failed ]
}
within 60 'after some starts in a minute' loop_ended
within 10 'nothing listens' nothing_listens
systemctl reset-failed 'merlon*'
check 'it can be started again' systemctl start merlond@default
within 30 'it is open' is_open
flow_passes after-the-loop

chapter 'stop closes everything'
check 'systemctl stop' systemctl stop merlond@default
within 10 'nothing listens' nothing_listens
for service in "${services[@]}"; do
    expect "$service has ended well" '^inactive$' state "$service@default.service"
done
refused 'no process of the instance is left' pgrep -f '/usr/bin/merlon'
expect 'no unit has failed' '^0$' sh -c "systemctl list-units --failed --no-legend 'merlon*' | wc -l"
check 'it starts again' systemctl start merlond@default
within 30 'it is open' is_open
flow_passes after-a-stop
