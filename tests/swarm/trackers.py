#!/usr/bin/python3
"""trackers.py - HTTP and HTTPS trackers that misbehave, each in one way, named by the first part of the path.

As a module: Trackers(folder) serves http://127.0.0.1:PORT/BEHAVIOUR/announce until close().  As a program (for the
unit tests): `trackers.py FOLDER` prints one line, the ports "HTTP GOOD OTHER-NAME UNKNOWN EXPIRED NOT-TLS" (those
after the first with the certificates that they say), and serves until its standard input ends.
"""
import datetime
import gzip
import os
import socket
import ssl
import struct
import sys
import threading
import time
import urllib.parse
import zlib

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from payload import bencode  # noqa: E402

PATIENCE_S = 60  # none of them goes on for longer
BEHAVIOURS = {}
GOOD_ONES = set()  # a client gets its peers from these


def behaviour(f):
    BEHAVIOURS[f.__name__] = f
    return f


def good(f):
    GOOD_ONES.add(f.__name__)
    return behaviour(f)


class Request:
    """One request line, taken apart, and the socket to answer on."""

    def __init__(self, sock, target, server):
        self.sock, self.server = sock, server
        url = urllib.parse.urlsplit(target)
        self.name = url.path.strip("/").split("/")[0]
        self.rest = url.path.strip("/").split("/")[1:]
        self.raw_query = url.query
        self.query = {k: v.encode("latin-1") for k, v in urllib.parse.parse_qsl(url.query, encoding="latin-1", keep_blank_values=True)}

    def send(self, data):
        self.sock.sendall(data)

    def answer(self, body, status="200 OK", headers=()):
        self.send(head(status, ("Content-Length: %d" % len(body),) + tuple(headers)) + body)

    def for_long(self, pause=0.0):
        """Turns of an endless behaviour: ends when the client goes, by the error of send()."""
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end and not self.server.closing:
            yield
            if pause:
                time.sleep(pause)

    def url(self, behaviour_name, port=None, scheme="http"):
        return "%s://127.0.0.1:%d/%s/announce?%s" % (scheme, port or self.server.port, behaviour_name, self.raw_query)


def head(status="200 OK", headers=()):
    return ("HTTP/1.1 %s\r\n" % status + "".join(h + "\r\n" for h in headers) + "\r\n").encode("latin-1")


def compact(peers):
    return b"".join(socket.inet_aton(a) + struct.pack(">H", p) for a, p in peers)


def reply(server, **extra):
    top = {"interval": 1800, "complete": 1, "incomplete": 0, "peers": compact(server.peers)}
    top.update({k.replace("_", " "): v for k, v in extra.items()})
    return bencode(top)


# ---- those that are odd and right

@good
def plain(r):
    r.answer(reply(r.server))


@good
def dictionaries(r):
    r.answer(reply(r.server, peers=[{"ip": a, "port": p, "peer id": b"-TS0000-%012d" % p} for a, p in r.server.peers]))


@good
def gzipped(r):
    r.answer(gzip.compress(reply(r.server)), headers=["Content-Encoding: gzip"])


@good
def deflated(r):
    r.answer(zlib.compress(reply(r.server)), headers=["Content-Encoding: deflate"])


@good
def chunked(r):
    body = reply(r.server)
    r.send(head(headers=["Transfer-Encoding: chunked"]) + b"".join(b"1\r\n%c\r\n" % c for c in body) + b"0\r\n\r\n")


@good
def until_closed(r):
    r.send(head() + reply(r.server))


@good
def line_feed_at_the_end(r):
    r.answer(reply(r.server) + b"\r\n")


@good
def http_1_0(r):
    r.send(b"HTTP/1.0 200 OK\n\n" + reply(r.server))


@good
def one_byte_at_a_time(r):
    for c in head() + reply(r.server):
        r.send(bytes([c]))
        time.sleep(0.001)


