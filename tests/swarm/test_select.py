"""Some files of a torrent, and which of them first: what is made, what is asked for, and what a later run goes on with."""
import hashlib
import os

import pytest

import client
import payload as shapes
import seeders
from client import COMPLETE, USAGE, events, get
from payload import KIB, File, Payload
from peer import Swarm

pytestmark = pytest.mark.skipif(client.REFERENCE, reason="says nothing about the tests")
PIECE = 32 * KIB


def neighbours(folder):
    """Files of which each shares its first and its last piece with others."""
    return Payload(folder, "several", [
        File("one.txt", 50000), File("sub/two.mkv", 100001), File("sub/empty", 0), File("three.txt", 77), File("sub/four.mkv", 200000),
        File("five.bin", 90000)], piece_length=PIECE)


def recorder(asked, pieces=None):
    """A peer that has these pieces (default: all), and notes in which order they are first asked for."""
    async def gives(c):
        await c.handshake()
        await c.bitfield(pieces)
        await c.unchoke()

        async def answer(piece, begin, length):
            if piece not in asked:
                asked.append(piece)
            await c.block(piece, begin, length)
        await c.serve(answer)
    return gives


def pieces_of(p, *names):
    """The pieces that these files have bytes in."""
    found, at = set(), 0
    for f in p.files:
        if b"/".join(f.path).decode() in names and f.length:
            found |= set(range(at // p.piece_length, (at + f.length - 1) // p.piece_length + 1))
        at += f.length
    return found


def files_in(top):
    return {os.path.relpath(x, top).decode() for x in shapes.walk(top) if os.path.isfile(x)}


def assert_has(p, outdir, *names):
    """NAME is there, with these files and no others, each as it should be."""
    top = p.final(outdir)
    assert files_in(top) == set(names)
    for n in names:
        with open(os.path.join(top, n.encode()), "rb") as f:
            assert hashlib.sha256(f.read()).hexdigest() == p.expected[n.encode()], n
    assert not os.path.lexists(p.part(outdir))


@pytest.mark.few
def test_one_file_then_the_rest(tmp_path, outdir):
    p, asked = neighbours(tmp_path), []
    r = get(p.torrent, outdir, [seeders.libtorrent(p)], options=["--select", "2", "--json"])
    assert r.wait(60) == COMPLETE, r.told()
    assert_has(p, outdir, "sub/two.mkv")
    assert [(x["files"], x["bytes"]) for x in events(r, "selection")] == [(1, 100001)]
    assert [(x["bytes"], x["already"]) for x in events(r, "complete")] == [(100001, False)]
    client.assert_bounded(r)
    # All of it: no piece is fetched again, and neither are the parts of neighbours that came along.
    with Swarm(p, [recorder(asked)]) as swarm:
        r = get(p.torrent, outdir, swarm.addresses)
        client.assert_complete(r, p, outdir)
    assert set(asked) == set(range(p.pieces)) - pieces_of(p, "sub/two.mkv"), r.told()


def test_patterns_and_ranges_and_only_what_they_need_is_asked_for(tmp_path, outdir):
    p, asked = neighbours(tmp_path), []
    with Swarm(p, [recorder(asked)]) as swarm:
        r = get(p.torrent, outdir, swarm.addresses, options=["--select", "*.mkv", "--select", "3-4"])
        assert r.wait(60) == COMPLETE, r.told()
    assert_has(p, outdir, "sub/two.mkv", "sub/empty", "three.txt", "sub/four.mkv")
    assert set(asked) == pieces_of(p, "sub/two.mkv", "three.txt", "sub/four.mkv")


def test_another_selection_goes_on_and_the_same_one_fetches_nothing(tmp_path, outdir):
    p = neighbours(tmp_path)
    for select, more, names in ((["1"], {"one.txt"}, ["one.txt"]), (["1"], set(), ["one.txt"]),
                                (["4"], {"three.txt"}, ["one.txt", "three.txt"]), (["5"], {"sub/four.mkv"}, ["one.txt", "three.txt", "sub/four.mkv"])):
        asked = []
        with Swarm(p, [recorder(asked)]) as swarm:
            r = get(p.torrent, outdir, swarm.addresses, options=["--select"] + select)
            assert r.wait(60) == COMPLETE, r.told()
        assert_has(p, outdir, *names)
        assert set(asked) <= pieces_of(p, *more), r.told()


def test_an_interrupted_selection_is_continued_by_all(tmp_path, outdir):
    p = neighbours(tmp_path)
    # It has one piece of four.mkv, and no more.
    with Swarm(p, [recorder([], pieces=[6])]) as swarm:
        r = get(p.torrent, outdir, swarm.addresses, options=["--select", "five.bin,sub/four.mkv"], seconds=2)
        assert r.wait(60) == client.NO_PROGRESS, r.told()
    assert files_in(p.part(outdir)) == {"sub/four.mkv"}
    asked = []
    with Swarm(p, [recorder(asked)]) as swarm:
        client.assert_complete(get(p.torrent, outdir, swarm.addresses), p, outdir)
    assert set(asked) == set(range(p.pieces)) - {6}


def test_padding_is_no_file_to_select(tmp_path, outdir):
    p = shapes.padded(tmp_path)
    r = get(p.torrent, outdir, options=["--select", "2"])
    assert r.wait(20) == USAGE, r.told()
    r = get(p.torrent, outdir, [seeders.libtorrent(p)], options=["--select", "1-4"])
    assert r.wait(60) == COMPLETE, r.told()
    assert_has(p, outdir, "file0.bin", "file1.bin")


@pytest.mark.parametrize("value", ["*.avi", "7", "1-7", "1,nothing"])
def test_what_stands_for_no_file_is_wrong_usage_and_makes_nothing(tmp_path, outdir, value):
    r = get(neighbours(tmp_path).torrent, outdir, options=["--select", value])
    assert r.wait(20) == USAGE, r.told()
    assert r.stderr.count("\n") == 1 and "--select: '%s' is no file" % value.split(",")[-1] in r.stderr
    client.assert_nothing_written(outdir)


@pytest.mark.parametrize("value", ["", "0", "3-2", "1,,2"])
def test_what_is_no_list_is_wrong_usage(tmp_path, outdir, value):
    r = get(neighbours(tmp_path).torrent, outdir, options=["--select=" + value])
    assert r.wait(20) == USAGE, r.told()
    assert "is not a list of files" in r.stderr


def test_the_list_has_numbers_sizes_and_names(tmp_path, outdir):
    p = neighbours(tmp_path)
    r = client.run("get", "--list", p.torrent)
    assert r.wait(20) == COMPLETE, r.told()
    rows = [line.split(None, 2) for line in r.stdout.splitlines()]
    assert rows == [[str(i + 1), str(f.length), b"/".join(f.path).decode()] for i, f in enumerate(p.files)]
    shown = client.run("show", p.torrent)
    assert shown.wait(20) == COMPLETE
    assert r.stdout in shown.stdout


def test_sequential_asks_from_the_beginning_to_the_end(tmp_path, outdir):
    p, asked = shapes.single(tmp_path, 90 * PIECE + 1), []
    with Swarm(p, [recorder(asked)]) as swarm:
        client.assert_complete(get(p.torrent, outdir, swarm.addresses, options=["--sequential"]), p, outdir)
    assert asked == list(range(91))


def test_the_ends_come_first(tmp_path, outdir):
    p, asked = shapes.single(tmp_path, 100 * PIECE), []
    with Swarm(p, [recorder(asked)]) as swarm:
        client.assert_complete(get(p.torrent, outdir, swarm.addresses, options=["--first-last-first"]), p, outdir)
    assert set(asked[:64]) == set(range(32)) | set(range(68, 100))


def test_priorities(tmp_path, outdir):
    p, asked = neighbours(tmp_path), []
    with Swarm(p, [recorder(asked)]) as swarm:
        r = get(p.torrent, outdir, swarm.addresses, options=["--priority", "high:sub/four.mkv", "--priority", "low:1"])
        client.assert_complete(r, p, outdir)
    high, low = pieces_of(p, "sub/four.mkv"), pieces_of(p, "one.txt") - pieces_of(p, "sub/two.mkv")
    assert set(asked[:len(high)]) == high
    assert set(asked[-len(low):]) == low


def test_a_partial_seed_says_so(tmp_path, outdir):
    """Trackers hear what is left of the torrent, and of no completion; peers that nothing is wanted of them (BEP 21)."""
    p, told = neighbours(tmp_path), []

    async def listens(c):
        await c.handshake(reserved=bytes([0, 0, 0, 0, 0, 0x10, 0, 0]))
        await c.bitfield([4])  # two seeds would part at once
        await c.unchoke()
        while True:
            id, body = await c.recv()
            if id == 20 and body[0] == 0:
                told.append(b"11:upload_onlyi1e" in body)
            elif id == 6:
                n = [int.from_bytes(body[i:i + 4], "big") for i in (0, 4, 8)]
                await c.block(*n)

    with Swarm(p, [listens]) as swarm:
        tracker = seeders.Tracker(swarm.addresses)
        p.write_torrent([tracker.url])
        r = get(p.torrent, outdir, options=["--select", "4", "--seed-time", "2s"], trackers=True)
        assert r.wait(60) == COMPLETE, r.told()
        tracker.close()
    assert told[0] is False and told[-1] is True, told
    lefts = [int(x["left"]) for x in tracker.announces]
    assert lefts[0] == PIECE and lefts[-1] == p.length - PIECE, lefts
    assert tracker.events()[0] == "started" and tracker.events()[-1] == "stopped" and "completed" not in tracker.events()
