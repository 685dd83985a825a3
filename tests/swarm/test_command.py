"""The command line: exit statuses, interruption and resumption, what is there before, what is printed where."""
import ctypes
import errno
import fcntl
import hashlib
import json
import os
import pty
import re
import signal
import socket
import subprocess
import time

import pytest

import client
import payload as shapes
import process
import seeders
from client import COMPLETE, FAILED, INTERRUPTED, NO_PROGRESS, REFUSED, STORAGE, USAGE, assert_complete, get, run
from payload import bencode
from peer import Swarm, honest, metered
from process import raw_bytes

pytestmark = pytest.mark.skipif(client.REFERENCE, reason="only bulkhead has this command line")

BLOCK = 16 << 10


@pytest.fixture
def data(tmp_path):
    return shapes.single(tmp_path, (2 << 20) + 777, piece_length=64 << 10)


def given(swarm, blocks):
    """Lets that many blocks through, and waits until they are through and were stored."""
    want = swarm.given + blocks
    swarm.allow(blocks)
    running = [r for r in process.STARTED if isinstance(r, process.Run)]

    def enough():
        assert any(r.p.poll() is None for r in running), "it ended: " + running[-1].told()
        return swarm.given >= want
    process.wait_for(enough, 15, "%d blocks were asked for" % want)
    time.sleep(0.5)


def blocks_of(data):
    return -(-data.length // BLOCK)


# ---- usage and refusals

@pytest.mark.parametrize("arguments", [
    [], ["get"], ["show"], ["get", "--no-such-option", "x.torrent"], ["get", "--peer", "nonsense", "x.torrent"], ["get", "--peer", "127.0.0.1", "x.torrent"],
    ["get", "--peer", "127.0.0.1:0", "x.torrent"], ["get", "--peer", "127.0.0.1:65536", "x.torrent"], ["get", "--allow-net", "1.2.3.4/33", "x.torrent"],
    ["get", "--timeout", "soon", "x.torrent"], ["get", "--max-peers", "-1", "x.torrent"], ["get", "--memory", "12Q", "x.torrent"], ["get", "--port", "99999", "x.torrent"],
    ["get", "-d"], ["show", "--peer", "127.0.0.1:1", "x.torrent"]], ids=lambda a: " ".join(a) or "nothing")
def test_wrong_usage(tmp_path, arguments):
    r = run(*arguments, cwd=tmp_path)
    assert r.wait(10) == USAGE, r.told()
    assert r.stderr.strip() and not r.stdout and raw_bytes(bytes(r.err)) == [], r.told()
    client.assert_nothing_written(tmp_path)


@pytest.mark.parametrize("argument,word", [("--help", "usage"), ("--version", "bulkhead")])
def test_help_and_version(argument, word):
    r = run(argument)
    assert r.wait(10) == 0 and word in r.stdout.lower() and not r.stderr, r.told()


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["show", "magnet:?xt=urn:btih:" + "0" * 40]], ids=lambda a: a[0])
def test_what_cannot_be_printed_is_said(arguments):
    r = subprocess.run(["/bin/sh", "-c", 'exec "$0" "$@" >/dev/full', client.PROGRAM, *arguments], stderr=subprocess.PIPE, timeout=20)
    assert r.returncode == FAILED and b"cannot write to standard output: No space left" in r.stderr, r


def test_what_is_no_torrent_is_refused(tmp_path, outdir):
    path = tmp_path / "x.torrent"
    path.write_bytes(b"<html>\x1b[2J no torrent </html>")
    r = get(str(path), outdir)
    assert r.wait(15) == REFUSED, r.told()
    assert raw_bytes(bytes(r.err)) == [], r.told()
    client.assert_nothing_written(outdir)


@pytest.mark.parametrize("source", ["missing.torrent", "directory"])
def test_a_source_that_cannot_be_read(tmp_path, outdir, source):
    (tmp_path / "directory").mkdir()
    r = get(str(tmp_path / source), outdir)
    assert r.wait(15) not in (COMPLETE, INTERRUPTED) and r.rc >= 0, r.told()
    assert source in r.stderr, r.told()
    client.assert_nothing_written(outdir)


def test_an_endless_source_is_refused(outdir):
    r = get("/dev/zero", outdir)
    assert r.wait(30) != COMPLETE and r.rc >= 0, r.told()
    client.assert_nothing_written(outdir)


def test_an_output_directory_that_is_not_there(tmp_path, data):
    r = get(data.torrent, tmp_path / "nowhere")
    assert r.wait(15) in (STORAGE, FAILED, USAGE), r.told()
    assert "nowhere" in r.stderr and not (tmp_path / "nowhere").exists(), r.told()


def nobody():
    """The address of a peer that is not there."""
    return "127.0.0.1", seeders.free_port()


@pytest.mark.parametrize("trackers", [False, True], ids=["no-trackers", "udp"])
def test_without_any_way_to_hear_of_peers_it_ends_and_says_why(tmp_path, outdir, data, trackers):
    torrent = data.write_torrent([["udp://tracker.invalid:6969"]], path=str(tmp_path / "udp.torrent"))
    r = get(torrent, outdir, seconds=0, trackers=trackers)
    assert r.wait(20) == FAILED, r.told()
    assert r.stderr.count("nobody to download from") == 1 and ("HTTP tracker" if trackers else "--no-trackers") in r.stderr, r.told()
    assert r.stdout == ""
    client.assert_bounded(r)


