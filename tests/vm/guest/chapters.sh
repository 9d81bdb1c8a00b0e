# Chapters that more than one scenario lives through, sourced after product.sh inside the machine.
# shellcheck disable=SC2154 # variables of product.sh

chapter_install() {
    chapter 'install'
    install_package "$PACKAGE"
    expect 'nothing is enabled by the install' '^disabled$' systemctl is-enabled merlond@default
    expect 'nothing runs after the install' '^0$' sh -c 'systemctl list-units --no-legend "merlon*" | grep -c running || true'
    for user in engine keeper dialer seal; do
        check "merlon-$user-default is a user" id "merlon-$user-default"
    done
    expect 'only seal may use the TPM' '^tss:[^:]*:[^:]*:merlon-seal-default$' getent group tss
    note "size of the package	$(stat -c %s "$PACKAGE")"
    note "size installed, KiB	$(dpkg-query -W -f '${Installed-Size}' merlon)"
}

chapter_enable() {
    chapter 'enable --now needs no other step'
    enable_now
    within 180 'the instance is open' is_open
    expect 'it sealed its key to the TPM' 'tpm2' merlon keyslot list
    refused 'there is no key file beside the TPM' merlon keyslot test 2
    refused 'nothing on the disk opens it' test -e /var/lib/merlon-keeper/default/file.key
    expect 'status says that no recovery key is confirmed' 'recovery unconfirmed' merlon status
    expect 'and which command makes one' 'merlon keyslot add recovery' journalctl -b -u merlon-keeper@default --no-pager
    within 180 'systemd shows what the engine does' matches '^open by keyslot tpm2' systemctl show -P StatusText merlond@default
    for unit in merlond@default merlon-keeper@default merlon-dialer@default; do
        expect "$unit runs" '^active$' systemctl is-active "$unit"
    done
    expect 'the journal finds the event by its fields' 'unlocked' \
        journalctl -b --no-pager -o cat MERLON_EVENT=unlocked MERLON_INSTANCE=default
    expect 'merlon doctor finds the TPM' '^ok +tpm ' merlon doctor
}

chapter_first_flow() {
    chapter 'a flow through the proxy'
    start_origin
    flow_passes first
    check 'a recovery key is made and typed back' add_recovery_key
    refused 'status warns no longer' matches 'recovery unconfirmed' merlon status
    for unit in merlond merlon-keeper merlon-dialer; do
        note "memory of $unit at rest, bytes	$(systemctl show -P MemoryCurrent "$unit@default")"
    done
}

# After a reboot; /bed/kept/flows has the count from before.
chapter_up_again() {
    within 180 'the instance is open without anybody' is_open
    within 180 'it was the TPM' matches 'open by keyslot tpm2' systemctl show -P StatusText merlond@default
    expect 'all flows are there' "^$(cat /bed/kept/flows)\$" flows
    expect 'the first flow is readable' '^/first$' merlon show 1 --body response
    start_origin
    flow_passes second
}

# The instance runs, and so does the origin.
chapter_public_address() {
    chapter 'a public address: refused, and with the override 407'
    configure '[proxy]' 'listen = ["0.0.0.0:8080"]'
    check 'systemd reads the units again' systemctl daemon-reload
    # It says so through the kernel's log, which a container has not.
    [ "$MACHINE" = nspawn ] ||
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
}

chapter_purge() {
    chapter 'remove and purge'
    check 'dpkg removes the package' dpkg --remove merlon
    expect 'nothing of it runs' '^0$' sh -c 'pgrep -c "^merlon" || true'
    check 'the data is still there' test -e /var/lib/merlon-keeper/default/keyslots.a
    check 'so is the configuration' test -e /etc/merlon/default.toml
    check 'dpkg purges the package' dpkg --purge merlon
    check 'nobody said that data may be destroyed: it is there' test -e /var/lib/merlon-keeper/default/keyslots.a
    refused 'no configuration is left' test -e /etc/merlon/default.toml
    refused 'nothing is left at run time' test -e /run/merlon
    expect 'no unit is left' '^0$' sh -c 'systemctl list-unit-files --no-legend "merlon*" | wc -l'
    install_package "$PACKAGE"
    echo 'merlon merlon/remove-data boolean true' | debconf-set-selections
    check 'asked to, dpkg purges data as well' dpkg --purge merlon
    refused 'no keys are left' test -e /var/lib/merlon-keeper
    refused 'no flows are left' test -e /var/lib/merlon
}
