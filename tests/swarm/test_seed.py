"""Giving back, as the user sees it: seed, and get that goes on; when it ends, with which status, and what is told."""
import os
import re
import shutil
import signal
import time

import pytest

import client
import payload as shapes
import process
import seeders
from client import COMPLETE, INTERRUPTED, STORAGE, USAGE, assert_complete, events, get, run, seed
from peer import Swarm, honest, metered

pytestmark = pytest.mark.skipif(client.REFERENCE, reason="only bulkhead has this command line")


@pytest.fixture
def data(tmp_path):
    return shapes.single(tmp_path, (2 << 20) + 777, piece_length=64 << 10)


@pytest.fixture
def tracker(data):
    t = seeders.Tracker()
    data.write_torrent([t.url])
    yield t
    t.close()


def announced(tracker, event, r):
    process.wait_for(lambda: event in tracker.events() or r.p.poll() is not None, 15, "it announces " + event)
    assert event in tracker.events(), r.told()
    if event == "started":  # netproc knows a moment before the parent does
        process.wait_for(lambda: b"seeding" in r.err + r.out or r.p.poll() is not None, 15, "it seeds")


def stamps(top):
    return {p: (os.lstat(p).st_ino, os.lstat(p).st_mtime_ns, os.lstat(p).st_size) for p in shapes.walk(top)}


# ---- seed

@pytest.mark.few
@pytest.mark.parametrize("shape", [shapes.single, shapes.many])
def test_a_seed_announces_that_nothing_is_left_and_ends_after_its_time(tmp_path, shape):
    data = shape(tmp_path)
    tracker = seeders.Tracker()
    data.write_torrent([tracker.url])
    before = stamps(data.root)
    r = seed(data, options=["--seed-time", "2s", "--json"])
    announced(tracker, "started", r)
    assert r.wait(20) == COMPLETE, r.told()
    assert tracker.events()[0] == "started" and tracker.events()[-1] == "stopped" and "completed" not in tracker.events()
    assert {a["left"] for a in tracker.announces} == {b"0"}
    assert stamps(data.root) == before, "a seed writes nothing"
    began, ended = events(r, "seeding"), events(r, "seeded")
    assert len(began) == 1 and began[0]["seed_time"] == 2 and began[0]["seed_ratio_milli"] == 0 and began[0]["uploaded_bytes"] == 0
    assert len(ended) == 1 and ended[0]["reason"] == "time" and ended[0]["ratio_milli"] == 0 and ended[0]["milliseconds"] >= 2000
    assert [x["already"] for x in events(r, "complete")] == [True]
    assert any(x["seeding"] for x in events(r, "progress"))
    client.assert_bounded(r)
    tracker.close()


def test_a_seed_that_nobody_asks_ends_when_it_was_idle(data):
    r = seed(data, options=["--idle-time", "1s", "--seed-time", "10m"], trackers=False)
    assert r.wait(20) == COMPLETE, r.told()
    assert "seeding for 10m00s, until nothing was given for 1s" in r.stderr and "nobody wanted more" in r.stderr, r.told()
    assert r.stdout == "", "the path is a result of get"


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_seed_that_is_interrupted_has_lost_nothing(data, tracker, how):
    r = seed(data, options=["--json"])
    announced(tracker, "started", r)
    assert r.p.poll() is None
    r.signal(how)
    assert r.wait(15) == COMPLETE, r.told()
    assert tracker.events()[-1] == "stopped"
    assert [x["reason"] for x in events(r, "seeded")] == ["interrupted"]
    assert r.leftovers() == []


def test_twice_interrupted_a_seed_is_gone_at_once(data, tracker):
    tracker.stuck_on = b"stopped"
    r = seed(data)
    announced(tracker, "started", r)
    r.signal(signal.SIGINT)
    announced(tracker, "stopped", r)
    start = time.monotonic()
    r.signal(signal.SIGINT)
    assert r.wait(15) == COMPLETE, r.told()
    assert time.monotonic() - start < 2.5, "it waited for the tracker"


