#!/bin/sh
# packages.sh LIST - the one place that says which Debian packages bulkhead needs.
#
#	build   to compile it
#	demo    build, and what runs the demo
#	test    demo, and what make check, check-san, fuzz and the continuous build need
#
# Installs what is missing, as root; as anybody else it says what to install and fails unless all is there.
# --print LIST prints the list and changes nothing.
#
# transmission-daemon and opentracker bring system services.  The tests start programs of their own, as children, and
# neither need nor use those services.  RUNLEVEL=1 keeps them from starting where there is no systemd (a container, a
# chroot); on a machine that systemd runs they start as after any installation.
set -eu

build='gcc libc6-dev make pkg-config libcurl4-openssl-dev libssl-dev libseccomp-dev ca-certificates'
demo="$build python3"
test="$demo python3-libtorrent libcmocka-dev clang libclang-rt-14-dev python3-pytest transmission-daemon aria2 opentracker openssl python3-cryptography iproute2 util-linux procps mktorrent rtorrent"

list() {
	case $1 in
	build) echo $build ;;
	demo) echo $demo ;;
	test) echo $test ;;
	*)
		echo "usage: packages.sh [--print] build|demo|test" >&2
		exit 2
		;;
	esac
}

if [ "${1:-}" = --print ]; then
	list "${2:-}"
	exit 0
fi
[ $# -eq 1 ] || { list ''; }
want=$(list "$1") || exit 2

# A bare debootstrap root has no hosts file, which every installed Debian has: the tests resolve "localhost".
if [ "$1" = test ] && [ ! -e /etc/hosts ] && [ "$(id -u)" = 0 ]; then
	printf '127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n' >/etc/hosts
fi

if ! command -v dpkg-query >/dev/null 2>&1; then
	echo "packages.sh: not a Debian system; what '$1' needs is called there: $want" >&2
	exit 0
fi
missing=
for p in $want; do
	case $(dpkg-query -W -f '${db:Status-Status}\n' "$p" 2>/dev/null || :) in
	*not-installed* | '') missing="$missing $p" ;;
	*installed*) ;;
	*) missing="$missing $p" ;;
	esac
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" != 0 ]; then
	echo "packages.sh: please install these first (apt-get install --no-install-recommends):$missing" >&2
	exit 1
fi
echo "packages.sh: installing$missing" >&2
export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! { apt-get update -qq && apt-get install -y -qq --no-install-recommends -o Dpkg::Use-Pty=0 $missing; } </dev/null >"$log" 2>&1; then
	tail -40 "$log" >&2
	echo "packages.sh: apt-get could not install them" >&2
	exit 1
fi
