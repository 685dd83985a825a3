#!/usr/bin/python3
"""crowd.py - one bulkhead that seeds slowly, and many that fetch from it and from each other.

As a module: crowd() runs one such swarm and returns a Result.  As a program it runs some and prints what the promise
of a swarm is about (crowd.py --help):

    time        until the last one is complete, over what the seed needs to send one copy at its --max-up
    least given the least that one of them gave, over what it got
    seed sent   over the size
    free-rider  when it is complete, over the median of the others

Each has an address of its own on loopback, and learns of the others from a tracker.
"""
import argparse
import os
import shutil
import signal
import statistics
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import client  # noqa: E402
import isolation  # noqa: E402
import payload as shapes  # noqa: E402
import process  # noqa: E402
import seeders  # noqa: E402

MIB = 1 << 20


class Member:
    """One bulkhead of the swarm: when it was complete (seconds since the first get began), what it gave and got (payload bytes)."""

    def __init__(self, command, data, outdir, address, options):
        self.outdir, self.address, self.complete = outdir, address, None
        nets = [x for net in client.LOOPBACK for x in ("--allow-net", net)]
        self.run = process.Run([client.PROGRAM, command, "-d", outdir, "--bind", address, "--json", "-v", *nets, *options, data.torrent], sample=False)

    def is_complete(self):
        return b'"event":"complete"' in self.run.out

    def counts(self):
        last = [x for x in client.json_lines(self.run) if "uploaded_bytes" in x]
        return last[-1]["uploaded_bytes"] if last else 0


class Result:
    pass


def crowd(data, rate, count=11, free_rider=False, within=120, options=()):
    """One seed with --max-up `rate`, `count` that fetch, and a free-rider among them if wanted: it lets out 1 KiB/s."""
    tracker, _ = seeders.opentracker([data.infohash])
    data.write_torrent([tracker])
    top = tempfile.mkdtemp(prefix="crowd-", dir=data.folder)
    members, r = [], Result()
    try:
        seed = Member("seed", data, data.folder, seeders.next_address(), ["--max-up", str(rate), "--state-dir", os.path.join(top, "seed.state"), *options])
        members.append(seed)
        process.wait_for(lambda: b'"event":"seeding"' in seed.run.out, 30, "it seeds")
        start = time.monotonic()
        for i in range(count):
            outdir = os.path.join(top, str(i))
            os.mkdir(outdir)
            more = ["--max-up", "1k"] if free_rider and i == count // 2 else []
            members.append(Member("get", data, outdir, seeders.next_address(), ["--seed-ratio", "0", "--state-dir", outdir + ".state", *more, *options]))
        got = members[1:]
        end = start + within
        while time.monotonic() < end and not all(m.complete for m in got):
            for m in got:
                assert m.run.p.poll() is None, m.run.told()
                if not m.complete and m.is_complete():
                    m.complete = time.monotonic() - start
            time.sleep(0.01)
        time.sleep(0.3)
        for m in members:
            m.run.signal(signal.SIGTERM)
        for m in members:
            m.run.wait(20)
        r.members, r.seed = got, seed
        r.times = [m.complete for m in got]
        r.rider = count // 2 if free_rider else None
        r.sent = [m.counts() for m in got]
        r.seed_sent = seed.counts()
        if os.environ.get("CROWD_KEEP"):
            for i, m in enumerate(members):
                with open(os.path.join(top, "log%d" % i), "wb") as f:
                    f.write(bytes(m.run.out) + bytes(m.run.err))
        r.wrong = [d for m in got for d in data.differences(m.outdir)]
        r.one_copy = data.length / rate
        return r
    finally:
        process.stop_all()
        if not os.environ.get("CROWD_KEEP"):
            shutil.rmtree(top)


def show(r, data):
    honest = [i for i in range(len(r.members)) if i != r.rider]
    times = [r.times[i] or float("nan") for i in honest]
    print("time %.2f  given %s  seed sent %.3f%s%s" % (
        max(times) / r.one_copy, " ".join("%.2f" % x for x in sorted(r.sent[i] / data.length for i in honest)), r.seed_sent / data.length,
        "  free-rider %.2f (gave %.3f)" % ((r.times[r.rider] or float("nan")) / statistics.median(times), r.sent[r.rider] / data.length) if r.rider is not None else "",
        "  WRONG: " + "; ".join(r.wrong) if r.wrong else ""), flush=True)
    print("  complete after " + " ".join("%.1f" % x for x in sorted(times)), flush=True)


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--size", type=float, default=96, help="MiB")
    a.add_argument("--rate", type=float, default=8, help="MiB/s that the seed gives")
    a.add_argument("--piece", type=int, default=256, help="KiB")
    a.add_argument("--count", type=int, default=11)
    a.add_argument("--runs", type=int, default=1)
    a.add_argument("--free-rider", action="store_true")
    a.add_argument("--within", type=float, help="seconds that a run may take")
    a.add_argument("--option", action="append", default=[], help="for every bulkhead")
    a = a.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("crowd.py: ended"))  # by way of what ends the swarm
    if not isolation.enter():
        sys.exit("crowd.py: no network namespace to be had")
    folder = tempfile.mkdtemp(prefix="bulkhead-crowd-")
    try:
        data = shapes.single(folder, int(a.size * MIB), piece_length=a.piece << 10)
        for _ in range(a.runs):
            r = crowd(data, int(a.rate * MIB), a.count, a.free_rider, a.within or 20 + 10 * a.size / a.rate, a.option)
            show(r, data)
    finally:
        if not os.environ.get("CROWD_KEEP"):
            shutil.rmtree(folder)
        else:
            print(folder)


if __name__ == "__main__":
    main()
