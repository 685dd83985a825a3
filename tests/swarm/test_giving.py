"""What bulkhead gives to a leecher written by hand that looks at every message; how fast; what is counted."""
import os
import re
import struct
import threading
import time

import pytest

import client
import leechers
import payload as shapes
import peer
import process
import seeders
from client import COMPLETE, STORAGE, end, events, get, listening, seed
from peer import Swarm


MIB = 1 << 20

pytestmark = pytest.mark.skipif(client.REFERENCE, reason="only bulkhead has these options")


@pytest.fixture
def data(tmp_path):
    return shapes.single(tmp_path, 3 * MIB + 777, piece_length=64 << 10)


# ---- a leecher written by hand

FAST = bytes(7) + b"\x04"
FAST_MESSAGES = {peer.SUGGEST, peer.HAVE_ALL, peer.HAVE_NONE, peer.REJECT, peer.ALLOWED_FAST}


class Leech:
    """Takes all pieces, or those of `pieces`, in so many `visits`, with `ahead` requests on their way.  What came is in `got` and `seen`."""

    def __init__(self, data, fast=False, pieces=None, ahead=32, visits=1):
        self.data, self.fast, self.ahead, self.visits = data, fast, ahead, visits
        self.blocks = [(p, b, min(1 << 14, data.piece_bytes(p) - b)) for p in (range(data.pieces) if pieces is None else pieces) for b in range(0, data.piece_bytes(p), 1 << 14)]
        self.got, self.seen, self.times, self.done = {}, [], [], threading.Event()
        self.__name__ = "leech"

    async def __call__(self, c):
        if self.done.is_set():
            return await c.hold()
        await c.handshake(reserved=FAST if self.fast else bytes(8))
        await c.send(peer.HAVE_NONE) if self.fast else None
        await c.send(peer.INTERESTED)
        todo, out = [b for b in self.blocks if b not in self.got], set()
        until = len(self.blocks) * c.number // self.visits
        while todo or out:
            if len(self.got) >= until:
                return
            id, body = await c.recv()
            self.seen.append((id, body))
            if id == peer.UNCHOKE:
                c.unchoked = True
            elif id == peer.CHOKE:
                c.unchoked = False
                if not self.fast:  # forgotten, all of them
                    todo, out = sorted(out) + todo, set()
            elif id == peer.REJECT:
                b = struct.unpack(">III", body)
                out.remove(b)
                todo.insert(0, b)
            elif id == peer.PIECE:
                p, begin = struct.unpack(">II", body[:8])
                b = (p, begin, len(body) - 8)
                assert b in out, "a block that was not asked for: %r" % (b,)
                out.remove(b)
                assert self.data.block(*b) == body[8:], "wrong data"
                self.got[b] = True
                self.times.append((time.monotonic(), len(body) - 8))
            while c.unchoked and todo and len(out) < self.ahead:
                out.add(todo[0])
                await c.send(peer.REQUEST, struct.pack(">III", *todo.pop(0)))
        self.done.set()
        await c.hold()


def assert_leeched(leech, swarm, seconds=30):
    assert leech.done.wait(seconds) and not swarm.wrong, (swarm.wrong, len(leech.got), len(leech.blocks), leech.seen[-5:])


@pytest.mark.parametrize("fast", [False, True], ids=["plain", "fast extension"])
@pytest.mark.parametrize("dialled", [False, True], ids=["it connects", "we connect"])
def test_what_a_leecher_sees(data, fast, dialled):
    leech = Leech(data, fast)
    if dialled:
        with Swarm(data, [leech]) as swarm:
            r = seed(data, trackers=False, peers=swarm.addresses, options=["--json", "--no-listen"])
            assert_leeched(leech, swarm)
            end(r)
    else:
        r = seed(data, trackers=False, options=["--json"])
        with Swarm(data, [leech], calls=("127.0.0.1", listening(r))) as swarm:
            assert_leeched(leech, swarm)
            end(r)
    assert events(r, "seeded")[0]["uploaded_bytes"] == data.length, r.told()
    ids = [id for id, body in leech.seen]
    if fast:
        assert ids[0] == peer.HAVE_ALL and peer.BITFIELD not in ids, ids[:20]
        allowed = [struct.unpack(">I", body)[0] for id, body in leech.seen if id == peer.ALLOWED_FAST]
        assert len(allowed) == len(set(allowed)) == 10 and max(allowed) < data.pieces, allowed
    else:
        assert ids[0] == peer.BITFIELD and not FAST_MESSAGES & set(ids), ids[:20]
        assert sum(bin(b).count("1") for b in leech.seen[0][1]) == data.pieces


@pytest.mark.parametrize("dialled", [False, True], ids=["it connects", "we connect"])
def test_a_leecher_that_leaves_and_comes_again_gets_all(data, dialled):
    """It closes after a quarter of the blocks, three times; what it has it does not ask for again."""
    leech = Leech(data, fast=True, visits=4)
    if dialled:
        with Swarm(data, [leech]) as swarm:
            r = seed(data, trackers=False, peers=swarm.addresses, options=["--json", "--no-listen"])
            assert_leeched(leech, swarm, 50)
            end(r)
    else:
        r = seed(data, trackers=False, options=["--json"])
        with Swarm(data, [leech], calls=("127.0.0.1", listening(r))) as swarm:
            assert_leeched(leech, swarm, 50)
            end(r)
    assert swarm.all[0].connections >= 4


