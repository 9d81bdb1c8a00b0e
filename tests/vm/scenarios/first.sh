#!/bin/bash
# The short life: install, enable, a flow, a reboot, purge.
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
    chapter_purge
    ;;
esac