@good
def warning_with_control_bytes(r):
    r.answer(reply(r.server, warning_message=b"\x1b]0;owned\x07\x1b[2J\xe2\x80\xae\x9b31m"))


@good
def told(r):
    """Says what it was told, as a warning."""
    r.answer(reply(r.server, tracker_id=b"\x00id&=%", warning_message=b"%s left=%s numwant=%s tid=%s" % (
        r.query.get("event", b"none"), r.query.get("left", b"?"), r.query.get("numwant", b"?"), r.query.get("trackerid", b"none"))))


@good
def redirect_relative(r):
    r.send(head("302 Found", ["Location: ../plain/announce?" + r.raw_query, "Content-Length: 0"]))


@good
def redirect_four_times(r):
    n = int(r.rest[0]) if r.rest[0].isdigit() else 4
    r.send(head("307 Temporary Redirect", ["Location: " + r.url("redirect_four_times/%d" % (n - 1) if n > 1 else "plain"), "Content-Length: 0"]))


@good
def redirect_to_https(r):
    r.send(head("301 Moved Permanently", ["Location: " + r.url("plain", r.server.https, "https"), "Content-Length: 0"]))


@good
def interim_replies(r):
    r.send(head("100 Continue") + head("103 Early Hints", ["Link: </x>; rel=preload"]))
    plain(r)


@good
def huge_numbers(r):
    r.answer(reply(r.server, interval=2**63 - 1, min_interval=2**63 - 1, complete=2**63 - 1, incomplete=-2**63))


@good
def negative_numbers(r):
    r.answer(reply(r.server, interval=-1, min_interval=-5, complete=-1, incomplete=-9))


@good
def interval_zero(r):
    r.answer(reply(r.server, interval=0, min_interval=0))


@good
def many_peers(r):
    """More than anyone needs: 300,000, all within the bounds of a reply."""
    r.answer(reply(r.server, peers=compact(r.server.peers) + b"".join(struct.pack(">IH", 0x7f500000 + i % 65536, 1 + i % 65535) for i in range(300000))))


@good
def many_names(r):
    r.answer(reply(r.server, peers=[{"ip": a, "port": p} for a, p in r.server.peers] + [{"ip": "n%d.invalid" % i, "port": 1 + i} for i in range(5000)]))


@good
def peers_of_every_kind(r):
    odd = [{"ip": "1.2.3.4"}, {"port": 1}, {"ip": "", "port": 5}, {"ip": "a" * 300, "port": 5}, {"ip": b"\x1b[2J", "port": 5}, {"ip": "127.80.0.1", "port": 0},
           {"ip": "127.80.0.1", "port": 65536}, {"ip": "127.80.0.1", "port": -1}, {"ip": 5, "port": 5}, 7, b"x", [], {"ip": "::1", "port": 9}]
    r.answer(reply(r.server, peers=odd + [{"ip": a, "port": p} for a, p in r.server.peers], peers6=b"x" * 17, external_ip=b"\x7f\0\0", tracker_id=b"t" * 4096))


@good
def content_length_overflows(r):
    """libcurl then reads until the end."""
    r.send(head(headers=["Content-Length: 99999999999999999999999999"]) + reply(r.server))


# ---- those that are wrong

@behaviour
def silent(r):
    for _ in r.for_long(0.1):
        pass


@behaviour
def closes_at_once(r):
    pass


@behaviour
def resets(r):
    r.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


@behaviour
def endless_headers(r):
    r.send(b"HTTP/1.1 200 OK\r\n")
    for _ in r.for_long():
        r.send(b"X-Filler: " + b"x" * 1000 + b"\r\n")


@behaviour
def endless_header_line(r):
    r.send(b"HTTP/1.1 200 OK\r\nX-Filler: ")
    for _ in r.for_long():
        r.send(b"x" * 4096)


@behaviour
def endless_status_line(r):
    r.send(b"HTTP/1.1 200 ")
    for _ in r.for_long():
        r.send(b"O" * 4096)


