#!/usr/bin/python3
"""demo.py BUILD - the main job, on a swarm of its own: a tracker and three real seeders (libtorrent) on loopback.

Makes a random payload and a torrent of it, shows the torrent, downloads it through all the walls, and compares every
file by SHA-256.  Exits with 0 only when all are equal.  Runs in a network namespace of its own where the system gives
one, otherwise on the machine's loopback; DHT, local discovery, port forwarding and uTP are off.
"""
import os
import shutil
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
RATE = 8 * MIB  # of each seeder, so that there is something to see


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


def demo(bulkhead, work):
    title("the payload: 64 MiB of random bytes, nested, with names that are not ASCII")
    files = [File("Ελλάδα/Ἀκρόπολις %d.jpg" % i, 3 * MIB + i * 1001) for i in range(6)]
    files += [File("日本/東京/写真.bin", 20 * MIB), File("notes/empty", 0), File("notes/one byte", 1), File("🚢 bulkhead.iso", 26 * MIB - 15015 - 1)]
    p = Payload(os.path.join(work, "seed"), "bulkhead demo", files, piece_length=256 << 10)
    print("%d bytes in %d files, %d pieces" % (p.length, len(p.files), p.pieces))

    title("the swarm: a tracker and three libtorrent seeders of 8 MiB/s each, on loopback")
    swarm = [seeders.libtorrent(p, rate=RATE) for _ in range(3)]
    tracker = seeders.Tracker(swarm)
    p.write_torrent([tracker.url], extra={"comment": "made by make demo"})
    print("tracker %s, seeders %s" % (tracker.url, ", ".join("%s:%d" % a for a in swarm)))

    title("bulkhead show")
    subprocess.run([bulkhead, "show", p.torrent], check=True, timeout=30)

    title("bulkhead get --allow-net 127.0.0.0/8 (the swarm is on loopback, where nothing is dialled otherwise)")
    out = os.path.join(work, "out")
    os.mkdir(out)
    start = time.monotonic()
    get = subprocess.Popen([bulkhead, "get", "-d", out, "--state-dir", os.path.join(work, "state"), "--allow-net", "127.0.0.0/8", "--timeout", "20", p.torrent])
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

    title("the result")
    wrong = p.differences(out)
    for path in sorted(p.expected):
        print("%s  %s" % (p.expected[path][:16], os.fsdecode(path)))
    print("tracker was told: %s" % ", ".join(e or "(regular)" for e in tracker.events()))
    tracker.close()
    print("status %d after %.1f s; %s" % (status, seconds, "; ".join(wrong[:5]) or "SHA-256 of all %d files is equal" % len(p.expected)))
    return status == 0 and not wrong


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
