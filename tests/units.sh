#!/bin/sh
# units.sh NAME PROGRAM... - runs cmocka programs, as many at once as there are processors, and prints one line of result.
# A program that crashes or does not end counts as one failure more; one that passes nothing as one.
set -u
name=$1
shift
passed=0 failed=0
logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT
printf '%s\0' "$@" | xargs -0 -P "$(nproc)" -I PROGRAM sh -c 'log=$1/${2##*/}
	timeout -k 5 180 "$2" >"$log" 2>&1 </dev/null
	echo $? >"$log.status"' sh "$logs" PROGRAM
for t; do
	log=$logs/${t##*/}
	status=$(cat "$log.status" || echo missing)
	p=$(sed -n 's/^\[  PASSED  \] \([0-9]*\) test.*/\1/p' "$log" | awk '{n += $1} END {print n + 0}')
	f=$(sed -n 's/^\[  FAILED  \] \([0-9]*\) test.*/\1/p' "$log" | awk '{n += $1} END {print n + 0}')
	if [ "$status" != 0 ] && [ "$f" -eq 0 ]; then
		f=1
	fi
	if [ "$status" = 0 ] && [ "$p" -eq 0 ]; then
		echo "$t: ended with status 0 and ran no test" >>"$log"
		f=1
	fi
	if [ "$f" -ne 0 ]; then
		echo "---- $t: status $status"
		grep -vE '^\[ (RUN     |      OK) \]' "$log" | tail -60
	fi
	passed=$((passed + p)) failed=$((failed + f))
done
echo "== $name: $passed passed, $failed failed"
[ $failed -eq 0 ]
