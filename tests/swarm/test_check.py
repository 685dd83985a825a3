"""check: what is told of every file, that nothing is touched, and what --repair makes of it."""
import os
import shutil
import signal

import pytest

import client
import payload as shapes
import process
from client import COMPLETE, FAILED, INTERRUPTED, STORAGE, USAGE, events, run
from peer import Swarm, metered
from process import raw_bytes

pytestmark = pytest.mark.skipif(client.REFERENCE, reason="only bulkhead has this command")

BLOCK = 16 << 10


def copy(p, outdir, part=False):
    """The finished download, as another program may have left it."""
    where = p.part(outdir) if part else p.final(outdir)
    (shutil.copyfile if p.single else shutil.copytree)(p.root, where)
    return where


def check(p, outdir, *options, **kw):
    return run("check", "-d", str(outdir), *options, p.torrent, **kw)


def repair(p, outdir, swarm, *options):
    peers = ["--peer=%s:%d" % a for a in swarm.addresses]
    return check(p, outdir, "--repair", "--no-trackers", "--timeout", "20", "--allow-net", "127.0.0.0/8", "--json", *peers, *options)


def states(r):
    return {e["path"]: (e["state"], e["bad_pieces"]) for e in events(r, "file")}


def snapshot(top):
    """Everything about the tree that a write would change."""
    return [(path, st.st_ino, st.st_size, st.st_mtime_ns, st.st_ctime_ns, st.st_mode)
            for path in shapes.walk(os.fsencode(str(top))) for st in [os.lstat(path)]]


def said(r, words):
    process.wait_for(lambda: words in r.stdout or r.p.poll() is not None, 15, words)


def spoil(path, at, length=1):
    with open(path, "r+b") as f:
        f.seek(at)
        old = f.read(length)
        f.seek(at)
        f.write(bytes(b ^ 1 for b in old))


@pytest.mark.few
@pytest.mark.parametrize("shape", ["single", "many", "padded"])
def test_what_is_good_is_told_and_left_as_it_is(tmp_path, outdir, state, shape):
    p = {"single": shapes.single, "many": shapes.many, "padded": shapes.padded}[shape](tmp_path)
    copy(p, outdir)
    before = snapshot(outdir)
    r = check(p, outdir, env=dict(os.environ, LC_ALL="C.UTF-8"))
    assert r.wait(20) == COMPLETE, r.told()
    want = [os.fsdecode(p.name if p.single else p.name + b"/" + b"/".join(f.path)) + ": ok" for f in p.files if "p" not in f.attr]
    assert r.stdout.splitlines() == want, r.told()
    assert "%d of %d pieces are good" % (p.pieces, p.pieces) in r.stderr or p.pieces == 1, r.told()
    assert snapshot(outdir) == before and not state.exists()
    client.assert_bounded(r)


def test_only_diskproc_is_started(tmp_path, outdir):
    p = shapes.many(tmp_path)
    copy(p, outdir)
    r = check(p, outdir, "--json")
    assert r.wait(20) == COMPLETE, r.told()
    assert {e["compartment"] for e in events(r, "compartment")} == {"inspect", "diskproc"}, r.told()
    assert events(r, "check")[0]["ok"] is True


