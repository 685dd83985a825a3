"""Peers that connect to us: real seeders that hear of our port by a tracker; what listens where; what is told of it."""
import json
import os
import re
import socket
import time

import pytest

import client
import isolation
import payload as shapes
import process
import seeders
from client import FAILED, assert_complete, get, json_lines

pytestmark = pytest.mark.skipif(client.REFERENCE, reason="only bulkhead has these options")


class Introducer(seeders.Tracker):
    """Names to seeders whoever is missing something, and to those nobody: so they only meet when the seeder connects."""

    def __init__(self, address="127.0.0.1"):
        self.address, self.theirs = address, {}
        super().__init__(address=address)
        self.extra = {"complete": 1, "incomplete": 1}  # with seeds only, Transmission dials nobody

    def answer(self):
        with self.cond:
            last = self.announces[-1]
            if last["left"] != b"0":
                self.theirs[last["peer_id"]] = int(last["port"])
                self.cond.notify_all()
        self.peers = [(self.address, p) for p in self.theirs.values()] if last["left"] == b"0" else []
        return super().answer()

    def wait(self, seconds=10):
        with self.cond:
            assert self.cond.wait_for(lambda: self.theirs, seconds), "nobody has announced"


@pytest.mark.parametrize("seeder", sorted(seeders.SEEDERS))
@pytest.mark.few
def test_completes_from_a_seeder_that_connects_to_us(tmp_path, outdir, seeder, isolated):
    p = shapes.many(tmp_path)
    # Transmission dials nobody on 127.0.0.0/8.
    tracker = Introducer(isolation.HERE)
    p.write_torrent([tracker.url])
    r = get(p.torrent, outdir, allow=[isolation.HERE + "/16"], trackers=True, options=["-v"])
    tracker.wait()
    seeders.SEEDERS[seeder](p, isolation.next_here(), tracker=True)
    assert_complete(r, p, outdir)
    port = int(re.search(r"listening on port (\d+) \(IPv4", r.stderr).group(1))
    assert 49152 <= port <= 65535 and list(tracker.theirs.values()) == [port], r.told()
    tracker.close()


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_completes_from_a_seeder_that_connects_to_a_port_of_ours(tmp_path, outdir, address):
    p = shapes.single(tmp_path)
    port = seeders.free_port()
    r = get(p.torrent, outdir, options=["--port", "%d" % port, "--json"])
    process.wait_for(lambda: b'"listening"' in r.out, 10, "it listens")
    seeders.libtorrent(p, seeders.next_address() if address == "127.0.0.1" else address, dials=(address, port))
    assert_complete(r, p, outdir)
    assert {"event": "listening", "source": 0, "port": port, "ipv4": True, "ipv6": True}.items() <= next(e for e in json_lines(r) if e["event"] == "listening").items()


def test_several_seeders_connect_to_us(tmp_path, outdir):
    p = shapes.single(tmp_path, 6 << 20)
    port = seeders.free_port()
    r = get(p.torrent, outdir, options=["--port", "%d" % port, "-v"])
    process.wait_for(lambda: b"listening" in r.err, 10, "it listens")
    for i in range(3):
        seeders.libtorrent(p, rate=1 << 20, dials=("127.0.0.1", port))
    assert_complete(r, p, outdir)


def test_two_sources_have_a_port_each(tmp_path, outdir):
    first, second = (shapes.single(tmp_path, 300000 + i, name="file %d" % i) for i in range(2))
    tracker = Introducer()
    for p in (first, second):
        p.write_torrent([tracker.url])
    r = get([first.torrent, second.torrent], outdir, trackers=True, options=["--json"])
    process.wait_for(lambda: r.out.count(b'"listening"') == 2, 10, "both listen")
    process.wait_for(lambda: len(tracker.theirs) == 2, 10, "both announce")
    ports = [e["port"] for e in map(json.loads, r.out.decode().splitlines()) if e["event"] == "listening"]
    assert len(set(ports)) == 2 and sorted(tracker.theirs.values()) == sorted(ports), r.told()
    for p in (first, second):
        seeders.libtorrent(p, tracker=True)
    assert_complete(r, first, outdir)
    assert second.differences(outdir) == []
    tracker.close()


