#!/bin/bash
# Both .rpm files in a booted system: installed, upgraded under a running instance and hub, erased. The system is Debian with rpm, for
# whose database Debian's packages are not there (--nodeps); what the scriptlets do is what they do elsewhere.
# bed: limit 240
# bed: payload target/package/rpm-payload
# shellcheck source=tests/vm/guest/checks.sh
. /bed/payload/checks.sh
# shellcheck source=tests/vm/guest/product.sh
. /bed/payload/product.sh
# shellcheck source=tests/vm/guest/hub.sh
. /bed/payload/hub.sh
payload=/bed/payload/rpm-payload

chapter 'the .rpm files install and enable nothing'
rpm --initdb
check 'rpm installs the older packages' rpm --install --nodeps "$payload/older/merlon.rpm" "$payload/older/merlon-hub.rpm"
for user in engine-default keeper-default dialer-default seal-default hub hub-keeper hub-seal; do
    check "user merlon-$user" id "merlon-$user"
done
for user in merlon-seal-default merlon-hub-seal; do
    expect "$user is in the group of the TPM" '\btss\b' id --name --groups "$user"
done
expect 'the directories of the instances are root'"'"'s' '^root:root 755$' stat -c '%U:%G %a' /var/lib/merlon
expect 'files are as the package says' '^0$' sh -c 'rpm --verify --nodeps merlon merlon-hub | wc -l'
refused 'no instance is enabled' systemctl is-enabled merlond@default
refused 'nor the hub' systemctl is-enabled merlon-hub
expect 'nothing runs' '^0$' sh -c "systemctl list-units --no-legend 'merlond@*' 'merlon-*@*' 'merlon-hub*' | wc -l"

chapter 'enable --now is all that it takes'
enable_now
within 60 'the instance is open' is_open
start_origin
flow_passes before-the-upgrade
check 'systemctl enable --now merlon-hub' timeout 300 systemctl enable --now merlon-hub
within 60 'the hub is ready' hub_ready
check 'every service and every socket of it is there' hub_all_active

chapter 'an upgrade restarts what runs'
engine=$(main_pid merlond@default) keeper=$(main_pid merlon-keeper@default) dialer=$(main_pid merlon-dialer@default)
hub_before="$(main_pid merlon-hub) $(main_pid merlon-hub-keeper)"
check 'rpm upgrades' rpm --upgrade --nodeps "$payload/merlon.rpm" "$payload/merlon-hub.rpm"
for was in "merlond $engine" "merlon-keeper $keeper" "merlon-dialer $dialer"; do
    read -r process pid <<< "$was"
    [ "$(main_pid "$process@default")" != "$pid" ] || fail "$process of before the upgrade still runs"
done
ok 'engine, keeper and dialer are new processes'
within 60 'the hub is ready again' hub_ready
refused 'the hub and its keeper are new processes' grep -Eq "^($(main_pid merlon-hub) .*|.* $(main_pid merlon-hub-keeper))\$" <<< "$hub_before"
expect 'what the administrator wrote in the configuration stays' upstream_ca cat /etc/merlon/default.toml
within 60 'the instance is open again' is_open
flow_passes after-the-upgrade
expect 'the flow from before is there' before-the-upgrade merlon flows --json

chapter 'erasing leaves the data'
check 'rpm erases the hub' rpm --erase merlon-hub
expect 'nothing of it runs' '^0$' sh -c "systemctl list-units --no-legend --state=active 'merlon-hub*' | wc -l"
check 'its data stays' ls /var/lib/merlon-hub/hub.db /var/lib/merlon-hub-keeper/keyslots.a
check 'the instance goes on' is_open
check 'rpm erases' rpm --erase merlon
expect 'nothing runs' '^0$' sh -c "systemctl list-units --no-legend --state=active 'merlond@*' 'merlon-*@*' | wc -l"
refused 'no program is left' ls /usr/bin/merlond
refused 'nothing starts at the next boot' ls /etc/systemd/system/multi-user.target.wants/merlond@default.service
check 'recorded data and keys stay' ls /var/lib/merlon/default /var/lib/merlon-keeper/default/keyslots.a
check 'the changed configuration stays' ls /etc/merlon/default.toml.rpmsave