def test_without_any_way_to_hear_of_peers_what_is_there_still_completes(outdir, data):
    """All of it came, and then the power went: the one rename is missing."""
    with Swarm(data, [honest]) as swarm:
        assert_complete(get(data.torrent, outdir, swarm.addresses), data, outdir)
    name = os.path.join(str(outdir), os.fsdecode(data.name))
    os.rename(name, name + ".part")
    r = get(data.torrent, outdir, seconds=0, options=["--adopt"])  # its record went with the rename
    assert_complete(r, data, outdir)
    assert "warning: " in r.stderr and "nobody to download from" in r.stderr, r.told()


def test_without_any_way_to_hear_of_peers_what_is_wrong_on_disk_is_what_is_said(outdir, data):
    with Swarm(data, [honest]) as swarm:
        assert_complete(get(data.torrent, outdir, swarm.addresses), data, outdir)
    name = os.path.join(str(outdir), os.fsdecode(data.name))
    path = name if os.path.isfile(name) else next(os.path.join(d, f) for d, _, files in os.walk(name) for f in files if os.path.getsize(os.path.join(d, f)))
    with open(path, "r+b") as f:
        first = f.read(1)
        f.seek(0)
        f.write(bytes([first[0] ^ 1]))
    r = get(data.torrent, outdir, seconds=0)
    assert r.wait(20) == STORAGE, r.told()
    assert "left alone" in r.stderr and "nobody" not in r.stderr, r.told()


def test_no_peer_that_answers_ends_by_timeout(outdir, data):
    r = get(data.torrent, outdir, [nobody()], seconds=2)
    start = time.monotonic()
    assert r.wait(20) == NO_PROGRESS, r.told()
    assert time.monotonic() - start > 1.5
    client.assert_bounded(r)


