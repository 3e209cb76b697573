#!/bin/sh
# Prints the kubeconfig of the cluster that the program of TORPOR_CLUSTER_TOOL starts, or finds
# running. Where its processes are to be built first, they are built for tests, and soon: whoever
# debugs them builds them himself. Without what a debugger needs it takes a fifth less; another fifth
# goes where nothing is inlined, and another where the compiler looks for garbage a quarter as often.
# So does what was built, as long as it runs: memory for a processor's time.
set -eu

# The first time its processes are built, which takes five to fifteen minutes on two processors.
SECONDS_MAX=1500

fail() {
    echo "cluster: $*" >&2
    exit 1
}

tool=${TORPOR_CLUSTER_TOOL:-}
[ -n "$tool" ] || fail "set KUBECONFIG, or TORPOR_CLUSTER_TOOL to a program that starts one"
command -v "$tool" >/dev/null || fail "TORPOR_CLUSTER_TOOL is $tool, which can not be run"
[ "$(id -u)" = 0 ] || fail "$tool needs root to start one: or set KUBECONFIG"
export GOFLAGS="${GOFLAGS:-'-gcflags=all=-dwarf=false -l'}" GOGC="${GOGC:-400}"
exec timeout --kill-after=30 "$SECONDS_MAX" "$tool" up
