"""Storage: how space is taken, what happens when there is none, modes, and the program of --on-complete."""
import os
import resource
import signal
import stat
import time

import pytest

import client
import isolation
import payload as shapes
import process
from client import COMPLETE, FAILED, INTERRUPTED, STORAGE, USAGE, assert_complete, get, run
from peer import Swarm, honest, metered
from test_command import blocks_of, given

pytestmark = pytest.mark.skipif(client.REFERENCE, reason="only bulkhead has these options")

MIB = 1 << 20


@pytest.fixture
def small(tmp_path, isolated):
    """A file system of 3 MiB."""
    d = tmp_path / "small"
    d.mkdir()
    isolation.mount_tmpfs(str(d), 3 * MIB)
    yield d
    process.stop_all()
    isolation.unmount(str(d))


def fill(d, leave=0):
    """Takes all of the file system but that much."""
    s = os.statvfs(d)
    with open(d / "ballast", "wb") as f:
        os.posix_fallocate(f.fileno(), 0, s.f_bavail * s.f_frsize - leave)


def said(r, words, seconds=15):
    process.wait_for(lambda: words in r.stderr or r.p.poll() is not None, seconds, words)
    assert words in r.stderr, r.told()


# ---- --allocate

@pytest.mark.parametrize("shape", ["single", "many"])
@pytest.mark.parametrize("how", ["none", "sparse", "full"])
def test_space_is_taken_as_it_was_said(tmp_path, small, shape, how):
    p = shapes.single(tmp_path) if shape == "single" else shapes.Payload(tmp_path, "set", [shapes.File("a", 800000), shapes.File("b", 0), shapes.File("c", 300000)])
    with Swarm(p, [metered]) as swarm:
        r = get(p.torrent, small, swarm.addresses, options=["--allocate", how])
        given(swarm, 8)
        files = [x for x in shapes.walk(p.part(small)) if os.path.isfile(x)]
        size, taken = sum(os.path.getsize(x) for x in files), sum(os.lstat(x).st_blocks * 512 for x in files)
        if how == "full":
            assert size == p.length and taken >= p.length, (size, taken)
        elif how == "none":
            assert size < p.length and taken < p.length, (size, taken)
        else:
            assert size in (p.length, 800000) and taken < p.length, (size, taken)  # a file that nothing came of yet is not there
        swarm.allow(10000)
        assert_complete(r, p, small)