def test_a_choked_peer_gets_what_is_allowed_fast_and_is_told_of_the_rest(data):
    """One slot: the second is choked, asks all the same, and is answered each time."""
    said, done = [], threading.Event()

    async def first(c):
        await c.handshake()
        await c.send(peer.INTERESTED)
        while (await c.recv())[0] != peer.UNCHOKE:
            pass
        c.peer.swarm.gate.set()
        await c.hold()

    async def second(c):
        await c.peer.swarm.gate.wait()
        await c.handshake(reserved=FAST)
        await c.send(peer.HAVE_NONE)
        await c.send(peer.INTERESTED)
        allowed = set()
        while len(allowed) < 10:
            id, body = await c.recv()
            assert id != peer.UNCHOKE
            if id == peer.ALLOWED_FAST:
                allowed.add(struct.unpack(">I", body)[0])
        other = next(i for i in range(data.pieces) if i not in allowed)
        for piece in (min(allowed), other):
            await c.send(peer.REQUEST, struct.pack(">III", piece, 0, 1 << 14))
        while len(said) < 2:
            id, body = await c.recv()
            if id in (peer.PIECE, peer.REJECT):
                said.append((id, body))
        assert sorted(said) == [(peer.PIECE, struct.pack(">II", min(allowed), 0) + data.block(min(allowed), 0, 1 << 14)), (peer.REJECT, struct.pack(">III", other, 0, 1 << 14))]
        done.set()
        await c.hold()

    r = seed(data, trackers=False, options=["--json", "--max-uploads", "1"])
    with Swarm(data, [first, second], calls=("127.0.0.1", listening(r))) as swarm:
        assert done.wait(20) and not swarm.wrong, (swarm.wrong, [(id, len(b)) for id, b in said])
        end(r)


def test_what_was_asked_before_a_choke_is_rejected_one_by_one(data):
    """It loses its interest with requests that wait for the line's turn, and another one takes the only slot."""
    asked = [(p, 0, 1 << 14) for p in range(30)]
    answered, done = {}, threading.Event()

    async def first(c):
        await c.handshake(reserved=FAST)
        await c.send(peer.HAVE_NONE)
        await c.send(peer.INTERESTED)
        allowed, choked = set(), False
        while True:
            id, body = await c.recv()
            if id == peer.ALLOWED_FAST:
                allowed.add(struct.unpack(">I", body)[0])
            elif id == peer.UNCHOKE:
                for b in asked:
                    await c.send(peer.REQUEST, struct.pack(">III", *b))
                await c.send(peer.NOT_INTERESTED)
                c.peer.swarm.gate.set()
            elif id == peer.CHOKE:
                choked = True
            elif id == peer.REJECT:
                b = struct.unpack(">III", body)
                assert choked and b not in answered, "rejected before the choke, or twice"
                answered[b] = "rejected"
            elif id == peer.PIECE:
                b = struct.unpack(">II", body[:8]) + (len(body) - 8,)
                assert b not in answered and data.block(*b) == body[8:]
                answered[b] = "after the choke" if choked else "before"
            if choked and set(answered) >= {b for b in asked if b[0] not in allowed}:
                late = [b[0] for b in answered if answered[b] == "after the choke" and b[0] not in allowed]
                assert len(late) <= 1, "only what had begun may still come: %r" % late
                assert "rejected" in answered.values() and not any(answered.get(b) == "rejected" for b in asked if b[0] in allowed), answered
                done.set()
                return await c.hold()

    async def second(c):
        await c.peer.swarm.gate.wait()
        await c.handshake()
        await c.send(peer.INTERESTED)
        await c.hold()

    r = seed(data, trackers=False, options=["--json", "--max-uploads", "1", "--max-up", "32k"])
    with Swarm(data, [first, second], calls=("127.0.0.1", listening(r))) as swarm:
        assert done.wait(30) and not swarm.wrong, (swarm.wrong, answered)
        end(r)


# ---- get gives what it has

@pytest.mark.parametrize("rule", [["--seed-ratio", "1"], ["--seed-time", "8s"]], ids=" ".join)
def test_get_gives_while_it_takes_and_ends_by_its_rule(tmp_path, outdir, rule):
    data = shapes.single(tmp_path, 4 * MIB + 99, piece_length=64 << 10)
    seeder = seeders.libtorrent(data)
    r = get(data.torrent, outdir, [seeder], options=["--json", "--max-down", "1M", *rule])
    leecher = leechers.libtorrent(data, seeders.next_address(), dials=("127.0.0.1", listening(r)))
    leecher.assert_complete()
    client.assert_complete(r, data, outdir)
    while_taking = [e["uploaded_bytes"] for e in events(r, "progress") if not e["seeding"]]
    assert max(while_taking) >= data.piece_length, (while_taking, r.told())
    ended = events(r, "seeded")
    assert [e["reason"] for e in ended] == [rule[0].split("-")[-1]] and ended[0]["uploaded_bytes"] >= data.length and ended[0]["ratio_milli"] >= 1000, r.told()


