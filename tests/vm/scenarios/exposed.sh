#!/bin/bash
# A public address of the proxy, and the end of it all: what needs no TPM of a life.
# shellcheck source=tests/vm/guest/checks.sh
. /bed/payload/checks.sh
# shellcheck source=tests/vm/guest/product.sh
. /bed/payload/product.sh
# shellcheck source=tests/vm/guest/chapters.sh
. /bed/payload/chapters.sh

chapter_install
enable_now
within 180 'the instance is open' is_open
start_origin
flow_passes first
chapter_public_address
chapter_purge
