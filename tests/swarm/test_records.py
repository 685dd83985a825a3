"""What is kept between runs: whatever dies, no verified piece is lost and none that is not is taken for one; a start
reads only what the record does not answer for."""
import hashlib
import json
import os
import random
import signal
import time

import pytest

import client
import payload as shapes
import process
from client import COMPLETE, INTERRUPTED, STORAGE, assert_complete, events, get, seed
from peer import Swarm, honest, metered

pytestmark = pytest.mark.skipif(client.REFERENCE, reason="only bulkhead keeps records")

MOMENTS = int(os.environ.get("KILL_MOMENTS", "10"))
BLOCK = 16 << 10


@pytest.fixture
def data(tmp_path):
    small = [shapes.File("a/%03d" % i, 30000 + 7919 * i % 90000) for i in range(40)]
    return shapes.Payload(tmp_path, "payload", small + [shapes.File("large", 3 << 20)], piece_length=32 << 10)


def good_pieces(p, top):
    """Numbers of the pieces that are on disk below `top` as they should be."""
    found = bytearray()
    for f in p.files:
        try:
            with open(os.path.join(top, *f.path), "rb") as file:
                found += file.read(f.length).ljust(f.length, b"\0")
        except FileNotFoundError:
            found += bytes(f.length)
    return {i for i, h in enumerate(p.hashes) if hashlib.sha1(found[i * p.piece_length:(i + 1) * p.piece_length]).digest() == h}


def checked(r, within=15):
    """The first event that says what was there."""
    process.wait_for(lambda: b'"event":"checked"' in r.out and events(r, "checked"), within, "it says what was there")
    return events(r, "checked")[0]


def stop_at(p, outdir, swarm, blocks, options=()):
    """A get that is interrupted in good order when it has so many blocks."""
    r = get(p.torrent, outdir, swarm.addresses, options=["--json", *options])
    want = swarm.given + blocks
    swarm.allow(blocks)
    process.wait_for(lambda: swarm.given >= want, 15, "%d blocks" % want)
    time.sleep(0.3)
    r.signal(signal.SIGINT)
    assert r.wait(15) == INTERRUPTED, r.told()
    return r


