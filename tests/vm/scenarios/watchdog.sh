#!/bin/bash
# Each process is stopped as if it hung; systemd's watchdog ends it and starts it again, and the others heal.
# shellcheck source=tests/vm/guest/checks.sh
. /bed/payload/checks.sh
# shellcheck source=tests/vm/guest/product.sh
. /bed/payload/product.sh

another_pid() {
    local now
    now=$(main_pid "$1")
    echo "$1 has pid $now"
    [ "$now" != "$2" ] && [ "$now" != 0 ] && systemctl is-active --quiet "$1"
}

chapter 'the instance starts'
install_package "$PACKAGE"
enable_now
within 180 'the instance is open' is_open
start_origin
flow_passes before
for process in merlond merlon-keeper merlon-dialer; do
    chapter "kill -STOP $process: the watchdog"
    declare -A pids
    for each in merlond merlon-keeper merlon-dialer; do
        pids[$each]=$(main_pid "$each@default")
    done
    kill -STOP "${pids[$process]}"
    within 180 "$process is another process" another_pid "$process@default" "${pids[$process]}"
    expect 'it was the watchdog' "$process@default.service: Watchdog timeout" journalctl -b --no-pager
    for each in merlond merlon-keeper merlon-dialer; do
        [ "$each" = "$process" ] || expect "$each goes on" "^${pids[$each]}\$" main_pid "$each@default"
    done
    within 180 'the instance is open' is_open
    flow_passes "after-$process"
done
