# Words in which a scenario speaks, sourced by it inside the machine. What is printed goes to the host line by line:
#   chapter NAME     begins a row of the table
#   ok TEXT          a thing that was found as it should be
#   not ok TEXT      and one that was not; the scenario ends there
#   note KEY VALUE   a figure for the table's foot
# Anything else is for people who read the log.
set -euo pipefail

chapter() { echo "chapter $EPOCHREALTIME $*"; }
ok() { echo "ok $*"; }
note() { echo "note $*"; }

# Ends the scenario, with what the machine's journal last said.
fail() {
    echo "not ok $*"
    journalctl -b --no-pager -n 60 -o short-precise | sed 's/^/    /'
    exit 1
}

# check TEXT COMMAND...: the command succeeds.
check() {
    local text=$1 output
    shift
    if output=$("$@" 2>&1); then
        ok "$text"
    else
        echo "$output"
        fail "$text: $* ended with a failure"
    fi
}

# refused TEXT COMMAND...: the command fails.
refused() {
    local text=$1 output
    shift
    if output=$("$@" 2>&1); then
        echo "$output"
        fail "$text: $* succeeded"
    fi
    ok "$text"
}

# expect TEXT PATTERN COMMAND...: what the command prints, on either stream, matches. Its exit code is not judged.
expect() {
    local text=$1 pattern=$2 output
    shift 2
    output=$("$@" 2>&1) || true
    if grep -Eq -- "$pattern" <<<"$output"; then
        ok "$text"
    else
        echo "$output"
        fail "$text: no line of $* matches $pattern"
    fi
}

# within SECONDS TEXT COMMAND...: the command succeeds at some moment before the bound. A generous bound costs nothing:
# it is for a machine that stands, not for one that is slow.
within() {
    local bound=$1 text=$2 end=$((SECONDS + $1)) output=''
    shift 2
    until output=$("$@" 2>&1); do
        if [ "$SECONDS" -ge "$end" ]; then
            echo "$output"
            fail "$text: not within $bound seconds: $*"
        fi
        sleep 0.2
    done
    ok "$text"
}

# matches PATTERN COMMAND...: for use with within.
matches() {
    local pattern=$1 output
    shift
    output=$("$@" 2>&1) || true
    echo "$output"
    grep -Eq -- "$pattern" <<<"$output"
}

# Boots once more, with PHASE one higher: `next_boot`, or `next_boot new-tpm` (another TPM in the machine).
next_boot() {
    echo "next boot ${1:-}"
    exit 0
}

# The host cuts the power after N further lines `ack ID .`, and boots once more; /bed/payload/acknowledged then has the ids.
cut_after() { echo "cut $1"; }
