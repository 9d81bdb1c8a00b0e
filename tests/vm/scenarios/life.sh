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

    chapter_public_address
    chapter_purge
    ;;
esac
