#!/bin/bash
# world.sh BUILD NAME [PYTEST-ARGUMENTS...] - the tests in swarm/ and hostile/ with the programs in BUILD.
#
# Started by root they run twice: as root, and as an ordinary user, for whom programs and tests are copied to where that
# user can read them.  Started by an ordinary user they run once.  WHO=root or WHO=user picks one.
#
# Arguments that are absolute paths are test files, or folders of them; others are for pytest.  Each file is a run of its
# own, with a network namespace of its own (tests/swarm/isolation.py), and WORLD_JOBS runs are under way at once: most of
# their time is waiting.  Their results are added up; a run that says none, or ended otherwise, is a failure.
set -u
here=$(cd "$(dirname "$0")" && pwd)
build=$(cd "$1" && pwd)
name=$2
shift 2
python=${PYTHON:-/usr/bin/python3}
limit=${WORLD_SECONDS:-600}
most=${WORLD_JOBS:-$(($(nproc) * 3))}
who=${WHO:-}
[ -n "$who" ] || { [ "$(id -u)" = 0 ] && who="root user" || who=self; }
files=() options=()
for a; do
	case $a in
	/*) files+=("$a") ;;
	*) options+=("$a") ;;
	esac
done
[ ${#files[@]} -gt 0 ] || files=("$here/hostile" "$here/swarm") # the longest first
mapfile -t files < <(for f in "${files[@]}"; do if [ -d "$f" ]; then printf '%s\n' "$f"/test_*.py; else echo "$f"; fi; done)

tmp=$(mktemp -d /tmp/bulkhead-tests.XXXXXX)
chmod 755 "$tmp"
declare -A started=() # pid: its run, as WHO/FOLDER-FILE
clean() {
	local p
	for p in "${!started[@]}"; do kill "$p" 2>/dev/null; done
	wait
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

copy_for() { # uid
	mkdir "$tmp/copy" "$tmp/copy/build"
	cp -r "$here" "$tmp/copy/tests"
	cp -r "$here/../ipc" "$here/../parent" "$here/../docs" "$tmp/copy/" # some tests read the message table, the policy, the manual
	cp "$build"/bulkhead* "$tmp/copy/build/"
	chmod -R a+rX "$tmp/copy"
	# theirs: in their user namespace root is nobody, and nobody's programs are not run
	chown -R "$1:$1" "$tmp/copy"
}

run_of() { # who, file: the name of its run
	local folder=${2%/*}
	echo "$1/${folder##*/}-${2##*/}"
}

begin() { # who, file
	local w=$1 file=$2 dir
	dir=$tmp/$(run_of "$w" "$file")
	mkdir -p "$dir"
	local run=(timeout -k 10 "$limit" "$python" -m pytest --maxfail=40 ${options[@]+"${options[@]}"})
	case $w in
	user)
		chown "$uid:$uid" "$dir"
		(cd "$dir" && exec env -i PATH="$PATH" HOME="$dir" TMPDIR="$dir" LANG=C.UTF-8 PYTHONDONTWRITEBYTECODE=1 BULKHEAD_SAN="${BULKHEAD_SAN:-}" \
			ASAN_OPTIONS="${ASAN_OPTIONS:-}" UBSAN_OPTIONS="${UBSAN_OPTIONS:-}" BULKHEAD="$tmp/copy/build/bulkhead" SUITE="$name as $w" \
			setpriv --reuid "$uid" --regid "$uid" --clear-groups --bounding-set=-all --inh-caps=-all \
			"${run[@]}" "${file/#$here/$tmp/copy/tests}") >"$dir.log" 2>&1 </dev/null &
		;;
	*)
		(cd "$dir" && exec env TMPDIR="$dir" LANG=C.UTF-8 BULKHEAD="$build/bulkhead" SUITE="$name as $w" "${run[@]}" "$file") >"$dir.log" 2>&1 </dev/null &
		;;
	esac
	started[$!]=$(run_of "$w" "$file")
}

reap() {
	local p s
	wait -n -p p "${!started[@]}"
	s=$?
	echo "$s" >"$tmp/${started[$p]}.status"
	unset "started[$p]"
}

for w in $who; do
	if [ "$w" = user ]; then
		uid=$(unused_uid) || { echo "== $name as user: 0 passed, 1 failed (no unused uid)"; exit 1; }
		copy_for "$uid"
	fi
done
for f in "${files[@]}"; do
	for w in $who; do
		[ ${#started[@]} -lt "$most" ] || reap
		begin "$w" "$f"
	done
done
while [ ${#started[@]} -gt 0 ]; do reap; done

failures=0
for w in $who; do
	passed=0 failed=0 skipped=0 where=
	for f in "${files[@]}"; do
		log=$tmp/$(run_of "$w" "$f").log
		s=$(cat "${log%.log}.status")
		result=$(grep '^== .*: [0-9]* passed, [0-9]* failed, [0-9]* skipped$' "$log" | tail -1)
		read -r p n k < <(sed 's/.*: \([0-9]*\) passed, \([0-9]*\) failed, \([0-9]*\) skipped$/\1 \2 \3/' <<<"${result:-: 0 passed, 0 failed, 0 skipped}")
		where=${where:-$(sed -n 's/.*\( (uid .*)\): .*/\1/p' <<<"$result")}
		# 5: none of its tests was chosen
		case $s in
		0 | 5) ;;
		*) [ "$n" -gt 0 ] || n=1 ;;
		esac
		[ -n "$result" ] || n=1
		sed 's/^== /-- /' "$log"
		[ -n "$result" ] || echo "-- $name as $w: ${f##*/} said no result: status $s, after at most $limit s"
		passed=$((passed + p)) failed=$((failed + n)) skipped=$((skipped + k))
	done
	[ $((passed + failed)) -gt 0 ] || failed=1
	echo "== $name as $w$where: $passed passed, $failed failed, $skipped skipped"
	failures=$((failures + failed))
done
[ $failures -eq 0 ]
