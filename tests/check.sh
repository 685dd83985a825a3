#!/bin/bash
# check.sh release|kill|san - the suites of one build, every one of them also after a failure of another.
#
#	release, kill   units, probe, and the world as root (when root) and as an ordinary user
#	san             units under address, undefined and thread sanitizers, and a few downloads under the first two
#
# Each suite prints "== SUITE: N passed, N failed"; one that could not even be built counts as one failure.
# The log of all is build-check-NAME.log; tests/sum.sh adds it up.
set -u
cd "$(dirname "$0")/.." || exit 1
log=build-check-$1.log
: >"$log"
status=0

step() { # seconds, make's arguments
	local limit=$1 before after
	shift
	before=$(grep -c '^== ' "$log")
	timeout -k 15 "$limit" make -s --no-print-directory -k -j"$(nproc)" "$@" 2>&1 </dev/null | tee -a "$log"
	[ "${PIPESTATUS[0]}" -eq 0 ] || status=1
	after=$(grep -c '^== ' "$log")
	if [ "$after" -eq "$before" ]; then
		echo "== make $*: 0 passed, 1 failed (nothing ran)" | tee -a "$log"
		status=1
	fi
}

probe=
[ ! -e tests/probe/probe.mk ] || probe=check-probe
case $1 in
release | kill)
	if [ "$1" = release ]; then mode="BUILD=${BUILD:-build}"; else mode="BUILD=build-kill KILL=1"; fi
	make -s -j"$(nproc)" $mode all || { echo "== make $mode all: 0 passed, 1 failed" | tee -a "$log"; exit 1; }
	[ "$1" = kill ] || step 600 $mode check-unit
	[ -z "$probe" ] || step 300 $mode $probe
	step 900 $mode check-world
	;;
san)
	export ASAN_OPTIONS=detect_leaks=1:abort_on_error=1 UBSAN_OPTIONS=print_stacktrace=1
	step 900 BUILD=build-asan SAN=address,undefined check-unit
	step 600 BUILD=build-tsan SAN=thread UNIT_WRAP='setarch -R' check-unit
	export ASAN_OPTIONS=detect_leaks=0:abort_on_error=1 BULKHEAD_SAN=1
	step 600 BUILD=build-asan SAN=address,undefined WORLD="-m few $PWD/tests/swarm" check-world
	;;
*)
	echo "usage: check.sh release|kill|san" >&2
	exit 2
	;;
esac
exit $status