@pytest.mark.few
def test_each_file_is_told_by_what_is_wrong_with_it(tmp_path, outdir, state):
    p = shapes.Payload(tmp_path, "set", [shapes.File(n, 100000) for n in ("damaged", "missing", "beside", "short", "long", "fine", "link", "dir/ectory")] +
                       [shapes.File("empty", 0)], piece_length=32768)
    top = os.fsdecode(copy(p, outdir))
    spoil(top + "/damaged", 40000)
    os.unlink(top + "/missing")
    os.truncate(top + "/short", 99999)
    with open(top + "/long", "ab") as f:
        f.write(b"x")
    os.unlink(top + "/link")
    os.symlink("fine", top + "/link")
    os.rename(top + "/dir", top + "/gone")
    os.unlink(top + "/empty")
    before = snapshot(outdir)
    r = check(p, outdir, "--json")
    assert r.wait(20) == FAILED, r.told()
    told = states(r)
    assert {k: v[0] for k, v in told.items()} == {
        "damaged": "damaged", "missing": "missing", "beside": "unverified", "short": "short", "long": "long", "fine": "unverified", "link": "foreign",
        "dir/ectory": "missing", "empty": "missing"}, told
    assert told["damaged"][1] == 2 and told["beside"][1] == 1, told  # one piece of each is shared with the one that is missing
    whole = events(r, "check")[0]
    assert whole["ok"] is False and (whole["files"], whole["good_files"]) == (9, 0) and whole["pieces"] == p.pieces, whole
    assert snapshot(outdir) == before and not state.exists()
    r = check(p, outdir)
    assert r.wait(20) == FAILED, r.told()
    lines = r.stdout.splitlines()
    assert "set/damaged: damaged, 2 of 4 pieces" in lines and "set/missing: missing" in lines, r.told()
    assert "set/short: wrong size, it is too short; damaged, 1 of 4 pieces" in lines, r.told()
    assert len(lines) == 9 and r.stderr.count("0 of 9 files") == 1, r.told()


@pytest.mark.skipif(os.getuid() == 0, reason="root reads everything")
def test_a_file_that_cannot_be_read_is_told_and_the_rest_is_checked(tmp_path, outdir):
    p = shapes.Payload(tmp_path, "set", [shapes.File(n, 65536) for n in "abc"], piece_length=32768)
    os.chmod(copy(p, outdir) + b"/b", 0)
    r = check(p, outdir, "--json")
    assert r.wait(20) == FAILED, r.told()
    assert states(r) == {"a": ("ok", 0), "b": ("unreadable", 2), "c": ("ok", 0)}, r.told()


@pytest.mark.parametrize("change,word", [(-1, "short"), (1, "long")])
def test_one_file_of_another_size(tmp_path, outdir, change, word):
    p = shapes.single(tmp_path)
    os.truncate(copy(p, outdir), p.length + change)
    r = check(p, outdir, "--json")
    assert r.wait(20) == FAILED, r.told()
    assert states(r) == {os.fsdecode(p.name): (word, 1 if change < 0 else 0)}, r.told()


def test_what_is_not_finished_is_checked_under_its_own_name(tmp_path, outdir):
    p = shapes.single(tmp_path)
    path = copy(p, outdir, part=True)
    spoil(path, 0)
    r = check(p, outdir)
    assert r.wait(20) == FAILED, r.told()
    assert r.stdout == "%s.part: damaged, 1 of %d pieces\n" % (os.fsdecode(p.name), p.pieces), r.told()


def test_where_nothing_is_all_is_missing(tmp_path, outdir):
    p = shapes.many(tmp_path)
    r = check(p, outdir, "--json")
    assert r.wait(20) == FAILED, r.told()
    assert {s for s, _ in states(r).values()} == {"missing"} and len(states(r)) == len(p.files), r.told()
    client.assert_nothing_written(outdir)


def test_names_are_escaped_where_they_cannot_be_shown(tmp_path, outdir):
    p = shapes.many(tmp_path)
    copy(p, outdir)
    r = check(p, outdir, env=dict(os.environ, LC_ALL="C", LANG="C"))
    assert r.wait(20) == COMPLETE, r.told()
    assert r.out.isascii() and b"\\x" in r.out and raw_bytes(bytes(r.out)) == [], r.told()


def test_several_sources_each_by_itself(tmp_path, outdir):
    a, b = shapes.single(tmp_path, 100000, name="a"), shapes.single(tmp_path, 100000, name="b")
    copy(a, outdir)
    r = run("check", "-d", str(outdir), "--json", a.torrent, b.torrent)
    assert r.wait(20) == FAILED, r.told()
    assert states(r) == {"a": ("ok", 0), "b": ("missing", 4)}, r.told()


