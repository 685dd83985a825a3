"""Torrent files of strangers: what is dangerous is refused with status 3, one clear line and nothing written; what is
merely awkward lands as plain files inside the download, byte for byte."""
import hashlib
import os
import stat

import pytest

import client
import payload as shapes
import torrents
from client import COMPLETE, REFUSED, get, run
from payload import bencode
from peer import Swarm, honest
from process import raw_bytes

pytestmark = pytest.mark.skipif(client.REFERENCE, reason="only bulkhead makes these promises")


def save(tmp_path, made):
    path = tmp_path / "hostile.torrent"
    path.write_bytes(made() if callable(made) else made)
    return str(path)


# A dozen at a time in one process would hide which one was wrong; the small ones are quick.
@pytest.mark.parametrize("name", list(torrents.REFUSED))
def test_refused(tmp_path, outdir, name):
    r = get(save(tmp_path, torrents.REFUSED[name]), outdir, tty=True, seconds=5)
    assert r.wait(30) == REFUSED, r.told()
    said = [line for line in bytes(r.out).replace(b"\r", b"\n").split(b"\n") if line.strip()]
    assert len(said) == 1 and len(said[0]) < 500, r.told()
    assert raw_bytes(bytes(r.out)) == [], r.told()
    client.assert_nothing_written(outdir)
    assert sorted(os.listdir(tmp_path)) == ["hostile.torrent", "out"], "something was written outside"
    large = callable(torrents.REFUSED[name])
    assert r.peak_bytes < (400 << 20 if large else client.MEMORY_LIMIT), r.told()
    assert r.leftovers() == [], r.told()


@pytest.mark.parametrize("name", ["terminal codes", "nested 1,000,000 lists deep", "path with ..", "3 million files", "version 2 only", "name with NUL"])
def test_show_refuses_it_too(tmp_path, name):
    r = run("show", save(tmp_path, torrents.REFUSED[name]), tty=True)
    assert r.wait(30) == REFUSED, r.told()
    assert raw_bytes(bytes(r.out)) == [], r.told()


def test_a_symlink_entry_is_never_made(tmp_path, outdir):
    """BEP 47: attr l with a symlink path.  Whatever becomes of it, it is no link."""
    p = shapes.Payload(tmp_path, "links", [shapes.File("real", 20000)])
    p.info["files"].append({"length": 0, "path": ["link"], "attr": "l", "symlink path": ["..", "..", "etc", "passwd"]})
    p.infohash = hashlib.sha1(bencode(p.info)).digest()
    p.write_torrent()
    with Swarm(p, [honest]) as swarm:
        r = get(p.torrent, outdir, swarm.addresses)
        assert r.wait(30) == COMPLETE, r.told()
    for path in shapes.walk(os.fsencode(str(outdir))):
        st = os.lstat(path)
        assert stat.S_ISDIR(st.st_mode) or stat.S_ISREG(st.st_mode), path
    with open(os.path.join(p.final(outdir), b"real"), "rb") as f:
        assert f.read() == p.data


@pytest.mark.parametrize("name", list(torrents.AWKWARD))
def test_awkward_names_land_safely(tmp_path, outdir, name):
    files = torrents.AWKWARD[name]
    # what the tests write for themselves must not be awkward: the payload is made under plain names
    plain = shapes.Payload(tmp_path, "download", [shapes.File("f%d" % i, f.length, f.attr) for i, f in enumerate(files)])
    plain.info["files"] = [dict({"length": f.length, "path": f.path}, **({"attr": f.attr} if f.attr else {})) for f in files]
    plain.infohash = hashlib.sha1(bencode(plain.info)).digest()
    plain.write_torrent()
    with Swarm(plain, [honest]) as swarm:
        r = get(plain.torrent, outdir, swarm.addresses, options=["-v"], tty=True)
        assert r.wait(30) == COMPLETE, r.told()
    assert raw_bytes(bytes(r.out)) == [], r.told()
    found = []
    top = plain.final(outdir)
    assert os.listdir(outdir) == [os.fsdecode(plain.name)]
    for path in shapes.walk(top):
        st = os.lstat(path)
        if stat.S_ISDIR(st.st_mode):
            continue
        assert stat.S_ISREG(st.st_mode) and not st.st_mode & 0o7111, (path, oct(st.st_mode))
        with open(path, "rb") as f:
            found.append(hashlib.sha256(f.read()).hexdigest())
        text = os.path.relpath(path, top).decode("utf-8")  # what is on disk is valid UTF-8
        assert all(ord(c) >= 32 and ord(c) != 127 for c in text), ascii(text)
        assert raw_bytes(text.encode()) == [], ascii(text)
    assert sorted(found) == sorted(plain.expected.values())


@pytest.mark.parametrize("key", ["name.utf-8", "path.utf-8"])
def test_utf8_names_win(tmp_path, outdir, key):
    p = shapes.Payload(tmp_path, "plain", [shapes.File("f", 20000)])
    if key == "name.utf-8":
        p.info["name.utf-8"] = "Größe"
    else:
        p.info["files"][0]["path.utf-8"] = ["Größe"]
    p.infohash = hashlib.sha1(bencode(p.info)).digest()
    p.write_torrent()
    with Swarm(p, [honest]) as swarm:
        r = get(p.torrent, outdir, swarm.addresses)
        assert r.wait(30) == COMPLETE, r.told()
    want = os.path.join(str(outdir), "Größe", "f") if key == "name.utf-8" else os.path.join(str(outdir), "plain", "Größe")
    assert os.path.isfile(want), r.told()


def test_unknown_keys_count_for_the_info_hash(tmp_path, outdir):
    """The hash is over the original bytes: odd keys, in any order, with anything in them."""
    p = shapes.single(tmp_path, 30000)
    raw = bencode(p.info)[:-1] + b"3:zzz" + bencode({"x": [1, {"y": b"\xff"}]}) + b"1:ai7e" + b"e"  # unsorted, too
    p.infohash = hashlib.sha1(raw).digest()
    with open(p.torrent, "wb") as f:
        f.write(b"d4:info" + raw + b"8:announce9:udp://x:1e")
    with Swarm(p, [honest]) as swarm:
        client.assert_complete(get(p.torrent, outdir, swarm.addresses), p, outdir)


@pytest.mark.parametrize("announce", [5, [], {"a": 1}, "", "\x1b[2J", "http://", "ftp://x/", "http://[::1", "http://127.0.0.1:99999/x", "x" * 100000],
                         ids=lambda a: ascii(a)[:20])
def test_odd_announce_entries_do_no_harm(tmp_path, outdir, announce):
    p = shapes.single(tmp_path, 30000)
    p.write_torrent(extra={"announce": announce, "announce-list": [[announce], announce, [], [[announce]]], "url-list": announce, "nodes": announce})
    with Swarm(p, [honest]) as swarm:
        r = get(p.torrent, outdir, swarm.addresses, options=["-v"], trackers=True, tty=True)
        client.assert_complete(r, p, outdir)
    assert raw_bytes(bytes(r.out)) == [], r.told()
