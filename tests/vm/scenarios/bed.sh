#!/bin/bash
# The bed itself: that each machine is what the other scenarios take it for.
# bed: limit 120
# shellcheck source=tests/vm/guest/checks.sh
. /bed/payload/checks.sh
case $MACHINE-$PHASE in
*-1)
    chapter 'the machine is as the other scenarios need it'
    within 60 'systemd is up' matches '^(running|degraded|starting)$' systemctl is-system-running
    expect 'systemd is PID 1' '^systemd$' cat /proc/1/comm
    expect 'the unified hierarchy of control groups' 'cgroup2' findmnt -no FSTYPE /sys/fs/cgroup
    expect 'there is a loopback and nothing else' '^1$' sh -c 'ls /sys/class/net | wc -l'
    [ "$MACHINE" = vm ] || exit 0
    check 'there is a TPM' test -c /dev/tpmrm0
    expect 'AppArmor is on' '^Y$' cat /sys/module/apparmor/parameters/enabled
    tpm2_pcrread sha256:7
    tpm2_nvdefine -Q -C o -s 4 0x1500010
    echo kept >/bed/kept/file
    chapter 'a reboot keeps disk and TPM'
    next_boot
    ;;
vm-2)
    expect 'the disk was kept' kept cat /bed/kept/file
    expect 'the TPM was kept' 0x1500010 tpm2_getcap handles-nv-index
    chapter 'another TPM in the machine'
    next_boot new-tpm
    ;;
vm-3)
    refused 'the TPM is another' tpm2_nvreadpublic 0x1500010
    chapter 'power is cut when asked'
    cut_after 3
    for id in 1 2 3 4 5 6; do
        echo "ack $id ."
        sleep 1
    done
    ;;
vm-4)
    expect 'what was acknowledged is known' '^3$' sed -n 3p /bed/payload/acknowledged
    refused 'nothing more came through' grep -q 6 /bed/payload/acknowledged
    ;;
esac
