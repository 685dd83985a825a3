"""Torrents of every shape, from real seeders, through real trackers: complete, with equal SHA-256."""
import os
import stat

import pytest

import client
import isolation
import payload as shapes
import process
import seeders
from client import assert_complete, get
from peer import Swarm, honest

SHAPES = {"single": shapes.single, "many": shapes.many, "padded": shapes.padded, "small files": shapes.small_files}


@pytest.mark.parametrize("shape", ["single", "many"])
@pytest.mark.parametrize("seeder", sorted(seeders.SEEDERS))
@pytest.mark.few
def test_completes_from_a_real_seeder(tmp_path, outdir, seeder, shape):
    p = SHAPES[shape](tmp_path)
    r = get(p.torrent, outdir, [seeders.SEEDERS[seeder](p)])
    assert_complete(r, p, outdir)
    assert os.fsencode(r.stdout.strip()) == p.final(outdir) or client.REFERENCE, r.told()


@pytest.mark.parametrize("shape", ["padded", "small files"])
def test_completes_odd_shapes(tmp_path, outdir, shape):
    p = SHAPES[shape](tmp_path)
    assert_complete(get(p.torrent, outdir, [seeders.libtorrent(p)]), p, outdir)


def test_completes_names_of_255_bytes(tmp_path, outdir):
    if client.REFERENCE:
        pytest.skip("libtorrent shortens such names")
    p = shapes.long_names(tmp_path)
    with Swarm(p, [honest]) as swarm:
        assert_complete(get(p.torrent, outdir, swarm.addresses), p, outdir)


@pytest.mark.parametrize("length,piece", [(1, 16384), (16384, 16384), (16385, 16384), (32767, 32768), (65536, 32768), (300001, 131072), (5 << 20, 4 << 20)])
def test_completes_awkward_sizes(tmp_path, outdir, length, piece):
    p = shapes.single(tmp_path, length, piece_length=piece)
    assert_complete(get(p.torrent, outdir, [seeders.libtorrent(p)]), p, outdir)


def test_completes_pieces_larger_than_the_default_budget(tmp_path, outdir):
    p = shapes.single(tmp_path, (40 << 20) + 5, piece_length=16 << 20)
    r = get(p.torrent, outdir, [seeders.libtorrent(p)])
    assert r.wait(60) == client.COMPLETE, r.told()
    assert p.differences(outdir) == [], r.told()
    assert client.REFERENCE or r.peak_bytes < 4 * (16 << 20) + (64 << 20), r.told()


def test_completes_from_several_seeders_at_once(tmp_path, outdir):
    p = shapes.many(tmp_path)
    assert_complete(get(p.torrent, outdir, [seeders.libtorrent(p), seeders.transmission(p), seeders.aria2(p)]), p, outdir)


def test_completes_over_ipv6(tmp_path, outdir):
    p = shapes.single(tmp_path)
    assert_complete(get(p.torrent, outdir, [seeders.libtorrent(p, "::1")], options=[] if client.REFERENCE else ["-6"]), p, outdir)


def test_a_dead_peer_beside_a_live_one_does_no_harm(tmp_path, outdir):
    p = shapes.single(tmp_path)
    dead = seeders.next_address()
    assert_complete(get(p.torrent, outdir, [(dead, seeders.free_port()), seeders.libtorrent(p)]), p, outdir)


# ---- trackers

@pytest.mark.few
def test_announced_by_opentracker(tmp_path, outdir):
    p = shapes.single(tmp_path)
    http, udp = seeders.opentracker([p.infohash])
    p.write_torrent([http])
    seeders.libtorrent(p, tracker=True)
    assert_complete(get(p.torrent, outdir, trackers=True), p, outdir)


def test_dead_and_unsupported_trackers_beside_a_live_one(tmp_path, outdir):
    p = shapes.single(tmp_path)
    http, udp = seeders.opentracker([p.infohash])
    p.write_torrent([[http]])
    seeders.libtorrent(p, tracker=True)
    p.write_torrent([["http://127.0.0.1:%d/announce" % seeders.free_port(), "wss://127.0.0.1:1/x"], ["nonsense"], [http]])
    assert_complete(get(p.torrent, outdir, trackers=True), p, outdir)


@pytest.mark.few
def test_announced_over_https(tmp_path, outdir, authority):
    p = shapes.many(tmp_path)
    tracker = seeders.Tracker([seeders.libtorrent(p)], certificate=authority.certificate())
    p.write_torrent([tracker.url])
    r = get(p.torrent, outdir, trackers=True, options=["--ca-file", authority.ca] if not client.REFERENCE else [])
    assert_complete(r, p, outdir)
    tracker.close()
    if client.REFERENCE:
        return
    first = tracker.announces[0]
    assert first["info_hash"] == p.infohash and len(first["peer_id"]) == 20 and first["compact"] == b"1", first
    assert int(first["left"]) == p.length and first["downloaded"] == b"0" and first["uploaded"] == b"0" and 0 < int(first["port"]) < 65536, first
    assert tracker.events()[0] == "started" and "completed" in tracker.events() and tracker.events()[-1] == "stopped", tracker.events()


