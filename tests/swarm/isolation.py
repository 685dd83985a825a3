"""isolation.py - a private network and mount namespace for the whole test run.

enter() is called once, before any thread exists.  The user stays who they are: as an ordinary user the
namespaces come with a user namespace that maps nobody but that user to themselves, so that the program under
test does not take itself for one that root has started; what it is given by exec has no capability left.
With BULKHEAD_TEST_NET=host nothing is entered: the tests then run on the machine's own loopback.
"""
import ctypes
import errno
import fcntl
import itertools
import os
import socket
import struct
import time

CLONE_NEWNS, CLONE_NEWUSER, CLONE_NEWNET = 0x00020000, 0x10000000, 0x40000000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_REMOUNT, MS_REC, MS_PRIVATE, MNT_DETACH = 1, 2, 4, 32, 16384, 1 << 18, 2
SIOCGIFFLAGS, SIOCSIFFLAGS, SIOCSIFADDR, SIOCSIFNETMASK, IFF_UP = 0x8913, 0x8914, 0x8916, 0x891c, 1

# Networks of our own on the loopback interface, for programs that take no 127.x address, and not ::1, for a peer's.
HERE, HERE6 = "10.77.0.1", "fd77::1"
_here = itertools.count(2)


def next_here():
    n = next(_here)
    return "10.77.%d.%d" % (1 + n // 250, 1 + n % 250)


def next_here6():
    """In a /64 of its own: what lives in one /64 is one host for many limits."""
    address = "fd77:0:0:%x::1" % next(_here)
    add_address6(address)
    return address


def add_address6(address):
    """IPv6 knows no whole network that is ours: each address is added."""
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as s:
        fcntl.ioctl(s, SIOCSIFADDR, struct.pack("=16sIi", socket.inet_pton(socket.AF_INET6, address), 64, socket.if_nametoindex("lo")))
    for _ in range(200):  # the kernel takes a moment before it lets anybody bind to it
        with socket.socket(socket.AF_INET6) as s:
            try:
                return s.bind((address, 0))
            except OSError as e:
                if e.errno != errno.EADDRNOTAVAIL:
                    raise
        time.sleep(0.01)


libc = ctypes.CDLL(None, use_errno=True)


def check(result, what):
    if result != 0:
        e = ctypes.get_errno()
        raise OSError(e, "%s: %s" % (what, os.strerror(e)))


def enter():
    """True when the run has namespaces of its own; False, having changed nothing, when the system gives none."""
    if os.environ.get("BULKHEAD_TEST_NET") == "host":
        return False
    uid, gid = os.getuid(), os.getgid()
    flags = CLONE_NEWNET | CLONE_NEWNS | (CLONE_NEWUSER if uid else 0)
    if libc.unshare(flags) != 0:
        return False
    if uid:
        for name, text in (("setgroups", "deny"), ("uid_map", "%d %d 1" % (uid, uid)), ("gid_map", "%d %d 1" % (gid, gid))):
            with open("/proc/self/" + name, "w") as f:
                f.write(text)
    if libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None) != 0 and ctypes.get_errno() != errno.EINVAL:
        check(-1, "make mounts private")  # EINVAL: a chroot, whose root is no mount
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        flags = struct.unpack("16sh14x", fcntl.ioctl(s, SIOCGIFFLAGS, struct.pack("16sh14x", b"lo", 0)))[1]
        fcntl.ioctl(s, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", flags | IFF_UP))
        for what, ip in ((SIOCSIFADDR, HERE), (SIOCSIFNETMASK, "255.255.0.0")):
            fcntl.ioctl(s, what, struct.pack("16sH2x4s8x", b"lo:1", socket.AF_INET, socket.inet_aton(ip)))
    add_address6(HERE6)
    return True


def mount_tmpfs(path, size_bytes, inodes=0):
    """A small file system of its own at `path`, seen by this run only."""
    options = "size=%d,mode=0700" % size_bytes + (",nr_inodes=%d" % inodes if inodes else "")
    check(libc.mount(b"tmpfs", os.fsencode(path), b"tmpfs", MS_NOSUID | MS_NODEV, options.encode()), "mount tmpfs")


def unmount(path):
    check(libc.umount2(os.fsencode(path), MNT_DETACH), "unmount")


def mount_ramfs(path):
    """A file system that cannot reserve space."""
    check(libc.mount(b"ramfs", os.fsencode(path), b"ramfs", MS_NOSUID | MS_NODEV, None), "mount ramfs")


def remount_tmpfs(path, options, read_only=False):
    """Another size, or read-only."""
    check(libc.mount(None, os.fsencode(path), None, MS_REMOUNT | MS_NOSUID | MS_NODEV | (MS_RDONLY if read_only else 0), options.encode()), "remount tmpfs")
