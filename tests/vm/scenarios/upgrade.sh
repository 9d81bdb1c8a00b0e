#!/bin/bash
# The package is replaced by one of a higher version while clients use the proxy.
# shellcheck source=tests/vm/guest/checks.sh
. /bed/payload/checks.sh
# shellcheck source=tests/vm/guest/product.sh
. /bed/payload/product.sh

chapter 'an upgrade under load'
install_package "$OLDER"
enable_now
within 180 'the instance is open' is_open
start_origin
load_start 8
before=$(dpkg-query -W -f '${Version}' merlon)
declare -A old
for process in merlond merlon-keeper merlon-dialer; do
    old[$process]=$(main_pid "$process@default")
done
install_package "$PACKAGE"
expect 'the version is a higher one' '^newer$' \
    sh -c "dpkg --compare-versions \$(dpkg-query -W -f '\${Version}' merlon) gt $before && echo newer"
for process in merlond merlon-keeper merlon-dialer; do
    refused "$process is the new one" test "$(main_pid "$process@default")" = "${old[$process]}"
    expect "$process runs" '^active$' systemctl is-active "$process@default"
done
within 180 'the instance is open again' is_open
within 180 'clients are answered afterwards' answered_at_least $(($(wc -l </bed/kept/answered) + 200))
load_stop
expect 'no request failed' '^0$' reported failed
within 180 'every answered request is recorded' all_answered_are_recorded
note "upgrade under load: answered $(reported answered), failed $(reported failed), sent again on a new connection $(reported again)"
note "upgrade under load: longest time without an answer, ms	$(reported longest_ms)"
[ "$(reported longest_ms)" -lt 60000 ] || fail 'a client waited for more than a minute'
ok 'no client waited for a minute'
