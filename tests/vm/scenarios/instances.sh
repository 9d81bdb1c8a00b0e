#!/bin/bash
# Several instances: a second one is made, runs beside the first, is looked at by `merlon instance list`, `merlon doctor`
# and `merlon logs`, and is removed again. The first does not notice.
# bed: limit 600
# shellcheck source=tests/vm/guest/checks.sh
. /bed/payload/checks.sh
# shellcheck source=tests/vm/guest/product.sh
. /bed/payload/product.sh

work() { merlon --instance work "$@"; }
work_is_open() { matches '^state +recording into project' work status; }
as_nobody() { setpriv --reuid=nobody --regid=nogroup --clear-groups "$@"; }
pid_of() { systemctl show --property=MainPID --value "$1"; }
# Doctor asks the TPM, which takes its time: once for several findings.
look() { work doctor >/bed/results/doctor 2>&1 || true; }
finds() { expect "$1" "$2" cat /bed/results/doctor; }
no_process_of() { ! pgrep --uid "$1" >/dev/null; }

chapter 'a second instance runs beside the first'
install_package "$PACKAGE"
enable_now
within 90 'the first is open' is_open
expect 'create chooses the next free ports' 'proxy 127.0.0.1:8081, API 127.0.0.1:8444' merlon instance create work
refused 'create refuses a name that exists' merlon instance create work
expect 'its configuration is right' 'is right' merlon config check /etc/merlon/work.toml
expect 'list shows it stopped' '^ +work +system +inactive +no +127.0.0.1:8081 +127.0.0.1:8444' merlon instance list
check 'it starts, now and at boot' timeout 120 systemctl enable --now merlond@work
within 90 'it is open' work_is_open
for part in engine keeper dialer; do
    unit=merlon-$part@work
    [ "$part" != engine ] || unit=merlond@work
    expect "$part has a user of its own" "^merlon-$part-work\$" stat -c %U "/proc/$(pid_of "$unit")"
done
expect 'list says how it is, to anybody' '^ +work +system +active +yes .* open by keyslot' as_nobody merlon instance list
expect 'the first is in the list too' '^\* +default +system +active +yes +127.0.0.1:8080' merlon instance list

chapter 'a flow is recorded by its own instance only'
start_origin
within 60 'the first is open after its reload' is_open
before=$(pid_of merlond@default)
first=$(flows)
proxy=http://127.0.0.1:8081
# Its answer does not matter: 502, because this instance does not trust the origin's CA.
curl -s --max-time 60 --proxy "$proxy" http://origin.test:9080/second >/bed/results/second || true
within 30 'the second has it' matches '"path":"/second"' work flows --json
expect 'the first has not' "^$first\$" flows

chapter 'what doctor finds'
look
finds 'the units' '^ok +merlon-keeper@work.service +active'
finds 'the sockets' '^ok +merlon-proxy@work.socket +as configured: 127.0.0.1:8081'
finds 'owners and modes' '^ok +files +owners and modes'
if [ "$MACHINE" = vm ]; then
    finds 'that AppArmor confines the keeper' '^ok +merlon-keeper +AppArmor: merlon-keeper \(enforce\)'
    finds 'that seal may use the TPM' '^ok +/dev/tpmrm0 +group tss'
fi
sed -i 's/127.0.0.1:8081/127.0.0.1:8099/' /etc/merlon/work.toml
look
finds 'a changed address that was not read' '^WRONG +merlon-proxy@work.socket .*8099.*8081'
systemctl daemon-reload
look
finds 'a changed address that was not opened' '^WRONG +merlon-proxy@work.socket .*the engine still has'
sed -i 's/127.0.0.1:8099/0.0.0.0:8099/' /etc/merlon/work.toml
look
finds 'a public address' '^WRONG +proxy.listen .*0.0.0.0:8099 is public'
sed -i 's/0.0.0.0:8099/127.0.0.1:8081/' /etc/merlon/work.toml
systemctl daemon-reload
chown root /run/merlon/work/link-keeper.sock
touch /lib/systemd/system/merlon-dialer@.service
look
finds 'a unit that was not read' '^warning +merlon-dialer@work.service +its unit was changed'
finds 'an owner who is another' '^WRONG +/run/merlon/work/link-keeper.sock +belongs to root'
systemctl daemon-reload
chown merlon-keeper-work /run/merlon/work/link-keeper.sock

chapter 'what the journal says'
expect 'the keeper opened it' 'keeper .*unlocked' work logs --lines 1000
expect 'nothing of the other instance' '^0$' sh -c 'merlon --instance work logs --lines 1000 --json | grep -c @default'
expect 'who may not read is told so' 'may not read' as_nobody merlon --instance work logs
merlon --instance work logs --follow --lines 1 >/bed/results/follow 2>&1 &
follower=$!
systemctl restart merlon-keeper@work
within 60 'what comes is followed' grep -q 'systemd .*Started merlon-keeper@work' /bed/results/follow
kill "$follower"

chapter 'the second is removed, the first goes on'
expect 'a running one is not removed' 'is running' merlon instance remove work --yes
check 'it stops' systemctl disable --now merlond@work
within 30 'none of its processes is left' no_process_of merlon-engine-work,merlon-keeper-work,merlon-dialer-work
expect 'remove wants a word' 'no terminal to type at' merlon instance remove work
check 'it is removed' merlon instance remove work --yes
refused 'nothing of it is left' sh -c \
    'ls /etc/merlon/work.toml || ls /etc/sysusers.d/merlon-work.conf || ls /var/lib/merlon/work || ls /var/lib/merlon-keeper/work'
expect 'it is not in the list' '^1$' sh -c 'merlon instance list --json | wc -l'
expect 'the first is the process that it was' "^$before\$" pid_of merlond@default
expect 'the first is open' '^state +recording into project' merlon status