@pytest.mark.parametrize("options", [["--peer", "127.0.0.1:1"], ["--no-trackers"], ["--adopt"]], ids=lambda o: o[0])
def test_options_of_get_need_repair(tmp_path, outdir, options):
    r = check(shapes.single(tmp_path, 1000), outdir, *options)
    assert r.wait(20) == USAGE and "not an option of check" in r.stderr, r.told()


def test_interrupted(tmp_path, outdir):
    p = shapes.single(tmp_path, 64 << 20, piece_length=16 << 10)
    copy(p, outdir)
    r = check(p, outdir, "--json", "--threads", "1", sample=False)
    said(r, '"compartment":"diskproc"')
    r.signal(signal.SIGINT)
    assert r.wait(10) in (INTERRUPTED, COMPLETE), r.told()
    assert r.rc == INTERRUPTED or events(r, "check"), r.told()


# ---- --quick

@pytest.mark.few
def test_quick_believes_the_record_of_what_was_not_touched(tmp_path, outdir):
    p = shapes.Payload(tmp_path, "set", [shapes.File(n, 65536) for n in "abcd"], piece_length=32768)
    with Swarm(p, [metered]) as swarm:
        swarm.allow(10000)
        client.assert_complete(client.get(p.torrent, outdir, swarm.addresses), p, outdir)
    top = p.final(outdir)
    before = snapshot(outdir)
    r = check(p, outdir, "--quick", "--json")
    assert r.wait(20) == COMPLETE and len(states(r)) == 4, r.told()
    assert snapshot(outdir) == before
    st = os.stat(top + b"/a")
    spoil(top + b"/a", 5)
    os.utime(top + b"/a", ns=(st.st_atime_ns, st.st_mtime_ns))  # as if the disk had done it
    spoil(top + b"/b", 5)
    os.unlink(top + b"/c")
    r = check(p, outdir, "--quick", "--json")
    assert r.wait(20) == FAILED, r.told()
    assert states(r) == {"a": ("ok", 0), "b": ("damaged", 1), "c": ("missing", 2), "d": ("ok", 0)}, r.told()
    r = check(p, outdir, "--json")
    assert r.wait(20) == FAILED and states(r)["a"] == ("damaged", 1), r.told()
    with Swarm(p, [metered]) as swarm:
        swarm.allow(10000)
        client.assert_complete(repair(p, outdir, swarm), p, outdir)  # reads all of it
        assert swarm.given == 2 * 4, swarm.given


def test_quick_leaves_the_record_as_it_is(tmp_path, outdir):
    """What was begun is continued after it, without being read."""
    p = shapes.single(tmp_path)
    with Swarm(p, [metered]) as swarm:
        r = client.get(p.torrent, outdir, swarm.addresses)
        swarm.allow(30)
        process.wait_for(lambda: swarm.given >= 30, 15, "30 blocks")
        r.signal(signal.SIGINT)
        assert r.wait(10) == INTERRUPTED, r.told()
    r = check(p, outdir, "--quick", "--json")
    assert r.wait(20) == FAILED, r.told()
    good = events(r, "check")[0]["good_pieces"]
    with Swarm(p, [metered]) as swarm:
        swarm.allow(10000)
        r = client.get(p.torrent, outdir, swarm.addresses, options=["--json"])
        client.assert_complete(r, p, outdir)
        told = events(r, "checked")[0]
        assert told["verified_pieces"] == good and told["checked_bytes"] == 0, told


# ---- --repair

@pytest.mark.few
def test_repair_fetches_what_is_bad_and_nothing_else(tmp_path, outdir):
    p = shapes.Payload(tmp_path, "set", [shapes.File("a/damaged", 300000), shapes.File("missing", 100000), shapes.File("long", 70000), shapes.File("good", 300000)],
                       piece_length=32768)
    top = os.fsdecode(copy(p, outdir))
    spoil(top + "/a/damaged", 40000)
    os.unlink(top + "/missing")
    os.truncate(top + "/long", 70000 + 5)
    good = os.lstat(top + "/good")
    with Swarm(p, [metered]) as swarm:
        swarm.allow(10000)
        r = repair(p, outdir, swarm)
        client.assert_complete(r, p, outdir)
        bad = sum(e["pieces"] - e["good_pieces"] for e in events(r, "check"))
        assert bad == 1 + 4, r.told()
        assert swarm.given == 2 * bad, "%d blocks for %d pieces" % (swarm.given, bad)
    assert os.lstat(top + "/good").st_ino == good.st_ino
    r = check(p, outdir)
    assert r.wait(20) == COMPLETE, r.told()


