#!/bin/bash
# Power is cut $CUTS times while clients use the proxy. A flow that was shown is acknowledged: each must be there after the
# next boot, with its body.
# bed: limit 900
# shellcheck source=tests/vm/guest/checks.sh
. /bed/payload/checks.sh
# shellcheck source=tests/vm/guest/product.sh
. /bed/payload/product.sh

# Lines `ID PATH` of flows that are recorded to their end.
ended_flows() { sed -u -n 's/^{"id":\([0-9]*\),.*"path":"\([^"]*\)".*"duration_us":[0-9].*/\1 \2/p'; }

# One python for all: each start of it takes a second of the emulated processor.
bodies_are_whole() {
    local id
    tail -n 8 /bed/payload/acknowledged >/bed/results/last
    while read -r id _; do
        merlon show "$id" --body response | sha256sum | cut -d' ' -f1
    done </bed/results/last >/bed/results/bodies
    cut -d' ' -f2 /bed/results/last | (cd /bed/payload && python3 -c 'if True:
        import hashlib, origin, sys
        for path in sys.stdin.read().split():
            print(hashlib.sha256(origin.body_of(path)).hexdigest())') >/bed/results/expected
    # What differs says which.
    [ -s /bed/results/bodies ] && diff /bed/results/bodies /bed/results/expected
}

if [ "$PHASE" = 1 ]; then
    chapter "power is cut $CUTS times under load"
    install_package "$PACKAGE"
    enable_now
fi
within 180 'the instance is open' is_open
if [ "$PHASE" -gt 1 ]; then
    merlon flows --json --limit 10000000 | ended_flows | sort >/bed/results/there
    sort -u /bed/payload/acknowledged >/bed/results/acknowledged
    comm -23 /bed/results/acknowledged /bed/results/there >/bed/results/lost
    if [ -s /bed/results/lost ]; then
        head -n 5 /bed/results/lost
        fail "cut $((PHASE - 1)): $(wc -l </bed/results/lost) of $(wc -l </bed/results/acknowledged) acknowledged flows are lost"
    fi
    ok "cut $((PHASE - 1)): all $(wc -l </bed/results/acknowledged) acknowledged flows are there, of $(wc -l </bed/results/there)"
    check "cut $((PHASE - 1)): the last ones have their bodies" bodies_are_whole
fi
if [ "$PHASE" -gt "$CUTS" ]; then
    note "power cuts: $CUTS, acknowledged flows $(wc -l </bed/results/acknowledged), lost 0"
    exit 0
fi
start_origin
# What the scenario itself wrote is not what is tried: without this the origin's certificates are empty files after a cut.
sync
# First who tells, then what there is to tell.
merlon flows --follow --json --limit 1 | ended_flows | sed -u 's/.*/ack & ./' &
load_start 6
cut_after $((20 + RANDOM % 200))
wait
fail 'the power was not cut'
