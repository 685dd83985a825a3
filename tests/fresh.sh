#!/bin/bash
# fresh.sh [COMMAND] - runs COMMAND (default: make demo) on a clone of this repository in a fresh Debian 12 root, which
# has git and make and nothing else.  For root; needs debootstrap and a Debian mirror.
#
# The package sources and proxy settings of this machine are used; its credentials are not.  The root is below /tmp
# (FRESH_DIR to place it elsewhere) and goes away afterwards, with what was mounted in it; the machine keeps nothing.
set -eu
command=${1:-make demo}
here=$(cd "$(dirname "$0")/.." && pwd)
[ "$(id -u)" = 0 ] || { echo "fresh.sh: only root can make a root" >&2; exit 1; }
command -v debootstrap >/dev/null || { echo "fresh.sh: please install debootstrap" >&2; exit 1; }

# A mount namespace of our own: whatever happens, no mount outlives this script.
if [ -z "${FRESH_INSIDE:-}" ]; then
	exec env FRESH_INSIDE=1 timeout -k 30 "${FRESH_SECONDS:-1500}" unshare -m --propagation private "$0" "$@"
fi
root=$(mktemp -d "${FRESH_DIR:-/tmp}/bulkhead-fresh.XXXXXX")
clean() {
	for m in dev/pts dev/shm dev proc; do umount -l "$root/$m" 2>/dev/null || :; done
	grep -q " $root" /proc/mounts || rm -rf "$root"
}
trap clean EXIT

debootstrap --variant=minbase --include=git,make,ca-certificates bookworm "$root" "${FRESH_MIRROR:-http://deb.debian.org/debian}" >"$root.log" 2>&1 ||
	{ tail -20 "$root.log"; exit 1; }
rm -f "$root.log"
chmod 755 "$root"
cp /etc/resolv.conf "$root/etc/resolv.conf"
for f in /etc/apt/sources.list /etc/apt/sources.list.d/*.sources /etc/apt/sources.list.d/*.list; do
	if [ -e "$f" ] && grep -q 'debian\.org' "$f"; then
		[ -n "${copied:-}" ] || rm -f "$root/etc/apt/sources.list"  # debootstrap's own would name the same twice
		copied=1
		cp "$f" "$root/etc/apt/${f#/etc/apt/}"
	fi
done
grep -rhsE '^Acquire::(https?|ftp)::([Pp]roxy|Timeout)' /etc/apt/apt.conf /etc/apt/apt.conf.d >"$root/etc/apt/apt.conf.d/90proxy" || :
mount -t proc proc "$root/proc"
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
for d in null zero full random urandom tty; do
	touch "$root/dev/$d" && mount --bind "/dev/$d" "$root/dev/$d"
done
mkdir "$root/dev/pts" "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"

git clone -q --no-local --depth 1 "file://$here" "$root/src" 2>/dev/null || git clone -q "$here" "$root/src"
echo "fresh.sh: $(chroot "$root" dpkg-query -W | wc -l) packages, Debian $(cat "$root/etc/debian_version"); $command" >&2
SECONDS=0
status=0
# A root by pivot_root, as a container has: the kernel gives no user namespaces in a chroot (FRESH_CHROOT=1 tries one).
run='cd /src && exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 TERM=dumb '"${http_proxy:+http_proxy='$http_proxy'} ${https_proxy:+https_proxy='$https_proxy'}"' sh -c "$command"'
export root command run
if [ -n "${FRESH_CHROOT:-}" ]; then
	chroot "$root" sh -c "$run" </dev/null || status=$?
else
	unshare -m --propagation private sh -c 'mount --rbind "$root" "$root" && cd "$root" && mkdir -p .old && pivot_root . .old &&
		umount -l /.old && eval "$run"' </dev/null || status=$?
fi
echo "fresh.sh: $command: status $status after $SECONDS s" >&2
exit $status