def test_a_super_seed_gives_hardly_any_piece_twice(tmp_path, data):
    """Three libtorrent leechers that know each other complete, and the seed has sent less than one and a half copies."""
    addresses = [seeders.next_network() for _ in range(3)]
    ports = [seeders.free_port() for a in addresses]
    port = seeders.free_port()
    r = seed(data, options=["--super-seed", "--port", port, "--json", "-v"], trackers=False)
    process.wait_for(lambda: seeders.listens("127.0.0.1", port) or r.p.poll() is not None, 10, "it listens")
    leechers = []
    for i, (address, own) in enumerate(zip(addresses, ports)):
        folder = tmp_path / ("leecher%d" % i)
        folder.mkdir()
        others = ["%s:%d" % x for k, x in enumerate(zip(addresses, ports)) if k != i]
        leechers.append(process.start([seeders.PYTHON, os.path.join(seeders.HERE, "lt_leecher.py"), address, own, folder, data.torrent, "127.0.0.1:%d" % port, *others]))
    for i, p in enumerate(leechers):
        process.wait_for(lambda: "COMPLETE" in process.read_log(p) or r.p.poll() is not None, 50, "leecher %d completes" % i, p)
        assert data.differences(str(tmp_path / ("leecher%d" % i))) == [], r.told()
    process.wait_for(lambda: max(map(int, re.findall(r'"uploaded_bytes":(\d+),', r.stdout))) >= data.length, 10, "all that was given is told")
    r.signal(signal.SIGINT)
    assert r.wait(15) == COMPLETE, r.told()
    assert data.length <= events(r, "seeded")[-1]["uploaded_bytes"] < 1.5 * data.length, r.told()
    client.assert_bounded(r)


# ---- what is not all there

def part_missing(data, folder, name):
    """A copy whose third piece is zeros."""
    path = os.path.join(str(folder), name)
    shutil.copy(data.root, path)
    with open(path, "r+b") as f:
        f.seek(2 * data.piece_length)
        f.write(bytes(data.piece_length))
    return path


@pytest.mark.parametrize("name", ["NAME", "NAME.part"])
def test_a_seed_of_less_than_all_says_what_is_missing(data, tracker, outdir, name):
    path = part_missing(data, outdir, os.fsdecode(data.name) + name[4:])
    before = stamps(path)
    r = seed(data, outdir, ["--json"])
    assert r.wait(20) == STORAGE, r.told()
    assert "1 of %d pieces are missing" % data.pieces in r.stderr, r.told()
    assert "'bulkhead get%s' completes it" % (" --adopt" if name == "NAME" else "") in r.stderr, r.told()
    assert len(r.stderr.splitlines()) == 1, r.told()
    assert [x["status"] for x in events(r, "error")] == [STORAGE] and not events(r, "seeding")
    assert stamps(path) == before and tracker.events() == []
    if name == "NAME":
        os.rename(path, path + ".part")
    with Swarm(data, [honest]) as swarm:
        # Neither was made by bulkhead: there is no record of it.
        assert_complete(get(data.torrent, outdir, swarm.addresses, options=["--adopt"]), data, outdir)


def test_a_seed_of_nothing_says_so(data, tracker, outdir):
    r = seed(data, outdir)
    assert r.wait(20) == STORAGE, r.told()
    assert "all of its %d pieces are missing" % data.pieces in r.stderr and "'bulkhead get' downloads it" in r.stderr, r.told()
    assert os.listdir(outdir) == [] and tracker.events() == []


@pytest.mark.parametrize("what", ["shorter", "longer", "a symlink", "a directory"])
def test_a_seed_of_something_else_is_refused(tmp_path, data, tracker, outdir, what):
    final = data.final(outdir)
    if what == "a symlink":
        os.symlink(data.root, final)
    elif what == "a directory":
        os.mkdir(final)
    else:
        with open(final, "wb") as f:
            f.write(data.data[:100000] if what == "shorter" else data.data + b"x")
    r = seed(data, outdir)
    assert r.wait(20) == STORAGE, r.told()
    assert tracker.events() == [] and r.stderr.count("\n") <= 2, r.told()
    if what == "shorter":
        assert "%d of %d pieces are missing" % (data.pieces - 1, data.pieces) in r.stderr, r.told()


def test_files_that_are_missing_are_counted(tmp_path, outdir):
    data = shapes.many(tmp_path)
    shutil.copytree(data.root, data.final(outdir))
    os.unlink(os.path.join(data.final(outdir), b"zz", b"exactly one piece"))
    r = seed(data, outdir, trackers=False)
    assert r.wait(20) == STORAGE, r.told()
    assert "of %d pieces are missing" % data.pieces in r.stderr, r.told()


def test_of_several_the_worst_counts_and_the_others_seed(tmp_path, data, tracker, outdir):
    other = shapes.single(tmp_path, 70000, "other")
    shutil.copy(data.root, data.final(outdir))
    r = run("seed", "-d", str(outdir), "--allow-net", "127.0.0.0/8", "--seed-time", "1s", data.torrent, other.torrent)
    assert r.wait(20) == STORAGE, r.told()
    assert tracker.events()[:1] == ["started"] and "the time is over" in r.stderr, r.told()


# ---- get that goes on