@behaviour
def endless_interim_replies(r):
    for _ in r.for_long():
        r.send(head("100 Continue", ["X-Filler: y"]))


@behaviour
def endless_cookies(r):
    r.send(b"HTTP/1.1 200 OK\r\n")
    for _ in r.for_long():
        r.send(b"Set-Cookie: a=%s; Path=/\r\n" % (b"c" * 500))


@behaviour
def drips_headers(r):
    for c in b"HTTP/1.1 200 OK\r\n" + b"X-Slow: y\r\n" * 100000:
        r.send(bytes([c]))
        time.sleep(0.2)


@behaviour
def drips_body(r):
    r.send(head(headers=["Content-Length: 100000"]))
    for _ in r.for_long(0.2):
        r.send(b"d")


@behaviour
def stops_in_the_middle(r):
    r.send(head(headers=["Content-Length: 100000"]) + b"d8:interval")
    for _ in r.for_long(0.1):
        pass


@behaviour
def ends_in_the_middle(r):
    r.send(head(headers=["Content-Length: 100000"]) + b"d8:interval")


@behaviour
def endless_body(r):
    r.send(head() + b"d5:peers9999999999:")
    for _ in r.for_long():
        r.send(b"x" * 65536)


@behaviour
def endless_chunks(r):
    r.send(head(headers=["Transfer-Encoding: chunked"]))
    for _ in r.for_long():
        r.send(b"4000\r\n" + b"x" * 0x4000 + b"\r\n")


@behaviour
def endless_chunk_extension(r):
    r.send(head(headers=["Transfer-Encoding: chunked"]) + b"5;")
    for _ in r.for_long():
        r.send(b"e" * 4096)


@behaviour
def endless_trailers(r):
    body = reply(r.server)
    r.send(head(headers=["Transfer-Encoding: chunked"]) + b"%x\r\n%s\r\n0\r\n" % (len(body), body))
    for _ in r.for_long():
        r.send(b"X-Filler: " + b"x" * 1000 + b"\r\n")


@behaviour
def chunk_size_overflows(r):
    r.send(head(headers=["Transfer-Encoding: chunked"]) + b"ffffffffffffffffff\r\n" + b"x" * 1000)


@behaviour
def gzip_bomb(r):
    z = zlib.compressobj(9, zlib.DEFLATED, 31)
    bomb = b"".join(z.compress(bytes(1 << 20)) for _ in range(64)) + z.flush()
    r.answer(bomb, headers=["Content-Encoding: gzip"])


@behaviour
def gzip_garbage(r):
    r.answer(b"\x1f\x8b\x08\0" + b"\xff" * 2000, headers=["Content-Encoding: gzip"])


@behaviour
def gzip_in_gzip(r):
    r.answer(gzip.compress(gzip.compress(reply(r.server))), headers=["Content-Encoding: gzip, gzip"])


@behaviour
def gzip_named_twice(r):
    r.answer(gzip.compress(gzip.compress(reply(r.server))), headers=["Content-Encoding: gzip", "Content-Encoding: gzip"])


@behaviour
def brotli(r):
    r.answer(b"\x0b\x02\x80abcde\x03", headers=["Content-Encoding: br"])


@behaviour
def transfer_gzip(r):
    r.send(head(headers=["Transfer-Encoding: gzip"]) + gzip.compress(reply(r.server)))


@behaviour
def content_length_negative(r):
    r.send(head(headers=["Content-Length: -5"]) + reply(r.server))


@behaviour
def redirect_loop(r):
    r.send(head("302 Found", ["Location: " + r.url("redirect_loop"), "Content-Length: 0"]))


@behaviour
def redirect_to_file(r):
    r.send(head("302 Found", ["Location: file:///etc/passwd", "Content-Length: 0"]))