def test_what_grew_is_continued(tmp_path, outdir):
    p = shapes.single(tmp_path)
    with Swarm(p, [metered]) as swarm:
        r = get(p.torrent, outdir, swarm.addresses, options=["--allocate", "none", "--threads", "1"])
        given(swarm, blocks_of(p) // 2)
        r.signal(signal.SIGINT)
        assert r.wait(10) == INTERRUPTED, r.told()
    with Swarm(p, [metered]) as swarm:
        swarm.allow(10000)
        assert_complete(get(p.torrent, outdir, swarm.addresses), p, outdir)
        assert swarm.given <= blocks_of(p) // 2 + 40, swarm.given


def test_what_cannot_be_reserved_is_said_before_it_is_written(tmp_path, small):
    p = shapes.single(tmp_path, 4 * MIB)
    with Swarm(p, [metered]) as swarm:  # which gives nothing
        r = get(p.torrent, small, swarm.addresses, options=["--allocate", "full"])
        assert r.wait(20) == STORAGE, r.told()
        assert "no space for" in r.stderr and "No space left" in r.stderr, r.told()


def test_where_nothing_can_be_reserved_it_goes_on_without(tmp_path, isolated):
    d = tmp_path / "ramfs"
    d.mkdir()
    try:
        isolation.mount_ramfs(str(d))
    except OSError as e:
        pytest.skip("no ramfs to be had: %s" % e)
    try:
        if os.getuid() == 0:
            os.chown(d, 54321, 54321)  # it cannot map owners either
        p = shapes.single(tmp_path)
        with Swarm(p, [honest]) as swarm:
            r = get(p.torrent, d, swarm.addresses, options=["--allocate", "full"])
            assert_complete(r, p, d)
            assert r.stderr.count("cannot reserve space") == 1, r.told()
    finally:
        process.stop_all()
        isolation.unmount(str(d))


# ---- no space

def test_a_disk_that_fills_up_costs_nothing_that_was_verified(tmp_path, small):
    p = shapes.single(tmp_path, 2 * MIB, piece_length=32 << 10)
    with Swarm(p, [metered]) as swarm:
        r = get(p.torrent, small, swarm.addresses)
        given(swarm, blocks_of(p) // 2)
        fill(small)
        swarm.allow(40)
        assert r.wait(20) == STORAGE, r.told()
        assert r.stderr.count("No space left") == 1 and r.leftovers() == [], r.told()
        os.unlink(small / "ballast")
        assert not os.path.lexists(p.final(small))
    c = run("check", "-d", str(small), "--json", p.torrent)
    assert c.wait(20) == FAILED, c.told()
    good = client.events(c, "check")[0]["good_pieces"]
    assert good > p.pieces // 4, c.told()
    with Swarm(p, [metered]) as swarm:
        swarm.allow(10000)
        assert_complete(get(p.torrent, small, swarm.addresses), p, small)
        assert swarm.given == 2 * (p.pieces - good), "%d blocks came for %d pieces" % (swarm.given, p.pieces - good)


@pytest.mark.few
def test_wait_space_goes_on_by_itself(tmp_path, small, isolated):
    p = shapes.single(tmp_path, 2 * MIB, piece_length=32 << 10)
    with Swarm(p, [metered]) as swarm:
        r = get(p.torrent, small, swarm.addresses, seconds=2, options=["--wait-space"])
        given(swarm, blocks_of(p) // 2)
        fill(small)
        swarm.allow(10000)
        said(r, "waiting for space")
        time.sleep(3)  # longer than its --timeout
        assert r.p.poll() is None, r.told()
        isolation.remount_tmpfs(str(small), "size=%d" % (8 * MIB))
        assert r.wait(30) == COMPLETE, r.told()
        assert r.stderr.count("waiting for space") == 1 and "space again" in r.stderr, r.told()
        os.unlink(small / "ballast")
        assert_complete(r, p, small)
        assert swarm.given == blocks_of(p), "%d of %d blocks" % (swarm.given, blocks_of(p))


def test_wait_space_for_more_files_than_there_is_room_for(tmp_path, isolated):
    d = tmp_path / "inodes"
    d.mkdir()
    isolation.mount_tmpfs(str(d), 64 * MIB, 20)
    try:
        p = shapes.small_files(tmp_path, count=60)
        with Swarm(p, [honest]) as swarm:
            r = get(p.torrent, d, swarm.addresses, options=["--wait-space"])
            said(r, "waiting for space")
            isolation.remount_tmpfs(str(d), "nr_inodes=1000")
            assert_complete(r, p, d)
    finally:
        process.stop_all()
        isolation.unmount(str(d))


def test_wait_space_is_interrupted_like_anything_else(tmp_path, small):
    p = shapes.single(tmp_path, 2 * MIB, piece_length=32 << 10)
    with Swarm(p, [metered]) as swarm:
        r = get(p.torrent, small, swarm.addresses, options=["--wait-space"])
        given(swarm, blocks_of(p) // 2)
        fill(small)
        swarm.allow(10000)
        said(r, "waiting for space")
        r.signal(signal.SIGINT)
        start = time.monotonic()
        assert r.wait(10) == INTERRUPTED and time.monotonic() - start < 5, r.told()
        assert r.leftovers() == []
        os.unlink(small / "ballast")
        assert_complete(get(p.torrent, small, swarm.addresses), p, small)


def test_bad_pieces_are_written_over_where_there_is_no_room_for_more(tmp_path, small):
    """The estimate at the start counts what is there as room for itself."""
    p = shapes.single(tmp_path, 2 * MIB, piece_length=32 << 10)
    with Swarm(p, [honest]) as swarm:
        assert_complete(get(p.torrent, small, swarm.addresses), p, small)
        fill(small, 300 << 10)  # the spill file's and the record's
        with open(p.final(small), "r+b") as f:
            f.write(bytes(MIB))
        r = run("check", "--repair", "-d", str(small), "--no-trackers", "--allow-net", "127.0.0.0/8", "--peer", "%s:%d" % swarm.addresses[0], p.torrent)
        assert r.wait(30) == COMPLETE, r.told()
    os.unlink(small / "ballast")
    assert p.differences(small) == []


# ---- other errors

@pytest.mark.parametrize("how,words", [("sparse", "cannot set the size of"), ("none", "cannot write")])
def test_a_limit_on_the_size_of_files(tmp_path, outdir, how, words):
    p = shapes.single(tmp_path, 6 * MIB)
    limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (5 * MIB, 5 * MIB))
    with Swarm(p, [honest]) as swarm:
        r = get(p.torrent, outdir, swarm.addresses, options=["--allocate", how], before=limit)
        assert r.wait(20) == STORAGE, r.told()
        assert words in r.stderr and "File too large" in r.stderr, r.told()
        assert_complete(get(p.torrent, outdir, swarm.addresses), p, outdir)


def test_a_file_system_that_is_read_only(tmp_path, small, isolated):
    isolation.remount_tmpfs(str(small), "size=%d" % (3 * MIB), read_only=True)
    p = shapes.single(tmp_path)
    r = get(p.torrent, small)
    assert r.wait(20) == STORAGE and "Read-only file system" in r.stderr, r.told()


def test_a_download_whose_directory_was_renamed_is_not_finished_elsewhere(tmp_path, outdir):
    p = shapes.many(tmp_path)
    with Swarm(p, [metered]) as swarm:
        r = get(p.torrent, outdir, swarm.addresses)
        given(swarm, 8)
        os.rename(p.part(outdir), str(tmp_path / "elsewhere"))
        swarm.allow(10000)
        assert r.wait(20) == STORAGE and "renamed or replaced" in r.stderr, r.told()
    assert os.listdir(outdir) == []


@pytest.mark.parametrize("how", ["truncated", "removed"])
def test_a_finished_file_that_is_changed_meanwhile_is_no_success(tmp_path, outdir, how):
    p = shapes.Payload(tmp_path, "set", [shapes.File("f%d" % i, 65536) for i in range(8)], piece_length=32768)
    with Swarm(p, [metered]) as swarm:
        r = get(p.torrent, outdir, swarm.addresses)
        given(swarm, 24)
        c = run("check", "-d", str(outdir), "--json", p.torrent)
        assert c.wait(20) == FAILED, c.told()
        name = next(e["path"] for e in client.events(c, "file") if e["state"] == "ok")
        path = os.path.join(p.part(outdir), os.fsencode(name))
        os.truncate(path, 10) if how == "truncated" else os.unlink(path)
        swarm.allow(10000)
        assert r.wait(20) == STORAGE, r.told()
        assert name in r.stderr and "changed or removed" in r.stderr and not os.path.lexists(p.final(outdir)), r.told()
    with Swarm(p, [metered]) as swarm:
        swarm.allow(10000)
        assert_complete(get(p.torrent, outdir, swarm.addresses), p, outdir)
        assert swarm.given == 4, swarm.given


# ---- --mode

@pytest.mark.parametrize("mode,umask", [("600", 0), ("664", 0o077), ("0640", 0o022)])
@pytest.mark.parametrize("shape", ["single", "many"])
def test_mode_holds_whatever_the_umask(tmp_path, outdir, shape, mode, umask):
    p = {"single": shapes.single, "many": shapes.many}[shape](tmp_path)
    with Swarm(p, [honest]) as swarm:
        r = get(p.torrent, outdir, swarm.addresses, options=["--mode", mode], before=lambda: os.umask(umask))
        assert_complete(r, p, outdir)
    want = int(mode, 8)
    for path in shapes.walk(p.final(outdir)):
        st = os.lstat(path)
        assert stat.S_IMODE(st.st_mode) == (want | (want & 0o444) >> 2 if stat.S_ISDIR(st.st_mode) else want), (path, oct(st.st_mode))


@pytest.mark.parametrize("mode", ["755", "4644", "444", "77", "rw", "", "00644", "-600", "688"])
def test_modes_that_are_refused(tmp_path, mode):
    r = run("get", "--mode", mode, "x.torrent", cwd=tmp_path)
    assert r.wait(10) == USAGE and "--mode" in r.stderr, r.told()


# ---- --on-complete

def script(path, text):
    path.write_text("#!/bin/sh\n" + text)
    path.chmod(0o755)
    return str(path)


SHOW = """printf '%s\\n' "$#" "$1" "$BULKHEAD_NAME" "$BULKHEAD_PATH" "$BULKHEAD_INFO_HASH" "$BULKHEAD_BYTES" "$MINE" > "$OUT"
grep -E '^(NoNewPrivs|Seccomp):' /proc/self/status >> "$OUT"
umask >> "$OUT"
test -e "$1" && echo there >> "$OUT"
ls /proc/self/fd | wc -l >> "$OUT"
echo printed
"""


@pytest.mark.few
def test_on_complete_is_run_with_what_is_complete_and_without_walls(tmp_path, outdir):
    p, out = shapes.many(tmp_path, name="a b;$(x)"), tmp_path / "told"
    env = dict(os.environ, MINE="kept", OUT=str(out))
    with Swarm(p, [honest]) as swarm:
        r = get(p.torrent, outdir, swarm.addresses, options=["--on-complete", script(tmp_path / "run", SHOW), "--mode", "664"], env=env, before=lambda: os.umask(0o027))
        assert_complete(r, p, outdir)
    path = os.path.join(os.path.realpath(outdir), "a b;$(x)")
    lines = out.read_text().splitlines()
    assert lines[:7] == ["1", path, "a b;$(x)", path, p.infohash.hex(), str(p.length), "kept"], lines
    assert lines[7:11] == ["NoNewPrivs:\t0", "Seccomp:\t0", "0027", "there"] or os.getuid(), lines
    assert "0027" in lines and "there" in lines and int(lines[-1]) <= 4, lines
    assert r.stdout.strip() == str(outdir) + "/a b;$(x)" and "printed" in r.stderr, r.told()


def test_on_complete_that_fails_is_told_and_the_status_is_that_of_the_download(tmp_path, outdir):
    p = shapes.single(tmp_path)
    with Swarm(p, [honest]) as swarm:
        r = get(p.torrent, outdir, swarm.addresses, options=["--on-complete", script(tmp_path / "run", "exit 7\n")])
        assert_complete(r, p, outdir)
    assert "ended with status 7" in r.stderr, r.told()


def test_on_complete_is_not_run_for_what_is_not_complete_or_was_before(tmp_path, outdir):
    p, out = shapes.single(tmp_path), tmp_path / "told"
    options = ["--on-complete", script(tmp_path / "run", "echo x >> %s\n" % out)]
    with Swarm(p, [metered]) as swarm:
        r = get(p.torrent, outdir, swarm.addresses, options=options)
        given(swarm, 5)
        r.signal(signal.SIGINT)
        assert r.wait(10) == INTERRUPTED and not out.exists(), r.told()
        swarm.allow(10000)
        for _ in range(2):
            assert get(p.torrent, outdir, swarm.addresses, options=options).wait(20) == COMPLETE
    assert out.read_text() == "x\n"


def test_on_complete_is_run_once_for_each(tmp_path, outdir):
    a, b, out = shapes.single(tmp_path, 100000, name="a"), shapes.single(tmp_path, 100000, name="b"), tmp_path / "told"
    with Swarm(a, [honest]) as s, Swarm(b, [honest]) as t:
        r = get([a.torrent, b.torrent], outdir, s.addresses + t.addresses, options=["--json", "--on-complete", script(tmp_path / "run", 'echo "$BULKHEAD_NAME" >> %s\n' % out)])
        assert r.wait(30) == COMPLETE, r.told()
    assert sorted(out.read_text().split()) == ["a", "b"] and len(client.events(r, "on-complete")) == 2, r.told()


def test_on_complete_is_waited_for_unless_it_is_interrupted(tmp_path, outdir):
    p, out = shapes.single(tmp_path), tmp_path / "told"
    with Swarm(p, [honest]) as swarm:
        r = get(p.torrent, outdir, swarm.addresses, options=["--on-complete", script(tmp_path / "run", "echo $$ > %s\nexec sleep 30\n" % out)])
        process.wait_for(lambda: out.exists() and out.read_text().strip(), 15, "the program runs")
        time.sleep(1.5)
        assert r.p.poll() is None, "it did not wait"
        r.signal(signal.SIGINT)
        assert r.wait(10) == COMPLETE, r.told()
    pid = int(out.read_text())
    assert process.program_name(pid) == "sleep"
    os.kill(pid, signal.SIGTERM)


@pytest.mark.parametrize("what", ["missing", "directory", "not executable"])
def test_on_complete_that_cannot_be_run_is_wrong_usage(tmp_path, what):
    path = tmp_path / "x"
    if what == "directory":
        path.mkdir()
    elif what == "not executable":
        path.write_text("#!/bin/sh\n")
    r = run("get", "--on-complete", str(path), "x.torrent", cwd=tmp_path)
    assert r.wait(10) == USAGE and "--on-complete" in r.stderr, r.told()
