"""Hostile peers that connect to us, beside one honest seeder that does: the download completes, bounded in time and memory.

The misbehaviours are those of peers.py, and those of whoever only connects.
"""
import contextlib
import socket
import threading

import pytest

import client
import payload as shapes
import peers
import process
import seeders
from client import get
from peer import PROTOCOL, Swarm, honest
from process import raw_bytes
from test_takers import HOSTILE as TAKERS

pytestmark = pytest.mark.skipif(client.REFERENCE, reason="says nothing about the tests")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return shapes.single(tmp_path_factory.mktemp("payload"), (2 << 20) + 12345, piece_length=64 << 10)


@contextlib.contextmanager
def waiting(data, outdir, options=()):
    """(run, port) of a download to which nobody has connected yet."""
    port = seeders.free_port()
    r = get(data.torrent, outdir, options=["-v", "--port", "%d" % port, *options], tty=True, seconds=40)
    process.wait_for(lambda: b"listening on port" in r.out, 10, "it listens")
    yield r, port


def download(data, outdir, behaviours, patience, least_acted):
    with waiting(data, outdir) as (r, port), Swarm(data, [honest] + behaviours, patience, calls=("127.0.0.1", port)) as swarm:
        swarm.start_clock()
        client.assert_complete(r, data, outdir, 58)
        acted = [p.name for p in swarm.hostile if p.acts]
        assert len(acted) >= least_acted, "not shown: %s\n%s" % (sorted(p.name for p in swarm.hostile if not p.acts), r.told())
        assert swarm.wrong == [] and raw_bytes(bytes(r.out)) == [], r.told()
        for p in swarm.hostile:
            if p.behaviour in peers.CORRUPT:
                assert p.requests <= -(-data.length // 16384), "%s was asked %d times" % (p.name, p.requests)


def test_completes_beside_all_of_them_at_once(data, outdir):
    download(data, outdir, [b for b in peers.ALL if b not in peers.FLOODS], 8.0, len(peers.ALL) // 2)


def test_completes_beside_all_floods_at_once(data, outdir):
    download(data, outdir, list(peers.FLOODS), 4.0, len(peers.FLOODS) // 2)


def test_completes_beside_all_that_send_wrong_data_at_once(data, outdir):
    download(data, outdir, list(peers.CORRUPT), 4.0, len(peers.CORRUPT) // 2)


def test_who_sends_wrong_data_is_banned_with_its_address(data, outdir):
    noise = next(b for b in peers.CORRUPT if b.__name__ == "answers_with_noise")
    with waiting(data, outdir) as (r, port), Swarm(data, [noise], calls=("127.0.0.1", port)) as liar:
        process.wait_for(lambda: b"banned" in r.out, 20, "it is banned")
        banned = liar.all[0].connections
        process.wait_for(lambda: liar.all[0].connections > banned, 20, "it has read all that it was asked, and comes back")
        before = liar.all[0].requests
        process.wait_for(lambda: liar.all[0].connections >= banned + 2, 20, "and once more")
        with Swarm(data, [honest], 0.1, calls=("127.0.0.1", port)) as swarm:
            swarm.start_clock()
            client.assert_complete(r, data, outdir)
        assert liar.all[0].requests == before


def test_completes_beside_takers_givers_and_strangers_at_once(data, outdir):
    """All kinds at the door of one download: every second misbehaviour of givers, all of takers, and the silent."""
    givers = [b for b in peers.ALL if b not in peers.FLOODS][::2]
    with waiting(data, outdir) as (r, port), contextlib.ExitStack() as kept:
        takers = kept.enter_context(Swarm(data, TAKERS, calls=("127.0.0.1", port)))
        for i in range(40):
            kept.enter_context(call(port, "127.43.%d.1" % i, PROTOCOL[:1]))
        swarm = kept.enter_context(Swarm(data, [honest] + givers, 6.0, calls=("127.0.0.1", port)))
        swarm.start_clock()
        client.assert_complete(r, data, outdir, 58)
        acted = [p for p in swarm.hostile + takers.all if p.acts]
        assert len(acted) >= (len(givers) + len(TAKERS)) // 2, r.told()
        assert swarm.wrong == [] and takers.wrong == [] and raw_bytes(bytes(r.out)) == [], r.told()
        for p in swarm.hostile:
            if p.behaviour in peers.CORRUPT:
                assert p.requests <= -(-data.length // 16384), "%s was asked %d times" % (p.name, p.requests)


# ---- those that only connect

def call(port, source, data=b""):
    s = socket.socket()
    s.bind((source, 0))
    s.settimeout(5)
    s.connect(("127.0.0.1", port))
    with contextlib.suppress(OSError):
        s.sendall(data)
    return s


def then_completes(data, outdir, r, port):
    with Swarm(data, [honest], 0.1, calls=("127.0.0.1", port)) as swarm:
        swarm.start_clock()
        client.assert_complete(r, data, outdir, 50)


def test_completes_beside_a_thousand_connections_of_one_address(data, outdir):
    with waiting(data, outdir) as (r, port), contextlib.ExitStack() as kept:
        for i in range(1000):
            kept.enter_context(call(port, "127.40.0.1"))
        then_completes(data, outdir, r, port)
        assert b"too many connections" in r.out, r.told()


@pytest.mark.parametrize("words", [b"", PROTOCOL[:1], PROTOCOL + bytes(8), PROTOCOL + bytes(28)], ids=["nothing", "a byte", "half a handshake", "no peer id"])
def test_completes_beside_many_that_stay_silent(data, outdir, words):
    """More than there are places for the silent, each from a network of its own: they lose them after ten seconds."""
    with waiting(data, outdir) as (r, port), contextlib.ExitStack() as kept:
        for i in range(120):
            kept.enter_context(call(port, "127.41.%d.1" % i, words))
        then_completes(data, outdir, r, port)


def test_completes_beside_many_that_want_other_torrents(data, outdir):
    with waiting(data, outdir) as (r, port), contextlib.ExitStack() as kept:
        for i in range(200):
            s = kept.enter_context(call(port, "127.42.%d.1" % i, PROTOCOL + bytes(8) + bytes(20) + b"-TS0000-%012d" % i))
            if i < 20:  # those that are let in hear nothing at all
                with contextlib.suppress(ConnectionResetError):
                    assert s.recv(1) == b""
        then_completes(data, outdir, r, port)


def test_completes_while_others_connect_and_go_without_end(data, outdir):
    over = threading.Event()

    def come_and_go(n):
        i = 0
        while not over.is_set():
            i += 1
            with contextlib.suppress(OSError):
                call(port, "127.%d.%d.1" % (50 + n, i % 250), PROTOCOL).close()
    with waiting(data, outdir) as (r, port):
        threads = [threading.Thread(target=come_and_go, args=(n,)) for n in range(2)]
        for t in threads:
            t.start()
        try:
            then_completes(data, outdir, r, port)
        finally:
            over.set()
            for t in threads:
                t.join(10)
