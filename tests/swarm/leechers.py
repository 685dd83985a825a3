"""leechers.py - real clients that download, each a process that ends with its test.

Each is bound to an address of its own, with DHT, local discovery, peer exchange, port forwarding, uTP, UDP trackers and
encryption off: whom it knows it knows by `torrent`'s tracker, or because they connected.
"""
import json
import os
import shutil
import socket
import tempfile
import time

import isolation
import process
import seeders
from payload import bencode

# What is said of rtorrent: as little as makes it a client of one torrent that nobody looks at.
RTORRENT = """
directory.default.set = "{folder}"
session.path.set = "{session}"
network.port_range.set = {port}-{port}
network.port_random.set = no
network.port_open.set = yes
{bind}
protocol.encryption.set = none
protocol.pex.set = no
dht.mode.set = disable
trackers.use_udp.set = no
system.umask.set = 0022
system.daemon.set = true
schedule2 = load, 0, 0, ((load.start, "{torrent}"))
"""


def knows(address, port, payload):
    """Whether it answers the handshake for this torrent, asked from an address that is not used again."""
    source = isolation.next_here6() if ":" in address else isolation.next_here()
    try:
        with socket.create_connection((address, port), 2, (source, 0)) as s:
            s.settimeout(2)
            s.sendall(b"\x13BitTorrent protocol" + bytes(8) + payload.infohash + b"-TS0000-" + os.urandom(12))
            return len(s.makefile("rb").read(68)) == 68
    except OSError:
        return False


class Leecher:
    """One that runs; what it downloads goes to `folder`."""

    def __init__(self, payload, address, torrent):
        self.payload, self.address, self.port = payload, address, seeders.free_port()
        self.torrent = torrent or payload.torrent
        self.own = tempfile.mkdtemp(prefix="leecher-", dir=payload.folder)
        self.folder = os.path.join(self.own, "out")
        os.mkdir(self.folder)
        self.environment = dict(os.environ, HOME=self.own, TERM="dumb")

    def wait_ready(self):
        process.wait_for(lambda: knows(self.address, self.port, self.payload), 20, "%s knows its torrent" % self.process.args[0], self.process)

    def remind(self):
        """Makes it look for whom it wants something of, where it would do so only now and then."""

    def told(self):
        return "%s at %s: %s\n%s" % (self.process.args[0], self.address, self.payload.differences(self.folder), process.read_log(self.process)[-3000:])

    def assert_complete(self, seconds=30):
        assert_complete([self], seconds)


def assert_complete(leechers, seconds=30):
    """Each has all, by SHA-256."""
    begin, reminded, left = time.monotonic(), 0, list(leechers)
    while left:
        time.sleep(0.1)
        passed = time.monotonic() - begin
        if passed > 1.5 * (reminded + 1) and reminded < 6:
            reminded += 1
            for x in left:
                x.remind()
        left = [x for x in left if x.payload.differences(x.folder)]
        for x in left:
            assert x.process.poll() is None and passed < seconds, x.told()


def libtorrent(payload, address, torrent=None, dials=None):
    """dials: (address, port) that it connects to at once; of the others only a tracker can tell them."""
    leecher = Leecher(payload, address, torrent)
    leecher.process = process.start([seeders.PYTHON, os.path.join(seeders.HERE, "lt_seeder.py"), address, leecher.port, leecher.folder, leecher.torrent, "leech", 0, *(dials or ())])
    return leecher


class Transmission(Leecher):
    """It looks every ten seconds, and whenever a torrent is started: a new one, of one byte, that nobody has."""

    reminded = 0

    def remind(self):
        self.reminded += 1
        info = {"name": "reminder %d" % self.reminded, "piece length": 1 << 14, "length": 1, "pieces": os.urandom(20)}
        path = os.path.join(self.own, "reminder.torrent")
        with open(path, "wb") as f:
            f.write(bencode({"info": info}))
        os.rename(path, os.path.join(self.own, "watch", "%d.torrent" % self.reminded))


def transmission(payload, address, torrent=None):
    leecher = Transmission(payload, address, torrent)
    v6 = ":" in address
    # The address of IPv4, unless it is the default, is also where it calls a tracker from.
    settings = {"bind-address-ipv4": "0.0.0.0" if v6 else address, "bind-address-ipv6": address if v6 else "::1", "peer-port": leecher.port, "rpc-enabled": False,
                "download-dir": leecher.folder, "incomplete-dir-enabled": False, "rename-partial-files": False, "preallocation": 0, "dht-enabled": False,
                "lpd-enabled": False, "pex-enabled": False, "utp-enabled": False, "port-forwarding-enabled": False, "encryption": 0,
                "watch-dir-enabled": True, "watch-dir": os.path.join(leecher.own, "watch"), "umask": 0o022,
                "blocklist-enabled": False, "ratio-limit-enabled": False, "idle-seeding-limit-enabled": False,
                "download-queue-enabled": False, "message-level": 2, "trash-original-torrent-files": False}
    os.mkdir(settings["watch-dir"])
    shutil.copy(leecher.torrent, settings["watch-dir"])
    with open(os.path.join(leecher.own, "settings.json"), "w") as f:
        json.dump(settings, f)
    leecher.process = process.start(["transmission-daemon", "-f", "-g", leecher.own], env=leecher.environment)
    return leecher


def aria2(payload, address, torrent=None):
    leecher = Leecher(payload, address, torrent)
    leecher.process = process.start(["aria2c", "--no-conf", "--dir=" + leecher.folder, "--seed-ratio=0.0", "--seed-time=600", "--listen-port=%d" % leecher.port,
                                     "--interface=" + address, "--enable-dht=false", "--enable-dht6=false", "--bt-enable-lpd=false", "--enable-peer-exchange=false",
                                     "--disable-ipv6=%s" % ("false" if ":" in address else "true"), "--follow-torrent=mem", "--file-allocation=none",
                                     leecher.torrent], env=leecher.environment)
    return leecher


def rtorrent(payload, address, torrent=None):
    """It takes no torrent without a tracker.  0.9.8 binds to IPv4 addresses only: for IPv6 it listens on all, and calls from where the kernel likes."""
    leecher = Leecher(payload, address, torrent)
    bind = "" if ":" in address else 'network.bind_address.set = "%s"' % address
    session, rc = os.path.join(leecher.own, "session"), os.path.join(leecher.own, "rc")
    os.mkdir(session)
    with open(rc, "w") as f:
        f.write(RTORRENT.format(folder=leecher.folder, session=session, port=leecher.port, bind=bind, torrent=leecher.torrent))
    leecher.process = process.start(["rtorrent", "-n", "-o", "import=" + rc], env=leecher.environment)
    return leecher


LEECHERS = {"libtorrent": libtorrent, "transmission": transmission, "aria2": aria2, "rtorrent": rtorrent}