def test_port_of_somebody_else_is_a_failure_and_a_range_goes_on(tmp_path, outdir):
    p = shapes.single(tmp_path)
    with socket.socket() as s:
        s.bind(("0.0.0.0", 0))
        s.listen(1)
        port = s.getsockname()[1]
        r = get(p.torrent, outdir, options=["--port", "%d" % port])
        assert r.wait(15) == FAILED, r.told()
        assert "cannot listen on port %d" % port in r.stderr and len(r.stderr.strip().splitlines()) <= 2, r.told()
        client.assert_bounded(r)
        r = get(p.torrent, outdir, options=["--port", "%d-%d" % (port, min(port + 50, 65535)), "-v"])
        process.wait_for(lambda: b"listening on port" in r.err, 10, "it listens on another one")
        assert "listening on port %d " % port not in r.stderr, r.told()
        r.stop()


def listening(r):
    """(address, port) of sockets that listen, of the processes of a run; only those that we may look at."""
    inodes = set()
    for pid in process.children(r.p.pid):
        try:
            for fd in os.listdir("/proc/%d/fd" % pid):
                inodes.add(os.readlink("/proc/%d/fd/%s" % (pid, fd)))
        except OSError:
            pass
    out = []
    for name in ("tcp", "tcp6"):
        with open("/proc/net/" + name) as f:
            for line in f.readlines()[1:]:
                v = line.split()
                if v[3] == "0A" and "socket:[%s]" % v[9] in inodes:
                    out.append((name, int(v[1].split(":")[1], 16)))
    return out


@pytest.mark.skipif(os.getuid() != 0, reason="only root may look at what others hold")
@pytest.mark.parametrize("options,expected", [([], ["tcp", "tcp6"]), (["-4"], ["tcp"]), (["-6"], ["tcp6"]), (["--no-listen"], []), (["--bind", "127.0.0.1"], ["tcp"])],
                         ids=lambda v: " ".join(v) or "none")
def test_listens_in_the_families_that_are_used(tmp_path, outdir, options, expected):
    p = shapes.single(tmp_path)
    tracker = Introducer()
    p.write_torrent([tracker.url])
    peer = "127.0.0.1" if "-6" not in options else "::1"
    r = get(p.torrent, outdir, [(peer, 9)], trackers=True, options=["--port", "52000-52900"] + options)
    process.wait_for(lambda: r.p.poll() is None and len(process.children(r.p.pid)) >= 5, 10, "it is up")
    time.sleep(1)
    found = listening(r)
    assert sorted(f for f, port in found) == expected and all(52000 <= port <= 52900 for f, port in found), found
    r.stop()
    tracker.close()


def test_without_listening_trackers_are_told_a_port_all_the_same(tmp_path, outdir):
    p = shapes.single(tmp_path)
    tracker = Introducer()
    p.write_torrent([tracker.url])
    r = get(p.torrent, outdir, trackers=True, options=["--no-listen", "--port", "7777", "-v"])
    tracker.wait()
    assert list(tracker.theirs.values()) == [7777]
    r.stop()
    assert "listening" not in r.stderr, r.told()
    tracker.close()


def test_a_dialer_that_died_listens_on_the_same_port_again(tmp_path, outdir):
    p = shapes.single(tmp_path)
    port = seeders.free_port()
    r = get(p.torrent, outdir, options=["--port", "%d" % port, "--json"])
    process.wait_for(lambda: b'"listening"' in r.out, 10, "it listens")
    process.wait_for(lambda: r.out.count(b'"running"') >= 5, 10, "all run")
    pid = next(e["pid"] for e in map(json.loads, r.out.decode().splitlines()) if e["event"] == "compartment" and e["compartment"] == "dialer")
    os.kill(pid, 9)
    process.wait_for(lambda: r.out.count(b'"listening"') == 2, 10, "it listens again")
    process.wait_for(lambda: r.out.count(b'"running"') >= 7, 10, "dialer and netproc run again")
    seeders.libtorrent(p, dials=("127.0.0.1", port))
    assert_complete(r, p, outdir)
    assert {e["port"] for e in json_lines(r) if e["event"] == "listening"} == {port}


def test_a_stranger_of_a_network_that_is_not_allowed_is_turned_away(tmp_path, outdir):
    p = shapes.single(tmp_path)
    port = seeders.free_port()
    r = get(p.torrent, outdir, allow=["127.0.0.1/32"], options=["--port", "%d" % port, "-v"])
    process.wait_for(lambda: b"listening" in r.err, 10, "it listens")
    with socket.create_connection(("127.0.0.1", port), 3, ("127.7.7.7", 0)) as s:
        s.settimeout(5)
        try:
            assert s.recv(1) == b""
        except ConnectionResetError:
            pass
    process.wait_for(lambda: b"turned away 127.7.7.7" in r.err, 5, "it says so")
    r.stop()