def test_repair_of_one_file_of_another_size(tmp_path, outdir):
    p = shapes.single(tmp_path)
    os.truncate(copy(p, outdir), 500000)
    with Swarm(p, [metered]) as swarm:
        swarm.allow(10000)
        r = repair(p, outdir, swarm)
        client.assert_complete(r, p, outdir)
        assert swarm.given * BLOCK <= p.length - 500000 + 2 * p.piece_length, swarm.given


@pytest.mark.few
def test_repair_changes_nothing_when_all_is_good(tmp_path, outdir):
    p = shapes.many(tmp_path)
    copy(p, outdir)
    before = snapshot(outdir)[1:]  # the spill file, which has no name, changes the time of the directory itself
    with Swarm(p, [metered]) as swarm:
        r = repair(p, outdir, swarm)
        assert r.wait(20) == COMPLETE, r.told()
        assert swarm.all[0].connections == 0
    assert {e["compartment"] for e in events(r, "compartment")} == {"inspect", "diskproc"}, r.told()
    assert snapshot(outdir)[1:] == before, r.told()


def test_repair_of_what_is_not_finished_gives_it_its_name(tmp_path, outdir):
    p = shapes.many(tmp_path)
    copy(p, outdir, part=True)
    with Swarm(p, [metered]) as swarm:
        r = repair(p, outdir, swarm)
        client.assert_complete(r, p, outdir)


def test_repair_downloads_what_is_not_there_at_all(tmp_path, outdir):
    p = shapes.many(tmp_path)
    with Swarm(p, [metered]) as swarm:
        swarm.allow(10000)
        client.assert_complete(repair(p, outdir, swarm), p, outdir)


def test_repair_replaces_nothing(tmp_path, outdir):
    p = shapes.single(tmp_path)
    spoil(copy(p, outdir), 5)
    with open(p.part(outdir), "wb") as f:
        f.write(b"mine")
    before = snapshot(outdir)[1:]
    with Swarm(p, [metered]) as swarm:
        r = repair(p, outdir, swarm)
        assert r.wait(20) == STORAGE, r.told()
        assert "is left alone" in r.stderr, r.told()
    assert snapshot(outdir)[1:] == before


def test_repair_touches_no_second_name(tmp_path, outdir):
    p = shapes.many(tmp_path)
    top = os.fsdecode(copy(p, outdir))
    os.link(top + "/unaligned", str(tmp_path / "elsewhere"))
    spoil(top + "/unaligned", 5)
    with open(tmp_path / "elsewhere", "rb") as f:
        before = f.read()
    with Swarm(p, [metered]) as swarm:
        swarm.allow(10000)
        r = repair(p, outdir, swarm)
        assert r.wait(20) == STORAGE and "hard link" in r.stderr, r.told()
    with open(tmp_path / "elsewhere", "rb") as f:
        assert f.read() == before


def test_repair_that_is_interrupted_goes_on_as_get(tmp_path, outdir):
    p = shapes.single(tmp_path)
    spoil(copy(p, outdir), 5, 300000)
    with Swarm(p, [metered]) as swarm:
        r = repair(p, outdir, swarm)
        said(r, '"compartment":"netproc"')
        r.signal(signal.SIGINT)
        assert r.wait(10) == INTERRUPTED, r.told()
        assert os.path.lexists(p.part(outdir)) and not os.path.lexists(p.final(outdir))
        swarm.allow(10000)
        client.assert_complete(client.get(p.torrent, outdir, swarm.addresses), p, outdir)  # without --adopt: it was recorded
