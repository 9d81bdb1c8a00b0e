#!/bin/bash
# The .rpm in a booted system: installed, upgraded under a running instance, erased. The system is Debian with rpm, for
# whose database Debian's packages are not there (--nodeps); what the scriptlets do is what they do elsewhere.
# bed: limit 240
# bed: payload target/package/rpm-payload
# shellcheck source=tests/vm/guest/checks.sh
. /bed/payload/checks.sh
# shellcheck source=tests/vm/guest/product.sh
. /bed/payload/product.sh
payload=/bed/payload/rpm-payload

chapter 'the .rpm installs and enables nothing'
rpm --initdb
check 'rpm installs the older package' rpm --install --nodeps "$payload/older/merlon.rpm"
for user in engine keeper dialer seal; do
    check "user merlon-$user-default" id "merlon-$user-default"
done
expect 'seal is in the group of the TPM' '\btss\b' id --name --groups merlon-seal-default
expect 'the directories of the instances are root'"'"'s' '^root:root 755$' stat -c '%U:%G %a' /var/lib/merlon
expect 'files are as the package says' '^0$' sh -c 'rpm --verify --nodeps merlon | wc -l'
refused 'nothing is enabled' systemctl is-enabled merlond@default
expect 'nothing runs' '^0$' sh -c "systemctl list-units --no-legend 'merlond@*' 'merlon-*@*' | wc -l"

chapter 'enable --now is all that it takes'
enable_now
within 60 'the instance is open' is_open
start_origin
flow_passes before-the-upgrade

chapter 'an upgrade restarts what runs'
engine=$(main_pid merlond@default) keeper=$(main_pid merlon-keeper@default) dialer=$(main_pid merlon-dialer@default)
check 'rpm upgrades' rpm --upgrade --nodeps "$payload/merlon.rpm"
for was in "merlond $engine" "merlon-keeper $keeper" "merlon-dialer $dialer"; do
    read -r process pid <<< "$was"
    [ "$(main_pid "$process@default")" != "$pid" ] || fail "$process of before the upgrade still runs"
done
ok 'engine, keeper and dialer are new processes'
expect 'what the administrator wrote in the configuration stays' upstream_ca cat /etc/merlon/default.toml
within 60 'the instance is open again' is_open
flow_passes after-the-upgrade
expect 'the flow from before is there' before-the-upgrade merlon flows --json

chapter 'erasing leaves the data'
check 'rpm erases' rpm --erase merlon
expect 'nothing runs' '^0$' sh -c "systemctl list-units --no-legend --state=active 'merlond@*' 'merlon-*@*' | wc -l"
refused 'no program is left' ls /usr/bin/merlond
refused 'nothing starts at the next boot' ls /etc/systemd/system/multi-user.target.wants/merlond@default.service
check 'recorded data and keys stay' ls /var/lib/merlon/default /var/lib/merlon-keeper/default/keyslots.a
check 'the changed configuration stays' ls /etc/merlon/default.toml.rpmsave