def test_a_stalled_download_ends_by_timeout_and_goes_on_later(outdir, data):
    with Swarm(data, [metered]) as swarm:
        r = get(data.torrent, outdir, swarm.addresses, seconds=3)
        given(swarm, blocks_of(data) // 2)
        assert r.wait(30) == NO_PROGRESS, r.told()
        assert os.path.lexists(data.part(outdir)) and not os.path.lexists(data.final(outdir))
        swarm.allow(10000)
        assert_complete(get(data.torrent, outdir, swarm.addresses), data, outdir)


# ---- interruption

@pytest.mark.few
@pytest.mark.parametrize("how", ["the parent", "the whole group", "SIGTERM", "SIGHUP"])
def test_interrupted_then_resumed(outdir, data, how):
    tracker = seeders.Tracker()
    data.write_torrent([tracker.url])
    with Swarm(data, [metered]) as swarm:
        r = get(data.torrent, outdir, swarm.addresses, trackers=True)
        given(swarm, blocks_of(data) * 3 // 4)
        if how == "the whole group":
            os.killpg(r.p.pid, signal.SIGINT)
        else:
            r.signal(getattr(signal, how, signal.SIGINT))
        assert r.wait(15) == INTERRUPTED, r.told()
        assert r.leftovers() == [], r.told()
        assert os.path.lexists(data.part(outdir)) and not os.path.lexists(data.final(outdir))
        assert tracker.events()[-1] == "stopped", tracker.events()
        before = swarm.given
        swarm.allow(10000)
        assert_complete(get(data.torrent, outdir, swarm.addresses), data, outdir)
        again = swarm.given - before
        # what was in flight or in an open piece may come twice, what was verified may not
        assert again <= blocks_of(data) // 4 + 64, "%d of %d blocks were fetched again" % (again, blocks_of(data))
    tracker.close()


@pytest.mark.few
def test_killed_then_resumed(outdir, data):
    with Swarm(data, [metered]) as swarm:
        r = get(data.torrent, outdir, swarm.addresses)
        given(swarm, blocks_of(data) // 2)
        r.sample()
        r.signal(signal.SIGKILL)
        assert r.wait(5) == -signal.SIGKILL
        assert r.leftovers() == [], "compartments outlived the parent\n" + r.told()
        assert os.path.lexists(data.part(outdir)) and not os.path.lexists(data.final(outdir))
        swarm.allow(10000)
        assert_complete(get(data.torrent, outdir, swarm.addresses), data, outdir)


def test_a_signal_that_is_ignored_from_the_start_stays_ignored(outdir, data):
    """As under nohup."""
    with Swarm(data, [metered]) as swarm:
        r = get(data.torrent, outdir, swarm.addresses, before=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
        given(swarm, 20)
        r.signal(signal.SIGHUP)
        time.sleep(0.3)
        swarm.allow(10000)
        assert_complete(r, data, outdir)


def test_a_closed_terminal_interrupts_once(outdir, data):
    """The kernel and a shell send SIGHUP each: the tracker, which takes a second, is said goodbye to all the same."""
    tracker = seeders.Tracker()
    data.write_torrent([tracker.url])
    with Swarm(data, [metered]) as swarm:
        command = [client.PROGRAM, "get", "-d", str(outdir), "--allow-net", "127.0.0.0/8", "--peer", "%s:%d" % swarm.addresses[0], data.torrent]
        pid, master = pty.fork()
        if pid == 0:
            os.execv(command[0], command)
        try:
            swarm.allow(20)
            process.wait_for(lambda: swarm.given >= 20, 15, "20 blocks were asked for")
            time.sleep(0.3)
            tree = {p: process.birth(p) for p in process.children(pid)}
            os.close(master)  # SIGHUP to the session
            os.kill(pid, signal.SIGHUP)
            start = time.monotonic()
            process.wait_for(lambda: os.waitpid(pid, os.WNOHANG)[0] or None, 10, "it ends")
            assert time.monotonic() - start < 6
            pid = 0
            process.wait_for(lambda: all(process.birth(p) != b for p, b in tree.items()), 3, "all processes end")
            assert tracker.events()[-1] == "stopped", tracker.events()
            assert os.path.lexists(data.part(outdir)) and not os.path.lexists(data.final(outdir))
            swarm.allow(10000)
            assert_complete(get(data.torrent, outdir, swarm.addresses), data, outdir)
        finally:
            if pid:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
    tracker.close()


def test_a_second_hangup_is_no_impatience(outdir, data):
    """The tracker does not answer: only SIGINT or SIGTERM would end the waiting for it."""
    tracker = seeders.Tracker()
    tracker.stuck_on = b"stopped"
    data.write_torrent([tracker.url])
    with Swarm(data, [metered]) as swarm:
        r = get(data.torrent, outdir, swarm.addresses, trackers=True)
        given(swarm, 20)
        r.signal(signal.SIGTERM)
        time.sleep(0.3)
        r.signal(signal.SIGHUP)
        start = time.monotonic()
        assert r.wait(10) == INTERRUPTED, r.told()
        assert time.monotonic() - start > 1, "it did not wait\n" + r.told()
    tracker.close()


def test_interrupted_twice_ends_at_once(outdir, data):
    """The tracker never answers `stopped`: the second signal does not wait for it."""
    tracker = seeders.Tracker()
    tracker.stuck_on = b"stopped"
    data.write_torrent([tracker.url])
    with Swarm(data, [metered]) as swarm:
        r = get(data.torrent, outdir, swarm.addresses, trackers=True)
        given(swarm, 20)
        r.signal(signal.SIGINT)
        time.sleep(0.3)
        r.signal(signal.SIGINT)
        start = time.monotonic()
        assert r.wait(10) == INTERRUPTED, r.told()
        assert time.monotonic() - start < 1.0, r.told()
        assert r.leftovers() == [], r.told()
    tracker.close()


def test_interrupted_once_waits_for_a_stuck_tracker_only_so_long(outdir, data):
    tracker = seeders.Tracker()
    tracker.stuck_on = b"stopped"
    data.write_torrent([tracker.url])
    with Swarm(data, [metered]) as swarm:
        r = get(data.torrent, outdir, swarm.addresses, trackers=True)
        given(swarm, 20)
        r.signal(signal.SIGINT)
        assert r.wait(20) == INTERRUPTED, r.told()
    tracker.close()


@pytest.mark.parametrize("name", ["bulkhead-netpro", "bulkhead-diskpr", "bulkhead-dialer", "bulkhead-resolv"])
def test_a_killed_compartment_loses_nothing(outdir, data, name):
    """Restarted, and the download goes on; or a clear end, and the next run goes on."""
    with Swarm(data, [metered]) as swarm:
        r = get(data.torrent, outdir, swarm.addresses)
        given(swarm, blocks_of(data) // 2)
        pids = r.tree().get(name)
        assert pids, "no process %s in %s" % (name, r.tree())
        os.kill(pids[0], signal.SIGKILL)
        swarm.allow(10000)
        status = r.wait(40)
        assert status in (COMPLETE, client.KEPT_DYING, FAILED), r.told()
        assert r.leftovers() == [], r.told()
        if status != COMPLETE:
            assert not os.path.lexists(data.final(outdir)), r.told()
            assert_complete(get(data.torrent, outdir, swarm.addresses), data, outdir)
        assert data.differences(outdir) == []


def test_a_killed_compartment_is_restarted(outdir, data):
    with Swarm(data, [metered]) as swarm:
        r = get(data.torrent, outdir, swarm.addresses)
        given(swarm, blocks_of(data) // 2)
        for name in ("bulkhead-netpro", "bulkhead-diskpr"):
            os.kill(r.tree()[name][0], signal.SIGKILL)
            time.sleep(1)
        swarm.allow(10000)
        assert_complete(r, data, outdir)


def test_the_launcher_may_die_at_any_moment(outdir, data):
    """Also before it has answered what it was asked to start: the download ends, and never waits for an answer."""
    for i in range(12):
        r = get(data.torrent, outdir, [nobody()], seconds=2, sample=False)
        time.sleep(i * 0.0025)
        try:
            with open("/proc/%d/task/%d/children" % (r.p.pid, r.p.pid)) as f:
                children = f.read().split()
            if children:
                os.kill(int(children[0]), signal.SIGKILL)
        except (FileNotFoundError, ProcessLookupError):
            pass
        assert r.wait(10) in (FAILED, NO_PROGRESS, client.KEPT_DYING), r.told()


def seqpackets_of(pid):
    """Copies of the channels of a process, but for that to the parent (3).  Only root may take them."""
    out = []
    pidfd = os.pidfd_open(pid)
    for name in os.listdir("/proc/%d/fd" % pid):
        if int(name) > 3 and os.readlink("/proc/%d/fd/%s" % (pid, name)).startswith("socket:"):
            fd = client_call(438, pidfd, int(name), 0)  # pidfd_getfd
            s = socket.socket(fileno=fd)
            if s.family == socket.AF_UNIX and s.type == socket.SOCK_SEQPACKET:
                out.append(s)
    os.close(pidfd)
    return out


def client_call(number, *arguments):
    libc = ctypes.CDLL(None, use_errno=True)
    r = libc.syscall(number, *arguments)
    if r < 0:
        if ctypes.get_errno() == errno.EPERM:
            pytest.skip("may not take descriptors of other processes here")
        raise OSError(ctypes.get_errno(), "system call %d" % number)
    return r


@pytest.mark.skipif(os.getuid() != 0, reason="only root can speak as a compartment")
@pytest.mark.parametrize("name,finders", [("netproc", "diskproc|dialer"), ("diskproc", "netproc"), ("dialer", "netproc|resolver"), ("resolver", "dialer")])
def test_a_compartment_that_breaks_a_siblings_contract_is_named_and_replaced(outdir, data, name, finders):
    """What a compromised one would send, on its own channels: the sibling that finds it lives on."""
    short = "bulkhead-" + name[:6]
    with Swarm(data, [metered]) as swarm:
        r = get(data.torrent, outdir, swarm.addresses)
        given(swarm, blocks_of(data) // 2)
        before = r.tree()
        channels = seqpackets_of(before[short][0])
        assert channels
        for i, s in enumerate(channels):
            try:
                s.send(b"no packet of this house")
            except BrokenPipeError:
                assert i > 0  # it was ended for what came before
            s.close()
        process.wait_for(lambda: before[short][0] not in r.tree().get(short, before[short]), 10, "%s is replaced" % name)
        after = r.tree()
        assert name == "diskproc" or after["bulkhead-diskpr"] == before["bulkhead-diskpr"], r.told()
        swarm.allow(10000)
        assert_complete(r, data, outdir)
        told = re.search(r"%s broke the contract: .* \(said by (%s)\); it is started again" % (name, finders), r.stderr)
        assert told and r.stderr.count("it is started again") == 1, r.told()


# ---- what is there before

def test_a_finished_download_verifies(outdir, data):
    with Swarm(data, [honest]) as swarm:
        assert_complete(get(data.torrent, outdir, swarm.addresses), data, outdir)
        connections = swarm.all[0].connections
        stamp = os.stat(data.final(outdir))
        r = get(data.torrent, outdir, swarm.addresses)
        assert r.wait(20) == COMPLETE, r.told()
        assert data.differences(outdir) == [] and os.stat(data.final(outdir)).st_mtime_ns == stamp.st_mtime_ns
        assert swarm.all[0].connections == connections, "it went to the peer again"


@pytest.mark.parametrize("what", ["other data", "a byte changed", "a directory", "a symlink"])
def test_something_else_under_the_final_name_is_left_alone(tmp_path, outdir, data, what):
    final = data.final(outdir)
    good = data.data
    if what == "a directory":
        os.mkdir(final)
    elif what == "a symlink":
        target = tmp_path / "target"
        target.write_bytes(b"precious")
        os.symlink(target, final)
    else:
        with open(final, "wb") as f:
            f.write(b"precious" if what == "other data" else good[:1000] + bytes([good[1000] ^ 1]) + good[1001:])
    before = os.lstat(final)
    with Swarm(data, [honest]) as swarm:
        r = get(data.torrent, outdir, swarm.addresses)
        assert r.wait(20) == STORAGE, r.told()
    after = os.lstat(final)
    assert (after.st_ino, after.st_size, after.st_mtime_ns, after.st_mode) == (before.st_ino, before.st_size, before.st_mtime_ns, before.st_mode)
    if what == "a symlink":
        assert target.read_bytes() == b"precious"
    assert not os.path.lexists(data.part(outdir)), "and nothing was begun"


@pytest.mark.parametrize("what", ["a symlink", "a second hard link", "a fifo"])
def test_a_foreign_part_is_refused(tmp_path, outdir, data, what):
    part, outside = data.part(outdir), tmp_path / "outside"
    outside.write_bytes(b"precious")
    if what == "a symlink":
        os.symlink(outside, part)
    elif what == "a second hard link":
        os.link(outside, part)
    else:
        os.mkfifo(part)
    with Swarm(data, [honest]) as swarm:
        r = get(data.torrent, outdir, swarm.addresses)
        assert r.wait(20) in (STORAGE, FAILED), r.told()
    assert outside.read_bytes() == b"precious" and not os.path.lexists(data.final(outdir))


def test_a_symlink_inside_a_part_is_not_followed(tmp_path, outdir):
    p = shapes.many(tmp_path)
    outside = tmp_path / "outside"
    outside.mkdir()
    os.mkdir(p.part(outdir))
    os.symlink(outside, os.path.join(p.part(outdir), b"a"))
    with Swarm(p, [honest]) as swarm:
        r = get(p.torrent, outdir, swarm.addresses, options=["--adopt"])
        assert r.wait(20) in (STORAGE, FAILED), r.told()
    assert os.listdir(outside) == []


@pytest.mark.parametrize("shape", [shapes.single, shapes.many])
def test_a_part_that_bulkhead_did_not_make_is_refused_or_adopted(tmp_path, outdir, shape):
    p = shape(tmp_path)
    mine = p.part(outdir)
    if shape is shapes.many:
        os.mkdir(mine)
        mine = os.path.join(mine, b"precious")
    with open(mine, "wb") as f:
        f.truncate(p.length)
    before = os.stat(mine)
    with Swarm(p, [honest]) as swarm:
        r = get(p.torrent, outdir, swarm.addresses)
        assert r.wait(20) == STORAGE, r.told()
        assert len(r.stderr.splitlines()) == 1 and "--adopt" in r.stderr and "no record" in r.stderr, r.told()
        assert os.stat(mine) == before and swarm.all[0].connections == 0
        r = get(p.torrent, outdir, swarm.addresses, options=["--adopt"])
        if shape is shapes.many:
            assert r.wait(20) == COMPLETE, r.told()
            os.unlink(os.path.join(p.final(outdir), b"precious"))
        assert_complete(r, p, outdir)


def records(state):
    return [os.path.join(state, n) for n in os.listdir(state) if not n.endswith(".have")]


def interrupted(p, outdir, swarm, options=()):
    r = get(p.torrent, outdir, swarm.addresses, options=options)
    given(swarm, blocks_of(p) // 2)
    r.signal(signal.SIGINT)
    assert r.wait(15) == INTERRUPTED, r.told()


@pytest.mark.parametrize("how", ["noise", "empty", "removed", "a symlink", "of another place"])
def test_without_its_record_a_part_goes_on_only_when_it_is_adopted(tmp_path, outdir, data, state, how):
    with Swarm(data, [metered]) as swarm:
        interrupted(data, outdir, swarm)
        record, = records(state)
        outside = tmp_path / "outside"
        outside.write_bytes(b"precious")
        if how in ("removed", "a symlink"):
            os.unlink(record)
            if how == "a symlink":
                os.symlink(outside, record)
        elif how == "of another place":
            moved = tmp_path / "moved"
            moved.mkdir()
            os.rename(data.part(outdir), data.part(moved))
            outdir = moved
        else:
            with open(record, "r+b") as f:
                f.truncate(0)
                f.write(b"noise" * 2000 if how == "noise" else b"")
        r = get(data.torrent, outdir, swarm.addresses)
        assert r.wait(15) == STORAGE and "--adopt" in r.stderr, r.told()
        interrupted_again = get(data.torrent, outdir, swarm.addresses, options=["--adopt"], seconds=2)
        assert interrupted_again.wait(20) == NO_PROGRESS, interrupted_again.told()
        # it is recorded by that
        before = swarm.given
        swarm.allow(10000)
        assert_complete(get(data.torrent, outdir, swarm.addresses), data, outdir)
        assert swarm.given - before <= blocks_of(data) // 2 + 64, "what was there was not used"
        assert outside.read_bytes() == b"precious"


def test_a_file_in_a_part_that_has_a_second_name_is_refused(tmp_path, outdir, state):
    p = shapes.many(tmp_path)
    outside = tmp_path / "outside"
    with Swarm(p, [metered]) as swarm:
        interrupted(p, outdir, swarm)
        inside = max((x for x in shapes.walk(p.part(outdir)) if os.path.isfile(x)), key=os.path.getsize)
        os.link(inside, outside)
        before = outside.read_bytes()
        swarm.allow(10000)
        r = get(p.torrent, outdir, swarm.addresses)
        assert r.wait(20) == STORAGE, r.told()
        assert "second name" in r.stderr, r.told()
        assert outside.read_bytes() == before
        os.unlink(outside)
        assert_complete(get(p.torrent, outdir, swarm.addresses), p, outdir)


def test_a_record_lives_as_long_as_its_download(tmp_path, outdir, data, state):
    other = shapes.single(tmp_path, 70000, "other")
    with Swarm(data, [metered]) as swarm, Swarm(other, [honest]) as second:
        interrupted(data, outdir, swarm)
        first = records(state)
        assert len(first) == 1 and data.infohash.hex() in os.path.basename(first[0])
        assert sorted(os.listdir(state)) == [os.path.basename(first[0]), os.path.basename(first[0]) + ".have"]
        assert_complete(get(other.torrent, outdir, second.addresses), other, outdir)
        swarm.allow(10000)
        assert_complete(get(data.torrent, outdir, swarm.addresses), data, outdir)
        # those of finished ones are kept for a month: what is given next need not be read
        r = get(other.torrent, outdir, second.addresses)
        assert r.wait(15) == COMPLETE and len(records(state)) == 2, r.told()
        for path in records(state):
            os.utime(path, (time.time(), time.time() - 31 * 86400))
        r = get(other.torrent, outdir, second.addresses)
        assert r.wait(15) == COMPLETE and os.listdir(state) == [], r.told()


@pytest.mark.parametrize("mode", [0o777, 0o720])
def test_a_state_directory_that_others_may_write_is_refused(tmp_path, outdir, data, state, mode):
    state.mkdir()
    state.chmod(mode)
    r = get(data.torrent, outdir)
    assert r.wait(15) == STORAGE, r.told()
    assert len(r.stderr.splitlines()) == 1 and "--state-dir" in r.stderr and str(state) in r.stderr, r.told()
    client.assert_nothing_written(outdir)
    with Swarm(data, [honest]) as swarm:
        assert_complete(get(data.torrent, outdir, swarm.addresses, options=["--state-dir", tmp_path / "new" / "state"]), data, outdir)
    assert (tmp_path / "new" / "state").stat().st_mode & 0o777 == 0o700 and os.listdir(state) == []


def test_without_a_home_the_state_directory_must_be_named(tmp_path, outdir, data):
    bare = {k: v for k, v in os.environ.items() if k not in ("HOME", "XDG_STATE_HOME")}
    r = get(data.torrent, outdir, env=bare)
    assert r.wait(15) == STORAGE and "--state-dir" in r.stderr, r.told()
    client.assert_nothing_written(outdir)
    with Swarm(data, [honest]) as swarm:
        assert_complete(get(data.torrent, outdir, swarm.addresses, env=bare, options=["--state-dir", tmp_path / "state"]), data, outdir)
    assert not os.path.lexists(tmp_path / "out" / ".local")


def test_a_second_instance_is_refused(outdir, data):
    with Swarm(data, [metered]) as swarm:
        first = get(data.torrent, outdir, swarm.addresses)
        given(swarm, 20)
        second = get(data.torrent, outdir, swarm.addresses)
        assert second.wait(15) in (STORAGE, FAILED), second.told()
        assert second.stderr.strip(), second.told()
        swarm.allow(10000)
        assert_complete(first, data, outdir)


# ---- sources

def test_torrent_on_standard_input(outdir, data):
    with Swarm(data, [honest]) as swarm, open(data.torrent, "rb") as f:
        assert_complete(get("-", outdir, swarm.addresses, stdin=f.read()), data, outdir)


@pytest.mark.parametrize("command", ["get", "show"])
def test_no_torrent_on_standard_input_is_named_so(tmp_path, command):
    r = subprocess.run([client.PROGRAM, command, "-"], input=b"", capture_output=True, timeout=20, cwd=tmp_path)
    assert r.returncode == REFUSED and r.stderr == b"bulkhead: standard input: refused: the torrent is empty\n", r


def test_the_word_get_may_be_left_out(outdir, data):
    with Swarm(data, [honest]) as swarm:
        r = run("-d", str(outdir), "--no-trackers", "--peer", "%s:%d" % swarm.addresses[0], "--timeout", "20", data.torrent)
        assert_complete(r, data, outdir)


@pytest.mark.few
def test_several_sources_at_once(tmp_path, outdir):
    all_of_them = [shapes.single(tmp_path, 600001, "first"), shapes.many(tmp_path, "second"), shapes.single(tmp_path, 70000, "third")]
    swarms = [Swarm(p, [honest]) for p in all_of_them]
    trackers = [seeders.Tracker(s.addresses) for s in swarms]
    for p, t in zip(all_of_them, trackers):
        p.write_torrent([t.url])
    r = get([p.torrent for p in all_of_them], outdir, trackers=True)
    assert r.wait(40) == COMPLETE, r.told()
    for p in all_of_them:
        assert p.differences(outdir) == [], r.told()
        assert os.fsdecode(p.final(outdir)) in r.stdout.splitlines(), r.told()
    client.assert_bounded(r)
    for x in swarms + trackers:
        x.close()


def test_a_torrent_of_no_bytes_completes_at_once(tmp_path, outdir):
    p = shapes.Payload(tmp_path, "nothing", [shapes.File("a", 0), shapes.File("b/c", 0)])
    assert_complete(get(p.torrent, outdir), p, outdir, 15)


def test_a_file_of_no_bytes_completes_at_once(tmp_path, outdir):
    p = shapes.single(tmp_path, 0, "empty file")
    assert_complete(get(p.torrent, outdir), p, outdir, 15)


# ---- the network options

def test_a_named_peer_needs_no_other_permission(outdir, data):
    with Swarm(data, [honest]) as swarm:
        assert_complete(get(data.torrent, outdir, swarm.addresses, allow=[]), data, outdir)


@pytest.mark.parametrize("what", ["127.7.7.7", "lo"])
def test_bind_holds(outdir, data, what):
    with Swarm(data, [honest]) as swarm:
        assert_complete(get(data.torrent, outdir, swarm.addresses, options=["--bind", what]), data, outdir)
        assert swarm.all[0].sources == {"127.7.7.7" if what[0] == "1" else "127.0.0.1"}


def test_bind_to_an_address_that_is_not_ours_is_refused(outdir, data):
    with Swarm(data, [honest]) as swarm:
        r = get(data.torrent, outdir, swarm.addresses, options=["--bind", "192.0.2.77"], seconds=3)
        assert r.wait(20) == USAGE, r.told()
        assert r.stderr == "bulkhead: --bind: '192.0.2.77' is not an address of this machine\n" and os.listdir(outdir) == [], r.told()
        assert swarm.all[0].connections == 0


def test_max_peers_holds(outdir, data):
    with Swarm(data, [honest] * 8) as swarm:
        assert_complete(get(data.torrent, outdir, swarm.addresses, options=["--max-peers", "2"]), data, outdir)
        assert 1 <= swarm.most_open <= 2, swarm.most_open


def test_ipv4_only_dials_no_ipv6_peer(tmp_path, outdir, data):
    address = seeders.libtorrent(data, "::1")
    r = get(data.torrent, outdir, [address], options=["-4"], seconds=3)
    assert r.wait(20) in (NO_PROGRESS, USAGE), r.told()


def test_a_small_memory_budget_is_enough(outdir, data):
    with Swarm(data, [honest]) as swarm:
        assert_complete(get(data.torrent, outdir, swarm.addresses, options=["--memory", "1M"]), data, outdir)


# ---- what is printed

def test_json_is_one_object_a_line(outdir, data):
    with Swarm(data, [honest]) as swarm:
        r = get(data.torrent, outdir, swarm.addresses, options=["--json"])
        assert_complete(r, data, outdir)
    lines = client.json_lines(r)
    assert len(lines) >= 2 and all("event" in x for x in lines), r.told()
    assert any(os.fsdecode(data.name) in json.dumps(x, ensure_ascii=False) for x in lines), r.told()


@pytest.fixture
def full_pipe():
    """A pipe that takes nothing more; its ends, and how many bytes are in it."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    filling = 0
    try:
        while True:
            filling += os.write(writing, b"." * 4096)
    except BlockingIOError:
        os.set_blocking(writing, True)
    yield reading, writing, filling
    for fd in reading, writing:
        try:
            os.close(fd)
        except OSError:
            pass


def complete_behind_a_full_pipe(outdir, data, writing, stream):
    """The download comes to its end though nobody reads what is said of it."""
    with Swarm(data, [honest]) as swarm:
        r = get(data.torrent, outdir, swarm.addresses, options=["--json"] if stream == "stdout" else ["-vv"], **{stream: writing})
        process.wait_for(lambda: os.path.exists(data.final(outdir)), 20, "the download is complete: " + r.told())
    process.wait_for(lambda: len(process.children(r.p.pid)) == 1, 10, "all compartments have ended")
    assert r.p.poll() is None, "it left though what it said was not read: " + r.told()
    assert not fcntl.fcntl(writing, fcntl.F_GETFL) & os.O_NONBLOCK, "the pipe's flags are everybody's"
    return r


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_pipe_that_nobody_reads_holds_up_no_download(outdir, data, full_pipe, stream):
    reading, writing, filling = full_pipe
    r = complete_behind_a_full_pipe(outdir, data, writing, stream)
    os.close(writing)
    said = bytearray()
    while chunk := os.read(reading, 65536):
        said += chunk
    assert r.wait(10) == COMPLETE, r.told()
    assert not data.differences(outdir), r.told()
    lines = said[filling:].decode().splitlines()
    if stream == "stdout":
        events = [json.loads(line)["event"] for line in lines]
        assert events[0] == "start" and events[-2:] == ["complete", "exit"] and "progress" not in events, events
    else:
        assert any("complete after" in line for line in lines), lines


@pytest.mark.parametrize("how", ["reader", "signal"])
def test_results_wait_for_no_reader_that_is_gone_and_no_user_who_is_tired(outdir, data, full_pipe, how):
    reading, writing, _ = full_pipe
    r = complete_behind_a_full_pipe(outdir, data, writing, "stdout")
    if how == "reader":
        os.close(reading)
    else:
        r.signal(signal.SIGINT)
    assert r.wait(10) == COMPLETE, r.told()


@pytest.mark.parametrize("option", ["--quiet", "--json"])
def test_results_that_cannot_be_written_are_no_success(outdir, data, option):
    with Swarm(data, [honest]) as swarm:
        r = subprocess.run(["/bin/sh", "-c", 'exec "$0" "$@" >/dev/full', client.PROGRAM, "-d", str(outdir), "--no-trackers", option,
                            "--peer", "%s:%d" % swarm.addresses[0], data.torrent], stderr=subprocess.PIPE, timeout=30)
    assert r.returncode == FAILED and b"cannot write to standard output: No space left" in r.stderr, r
    assert data.differences(outdir) == []


def test_quiet_says_nothing_but_the_path(outdir, data):
    with Swarm(data, [honest]) as swarm:
        r = get(data.torrent, outdir, swarm.addresses, options=["-q"])
        assert_complete(r, data, outdir)
    assert r.stderr == "" and r.stdout == os.fsdecode(data.final(outdir)) + "\n", r.told()


def test_no_terminal_no_carriage_return(outdir, data):
    with Swarm(data, [honest]) as swarm:
        r = get(data.torrent, outdir, swarm.addresses, options=["-v"])
        assert_complete(r, data, outdir)
    assert b"\r" not in r.err and b"\x1b" not in r.err, r.told()


@pytest.mark.few
@pytest.mark.parametrize("option", ["-q", "-v", "--json", "--no-progress"])
def test_nothing_raw_reaches_the_terminal(tmp_path, outdir, option):
    """Names, comments, and the tracker's words all try."""
    evil = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202egnp.exe\u2028\x08\x7f"
    p = shapes.Payload(tmp_path, b"plain", [shapes.File([evil.encode(), b"caf\xe9 \xff\xfe"], 30000), shapes.File(b"x\x1b[31m".split(b"/"), 40000)], piece_length=32 << 10)
    p.info["name"] = evil.encode() + b"\xff"
    p.infohash = hashlib.sha1(bencode(p.info)).digest()
    with Swarm(p, [metered]) as swarm:
        tracker = seeders.Tracker(swarm.addresses)
        tracker.extra = {"warning message": evil.encode() + b"\xff", "tracker id": evil.encode()}
        p.write_torrent([tracker.url, "http://127.0.0.1:1/" + evil], extra={"comment": evil, "created by": evil, evil: evil})
        r = get(p.torrent, outdir, trackers=True, options=[option], tty=True)
        given(swarm, 2)
        time.sleep(1)
        swarm.allow(1000)
        assert r.wait(30) == COMPLETE, r.told()
        assert raw_bytes(bytes(r.out)) == [], r.told()
        tracker.close()
    if option == "-q":
        assert b"\x1b" not in bytes(r.out)
    for arguments in (["show", p.torrent], ["show", "--json", p.torrent]):
        r = run(*arguments, tty=True)
        assert r.wait(15) == 0, r.told()
        assert raw_bytes(bytes(r.out)) == [], r.told()


# ---- show

def test_show_tells_what_is_in_a_torrent(tmp_path):
    p = shapes.many(tmp_path, private=True)
    p.write_torrent([["https://tracker.example/announce?passkey=0123456789abcdef0123456789abcdef"], ["http://tracker.example/fedcba9876543210fedcba9876543210/announce"]],
                    extra={"comment": "a comment", "creation date": 1700000000})
    r = run("show", p.torrent)
    assert r.wait(15) == 0, r.told()
    for word in ("many", p.infohash.hex(), "日本語のファイル.txt", "tracker.example", "a comment", str(p.pieces)):
        assert word in r.stdout, (word, r.told())
    assert re.search(r"private:\s+yes", r.stdout, re.I), r.told()
    for secret in ("0123456789abcdef0123456789abcdef", "fedcba9876543210fedcba9876543210"):
        assert secret not in r.stdout, r.told()
    r = run("show", "--json", p.torrent)
    assert r.wait(15) == 0, r.told()
    assert p.infohash.hex() in r.stdout and isinstance(json.loads(r.stdout), dict)
    with open(p.torrent, "rb") as f:
        r = run("show", "-", stdin=f.read())
    assert r.wait(15) == 0 and p.infohash.hex() in r.stdout, r.told()


def test_show_reads_magnet_links():
    infohash = "0123456789abcdef0123456789abcdef01234567"
    r = run("show", "magnet:?xt=urn:btih:%s&dn=some%%20name%%1b%%5b2J&tr=http%%3a%%2f%%2ftracker.example%%2fannounce" % infohash)
    assert r.wait(15) == 0, r.told()
    assert infohash in r.stdout and "some name" in r.stdout and "tracker.example" in r.stdout, r.told()
    assert raw_bytes(bytes(r.out)) == []


def keys_of(value):
    if isinstance(value, dict):
        return set(value).union(*map(keys_of, value.values()))
    return set().union(*map(keys_of, value)) if isinstance(value, list) else set()


def test_the_manual_names_every_field_of_show(tmp_path):
    p = shapes.many(tmp_path)
    p.write_torrent(["http://tracker.example/announce"], extra={"comment": b"\xff", "created by": "me", "creation date": 1700000000, "url-list": "http://w.example/"})
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../docs/bulkhead.1")) as f:
        manual = f.read().split(".Sh WHAT SHOW SAYS")[1].split(".Sh ")[0]
    named = {word for line in manual.splitlines() if re.match(r"(\.It )?\.?Va ", line) for word in re.findall(r"[a-z_]{2,}", line)}
    fields = set()
    for source in p.torrent, "magnet:?xt=urn:btih:%s&dn=x&xl=5&x.pe=192.0.2.1:80" % p.infohash.hex():
        r = run("show", "--json", source)
        assert r.wait(15) == 0, r.told()
        fields |= keys_of(json.loads(r.stdout))
    assert {"comment_hex", "claimed_length", "creation_date", "path"} <= fields, fields
    assert fields <= named, fields - named


def test_show_writes_nothing(tmp_path):
    p = shapes.single(tmp_path)
    empty = tmp_path / "empty"
    empty.mkdir()
    r = run("show", p.torrent, cwd=empty)
    assert r.wait(15) == 0, r.told()
    client.assert_nothing_written(empty)


def test_the_programs_are_found_beside_the_main_one(tmp_path, outdir, data):
    """Not through PATH: a planted program of the same name is not run."""
    bad = tmp_path / "bin"
    bad.mkdir()
    for name in ("bulkhead-netproc", "bulkhead-diskproc", "bulkhead-inspect", "bulkhead-dialer", "bulkhead-resolver"):
        (bad / name).write_text("#!/bin/sh\ntouch %s/ran\n" % tmp_path)
        (bad / name).chmod(0o755)
    with Swarm(data, [honest]) as swarm:
        r = get(data.torrent, outdir, swarm.addresses, env=dict(os.environ, PATH="%s:%s" % (bad, os.environ["PATH"])), cwd=bad)
        assert_complete(r, data, outdir)
    assert not (tmp_path / "ran").exists()


def test_descriptors_of_the_caller_are_not_passed_on(tmp_path, outdir, data):
    """Something secret is open when the program starts: no compartment has it."""
    secret = tmp_path / "secret"
    secret.write_bytes(b"x")
    fd = os.open(secret, os.O_RDONLY)
    os.set_inheritable(fd, True)
    with Swarm(data, [metered]) as swarm:
        p = subprocess.Popen([client.PROGRAM, "get", "-q", "-d", str(outdir), "--no-trackers", "--timeout", "20", "--peer", "%s:%d" % swarm.addresses[0], data.torrent],
                             close_fds=False, stdin=subprocess.DEVNULL)
        try:
            swarm.allow(10)
            process.wait_for(lambda: swarm.given >= 10, 15, "10 blocks were asked for")
            holders = []
            for pid in process.children(p.pid):
                if pid == p.pid:
                    continue
                try:
                    links = [os.readlink("/proc/%d/fd/%s" % (pid, n)) for n in os.listdir("/proc/%d/fd" % pid)]
                except OSError:
                    links = []
                holders += [process.program_name(pid) for x in links if x == str(secret)]
            assert holders == []
            swarm.allow(10000)
            assert p.wait(30) == 0
        finally:
            if p.poll() is None:
                p.kill()
                p.wait()
            os.close(fd)
