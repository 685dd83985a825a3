"""compartments.py - one compartment alone, with the test as its parent: its control channel on descriptor 3, all
its walls up; and network namespaces that it can be put into.

The numbers of the messages are read from ipc/messages.h; their layouts are written down here a second time, by hand.
"""
import array
import ctypes
import ipaddress
import os
import re
import select
import socket
import struct
import subprocess
import threading
import time

import client
import process

HERE = os.path.dirname(os.path.abspath(__file__))
LIBC = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNET = 0x40000000
CONTROL_EPOCH = 0

with open(os.path.join(HERE, "..", "..", "ipc", "messages.h")) as f:
    SOURCE = f.read()
NAMES = re.findall(r"^\s*X\((\w+), (\w+), \d+, \d\)", SOURCE, re.M)
NUMBER = {name: i + 1 for i, (name, _) in enumerate(NAMES)}
NAME_OF = {i: name for name, i in NUMBER.items()}


def enum(name, source=SOURCE):
    """{constant: value} of one enum of a header."""
    body = re.sub(r"/\*.*?\*/", "", re.search(r"enum %s \{(.*?)\};" % name, source, re.S).group(1), flags=re.S)
    out, value = {}, -1
    for item in body.split(","):
        if item.strip():
            key, _, given = (x.strip() for x in item.partition("="))
            value = int(given) if given else value + 1
            out[key] = value
    return out


SETUP = enum("setup_fd")
FAILURE = enum("dial_failure")
with open(os.path.join(HERE, "..", "..", "parent", "dialer", "egress.h")) as f:
    VERDICT = enum("egress_verdict", f.read())


# ---- messages

def addr(text=None, port=0):
    """struct net_addr; family 0 without a text."""
    if text is None:
        return bytes(20)
    ip = ipaddress.ip_address(text)
    return struct.pack("=BBH16s", ip.version, 0, port, ip.packed)


def addr_text(b):
    family, _, port, ip = struct.unpack("=BBH16s", b)
    return None if family == 0 else (str(ipaddress.ip_address(ip[:4] if family == 4 else ip)), port)


def dialer_options(interface="", bind4=None, bind6=None, system_dns=0, timeout_ms=3000, in_flight=64, per_second=1000, rcvbuf=65536, sndbuf=32768,
                   ports=(0, 0), listen4=1, listen6=1, accepts=30):
    return struct.pack("=16s20s20sB3x5I2H2B2xI", interface.encode(), addr(bind4), addr(bind6), system_dns, timeout_ms, in_flight, per_second, rcvbuf, sndbuf,
                       ports[0], ports[1], listen4, listen6, accepts)


def form(trackers):
    """A normal form, that of a magnet link with these http trackers: (host, port)."""
    strings, urls = b"", b""
    start = 128 + 24 * len(trackers)

    def text(s):
        nonlocal strings
        at = start + len(strings)
        strings += s.encode() + b"\0"
        return struct.pack("=II", at, len(s))

    name = text("a magnet")
    for host, port in trackers:
        urls += text("http://%s:%d/a" % (host, port)) + text(host) + struct.pack("=HBBI", port, 1, 0, 0)
    head = struct.pack("=QQ20sIQIIIII8sIIII", 0x62686e6631303030, 0, bytes(range(20)), 8, 0, 0, 0, 0, len(trackers), 0, name, 0, 0, 128, 0)
    body = head.ljust(128, b"\0") + urls + strings
    body += bytes(-len(body) % 8)
    return body[:8] + struct.pack("=Q", len(body)) + body[16:]


def sealed(data):
    """A descriptor of a memfd with these bytes that nobody can change any more."""
    import fcntl
    fd = os.memfd_create("form", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.write(fd, data)
    fcntl.fcntl(fd, 1033, 1 | 2 | 4 | 8)  # F_ADD_SEALS: SEAL, SHRINK, GROW, WRITE
    return fd


class Channel:
    """One end of a pair: packets of one message."""

    def __init__(self, sock, epoch):
        self.sock, self.epoch, self.waiting = sock, epoch, []
        sock.setblocking(False)

    def send(self, name, *bodies, fd=None):
        data = struct.pack("=HHI", NUMBER[name], len(bodies), self.epoch) + b"".join(bodies)
        ancillary = [] if fd is None else [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))]
        self.sock.sendmsg([data], ancillary)

    def receive(self, seconds=5):
        """(name, body, descriptor or None) of the next message; None at the end of the channel."""
        if self.waiting:
            return self.waiting.pop(0)
        if not select.select([self.sock], [], [], seconds)[0]:
            raise AssertionError("no message within %g s" % seconds)
        try:
            data, ancillary, _, _ = self.sock.recvmsg(4096, socket.CMSG_SPACE(4))
        except ConnectionResetError:
            return None
        if not data:
            return None
        kind, count, epoch = struct.unpack("=HHI", data[:8])
        assert epoch == self.epoch
        size = (len(data) - 8) // count
        fds = [array.array("i", d)[0] for level, what, d in ancillary if what == socket.SCM_RIGHTS]
        for i in range(count):
            self.waiting.append((NAME_OF[kind], data[8 + i * size:8 + (i + 1) * size], fds[0] if fds else None))
        return self.waiting.pop(0)

    def receive_type(self, name, seconds=5):
        """The body of the next message of this type; others are skipped."""
        end = time.monotonic() + seconds
        while True:
            m = self.receive(max(0.01, end - time.monotonic()))
            assert m is not None, "the channel ended before %s" % name
            if m[0] == name:
                return m[1]

    def close(self):
        self.sock.close()


