"""seeders.py - real clients that seed, and real trackers that announce, each a process that ends with its test.

Everything binds to an address of 127.0.0.0/8 (or ::1) and to nothing else, with DHT, local discovery, port
forwarding and uTP off.
"""
import errno
import http.server
import itertools
import json
import os
import signal
import socket
import ssl
import struct
import subprocess
import tempfile
import threading
import urllib.error
import urllib.parse
import urllib.request

import process
from payload import bencode

HERE = os.path.dirname(os.path.abspath(__file__))
PYTHON = "/usr/bin/python3"
_hosts, _probes, _networks = itertools.count(1), itertools.count(1), itertools.count(0)


def next_address():
    """An address for each peer: clients commonly allow one connection for each."""
    n = next(_hosts)
    return "127.0.%d.%d" % (1 + n // 200, 1 + n % 200)


def next_network():
    """An address in a /24 of its own."""
    n = next(_networks)
    return "127.%d.%d.1" % (60 + n // 250, 1 + n % 250)


# Below those that the kernel gives to sockets which connect (ip_local_port_range): what is free stays free.
_ports = itertools.count(15000 + os.getpid() % 15000)


def free_port():
    """A port that nothing has, in IPv4 or IPv6, whatever its address."""
    while True:
        port = next(_ports)
        with socket.socket(socket.AF_INET6) as s:
            s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            try:
                s.bind(("::", port))
                return port
            except OSError as e:
                if e.errno != errno.EADDRINUSE:
                    raise


def listens(address, port):
    try:
        socket.create_connection((address, port), 1).close()
        return True
    except OSError:
        return False


def is_seeding(address, port, payload):
    """Shakes hands as a peer would, and reads until the seeder says that it has everything.

    From an address of its own: clients remember for a while who has just been here.
    """
    try:
        with socket.create_connection((address, port), 2, ("127.99.0.%d" % (1 + next(_probes) % 250), 0)) as s:
            s.settimeout(2)
            s.sendall(b"\x13BitTorrent protocol" + bytes(8) + payload.infohash + b"-TS0000-" + os.urandom(12))
            f = s.makefile("rb")
            if len(f.read(68)) != 68:
                return False
            while True:
                n = struct.unpack(">I", f.read(4))[0]
                body = f.read(n)
                if n and body[0] == 5:
                    return sum(bin(b).count("1") for b in body[1:]) == payload.pieces
                if n and body[0] == 4:
                    return payload.pieces == 1
    except (OSError, struct.error):
        return False


def libtorrent(payload, address=None, tracker=False, rate=0, dials=None):
    """(address, port) of a libtorrent session; rate in bytes per second, 0 is as fast as it can; dials: (address, port) that it connects to."""
    address = address or next_address()
    port = free_port()
    for tries in (2, 1, 0):
        p = process.start([PYTHON, os.path.join(HERE, "lt_seeder.py"), address, port, payload.folder, payload.torrent, "tracker" if tracker else "alone", rate, *(dials or ())])
        try:
            process.wait_for(lambda: "SEEDING" in process.read_log(p), 30, "libtorrent seeds", p)
            return address, port
        except AssertionError:
            # libtorrent 2.0.8 crashes at its start, once in some thousands: no fault of what is tested here.
            if p.poll() != -signal.SIGSEGV or not tries:
                raise


def transmission(payload, address=None, tracker=False):
    address = address or next_address()
    port, rpc = free_port(), free_port()
    folder = tempfile.mkdtemp(prefix="transmission-", dir=payload.folder)
    settings = {"bind-address-ipv4": address, "bind-address-ipv6": "::1", "peer-port": port, "rpc-enabled": True, "rpc-bind-address": address, "rpc-port": rpc,
                "rpc-authentication-required": False, "rpc-whitelist-enabled": False, "rpc-host-whitelist-enabled": False, "download-dir": payload.folder,
                "incomplete-dir-enabled": False, "rename-partial-files": False, "preallocation": 0, "dht-enabled": False, "lpd-enabled": False, "pex-enabled": False,
                "utp-enabled": False, "port-forwarding-enabled": False, "encryption": 0, "watch-dir-enabled": False, "blocklist-enabled": False,
                "ratio-limit-enabled": False, "idle-seeding-limit-enabled": False, "message-level": 2, "trash-original-torrent-files": False}
    with open(os.path.join(folder, "settings.json"), "w") as f:
        json.dump(settings, f)
    p = process.start(["transmission-daemon", "-f", "-g", folder], env=dict(os.environ, HOME=folder))
    url, session = "http://%s:%d/transmission/rpc" % (address, rpc), [""]

    def call(method, **arguments):
        for _ in range(2):
            try:
                q = urllib.request.Request(url, json.dumps({"method": method, "arguments": arguments}).encode(), {"X-Transmission-Session-Id": session[0]})
                with urllib.request.urlopen(q, timeout=5) as answer:
                    return json.load(answer)
            except urllib.error.HTTPError as e:  # 409 brings the session id
                session[0] = e.headers.get("X-Transmission-Session-Id", "")
            except OSError:
                return None
        return None

    process.wait_for(lambda: call("session-get"), 15, "transmission answers", p)
    call("torrent-add", filename=payload.torrent, paused=True)
    call("torrent-verify", ids=[payload.infohash.hex()])

    def done():
        t = (call("torrent-get", ids=[payload.infohash.hex()], fields=["percentDone", "status"]) or {}).get("arguments", {}).get("torrents")
        return t and t[0]["percentDone"] == 1 and t[0]["status"] not in (1, 2)

    process.wait_for(done, 30, "transmission verifies", p)
    call("torrent-start", ids=[payload.infohash.hex()])
    process.wait_for(lambda: is_seeding(address, port, payload), 15, "transmission seeds", p)
    return address, port


def aria2(payload, address=None, tracker=False):
    address = address or next_address()
    port = free_port()
    p = process.start(["aria2c", "--no-conf", "--dir=" + payload.folder, "--check-integrity=true", "--seed-ratio=0.0", "--seed-time=600", "--listen-port=%d" % port,
                       "--interface=" + address, "--enable-dht=false", "--enable-dht6=false", "--bt-enable-lpd=false", "--enable-peer-exchange=false",
                       "--disable-ipv6=true", "--follow-torrent=mem", "--file-allocation=none", payload.torrent],
                      env=dict(os.environ, HOME=payload.folder))
    process.wait_for(lambda: is_seeding(address, port, payload), 30, "aria2 seeds", p)
    return address, port


SEEDERS = {"libtorrent": libtorrent, "transmission": transmission, "aria2": aria2}


def opentracker(infohashes, address="127.0.0.1"):
    """(HTTP URL, UDP URL) of Debian's opentracker, whose access list is these info-hashes."""
    port = free_port()
    folder = tempfile.mkdtemp(prefix="opentracker-")
    os.chmod(folder, 0o755)
    allowed = os.path.join(folder, "allowed")
    with open(allowed, "w") as f:
        f.write("".join(h.hex() + "\n" for h in infohashes))
    p = process.start(["opentracker", "-i", address, "-p", port, "-P", port, "-d", folder, "-w", "allowed"], cwd=folder)
    process.wait_for(lambda: listens(address, port), 10, "opentracker listens", p)
    return "http://%s:%d/announce" % (address, port), "udp://%s:%d/announce" % (address, port)


# ---- a scripted tracker, over HTTP or HTTPS

class Authority:
    """A certificate authority of our own, made by openssl, and certificates by it."""

    def __init__(self, folder):
        self.folder = str(folder)
        self.ca = os.path.join(self.folder, "ca.pem")
        self.key = os.path.join(self.folder, "ca.key")
        self._openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=test authority",
                      "-keyout", self.key, "-out", self.ca)

    def _openssl(self, *arguments):
        subprocess.run(["openssl", *arguments], check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=60)

    def certificate(self, name="localhost", addresses=("127.0.0.1",)):
        """PEM file with key and certificate."""
        base = os.path.join(self.folder, name)
        self._openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=" + name, "-keyout", base + ".key", "-out", base + ".csr")
        with open(base + ".ext", "w") as f:
            f.write("subjectAltName=" + ",".join(["DNS:" + name] + ["IP:" + a for a in addresses]) + "\n")
        self._openssl("x509", "-req", "-in", base + ".csr", "-CA", self.ca, "-CAkey", self.key, "-CAcreateserial", "-days", "2", "-extfile", base + ".ext", "-out", base + ".crt")
        with open(base + ".pem", "wb") as out:
            for part in (".key", ".crt"):
                with open(base + part, "rb") as f:
                    out.write(f.read())
        return base + ".pem"


class Tracker:
    """An honest tracker that remembers what it was told: announces is a list of {parameter: bytes}.

    It names the same peers to everybody; with learn also those that have announced to it that they have everything,
    with learn="all" whoever has announced.
    """

    def __init__(self, peers=(), address="127.0.0.1", certificate=None, compact=True, learn=False):
        self.peers, self.compact, self.announces, self.cond = list(peers), compact, [], threading.Condition()
        self.extra, self.stuck_on, self.closing = {}, None, threading.Event()  # more keys; the event that is never answered
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                u = urllib.parse.urlsplit(self.path)
                q = {k: v.encode("latin-1") for k, v in urllib.parse.parse_qsl(u.query, encoding="latin-1", keep_blank_values=True)}
                with outer.cond:
                    outer.announces.append(q)
                    peer = (self.client_address[0], int(q.get("port", 0)))
                    if learn and (learn == "all" or q.get("left") == b"0") and q.get("event") != b"stopped" and peer not in outer.peers:
                        outer.peers.append(peer)
                    outer.cond.notify_all()
                if outer.stuck_on and q.get("event") == outer.stuck_on:
                    outer.closing.wait(60)
                body = outer.answer()
                self.send_response(200)
                self.send_header("Content-Type", "text/plain")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *a):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 64
            address_family = socket.AF_INET6 if ":" in address else socket.AF_INET

            def handle_error(self, request, client_address):
                pass  # the client went away, or did not like our certificate

        self.server = Server((address, 0), Handler)
        self.port = self.server.server_address[1]
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        self.url = "%s://%s:%d/announce" % ("https" if certificate else "http", "[%s]" % address if ":" in address else address, self.port)
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True).start()

    def answer(self):
        v4 = [(a, p) for a, p in self.peers if ":" not in a]
        v6 = [(a, p) for a, p in self.peers if ":" in a]
        top = {"interval": 1800, "min interval": 900, "complete": len(self.peers), "incomplete": 0}
        if self.compact:
            top["peers"] = b"".join(socket.inet_aton(a) + struct.pack(">H", p) for a, p in v4)
            if v6:
                top["peers6"] = b"".join(socket.inet_pton(socket.AF_INET6, a) + struct.pack(">H", p) for a, p in v6)
        else:
            top["peers"] = [{"ip": a, "port": p, "peer id": b"-TS0000-%012d" % p} for a, p in self.peers]
        top.update(self.extra)
        return bencode(top)

    def events(self):
        with self.cond:
            return [a.get("event", b"").decode() for a in self.announces]

    def close(self):
        self.closing.set()
        self.server.shutdown()
        self.server.server_close()
