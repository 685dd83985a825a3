"""Hostile peers of a seed, beside an honest leecher: it completes, and the hostile cost it nothing but time.

The program runs on a terminal, with -v, so that whatever it says of them is seen raw.
"""
import asyncio
import contextlib
import os
import signal
import socket
import struct

import pytest

import client
import payload as shapes
import process
import seeders
from peer import CANCEL, CHOKE, HAVE_NONE, INTERESTED, NOT_INTERESTED, PIECE, PROTOCOL, REJECT, REQUEST, UNCHOKE, Swarm, message
from peers import FAST, TERMINAL

BLOCK = 16384

pytestmark = pytest.mark.skipif(client.REFERENCE, reason="says nothing about the tests")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return shapes.single(tmp_path_factory.mktemp("payload"), (4 << 20) + 12345, piece_length=256 << 10)


@contextlib.contextmanager
def seeding(data, options=()):
    """(run, port) of a seed that listens."""
    port = seeders.free_port()
    command = [client.PROGRAM, "seed", "-d", data.folder, "--no-trackers", "-v", "--port", str(port), *options]
    for net in client.LOOPBACK:
        command += ["--allow-net", net]
    r = process.Run(command + [data.torrent], tty=True)
    process.wait_for(lambda: b"listening on port" in r.out or r.p.poll() is not None, 10, "it listens")
    yield r, port
    r.signal(signal.SIGINT)
    assert r.wait(15) == client.COMPLETE, r.told()
    client.assert_bounded(r)
    assert process.raw_bytes(bytes(r.out)) == [], r.told()


async def leech(c):
    """Honest: asks for all blocks, eight at a time, again when they are rejected; acted() when all was right."""
    length = lambda piece, begin: min(BLOCK, c.payload.piece_bytes(piece) - begin)
    todo = [(p, b, length(p, b)) for p in range(c.payload.pieces) for b in range(0, c.payload.piece_bytes(p), BLOCK)]
    got, out, choked = c.peer.__dict__.setdefault("got", set()), set(), True
    todo = [t for t in todo if t not in got]
    await c.handshake(reserved=FAST)
    await c.send(HAVE_NONE)
    await c.send(INTERESTED)
    while todo or out:
        while not choked and todo and len(out) < 8:
            t = todo.pop(0)
            out.add(t)
            await c.send(REQUEST, struct.pack(">III", *t))
        id, body = await c.recv()
        if id in (CHOKE, UNCHOKE):
            choked = id == CHOKE
        elif id == REJECT and struct.unpack(">III", body) in out:
            t = struct.unpack(">III", body)
            out.discard(t)
            todo.append(t)
        elif id == PIECE:
            piece, begin = struct.unpack(">II", body[:8])
            t = (piece, begin, len(body) - 8)
            assert t in out, "it got what it did not ask for"
            assert body[8:] == c.payload.block(*t), "it got wrong bytes"
            out.discard(t)
            got.add(t)
    c.acted()
    await c.hold()


# ---- the hostile

async def asks(c, requests):
    """Asks for this, unchoked or not, and reads."""
    await c.handshake(reserved=FAST)
    await c.send(HAVE_NONE)
    await c.send(INTERESTED)
    with contextlib.suppress(asyncio.TimeoutError):
        while (await asyncio.wait_for(c.recv(), 3))[0] != UNCHOKE:
            pass
    c.acted()
    for r in requests:
        await c.raw(message(REQUEST, struct.pack(">III", *r)))
    await c.hold()


def asking(name, *requests, dropped=True):
    async def behaviour(c):
        await asks(c, requests)
    behaviour.__name__ = name
    behaviour.dropped = dropped
    return behaviour


async def cancels_again_and_again(c):
    await c.handshake(reserved=FAST)
    await c.send(INTERESTED)
    both = message(REQUEST, struct.pack(">III", 1, 0, BLOCK)) + message(CANCEL, struct.pack(">III", 1, 0, BLOCK))
    c.acted()
    hold = asyncio.create_task(c.hold())
    try:
        for _ in range(200):
            await c.raw(both * 100)
            await asyncio.sleep(0.01)
        await hold
    finally:
        hold.cancel()


async def takes_all_and_reads_nothing(c):
    await c.handshake()
    await c.send(INTERESTED)
    for p in range(c.payload.pieces):
        for b in range(0, c.payload.piece_bytes(p), BLOCK):
            await c.send(REQUEST, struct.pack(">III", p, b, min(BLOCK, c.payload.piece_bytes(p) - b)))
    c.acted()
    await asyncio.sleep(600)


