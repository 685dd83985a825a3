#!/bin/sh
# coverage.sh BUILD - which part of each source file the unit tests of a COV=1 build ran, the least covered first.
set -eu
find "$1" -name '*.gcda' | xargs gcov -n 2>/dev/null | awk -v q="'" '
	/^File/ { file = $0; sub("^File " q, "", file); sub(q "$", "", file); next }
	/^Lines executed:/ && file !~ /^\/|^tests\// { split($0, a, /[:% ]+/); if (!(file in best) || a[3] > best[file]) { best[file] = a[3]; lines[file] = a[5] } file = "/" }
	END { for (f in best) printf "%6.2f %% of %5d  %s\n", best[f], lines[f], f }' | sort -n