@pytest.mark.few
def test_get_goes_on_as_a_seed(data, tracker, outdir):
    with Swarm(data, [honest]) as swarm:
        r = get(data.torrent, outdir, swarm.addresses, trackers=True, options=["--seed-time", "2s", "--json"], seconds=1)
        announced(tracker, "completed", r)
        process.wait_for(lambda: '"event":"seeding"' in r.stdout or r.p.poll() is not None, 10, "it seeds")
        assert r.p.poll() is None and data.differences(outdir) == [], "it has its name when it begins to seed"
        assert_complete(r, data, outdir)
    assert tracker.events()[0] == "started" and tracker.events()[-1] == "stopped"
    assert tracker.announces[-1]["left"] == b"0"
    assert [x["reason"] for x in events(r, "seeded")] == ["time"], r.told()
    names = [x["event"] for x in client.json_lines(r)]
    assert names.index("complete") < names.index("seeding") < names.index("seeded") < names.index("exit")
    assert [x["already"] for x in events(r, "complete")] == [False]


def test_get_tells_the_path_when_it_is_complete_and_not_later(data, outdir):
    with Swarm(data, [honest]) as swarm:
        r = get(data.torrent, outdir, swarm.addresses, options=["--seed-ratio", "0"])
        process.wait_for(lambda: os.fsdecode(data.final(outdir)) + "\n" == r.stdout or r.p.poll() is not None, 15, "the path is told")
        time.sleep(0.3)
        assert r.p.poll() is None, r.told()
        r.signal(signal.SIGINT)
        assert_complete(r, data, outdir)


def test_get_that_is_interrupted_before_it_seeds_is_interrupted(data, outdir):
    with Swarm(data, [metered]) as swarm:
        r = get(data.torrent, outdir, swarm.addresses, options=["--seed-time", "1m"])
        swarm.allow(10)
        process.wait_for(lambda: swarm.given >= 10, 15, "10 blocks were asked for")
        r.signal(signal.SIGINT)
        assert r.wait(15) == INTERRUPTED, r.told()


def test_get_of_what_is_there_seeds_only_when_it_is_told_to(data, tracker, outdir):
    shutil.copy(data.root, data.final(outdir))
    r = get(data.torrent, outdir, trackers=True)
    assert r.wait(20) == COMPLETE and tracker.events() == [], r.told()
    r = get(data.torrent, outdir, trackers=True, options=["--seed-time", "1s"], seconds=0)
    assert r.wait(20) == COMPLETE, r.told()
    assert tracker.events()[:1] == ["started"] and {a["left"] for a in tracker.announces} == {b"0"}, r.told()


@pytest.mark.parametrize("name", ["netproc", "diskproc", "dialer"])
def test_a_compartment_that_dies_while_it_seeds_is_started_again(data, tracker, outdir, name):
    with Swarm(data, [honest]) as swarm:
        r = get(data.torrent, outdir, swarm.addresses, trackers=True, options=["--seed-ratio", "0"])
        announced(tracker, "completed", r)
        process.wait_for(lambda: "seeding" in r.stderr, 10, "it seeds")
        short = "bulkhead-" + name[:6]
        victim = r.tree()[short][0]
        os.kill(victim, signal.SIGKILL)
        process.wait_for(lambda: r.tree().get(short, [victim])[0] != victim or r.p.poll() is not None, 15, "%s is there again" % name)
        assert r.p.poll() is None, r.told()
        if name != "diskproc":  # the new netproc introduces itself
            process.wait_for(lambda: tracker.events().count("started") == 2, 15, "it is announced again")
            assert tracker.announces[-1]["left"] == b"0"
        r.signal(signal.SIGINT)
        assert_complete(r, data, outdir)
    assert r.stderr.count("it is started again") == 1, r.told()


def test_what_changes_under_a_seed_is_not_written_to(data, tracker, outdir):
    """diskproc is started again and finds that the user has changed the file: the seeding ends, the file stays."""
    with Swarm(data, [honest]) as swarm:
        r = get(data.torrent, outdir, swarm.addresses, trackers=True, options=["--seed-ratio", "0"])
        announced(tracker, "completed", r)
        process.wait_for(lambda: "seeding" in r.stderr, 10, "it seeds")
        with open(data.final(outdir), "r+b") as f:
            f.write(b"the user's own")
        before = stamps(data.final(outdir))
        os.kill(r.tree()["bulkhead-diskpr"][0], signal.SIGKILL)
        assert r.wait(20) == STORAGE, r.told()
        assert "1 of %d pieces are missing" % data.pieces in r.stderr, r.told()
        assert stamps(data.final(outdir)) == before


# ---- the command line

@pytest.mark.parametrize("arguments", [["seed"], ["seed", "--seed-time", "0", "x"], ["seed", "--seed-ratio", "-1", "x"], ["get", "--super-seed", "x"],
                                       ["get", "--max-up", "fast", "x"], ["show", "--seed-ratio", "1", "x"]], ids=" ".join)
def test_wrong_usage(tmp_path, arguments):
    r = run(*arguments, cwd=tmp_path)
    assert r.wait(10) == USAGE, r.told()
    client.assert_nothing_written(tmp_path)