async def asks_while_choked(c):
    await c.handshake(reserved=FAST)
    one = message(REQUEST, struct.pack(">III", 2, 0, BLOCK))
    c.acted()
    hold = asyncio.create_task(c.hold())
    try:
        for _ in range(200):
            await c.raw(one * 100)
            await asyncio.sleep(0.01)
        await hold
    finally:
        hold.cancel()


async def wants_and_wants_not(c):
    await c.handshake(reserved=FAST)
    c.acted()
    for _ in range(300):
        await c.raw((message(INTERESTED) + message(NOT_INTERESTED)) * 20)
        await asyncio.sleep(0.01)
    await c.hold()


async def wants_another_torrent(c):
    c.acted()
    await c.raw(c.hello(infohash=os.urandom(20)))
    await c.hold()


async def says_nothing(c):
    c.acted()
    await c.hold()


async def is_a_peer_of_terminal_codes(c):
    await c.handshake(peer_id=TERMINAL[:20].ljust(20, b"\x1b"), reserved=bytes(5) + b"\x10\x00\x04")
    await c.send(20, b"\x00d1:v%d:%se" % (len(TERMINAL), TERMINAL))
    await c.send(INTERESTED)
    c.acted()
    await c.hold()


for b in (cancels_again_and_again, asks_while_choked, wants_and_wants_not, wants_another_torrent):
    b.dropped = True

# Who is let stay: what it costs is bounded by what one peer may hold.  Silence before a handshake ends after ten seconds.
for b in (takes_all_and_reads_nothing, says_nothing, is_a_peer_of_terminal_codes):
    b.dropped = False

HOSTILE = [
    asking("asks_beyond_a_piece", (0, (256 << 10) - 1, BLOCK)),
    asking("asks_from_beyond_a_piece", (0, 256 << 10, 1)),
    asking("asks_where_the_sum_wraps", (0, 0xffffffff, BLOCK)),
    asking("asks_for_no_bytes", (0, 0, 0)),
    asking("asks_for_4_gib", (0, 0, 0xffffffff)),
    asking("asks_for_more_than_128_kib", (0, 0, (128 << 10) + 1)),
    asking("asks_for_a_piece_that_is_none", (1 << 30, 0, BLOCK)),
    asking("asks_for_the_same_again_and_again", *[(0, 0, BLOCK)] * 20000),
    asking("asks_for_more_than_it_may", *[(i % 16, i % 1000, BLOCK) for i in range(16000)]),
    cancels_again_and_again, takes_all_and_reads_nothing, asks_while_choked, wants_and_wants_not, wants_another_torrent, says_nothing, is_a_peer_of_terminal_codes,
]


def assert_served(data, behaviours, seconds, options=()):
    with seeding(data, options) as (r, port), Swarm(data, behaviours, calls=("127.0.0.1", port)) as bad:
        process.wait_for(lambda: all(p.acts for p in bad.all) or r.p.poll() is not None, 15, "all have acted")
        with Swarm(data, [leech], calls=("127.0.0.1", port)) as good:
            process.wait_for(lambda: good.all[0].acts or good.wrong or r.p.poll() is not None, seconds, "the honest one completes")
            assert good.wrong == [] and r.p.poll() is None, (good.wrong, r.told())
        for p in bad.all:
            if p.behaviour.dropped:
                process.wait_for(lambda: p.acts >= 2 or not p.open, 15, "%s is dropped" % p.name)
            elif p.behaviour is not says_nothing:
                assert p.acts == 1 and p.open == 1, "%s did nothing to be dropped for" % p.name


@pytest.mark.parametrize("behaviour", HOSTILE, ids=lambda b: b.__name__)
def test_serves_beside(data, behaviour):
    assert_served(data, [behaviour], 25)


@pytest.mark.parametrize("options", [(), ("--max-uploads", "2")], ids=["", "two at a time"])
def test_serves_beside_all_of_them_at_once(data, options):
    assert_served(data, HOSTILE, 58, options)


def test_serves_beside_a_thousand_connections_of_one_address(data):
    with seeding(data) as (r, port), contextlib.ExitStack() as kept:
        for _ in range(1000):
            s = kept.enter_context(socket.socket())
            s.bind(("127.40.0.2", 0))
            s.settimeout(5)
            s.connect(("127.0.0.1", port))
            with contextlib.suppress(OSError):
                s.sendall(PROTOCOL)
        with Swarm(data, [leech], calls=("127.0.0.1", port)) as good:
            process.wait_for(lambda: good.all[0].acts or good.wrong or r.p.poll() is not None, 40, "the honest one completes")
            assert good.wrong == [] and r.p.poll() is None, (good.wrong, r.told())
        assert b"too many connections" in r.out, r.told()
