#!/bin/sh
# sum.sh LOG - adds up the lines "== SUITE: N passed, N failed" and prints the sum alone on a line; fails when
# something failed or nothing passed.
awk '/^== .*: [0-9]+ passed, [0-9]+ failed/ {
	match($0, /: [0-9]+ passed, [0-9]+ failed/)
	split(substr($0, RSTART + 2, RLENGTH - 2), n, " ")
	passed += n[1]; failed += n[3]
}
END { printf "%d passed, %d failed\n", passed, failed; exit failed > 0 || passed == 0 }' "$1"
