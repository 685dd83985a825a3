#!/bin/bash
# world.sh BUILD NAME [PYTEST-ARGUMENTS...] - the tests in swarm/ and hostile/ with the programs in BUILD.
#
# Started by root they run twice, side by side: as root, and as an ordinary user, for whom programs and tests are copied
# to where that user can read them.  Started by an ordinary user they run once.  WHO=root or WHO=user picks one.
# Each run has a network namespace of its own (tests/swarm/isolation.py).
set -u
here=$(cd "$(dirname "$0")" && pwd)
build=$(cd "$1" && pwd)
name=$2
shift 2
[ $# -gt 0 ] || set -- "$here/swarm" "$here/hostile"
python=${PYTHON:-/usr/bin/python3}
limit=${WORLD_SECONDS:-1200}
who=${WHO:-}
[ -n "$who" ] || { [ "$(id -u)" = 0 ] && who="root user" || who=self; }
tmp=$(mktemp -d /tmp/bulkhead-tests.XXXXXX)
chmod 755 "$tmp"
pids=
clean() {
	for p in $pids; do kill "$p" 2>/dev/null; done
	rm -rf "$tmp"
}
trap clean EXIT
trap 'exit 130' INT TERM
export PYTHONDONTWRITEBYTECODE=1

# The highest uid below 65000 that nobody has and nothing runs as.
unused_uid() {
	local u
	for u in $(seq 64999 -1 64000); do
		getent passwd "$u" >/dev/null && continue
		[ -z "$(find /proc -maxdepth 1 -user "$u" -print -quit 2>/dev/null)" ] || continue
		echo "$u"
		return
	done
	return 1
}

start() { # who
	local w=$1
	shift
	mkdir "$tmp/$w"
	case $w in
	user)
		uid=$(unused_uid) || { echo "== $name as $w: 0 passed, 1 failed (no unused uid)"; return; }
		mkdir "$tmp/copy" "$tmp/copy/build"
		cp -r "$here" "$tmp/copy/tests"
		cp -r "$here/../ipc" "$here/../parent" "$tmp/copy/" # some tests read the message table and the policy
		cp "$build"/bulkhead* "$tmp/copy/build/"
		chmod -R a+rX "$tmp/copy"
		# theirs: in their user namespace root is nobody, and nobody's programs are not run
		chown -R "$uid:$uid" "$tmp/copy" "$tmp/$w"
		local arguments=("${@//$here/$tmp/copy/tests}")
		(cd "$tmp/$w" && exec env -i PATH="$PATH" HOME="$tmp/$w" TMPDIR="$tmp/$w" LANG=C.UTF-8 PYTHONDONTWRITEBYTECODE=1 BULKHEAD_SAN="${BULKHEAD_SAN:-}" \
			ASAN_OPTIONS="${ASAN_OPTIONS:-}" UBSAN_OPTIONS="${UBSAN_OPTIONS:-}" BULKHEAD="$tmp/copy/build/bulkhead" SUITE="$name as $w" \
			setpriv --reuid "$uid" --regid "$uid" --clear-groups --bounding-set=-all --inh-caps=-all \
			timeout -k 10 "$limit" "$python" -m pytest --maxfail=40 "${arguments[@]}") >"$tmp/$w.log" 2>&1 </dev/null &
		;;
	*)
		(cd "$tmp/$w" && exec env TMPDIR="$tmp/$w" LANG=C.UTF-8 BULKHEAD="$build/bulkhead" SUITE="$name as $w" \
			timeout -k 10 "$limit" "$python" -m pytest --maxfail=40 "$@") >"$tmp/$w.log" 2>&1 </dev/null &
		;;
	esac
	pids="$pids $!"
	running+=("$w:$!")
}

running=()
for w in $who; do start "$w" "$@"; done
status=0
for r in ${running[@]+"${running[@]}"}; do
	wait "${r##*:}" || status=1
	w=${r%%:*}
	cat "$tmp/$w.log"
	grep -q '^== ' "$tmp/$w.log" || echo "== $name as $w: 0 passed, 1 failed (the run did not end: $limit s)"
done
[ "${#running[@]}" -gt 0 ] || status=1
pids=
exit $status