@behaviour
def redirect_to_gopher(r):
    r.send(head("302 Found", ["Location: gopher://127.0.0.1:25/_HELO", "Content-Length: 0"]))


@behaviour
def redirect_to_unix(r):
    r.send(head("302 Found", ["Location: http://%2Frun%2Fdocker.sock/info", "Content-Length: 0"]))


@behaviour
def redirect_to_private(r):
    r.send(head("302 Found", ["Location: http://169.254.169.254/latest/meta-data/", "Content-Length: 0"]))


@behaviour
def redirect_to_port_zero(r):
    r.send(head("302 Found", ["Location: http://127.0.0.1:0/", "Content-Length: 0"]))


@behaviour
def redirect_nowhere(r):
    r.send(head("302 Found", ["Content-Length: 0"]))


@behaviour
def redirect_too_long(r):
    r.send(head("302 Found", ["Location: http://127.0.0.1/" + "x" * 20000, "Content-Length: 0"]))


@behaviour
def redirect_to_http(r):
    r.send(head("302 Found", ["Location: " + r.url("plain", r.server.http), "Content-Length: 0"]))


@behaviour
def failure_with_control_bytes(r):
    r.answer(bencode({"failure reason": b"\x1b]0;owned\x07\x1b[2Jgo\naway\x00" + b"A" * 5000}))


@behaviour
def failure_for_ever(r):
    r.answer(bencode({"failure reason": "never again", "retry in": "never"}))


@behaviour
def failure_with_status(r):
    r.answer(bencode({"failure reason": "no such torrent"}), "404 Not Found")


@behaviour
def failure_of_another_type(r):
    r.answer(bencode({"failure reason": [1, 2, {"x": "y"}]}))


@behaviour
def status_500(r):
    r.answer(b"<html>oops", "500 Internal Server Error")


@behaviour
def status_204(r):
    r.send(head("204 No Content"))


@behaviour
def status_999(r):
    r.answer(reply(r.server), "999 What")


@behaviour
def switches_protocols(r):
    r.send(head("101 Switching Protocols", ["Upgrade: h2c", "Connection: Upgrade"]) + b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")


@behaviour
def http_0_9(r):
    r.send(reply(r.server))


@behaviour
def http_2_unasked(r):
    r.send(b"\x00\x00\x12\x04\x00\x00\x00\x00\x00" + b"\x00" * 18)


@behaviour
def noise(r):
    r.send(os.urandom(5000))


@behaviour
def html(r):
    r.answer(b"<!doctype html><title>404</title>")


@behaviour
def empty(r):
    r.answer(b"")


@behaviour
def million_peers(r):
    r.answer(reply(r.server, peers=compact(r.server.peers) + bytes(range(6)) * 1000000))


@behaviour
def no_dictionary(r):
    r.answer(b"l" + reply(r.server) + b"e")


@behaviour
def nested_deeply(r):
    r.answer(b"d5:peers" + b"l" * 500000 + b"e" * 500000 + b"e")


@behaviour
def too_many_tokens(r):
    r.answer(b"d5:peersl" + b"0:" * 900000 + b"ee")


@behaviour
def length_beyond_the_end(r):
    r.answer(b"d8:intervali1800e5:peers18446744073709551615:xx")


@behaviour
def truncated(r):
    r.answer(reply(r.server)[:-3])


@behaviour
def duplicate_keys(r):
    r.answer(b"d5:peers0:8:intervali5e8:intervali6e5:peers6:\x01\x02\x03\x04\x05\x06e")


@behaviour
def integer_overflows(r):
    r.answer(b"d8:intervali99999999999999999999999e5:peers0:e")


class Server:
    """One listening socket; a thread for each connection; request heads of at most 16 KiB."""

    def __init__(self, peers, address="127.0.0.1", context=None, raw=False):
        self.peers, self.context, self.raw, self.closing = peers, context, raw, False
        self.http = self.https = 0
        self.requests, self.cond = [], threading.Condition()
        self.socket = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind((address, 0))
        self.socket.listen(256)
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while not self.closing:
            try:
                s, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(s,), daemon=True).start()

    def _serve(self, s):
        try:
            s.settimeout(PATIENCE_S)
            if self.raw:
                s.recv(1)
                s.sendall(b"SSH-2.0-none of your TLS\r\n")
                return
            if self.context:
                s = self.context.wrap_socket(s, server_side=True)
            data = b""
            while b"\r\n\r\n" not in data and len(data) < 16384:
                more = s.recv(4096)
                if not more:
                    return
                data += more
            r = Request(s, data.split(b" ")[1].decode("latin-1"), self)
            with self.cond:
                self.requests.append(r)
                self.cond.notify_all()
            BEHAVIOURS[r.name](r)
        except (OSError, KeyError, IndexError, ValueError):
            pass  # the client went away, as most of these deserve
        finally:
            try:
                s.close()
            except OSError:
                pass

    def close(self):
        self.closing = True
        self.socket.close()