def pair(epoch):
    a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    return Channel(a, epoch), b


# ---- namespaces

def enter(pid):
    fd = os.open("/proc/%d/ns/net" % pid, os.O_RDONLY | os.O_CLOEXEC)
    r = LIBC.setns(fd, CLONE_NEWNET)
    os.close(fd)
    if r != 0:
        raise OSError(ctypes.get_errno(), "setns")


class Space:
    """A network namespace, held by a process that does nothing."""

    def __init__(self):
        ready, done = os.pipe()
        self.holder = process.start(["sleep", "600"], preexec_fn=lambda: LIBC.unshare(CLONE_NEWNET) == 0 and os.write(done, b"y"), pass_fds=[done])
        os.close(done)
        assert os.read(ready, 1) == b"y", "no network namespace"
        os.close(ready)
        self.pid = self.holder.pid
        self.listeners = []  # kept open
        self.ip("link set lo up")

    def ip(self, *lines):
        for line in lines:
            subprocess.run(["ip"] + line.split(), check=True, preexec_fn=lambda: enter(self.pid), stdout=subprocess.DEVNULL)

    def call(self, f):
        """f() in this namespace: sockets that it makes belong to it."""
        result = []

        def body():
            enter(self.pid)
            try:
                result.append((f(), None))
            except BaseException as e:  # handed to the caller
                result.append((None, e))

        t = threading.Thread(target=body)
        t.start()
        t.join()
        value, error = result[0]
        if error:
            raise error
        return value

    def listen(self, ip, port):
        def make():
            s = socket.socket(socket.AF_INET6 if ":" in ip else socket.AF_INET, socket.SOCK_STREAM)
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if ":" in ip:
                s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            s.bind((ip, port))
            s.listen(64)
            s.settimeout(5)
            self.listeners.append(s)
            return s
        return self.call(make)


# ---- compartments

class Compartment:
    """A compartment that has come up, walls and all: it was sent GO."""

    def __init__(self, program, fds, space=None, before_end=(), slow_s=0):
        """fds: {"DIAL": (socket, epoch), ...}; before_end: (name, body) to be sent during set-up; slow_s: before its end."""
        mine, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        path = os.path.join(os.path.dirname(client.PROGRAM), program)

        def before():
            if space:
                enter(space.pid)
            os.dup2(theirs.fileno(), 3, inheritable=True)

        self.process = process.start([path], preexec_fn=before, pass_fds=[3])
        theirs.close()
        self.control = Channel(mine, CONTROL_EPOCH)
        self.log, self.stats, self.listening = [], [], None
        self.expect("HELLO")
        for what, (fd, epoch) in fds.items():
            self.control.send("SETUP_FD", struct.pack("=II", SETUP["SETUP_" + what], epoch), fd=fd)
        for name, body in before_end:
            self.control.send(name, body)
        time.sleep(slow_s)
        self.control.send("SETUP_END", bytes(4))
        self.walls = struct.unpack("=IIQ", self.expect("READY"))[0]
        self.control.send("GO", bytes(4))

    def expect(self, name, seconds=5):
        """The body of the next message of this type; log lines and stats are kept on the way."""
        end = time.monotonic() + seconds
        while True:
            m = self.control.receive(max(0.01, end - time.monotonic()))
            assert m is not None, "it ended before %s: %s" % (name, self.log)
            if m[0] == "LOG":
                level, topic, length = struct.unpack("=BBH", m[1][:4])
                self.log.append(m[1][4:4 + length].decode())
            elif m[0] == "DIALER_STATS":
                self.stats.append(struct.unpack("=6I", m[1]))
            elif m[0] == "LISTENING":
                self.listening = struct.unpack("=HH", m[1])
            elif m[0] == "VIOLATION":
                raise AssertionError("unlisted system call %d" % struct.unpack("=I", m[1]))
            if m[0] == "LISTENER":
                self.listener = m[2]
            if m[0] == name:
                return m[1]

    def log_line(self, text, seconds=5):
        """Waits for a log line that contains this."""
        end = time.monotonic() + seconds
        while not any(text in line for line in self.log):
            self.expect("LOG", max(0.01, end - time.monotonic()))

    def shutdown(self):
        self.control.send("SHUTDOWN", struct.pack("=I", 1000))
        status = struct.unpack("=I", self.expect("BYE", 2))[0]
        self.process.wait(2)
        return status