def test_https_tracker_of_an_unknown_authority_is_not_believed(tmp_path, outdir, authority):
    if client.REFERENCE:
        pytest.skip("says nothing about the tests")
    p = shapes.single(tmp_path)
    tracker = seeders.Tracker([seeders.libtorrent(p)], certificate=authority.certificate())
    p.write_torrent([tracker.url])
    r = get(p.torrent, outdir, trackers=True, seconds=4)
    assert r.wait(20) == client.NO_PROGRESS, r.told()
    assert tracker.announces == []
    tracker.close()


def test_https_tracker_with_another_name_is_not_believed(tmp_path, outdir, authority):
    if client.REFERENCE:
        pytest.skip("says nothing about the tests")
    p = shapes.single(tmp_path)
    tracker = seeders.Tracker([seeders.libtorrent(p)], certificate=authority.certificate("elsewhere.example", ("127.9.9.9",)))
    p.write_torrent([tracker.url])
    r = get(p.torrent, outdir, trackers=True, seconds=4, options=["--ca-file", authority.ca])
    assert r.wait(20) == client.NO_PROGRESS, r.told()
    assert tracker.announces == []
    tracker.close()


@pytest.mark.parametrize("compact", [True, False])
def test_tracker_names_peers_in_both_forms(tmp_path, outdir, compact):
    p = shapes.single(tmp_path)
    tracker = seeders.Tracker([seeders.libtorrent(p)], compact=compact)
    p.write_torrent([tracker.url])
    assert_complete(get(p.torrent, outdir, trackers=True), p, outdir)
    tracker.close()


def test_tracker_names_ipv6_peers(tmp_path, outdir):
    if client.REFERENCE:
        pytest.skip("its only listen address is IPv4")
    p = shapes.single(tmp_path)
    tracker = seeders.Tracker([seeders.libtorrent(p, "::1")])
    p.write_torrent([tracker.url])
    assert_complete(get(p.torrent, outdir, trackers=True), p, outdir)
    tracker.close()


def test_a_tracker_cannot_send_us_to_loopback(tmp_path, outdir):
    """Only the tracker's own address was allowed: the peer that it names on another loopback address is not dialled."""
    if client.REFERENCE:
        pytest.skip("knows no such policy")
    p = shapes.single(tmp_path)
    tracker = seeders.Tracker([seeders.libtorrent(p)])
    p.write_torrent([tracker.url])
    r = get(p.torrent, outdir, trackers=True, allow=["127.0.0.1/32"], seconds=4)
    assert r.wait(20) == client.NO_PROGRESS, r.told()
    assert tracker.announces, "the tracker itself was allowed"
    tracker.close()


# ---- what is left on disk

@pytest.mark.parametrize("umask,mode", [(0o022, 0o644), (0o077, 0o600), (0o000, 0o644)])
def test_modes_follow_the_umask_and_are_never_executable(tmp_path, outdir, umask, mode):
    if client.REFERENCE:
        pytest.skip("has its own ideas of modes")
    p = shapes.many(tmp_path)
    r = get(p.torrent, outdir, [seeders.libtorrent(p)], before=lambda: os.umask(umask))
    assert_complete(r, p, outdir)
    for path in shapes.walk(p.final(outdir)):
        st = os.lstat(path)
        want = (0o755 & ~umask) if stat.S_ISDIR(st.st_mode) else mode
        assert stat.S_IMODE(st.st_mode) == want, (path, oct(st.st_mode))


@pytest.mark.skipif(os.getuid() != 0, reason="only root can make a directory of somebody else")
def test_started_as_root_the_files_belong_to_the_owner_of_the_directory(tmp_path, outdir):
    if client.REFERENCE:
        pytest.skip("has its own ideas of owners")
    p = shapes.many(tmp_path)
    os.chown(outdir, 54321, 54322)
    r = get(p.torrent, outdir, [seeders.libtorrent(p)])
    assert_complete(r, p, outdir)
    for path in shapes.walk(p.final(outdir)):
        assert os.lstat(path).st_uid == 54321, path


@pytest.mark.parametrize("inodes,size", [(0, 512 << 10), (40, 64 << 20)])
def test_no_space_left(tmp_path, isolated, inodes, size):
    if client.REFERENCE:
        pytest.skip("has no such status")
    small = tmp_path / "full disk"
    small.mkdir()
    isolation.mount_tmpfs(str(small), size, inodes)
    try:
        p = shapes.small_files(tmp_path, count=200) if inodes else shapes.single(tmp_path, 2 << 20)
        r = get(p.torrent, small, [seeders.libtorrent(p)])
        assert r.wait(30) == client.STORAGE, r.told()
        assert "space" in r.stderr.lower() or "inode" in r.stderr.lower(), r.told()
        assert not os.path.lexists(p.final(small))
        client.assert_bounded(r)
    finally:
        process.stop_all()
        isolation.unmount(str(small))
