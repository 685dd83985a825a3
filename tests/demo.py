#!/usr/bin/python3
"""demo.py BUILD - the main job, on a swarm of its own: a tracker, and bulkhead on both sides, on loopback.

Makes a random payload, has bulkhead create a torrent of it, seed it three times over, show it and get it, each through
all its walls, and compares every file by SHA-256.  Exits with 0 only when all are equal and all ended well.  Runs in a
network namespace of its own where the system gives one, otherwise on the machine's loopback.
"""
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(HERE, "swarm"))

import isolation  # noqa: E402
import process  # noqa: E402
import seeders  # noqa: E402
from payload import File, Payload  # noqa: E402

MIB = 1 << 20
SEEDS = 3
RATE = "8M"  # of each seed, so that there is something to see
LOOPBACK = ["--allow-net", "127.0.0.0/8"]  # where nobody is dialled or let in otherwise


def title(text):
    print("\n\x1b[1m--- %s\x1b[0m" % text if sys.stdout.isatty() else "\n--- %s" % text, flush=True)


def compartments(pid):
    """A line for each process of the download: who it is, and which of its walls the kernel confirms."""
    rows = []
    for p in sorted(process.children(pid)):
        try:
            with open("/proc/%d/status" % p) as f:
                st = dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)
        except OSError:
            continue
        rows.append("%-16s pid %-7d uid %-6s seccomp %-6s no_new_privs %s  capabilities %s  namespaces %s" % (
            st["Name"], p, st["Uid"].split()[0], {"0": "none", "2": "filter"}.get(st["Seccomp"], st["Seccomp"]), st["NoNewPrivs"], st["CapEff"].lstrip("0") or "none",
            ",".join(n for n in ("user", "pid", "net", "ipc", "mnt") if differs(p, n)) or "-"))
    return rows


def differs(pid, namespace):
    try:
        return os.readlink("/proc/%d/ns/%s" % (pid, namespace)) != os.readlink("/proc/self/ns/" + namespace)
    except OSError:
        return False


def start_seed(bulkhead, work, torrent, n):
    """Each has an address of its own, as it would have on a network."""
    return process.start([bulkhead, "seed", "-d", os.path.join(work, "seed"), "--state-dir", os.path.join(work, "state%d" % n), "--bind", seeders.next_address(),
                          "--max-up", RATE, "--no-progress", *LOOPBACK, torrent])


def end_seed(seed):
    """Ctrl-C; its exit status."""
    seed.send_signal(signal.SIGINT)
    try:
        return seed.wait(10)
    except subprocess.TimeoutExpired:
        return None


def demo(bulkhead, work):
    title("the payload: 64 MiB of random bytes, nested, with names that are not ASCII")
    files = [File("Ελλάδα/Ἀκρόπολις %d.jpg" % i, 3 * MIB + i * 1001) for i in range(6)]
    files += [File("日本/東京/写真.bin", 20 * MIB), File("notes/empty", 0), File("notes/one byte", 1), File("🚢 bulkhead.iso", 26 * MIB - 15015 - 1)]
    p = Payload(os.path.join(work, "seed"), "bulkhead demo", files, piece_length=256 << 10)
    print("%d bytes in %d files, %d pieces" % (p.length, len(p.files), p.pieces))

    title("bulkhead create --tracker URL PATH")
    tracker = seeders.Tracker(learn=True)
    torrent = os.path.join(work, "demo.torrent")
    subprocess.run([bulkhead, "create", "--tracker", tracker.url, "--comment", "made by make demo", "-o", torrent, p.root], check=True, timeout=30)

    title("bulkhead show")
    subprocess.run([bulkhead, "show", torrent], check=True, timeout=30)

    title("bulkhead seed --max-up %s %s, %d times (on loopback, where nobody is dialled or let in otherwise)" % (RATE, " ".join(LOOPBACK), SEEDS))
    seeds = [start_seed(bulkhead, work, torrent, n) for n in range(SEEDS)]
    for n, s in enumerate(seeds):
        process.wait_for(lambda: len(tracker.peers) > n, 30, "a seed announces itself", s)
    print("tracker %s, seeds %s" % (tracker.url, ", ".join("%s:%d" % a for a in tracker.peers)))

    title("bulkhead get %s" % " ".join(LOOPBACK))
    out = os.path.join(work, "out")
    os.mkdir(out)
    start = time.monotonic()
    get = subprocess.Popen([bulkhead, "get", "-d", out, "--state-dir", os.path.join(work, "state"), *LOOPBACK, "--timeout", "20", torrent])
    rows = []
    try:
        while get.poll() is None and time.monotonic() - start < 60:
            now = compartments(get.pid)
            rows = now if len(now) >= len(rows) else rows
            time.sleep(0.2)
        status = get.wait(1)
    finally:
        if get.poll() is None:
            get.kill()
            get.wait()
    seconds = time.monotonic() - start

    title("the processes of that download")
    print("\n".join(rows))

    title("what the seeds said until Ctrl-C")
    ends = [end_seed(s) for s in seeds]
    for s, status_of_seed in zip(seeds, ends):
        print("%s (status %s)" % (process.read_log(s).strip(), status_of_seed))

    title("the result")
    wrong = p.differences(out)
    for path in sorted(p.expected):
        print("%s  %s" % (p.expected[path][:16], os.fsdecode(path)))
    print("tracker was told: %s" % ", ".join(e or "(regular)" for e in tracker.events()))
    tracker.close()
    print("status %d after %.1f s; %s" % (status, seconds, "; ".join(wrong[:5]) or "SHA-256 of all %d files is equal" % len(p.expected)))
    return status == 0 and not wrong and ends == [0] * SEEDS


def main():
    bulkhead = os.path.join(os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else "build"), "bulkhead")
    where = "a network namespace of its own" if isolation.enter() else "the machine's own loopback (no namespace to be had)"
    print("bulkhead demo, as uid %d, in %s" % (os.getuid(), where), flush=True)
    work = tempfile.mkdtemp(prefix="bulkhead-demo-")
    os.mkdir(os.path.join(work, "seed"))
    try:
        good = demo(bulkhead, work)
    finally:
        process.stop_all()
        shutil.rmtree(work, ignore_errors=True)
    print("\ndemo: %s" % ("complete" if good else "FAILED"))
    return 0 if good else 1


sys.exit(main())
