"""client.py - the program under test, as the tests see it.

BULKHEAD names the program (default build/bulkhead beside the tests).  Any program with the same command line can
take its place: reference.py does, to show that seeders, trackers and hostile peers are what they claim to be.
"""
import json
import os
import signal

from process import Run, wait_for

HERE = os.path.dirname(os.path.abspath(__file__))
PROGRAM = os.environ.get("BULKHEAD") or os.path.join(os.path.dirname(os.path.dirname(HERE)), "build", "bulkhead")
REFERENCE = PROGRAM.endswith("reference.py")

# Exit statuses, as the manual has them.
COMPLETE, FAILED, USAGE, REFUSED, STORAGE, NO_PROGRESS, WALL_MISSING, KEPT_DYING, INTERRUPTED = 0, 1, 2, 3, 4, 5, 6, 7, 130

LOOPBACK = ["127.0.0.0/8", "::1/128"]  # where all of the tests' peers and trackers are
SANITIZED = bool(os.environ.get("BULKHEAD_SAN"))  # memory is then the sanitizer's
MEMORY_LIMIT = 128 << 20


def get(source, outdir, peers=(), allow=LOOPBACK, options=(), seconds=20, trackers=False, **kw):
    """Starts `get`; peers are (address, port).  `seconds` is its own --timeout, without progress."""
    sources = source if isinstance(source, (list, tuple)) else [source]
    command = [PROGRAM, "get", "-d", str(outdir), "--timeout", str(seconds)]
    if not trackers:
        command.append("--no-trackers")
    for net in allow:
        command += ["--allow-net", net]
    for address, port in peers:
        command += ["--peer", ("[%s]:%d" if ":" in address else "%s:%d") % (address, port)]
    return Run(command + [str(o) for o in options] + list(sources), **kw)


def seed(payload, folder=None, options=(), trackers=True, peers=(), allow=LOOPBACK, torrent=None, **kw):
    """Starts `seed` of what is in `folder`, where the payload was made when that is None."""
    command = [PROGRAM, "seed", "-d", str(folder or payload.folder)] + ([] if trackers else ["--no-trackers"])
    for net in allow:
        command += ["--allow-net", net]
    for address, port in peers:
        command += ["--peer", ("[%s]:%d" if ":" in address else "%s:%d") % (address, port)]
    return Run(command + [str(o) for o in options] + [torrent or payload.torrent], **kw)


def run(*arguments, **kw):
    """Any other command line."""
    return Run([PROGRAM, *arguments], **kw)


def events(r, name):
    return [x for x in json_lines(r) if x["event"] == name]


def listening(r):
    """The port, once it listens."""
    wait_for(lambda: b'"listening"' in r.out or r.p.poll() is not None, 15, "it listens")
    assert r.p.poll() is None, r.told()
    return next(json.loads(line)["port"] for line in bytes(r.out).splitlines() if b'"listening"' in line)


def end(r):
    """Interrupts what seeds: all was given well."""
    r.signal(signal.SIGINT)
    assert r.wait(15) == COMPLETE, r.told()
    assert_bounded(r)


def json_lines(r):
    """Every line of stdout as an object; fails when one is none."""
    out = []
    for line in r.stdout.splitlines():
        value = json.loads(line)
        assert isinstance(value, dict), line
        out.append(value)
    return out


def assert_complete(r, payload, outdir, within=60):
    """The download ends well: status, SHA-256, names and modes, memory, no process left behind."""
    status = r.wait(within)
    assert status == COMPLETE, r.told()
    wrong = payload.differences(outdir)
    assert not wrong, "\n".join(wrong[:20]) + "\n" + r.told()
    assert_bounded(r)


def assert_bounded(r):
    if REFERENCE:
        return
    assert r.leftovers() == [], r.told()
    if SANITIZED:
        return
    assert r.peak_bytes < MEMORY_LIMIT, "%.1f MiB in all processes\n%s" % (r.peak_bytes / (1 << 20), r.told())
    assert max(r.peak_process.values(), default=0) < MEMORY_LIMIT, r.told()


def assert_nothing_written(outdir):
    assert os.listdir(str(outdir)) == [], os.listdir(str(outdir))