def certificates(folder):
    """{name: PEM file with key and certificate} and "ca": the authority; made with python3-cryptography."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    import ipaddress
    day, now = datetime.timedelta(days=1), datetime.datetime.utcnow()

    def make(file, common, issuer=None, names=(), begin=now - day, end=now + 2 * day, ca=False):
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, common)])
        b = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer[0] if issuer else subject).public_key(key.public_key())
        b = b.serial_number(x509.random_serial_number()).not_valid_before(begin).not_valid_after(end)
        b = b.add_extension(x509.BasicConstraints(ca=ca, path_length=None), True)
        if names:
            b = b.add_extension(x509.SubjectAlternativeName(list(names)), False)
        c = b.sign(issuer[1] if issuer else key, hashes.SHA256())
        path = os.path.join(folder, file + ".pem")
        with open(path, "wb") as f:
            if not ca:
                f.write(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
            f.write(c.public_bytes(serialization.Encoding.PEM))
        return path, subject, key

    local = (x509.DNSName("localhost"), x509.DNSName("tracker.test"), x509.IPAddress(ipaddress.ip_address("127.0.0.1")))
    ca, name, key = make("ca", "bulkhead test authority", ca=True)
    _, other_name, other_key = make("unknown-ca", "nobody knows me", ca=True)
    return {
        "ca": ca,
        "good": make("good", "localhost", (name, key), local)[0],
        "other": make("other", "elsewhere.example", (name, key), (x509.DNSName("elsewhere.example"),))[0],
        "unknown": make("unknown", "localhost", (other_name, other_key), local)[0],
        "expired": make("expired", "localhost", (name, key), local, now - 9 * day, now - day)[0],
    }


class Trackers:
    """All of them: .http, .good, .other, .unknown, .expired (servers), .ca (file).  peers: what the good ones answer."""

    def __init__(self, folder, peers=(("127.80.0.1", 6881),), address="127.0.0.1"):
        files = certificates(str(folder))
        self.ca, self.all = files.pop("ca"), []
        peers = list(peers)
        self.http = Server(peers, address)
        self.all.append(self.http)
        for name, file in files.items():
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(file)
            setattr(self, name, Server(peers, address, context))
            self.all.append(getattr(self, name))
        self.no_tls = Server(peers, address, raw=True)
        self.all.append(self.no_tls)
        for s in self.all:
            s.http, s.https = self.http.port, self.good.port

    def url(self, name, server="http"):
        return "%s://127.0.0.1:%d/%s/announce" % ("http" if server == "http" else "https", getattr(self, server).port, name)

    def close(self):
        for s in self.all:
            s.close()


if __name__ == "__main__":
    t = Trackers(sys.argv[1])
    print(t.http.port, t.good.port, t.other.port, t.unknown.port, t.expired.port, t.no_tls.port, flush=True)
    sys.stdin.read()