def test_after_an_orderly_end_nothing_is_read(outdir, data):
    with Swarm(data, [metered]) as swarm:
        stop_at(data, outdir, swarm, 150)
        good = good_pieces(data, data.part(outdir))
        assert len(good) > 50
        # twice: a run that fetches nothing keeps it as it is
        for _ in range(2):
            again = stop_at(data, outdir, swarm, 0)
            told = checked(again)
            assert (told["known_bytes"], told["checked_bytes"], told["verified_pieces"]) == (data.length, 0, len(good)), again.told()
        swarm.allow(10000)
        before = swarm.given
        assert_complete(get(data.torrent, outdir, swarm.addresses), data, outdir)
        assert swarm.given - before <= -(-data.length // BLOCK) - 2 * len(good) + 64, "what was there was fetched again"


def test_what_changed_is_found(outdir, data):
    with Swarm(data, [metered]) as swarm:
        stop_at(data, outdir, swarm, 300)
        good = good_pieces(data, data.part(outdir))
        victim = max(good)
        at, path = victim * data.piece_length, None
        for f in data.files:
            if at < f.length:
                path = os.path.join(data.part(outdir), *f.path)
                break
            at -= f.length
        with open(path, "r+b") as f:
            f.seek(at)
            byte = f.read(1)[0]
            f.seek(at)
            f.write(bytes([byte ^ 1]))
        swarm.allow(10000)
        r = get(data.torrent, outdir, swarm.addresses, options=["--json"])
        assert_complete(r, data, outdir)
        told = checked(r)
        assert told["verified_pieces"] == len(good) - 1, r.told()
        assert 0 < told["checked_bytes"] < data.length and told["known_bytes"] + told["checked_bytes"] == data.length, r.told()


def test_a_check_reads_all(outdir, data):
    with Swarm(data, [metered]) as swarm:
        stop_at(data, outdir, swarm, 150)
        good = good_pieces(data, data.part(outdir))
        r = stop_at(data, outdir, swarm, 0, ["--check", "-v"])
        told = checked(r)
        assert (told["known_bytes"], told["checked_bytes"], told["verified_pieces"]) == (0, data.length, len(good)), r.told()


def seeds(data, *options, folder=None):
    """A seed that is ended when it gives; what it said was there."""
    r = seed(data, folder, options=["--json", *options], trackers=False)
    told = checked(r)
    process.wait_for(lambda: b'"event":"seeding"' in r.out, 15, "it seeds")
    time.sleep(0.2)
    r.signal(signal.SIGINT)
    assert r.wait(15) == COMPLETE, r.told()
    return told["known_bytes"], told["checked_bytes"]


def test_a_seed_reads_what_nobody_has_verified_and_only_that(outdir, data):
    # what the user made
    assert seeds(data) == (0, data.length)
    assert seeds(data) == (data.length, 0)
    assert seeds(data, "--check") == (0, data.length)
    # what was downloaded
    with Swarm(data, [honest]) as swarm:
        assert_complete(get(data.torrent, outdir, swarm.addresses), data, outdir)
    assert seeds(data, folder=outdir) == (data.length, 0)
    with open(os.path.join(data.final(outdir), b"large"), "r+b") as f:
        f.seek(1 << 20)
        f.write(b"another text")
    r = seed(data, outdir, options=["--json"], trackers=False)
    assert r.wait(15) == STORAGE, r.told()


class Killer:
    """One download after the other, each killed in part or as a whole, at random."""

    def __init__(self, data, outdir, swarm, dice):
        self.data, self.outdir, self.swarm, self.dice = data, outdir, swarm, dice
        self.run, self.kills, self.completed, self.good = None, 0, 0, None

    def start(self):
        options = ["--json", "--max-down", "%dk" % self.dice.choice([4000, 10000]), "--state-dir", str(self.outdir) + ".state"]
        self.run, self.kills = get(self.data.torrent, self.outdir, self.swarm.addresses, options=options, sample=False), 0

    def restarted(self):
        """What a run that goes on takes for verified is what is on disk."""
        if self.good is None:
            return
        good, self.good = self.good, None
        told = checked(self.run)
        assert told["verified_pieces"] == len(good), "%d of %d pieces\n%s" % (told["verified_pieces"], len(good), self.run.told())

    def ended(self):
        """The whole of it is gone: what is left?"""
        self.run.wait(10)
        known = dict(self.run.seen)
        process.wait_for(lambda: not any(process.birth(p) == b for p, b in known.items()), 5, "all of it is gone")
        self.run = None
        if os.path.lexists(self.data.final(self.outdir)):
            wrong = self.data.differences(self.outdir)
            assert not wrong, wrong
            self.completed, self.good = self.completed + 1, None
            for path in reversed(list(shapes.walk(self.data.final(self.outdir)))):
                (os.rmdir if os.path.isdir(path) else os.unlink)(path)
            return
        # Of nothing nothing is told, and by the time somebody asks there may be something.
        part = self.data.part(self.outdir)
        self.good = good_pieces(self.data, part) if os.path.lexists(part) else None

    def all_run(self):
        """Only who dies in a download that runs is started again."""
        states = {}
        for line in bytes(self.run.out).split(b"\n")[:-1]:
            event = json.loads(line)
            if event["event"] == "compartment":
                states[event["compartment"]] = event["state"]
        return [states.get(c) for c in ("resolver", "dialer", "netproc", "diskproc")] == ["running"] * 4

    def moment(self, victim):
        if self.run is None:
            self.start()
        end = time.monotonic() + self.dice.choice([0.25, 1.0]) * self.dice.random()
        if self.good is not None and self.dice.random() < 0.7:
            self.restarted()
        while time.monotonic() < end and self.run.p.poll() is None:
            time.sleep(0.005)
        self.run.sample()
        tree = self.run.tree()
        if self.run.p.poll() is not None:
            assert self.run.p.returncode == COMPLETE, self.run.told()
            self.ended()
            return
        # no more than are forgiven
        whole = victim in ("bulkhead", "all") or self.kills >= 3 or not self.all_run() or not tree.get(victim)
        pids = [p for name in tree for p in tree[name]] if victim == "all" else [self.run.p.pid] if whole else tree[victim]
        self.kills += 1
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        if whole:
            self.ended()

    def finish(self):
        if self.run is None:
            self.start()
        self.restarted()
        assert self.run.wait(60) == COMPLETE, self.run.told()
        self.ended()


@pytest.mark.time_limit(60 + 3 * MOMENTS)
def test_killed_at_any_moment_it_goes_on_with_what_is_there(outdir, data):
    victims = ["bulkhead", "bulkhead-diskpr", "bulkhead-netpro", "bulkhead-dialer", "all"]
    number = int(os.environ.get("KILL_SEED", random.randrange(1 << 32)))
    print("KILL_SEED=%d" % number)
    with Swarm(data, [honest, honest]) as swarm:
        k = Killer(data, outdir, swarm, random.Random(number))
        for i in range(MOMENTS):
            k.moment(victims[i % len(victims)])
        k.finish()
        assert k.completed > 0
        print("%d moments, %d downloads completed" % (MOMENTS, k.completed))
