#!/bin/bash
# A life with the package, in order: install, enable, a flow, a reboot, other measurements, another TPM, a public address, purge.
# bed: limit 900
# shellcheck source=tests/vm/guest/checks.sh
. /bed/payload/checks.sh
# shellcheck source=tests/vm/guest/product.sh
. /bed/payload/product.sh
# shellcheck source=tests/vm/guest/chapters.sh
. /bed/payload/chapters.sh

case $PHASE in
1)
    chapter_install
    chapter_enable
    chapter_first_flow

    chapter 'a reboot: open by itself, flows still there'
    flows >/bed/kept/flows
    next_boot
    ;;
2)
    chapter_up_again
    chapter 'PCR 7 changed: refused, recovered, sealed anew'
    check 'PCR 7 is extended' tpm2_pcrextend "7:sha256=$(printf other | sha256sum | cut -d' ' -f1)"
    check 'the whole instance is restarted' systemctl restart merlond@default merlon-keeper@default
    within 180 'the instance is locked' is_locked
    expect 'status says which PCR, and that the machine changed' "machine's state has changed: PCR 7" merlon status
    expect 'so does the journal' "machine's state has changed: PCR 7" journalctl -b -u merlon-keeper@default --no-pager
    expect 'the proxy says that it is locked' '503' \
        curl -sS -o /dev/null -w '%{http_code}' --proxy "$proxy" http://origin.test:9080/locked
    check 'the recovery key opens it' merlon unlock --recovery-file "$recovery_key"
    within 180 'the instance is open' is_open
    flow_passes recovered
    check 'the slot is sealed anew' merlon keyslot reseal 1
    check 'the slot opens' merlon keyslot test 1
    check 'the keeper is restarted' systemctl restart merlon-keeper@default
    within 180 'the instance is open by itself again' is_open
    within 180 'by the TPM' matches 'open by keyslot tpm2' systemctl show -P StatusText merlond@default

    chapter 'another TPM: refused, recovered, sealed anew'
    flows >/bed/kept/flows
    next_boot new-tpm
    ;;
3)
    within 180 'the engine is up' systemctl is-active merlond@default
    within 180 'the instance is locked' is_locked
    expect 'status says that the TPM is another' 'another TPM, or it was cleared|no storage root key' merlon status
    check 'the recovery key opens it' merlon unlock --recovery-file "$recovery_key"
    within 180 'the instance is open' is_open
    check 'the slot is sealed anew' merlon keyslot reseal 1
    check 'the slot opens' merlon keyslot test 1
    next_boot
    ;;
4)
    within 180 'after a reboot the new TPM opens it by itself' is_open
    expect 'all flows are there' "^$(cat /bed/kept/flows)\$" flows
    start_origin

    chapter 'a public address: refused, and with the override 407'
    configure '[proxy]' 'listen = ["0.0.0.0:8080"]'
    check 'systemd reads the units again' systemctl daemon-reload
    expect 'the generator says why there is no address' '0\.0\.0\.0:8080' journalctl -b --no-pager
    check 'the instance is stopped' systemctl stop merlond@default
    refused 'it does not start' timeout 60 systemctl start merlond@default
    expect 'it ended with 78' '^78$' systemctl show -P ExecMainStatus merlond@default
    expect 'systemd does not try again' '^failed$' systemctl is-active merlond@default
    expect 'nothing listens on the port' '^0$' sh -c 'ss -Hltn "sport = :8080" | wc -l'
    expect 'the journal says why' 'refuses to listen on 0\.0\.0\.0:8080' journalctl -b -u merlond@default --no-pager
    expect 'with a message id' 'MERLON_EVENT=bind-refused' journalctl -b -u merlond@default --no-pager -o verbose
    configure '[proxy]' 'listen = ["0.0.0.0:8080"]' 'allow_public_bind = true' 'upstream_ca = ["/etc/merlon/origin-ca.pem"]'
    systemctl daemon-reload
    systemctl reset-failed
    check 'with the override it starts' timeout 300 systemctl start merlond@default
    within 180 'the instance is open' is_open
    expect 'without a password: 407' '^407$' curl -s -o /dev/null -w '%{http_code}' --proxy "$proxy" http://origin.test:9080/x
    (
        umask 077
        merlon proxy-user add alice >/bed/kept/password 2>/dev/null
        printf 'proxy-user = "alice:%s"\n' "$(tail -n 1 /bed/kept/password)" >/bed/kept/curlrc
    )
    expect 'with the password: 200' '^200$' \
        curl -s -K /bed/kept/curlrc -o /dev/null -w '%{http_code}' --proxy "$proxy" http://origin.test:9080/x

    chapter_purge
    ;;
esac
