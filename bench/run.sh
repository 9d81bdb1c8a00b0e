#!/bin/sh
# Builds Merlon and its peers, measures them side by side, and writes bench/results.md. Called by `make bench`; arguments
# go to `merlon-bench report` (for example `--subjects direct,merlon --cases https-1k --history 0 --no-extras`).
# Ends by itself within eight minutes after the builds; ends only what it started.
set -eu
cd "$(dirname "$0")/.."
root=$(pwd)
work=$root/var/bench
bin=$work/bin

say() { printf '%s\n' "bench: $*" >&2; }

if [ "$(nproc)" -lt 2 ]; then
    say "needs two cores: one for the proxy, one for origin and client"
    exit 69
fi
mkdir -p "$root/var"
exec 9>"$root/var/bench.lock"
if ! flock -n 9; then
    say "another run holds var/bench.lock"
    exit 69
fi
rm -rf "$work"
mkdir -p "$bin"

# The recorder alone is measured by a merlond with one command more; everything else by the one that is shipped, which is
# built last so that target/release holds it afterwards.
recorder=
if grep -q '^bench *=' daemon/engine/Cargo.toml; then
    cargo build --release --locked -p merlon-engine --features bench
    cp target/release/merlond "$bin/merlond-recorder"
    recorder="--recorder $bin/merlond-recorder"
fi
cargo build --release --locked -p merlon-engine -p merlon-keeper -p merlon-dialer -p merlon-seal -p merlon-hub -p merlon-bench
for program in merlond merlon-keeper merlon-dialer merlon-seal merlon-hub merlon-bench; do
    cp "target/release/$program" "$bin/"
done

# One unseal at an emulated TPM, the whole process.
unseal="no swtpm here"
if command -v swtpm >/dev/null; then
    cargo test --release --locked -p merlon-seal --test tpm --no-run
    unseal=$(taskset -c 1 cargo test --release --locked -p merlon-seal --test tpm -- --ignored --nocapture 2>/dev/null |
        sed -n 's/^.*unseal: //p')
fi

peers=
if cargo build --release --locked --manifest-path bench/peers/Cargo.toml; then
    peers="--hudsucker $root/bench/peers/target/release/hudsucker-noop"
else
    say "hudsucker did not build; its rows will say so"
fi
# The newest Python that is there: new versions of mitmproxy need one.
if [ ! -x bench/.venv/bin/mitmdump ]; then
    for python in python3.14 python3.13 python3.12 python3; do
        rm -rf bench/.venv
        if "$python" -m venv bench/.venv 2>/dev/null && bench/.venv/bin/pip install --quiet mitmproxy; then
            break
        fi
    done
fi
if [ -x bench/.venv/bin/mitmdump ] && bench/.venv/bin/mitmdump --version >/dev/null 2>&1; then
    peers="$peers --mitmdump $root/bench/.venv/bin/mitmdump"
else
    say "mitmproxy could not be installed; its rows will say so"
fi

# A network and processes of its own, where that is permitted: nothing listens outside, nothing survives.
apart=
network="loopback of the host"
if [ "$(id -u)" = 0 ] && command -v ip >/dev/null &&
    unshare --net --pid --fork --kill-child --mount-proc ip link set lo up 2>/dev/null; then
    apart="unshare --net --pid --fork --kill-child --mount-proc"
    network="loopback of a network namespace of its own"
fi
commit=$(git rev-parse --short HEAD 2>/dev/null || echo unknown)
git diff --quiet HEAD -- daemon 2>/dev/null || commit="$commit with changes"

# shellcheck disable=SC2086 # the lists are meant to be split
within() {
    timeout --kill-after=10 480 $apart sh -c '
        [ "$1" = apart ] && ip link set lo up
        shift
        exec "$@"
    ' sh "${apart:+apart}" "$@"
}
# shellcheck disable=SC2086 # as above
within taskset -c 1 "$bin/merlon-bench" report \
    --directory "$work/run" --merlond "$bin/merlond" $recorder $peers --output "$root/bench/results.md" \
    --fact "Commit: $commit" --fact "Compiler: $(rustc --version)" --fact "Network: $network" \
    --fact "Unseal by merlon-seal at swtpm, from its start to its end (target: 15 ms): $unseal" \
    --fact "Cores: proxy (all its processes) on 0, origin and client on 1" "$@"
within taskset -c 1 "$bin/merlon-bench" hub --hub "$bin/merlon-hub" --directory "$work/hub" |
    tee -a "$root/bench/results.md"
