#!/bin/bash
# Memory ends for the engine; the disk is full. Both are survived, and what was not recorded is counted.
# shellcheck source=tests/vm/guest/checks.sh
. /bed/payload/checks.sh
# shellcheck source=tests/vm/guest/product.sh
. /bed/payload/product.sh

chapter 'memory ends: the engine is killed and comes back'
# A small file system for the store, for the next chapter; it must hold what waits (recording.queue_bytes) besides.
truncate -s 256M /bed/kept/store.img
mkfs.ext4 -q /bed/kept/store.img
install_package "$PACKAGE"
mkdir -p /var/lib/merlon
mount -o loop /bed/kept/store.img /var/lib/merlon
enable_now
within 180 'the instance is open' is_open
start_origin
flow_passes before-memory
count=$(flows)
engine=$(main_pid merlond@default)
# Less than it has: the next page that it touches is one too many. The default is put back as soon as it fell: a start
# with so little would fall, too, and ten of them end the attempts.
systemctl set-property --runtime merlond@default MemoryMax=2M MemorySwapMax=0
killed() { matches 'merlond@default.service: (A process of this unit has been killed by the OOM killer|Failed with result .oom-kill)' journalctl -b --no-pager; }
curl -s -o /dev/null --max-time 30 --proxy "$proxy" http://origin.test:9080/bytes/20000000/memory &
within 180 'the kernel killed the engine' killed
systemctl set-property --runtime merlond@default MemoryMax=infinity
wait
within 180 'the engine is back' systemctl is-active merlond@default
refused 'it is another process' test "$(main_pid merlond@default)" = "$engine"
within 180 'the instance is open' is_open
expect 'flows are there' "^[$count-9]" flows
expect 'the flow from before is readable' '^/before-memory$' merlon show 1 --body response
flow_passes after-memory

chapter 'a full disk: traffic goes on, and it is counted'
free=$(df --output=avail -B1 /var/lib/merlon | tail -n 1)
fallocate -l $((free - 3000000)) /var/lib/merlon/filler
full() { matches 'disk \(or quota\) is full' merlon status; }
sent=0
while ! full >/dev/null && [ "$sent" -lt 60 ]; do
    sent=$((sent + 1))
    curl -sS -o /dev/null --max-time 60 --proxy "$proxy" "http://origin.test:9080/bytes/1000000/full-$sent"
done
check 'status says that the disk is full' full
expect 'requests are answered even so' '^200$' curl -sS -o /dev/null -w '%{http_code}' --max-time 60 --proxy "$proxy" http://origin.test:9080/while-full
for _ in $(seq 60); do
    curl -sS -o /dev/null --max-time 60 --proxy "$proxy" "http://origin.test:9080/bytes/1000000/overflow"
done
expect 'what could not be kept is counted' '[1-9][0-9]* (NOT recorded|bodies cut)' merlon status
expect 'no process fell' '^0$' restarts merlon-keeper@default
rm /var/lib/merlon/filler
within 180 'with space again it records by itself' matches 'recording works again' merlon status
flow_passes after-full
expect 'the flow from before is readable' '^/before-memory$' merlon show 1 --body response
check 'the instance can be restarted' systemctl restart merlond@default
within 180 'the instance is open' is_open
expect 'the flow from before is readable after that' '^/before-memory$' merlon show 1 --body response