# ---- limits

LIMIT, SECONDS = MIB, 4


def test_max_up_holds(tmp_path):
    """By what a leecher got in some seconds, the burst at the beginning left out; two leechers share it."""
    data = shapes.single(tmp_path, 12 * MIB, piece_length=256 << 10)
    both = [Leech(data), Leech(data)]
    r = seed(data, trackers=False, options=["--json", "--max-up", LIMIT])
    with Swarm(data, both, calls=("127.0.0.1", listening(r))) as swarm:
        process.wait_for(lambda: all(leech.times for leech in both), 15, "both get something")
        time.sleep(1)
        begin = time.monotonic()
        time.sleep(SECONDS)
        over = time.monotonic()
        shares = [sum(n for t, n in list(leech.times) if begin <= t < over) for leech in both]
        assert not swarm.wrong
        end(r)
    rate = sum(shares) / (over - begin)
    assert LIMIT / 2 < rate < LIMIT * 1.25, shares
    assert min(shares) > sum(shares) / 5, "they share it: %r" % shares


def test_max_down_holds(tmp_path, outdir):
    """By how long a download takes: what is sent at once at the beginning is a part of it."""
    data = shapes.single(tmp_path, (SECONDS + 1) * LIMIT, piece_length=256 << 10)
    addresses = [seeders.libtorrent(data), seeders.libtorrent(data)]
    r = get(data.torrent, outdir, addresses, options=["--json", "--max-down", LIMIT])
    begin = time.monotonic()
    client.assert_complete(r, data, outdir)
    took = next(e["milliseconds"] for e in events(r, "complete")) / 1000
    assert data.length / LIMIT / 1.25 < took and took <= time.monotonic() - begin + 1, r.told()
    assert took < 2 * data.length / LIMIT, r.told()


# ---- what is counted

def test_totals_go_on_in_the_next_run(data):
    r = seed(data, trackers=False, options=["--json"])
    leech = Leech(data)
    with Swarm(data, [leech], calls=("127.0.0.1", listening(r))) as swarm:
        assert_leeched(leech, swarm)
        end(r)
    assert events(r, "seeding")[0]["uploaded_bytes"] == 0 and events(r, "seeded")[0]["uploaded_bytes"] == data.length, r.told()
    assert events(r, "seeded")[0]["ratio_milli"] == 1000
    half = range(data.pieces // 2)
    r = seed(data, trackers=False, options=["--json", "--seed-ratio", "1.4"])
    leech = Leech(data, pieces=half)
    with Swarm(data, [leech], calls=("127.0.0.1", listening(r))) as swarm:
        assert r.wait(20) == COMPLETE, r.told()
        assert not swarm.wrong, swarm.wrong
    assert events(r, "seeding")[0]["uploaded_bytes"] == data.length and events(r, "seeding")[0]["ratio_milli"] == 1000, r.told()
    last = events(r, "seeded")[0]
    assert last["reason"] == "ratio" and last["ratio_milli"] >= 1400 and data.length * 1.4 <= last["uploaded_bytes"] <= data.length * 1.51, r.told()


def test_the_last_line_says_how_much_was_given_for_how_long_and_why_it_ended(data):
    port = seeders.free_port()
    r = seed(data, trackers=False, options=["--seed-ratio", "1", "--port", port])
    with Swarm(data, [Leech(data)], calls=("127.0.0.1", port)) as swarm:
        assert r.wait(20) == COMPLETE, r.told()
        assert not swarm.wrong, swarm.wrong
    name = os.path.basename(os.fsdecode(data.root))
    last = r.stderr.strip().splitlines()[-1]
    assert re.fullmatch(re.escape(name) + r": seeded for \d+s, 3\.0\d? MiB uploaded, ratio 1\.0\d*: the ratio is reached", last), r.told()


# ---- a file that changes under a seed

def test_a_file_that_is_cut_under_a_seed_ends_it(tmp_path):
    """One that is removed or replaced is not looked at: the seed holds what it has verified open."""
    data = shapes.Payload(tmp_path, "tree", [shapes.File("f%03d" % i, 150000) for i in range(20)], piece_length=32 << 10)
    r = seed(data, trackers=False, options=["--json"])
    port = listening(r)
    process.wait_for(lambda: b'"event":"seeding"' in r.out or r.p.poll() is not None, 15, "it seeds")
    os.truncate(os.path.join(data.root, b"f007"), 70000)
    with Swarm(data, [Leech(data)], calls=("127.0.0.1", port)) as swarm:
        assert r.wait(20) == STORAGE, r.told()
        assert not swarm.wrong, swarm.wrong
    assert len(r.stderr.splitlines()) == 1 and "f007" in r.stderr, r.told()
    assert [e["status"] for e in events(r, "error")] == [STORAGE] and not events(r, "seeded"), r.told()
    client.assert_bounded(r)
