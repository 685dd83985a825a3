"""bulkhead create: the same torrent as mktorrent and libtorrent make, from inside walls, and nothing but it."""
import hashlib
import json
import os
import shutil
import signal
import subprocess
import time

import libtorrent as lt
import pytest

import client
import payload as shapes
import process
from client import COMPLETE, FAILED, INTERRUPTED, REFUSED, STORAGE, USAGE, run
from payload import KIB, MIB, bdecode, bencode
from process import raw_bytes

pytestmark = pytest.mark.skipif(client.REFERENCE, reason="only bulkhead has this command line")

ROOT = os.getuid() == 0


def create(path, *options, cwd, status=COMPLETE, seconds=60, **kw):
    r = run("create", *options, path, cwd=cwd, **kw)
    assert r.wait(seconds) == status, r.told()
    client.assert_bounded(r)
    return r


def load(path):
    """The torrent and the bytes of its info dictionary: it is canonical when encoding it again gives the same bytes."""
    with open(path, "rb") as f:
        data = f.read()
    value, length = bdecode(data)
    assert length == len(data) and bencode(value) == data
    return value, bencode(value[b"info"])


def hash_of(path):
    return hashlib.sha1(load(path)[1]).hexdigest()


def write(folder, files):
    for name, data in files.items():
        path = os.path.join(os.fsencode(str(folder)), os.fsencode(name))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as f:
            f.write(data if isinstance(data, bytes) else os.urandom(data))
    return folder


def mktorrent(path, out, power, private=False, source=None, name=None):
    command = ["mktorrent", "-a", "http://t/", "-l", str(power), "-o", str(out), "-d"]
    command += ["-p"] * private + (["-s", source] if source else []) + (["-n", name] if name else []) + [str(path)]
    subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
    return load(out)[1]


def libtorrent(path, piece_length, private=False, source=None, name=None):
    """libtorrent takes the files of a v1 torrent in the order in which it is given them."""
    path, fs = str(path), lt.file_storage()
    if os.path.isdir(path):
        names = [os.path.relpath(os.path.join(d, f), path) for d, _, files in os.walk(path) for f in files]
        for f in sorted(names, key=os.fsencode):
            fs.add_file(os.path.join(os.path.basename(path), f), os.path.getsize(os.path.join(path, f)))
    else:
        fs.add_file(os.path.basename(path), os.path.getsize(path))
    t = lt.create_torrent(fs, piece_length, lt.create_torrent.v1_only)
    t.set_priv(private)
    lt.set_piece_hashes(t, os.path.dirname(path))
    info = dict(t.generate()[b"info"])
    if source:
        info[b"source"] = source.encode()
    if name:
        info[b"name"] = name.encode()
    return bencode(info)


NESTED = {
    "a/b/c/d/e/deep.bin": 200001, "a-b": 17, "a.b/c": 3, "a/x": 70000, "A": 1, "Z/empty": 0, ".hidden/.file": 999, "one byte": 1, "empty at the start": 0,
    "Füße und Ωmega/日本語のファイル.txt": 70000, "emoji 🚢.bin": 16385, "zz/exactly one piece": 32 * KIB}
MAPPED = {"trailing space ": 5, "con%41": 6, "tab\t": 7}  # get would save these under other names


@pytest.mark.few
@pytest.mark.parametrize("shape", ["one byte", "exactly 4 pieces", "one byte more", "nested"])
@pytest.mark.parametrize("extra", [{}, {"private": True, "source": "SRC", "name": "Größe"}], ids=["plain", "private"])
def test_the_info_dictionary_is_that_of_mktorrent_and_libtorrent(tmp_path, shape, extra):
    if shape == "nested":
        path = write(tmp_path / "nested", {**NESTED, **MAPPED})
    else:
        path = tmp_path / "one file"
        path.write_bytes(os.urandom({"one byte": 1, "exactly 4 pieces": 128 * KIB, "one byte more": 128 * KIB + 1}[shape]))
    options = ["-p", "32k"] + ["--private"] * ("private" in extra)
    for key in ("source", "name"):
        options += ["--" + key, extra[key]] if key in extra else []
    out = tmp_path / "out.torrent"
    r = create(path, *options, "-o", out, cwd=tmp_path)
    info = load(out)[1]
    assert info == mktorrent(path, tmp_path / "mk.torrent", 15, **extra)
    assert info == libtorrent(path, 32 * KIB, **extra)
    assert r.stdout == "%s  %s\n" % (hashlib.sha1(info).hexdigest(), out), r.told()
    show = run("show", "--json", out)
    assert show.wait(20) == COMPLETE, show.told()
    assert json.loads(show.stdout)["info_hash"] == hashlib.sha1(info).hexdigest()


@pytest.mark.parametrize("piece", ["16k", "256k", "1M", "64M"])
def test_the_same_with_other_piece_lengths(tmp_path, piece):
    path = write(tmp_path / "d", {"a": 5 * MIB + 3, "b": 0, "c/d": 3 * MIB})
    out = tmp_path / "out.torrent"
    create(path, "-p", piece, "-o", out, cwd=tmp_path)
    length = int(piece[:-1]) * (KIB if piece[-1] == "k" else MIB)
    info = load(out)[1]
    assert info == libtorrent(path, length)
    if length >= 32 * KIB:  # mktorrent has no less
        assert info == mktorrent(path, tmp_path / "mk.torrent", length.bit_length() - 1)


def test_thousands_of_files(tmp_path):
    path = write(tmp_path / "many", {"d%02d/f%04d" % (i % 50, i): b"%d" % i * (i % 300) for i in range(5000)})
    create(path, "-p", "32k", cwd=tmp_path)
    assert load(tmp_path / "many.torrent")[1] == mktorrent(path, tmp_path / "mk.torrent", 15)


def test_what_was_made_verifies_what_it_was_made_of(tmp_path):
    path = write(tmp_path / "nested", NESTED)
    create(path, cwd=tmp_path)
    r = run("get", "-d", tmp_path, tmp_path / "nested.torrent")
    assert r.wait(30) == COMPLETE and "already complete" in r.stderr, r.told()
    (path / "A").write_bytes(bytes([(path / "A").read_bytes()[0] ^ 1]))
    r = run("get", "-d", tmp_path, tmp_path / "nested.torrent")
    assert r.wait(30) == STORAGE, r.told()


# ---- around the info dictionary

def test_trackers_web_seeds_comment_and_date(tmp_path):
    (tmp_path / "f").write_bytes(b"x")
    create("f", "-t", "http://a/1,http://b/2", "-t", "udp://c:3", "-w", "https://w/f", "-w", "http://v/", "-c", "Grüße", cwd=tmp_path,
           env={**os.environ, "SOURCE_DATE_EPOCH": "1234567890"})
    t, _ = load(tmp_path / "f.torrent")
    assert t[b"announce"] == b"http://a/1" and t[b"announce-list"] == [[b"http://a/1", b"http://b/2"], [b"udp://c:3"]]
    assert t[b"url-list"] == [b"https://w/f", b"http://v/"] and t[b"comment"] == "Grüße".encode()
    assert t[b"creation date"] == 1234567890 and t[b"created by"].startswith(b"bulkhead/")
    create("f", "-t", "http://a/1", "-w", "http://v/", "-o", "g", cwd=tmp_path)
    t, _ = load(tmp_path / "g")
    assert t[b"announce"] == b"http://a/1" and b"announce-list" not in t and t[b"url-list"] == b"http://v/"
    assert abs(t[b"creation date"] - time.time()) < 60
    create("f", "--anonymous", "-o", "h", cwd=tmp_path)
    assert set(load(tmp_path / "h")[0]) == {b"info"}
    create("f", "--no-date", "-o", "i", cwd=tmp_path)
    assert set(load(tmp_path / "i")[0]) == {b"info", b"created by"}


def test_the_same_again_is_the_same_file(tmp_path):
    made = []
    for i, threads in enumerate((1, 2, 16)):
        path = write(tmp_path / str(i) / "nested", {k: hashlib.sha256(k.encode()).digest() * (v // 32) for k, v in NESTED.items()})
        env = {**os.environ, "SOURCE_DATE_EPOCH": "86400"}
        create(path, "--threads", str(threads), "-t", "http://a/", cwd=tmp_path / str(i), env=env)
        made.append((tmp_path / str(i) / "nested.torrent").read_bytes())
    assert made[0] == made[1] == made[2]


def test_standard_output(tmp_path):
    (tmp_path / "f").write_bytes(b"x" * 100000)
    r = create("f", "-o", "-", "--no-date", cwd=tmp_path)
    create("f", "--no-date", cwd=tmp_path)
    assert bytes(r.out) == (tmp_path / "f.torrent").read_bytes()
    assert hash_of(tmp_path / "f.torrent") in r.stderr, r.told()
    assert sorted(os.listdir(tmp_path)) == ["f", "f.torrent"]
    r = create("f", "-o", "-", cwd=tmp_path, status=USAGE, tty=True)
    assert raw_bytes(bytes(r.out)) == []


def test_json(tmp_path):
    path = write(tmp_path / "d", {"a": 100000, "b": 1})
    os.symlink("a", path / "link")
    r = create("d", "--json", "--private", cwd=tmp_path)
    lines = client.json_lines(r)
    made = [x for x in lines if x["event"] == "created"]
    assert [x["event"] for x in (lines[0], lines[-1])] == ["start", "exit"] and lines[-1]["status"] == 0
    assert len(made) == 1 and made[0]["info_hash"] == hash_of(tmp_path / "d.torrent")
    wanted = {"file": "d.torrent", "name": "d", "bytes": 100001, "pieces": 7, "piece_length": 16384, "files": 2, "skipped": 1, "private": True}
    assert wanted.items() <= made[0].items(), r.told()
    r = create("nowhere", "--json", cwd=tmp_path, status=STORAGE)
    assert [x["event"] for x in client.json_lines(r)] == ["start", "error", "exit"]


# ---- names

@pytest.mark.parametrize("path,name", [("d", "d"), ("d/", "d"), ("./d//", "d"), ("d/.", "d"), ("d/e/..", "d"), ("link", "link")])
def test_the_torrent_has_the_name_of_what_is_shared(tmp_path, path, name):
    write(tmp_path / "d", {"e/f": 1})
    os.symlink("d", tmp_path / "link")
    create(path, cwd=tmp_path)
    assert load(tmp_path / (name + ".torrent"))[0][b"info"][b"name"] == name.encode()


def test_a_directory_shared_from_within_does_not_have_its_own_torrent(tmp_path):
    d = write(tmp_path / "d", {"a": 10, "sub/b": 10})
    create(".", cwd=d)
    assert [f[b"path"] for f in load(d / "d.torrent")[0][b"info"][b"files"]] == [[b"a"], [b"sub", b"b"]]
    assert sorted(os.listdir(d)) == ["a", "d.torrent", "sub"]


@pytest.mark.parametrize("option", ["-v", "--json", "-q"])
def test_nothing_raw_reaches_the_terminal(tmp_path, option):
    evil = "\x1b]0;owned\x07\x1b[2J\u202egnp.exe\u2028\x08\x7f"
    d = write(tmp_path / evil, {evil + "/" + evil: 10, "plain": 5})
    os.symlink("/etc/passwd", d / (evil + "link"))
    r = create(d, option, cwd=tmp_path, tty=True)
    assert raw_bytes(bytes(r.out)) == [], r.told()
    assert load(tmp_path / (evil + ".torrent"))[0][b"info"][b"name"] == evil.encode()
    with open(os.path.join(os.fsencode(str(d)), b"\x1b[2J\xff"), "w"):
        pass
    r = create(d, option, "-o", "y", cwd=tmp_path, tty=True, status=REFUSED)
    assert raw_bytes(bytes(r.out)) == [] and b"not UTF-8" in bytes(r.out), r.told()


def test_links_and_special_files_are_left_out_and_named(tmp_path):
    d = write(tmp_path / "d", {"a": 10})
    (tmp_path / "secret").write_bytes(b"secret")
    os.symlink("../secret", d / "link to a file")
    os.symlink("..", d / "link to a directory")
    os.mkfifo(d / "pipe")
    r = create("d", cwd=tmp_path)
    assert [f[b"path"] for f in load(tmp_path / "d.torrent")[0][b"info"][b"files"]] == [[b"a"]]
    for name in ("link to a file", "link to a directory", "pipe"):
        assert name in r.stderr, r.told()


# ---- what cannot be shared

@pytest.mark.parametrize("files,text", [({}, "no file in it"), ({"e": 0, "f/g": 0}, "no byte in it")], ids=["no file", "no byte"])
def test_nothing_to_share(tmp_path, files, text):
    (tmp_path / "d").mkdir()
    write(tmp_path / "d", files)
    r = create("d", cwd=tmp_path, status=REFUSED)
    assert text in r.stderr and os.listdir(tmp_path) == ["d"], r.told()
    (tmp_path / "empty").write_bytes(b"")
    assert "no byte in it" in create("empty", cwd=tmp_path, status=REFUSED).stderr


@pytest.mark.parametrize("path", ["missing", "pipe", "/dev/null", "/"])
def test_what_is_neither_a_file_nor_a_directory_with_a_name(tmp_path, path):
    os.mkfifo(tmp_path / "pipe")
    r = create(path, cwd=tmp_path, status=STORAGE if path == "missing" else REFUSED)
    assert path in r.stderr and os.listdir(tmp_path) == ["pipe"], r.told()


@pytest.mark.parametrize("options,text", [
    (["--max-files", "2"], "--max-files"), (["--max-pieces", "5"], "--max-pieces"), (["--max-torrent-size", "1k"], "--max-torrent-size")])
def test_limits(tmp_path, options, text):
    write(tmp_path / "d", {("%03d" % i) * 80: 40000 for i in range(4)})
    r = create("d", "-p", "16k", *options, cwd=tmp_path, status=REFUSED)
    assert text in r.stderr and os.listdir(tmp_path) == ["d"], r.told()


def test_a_file_that_may_not_be_read_is_named(tmp_path):
    d = write(tmp_path / "d", {"a": 10, "secret": 10})
    if ROOT:  # somebody else's: the directory is read as its owner would read it
        os.chown(d / "secret", 12345, 12345)
        os.chmod(d / "secret", 0o600)
    else:
        os.chmod(d / "secret", 0)
    r = create("d", cwd=tmp_path, status=STORAGE)
    assert "cannot open 'secret'" in r.stderr and os.listdir(tmp_path) == ["d"], r.told()


@pytest.mark.skipif(not ROOT, reason="only root can give files away")
@pytest.mark.parametrize("owner", [0, 12345])
def test_root_reads_what_only_the_owner_may(tmp_path, owner):
    d = write(tmp_path / "d", {"a": 10, "b/c": 10})
    for path in (d, d / "a", d / "b", d / "b/c"):
        os.chown(path, owner, owner)
        os.chmod(path, 0o700)
    create("d", cwd=tmp_path)
    create(d / "a", cwd=tmp_path)
    assert len(load(tmp_path / "d.torrent")[0][b"info"][b"files"]) == 2


def test_a_file_that_changes_meanwhile_is_named(tmp_path):
    d = tmp_path / "d"
    d.mkdir()
    (d / "a").write_bytes(b"before")
    with open(d / "large", "wb") as f:
        f.truncate(3 << 30)
    r = run("create", "--json", "--threads", "1", "d", cwd=tmp_path)
    process.wait_for(lambda: b'"hashing"' in bytes(r.out), 20, "it hashes")
    (d / "a").write_bytes(b"after it")
    assert r.wait(60) == STORAGE, r.told()
    assert "changed while it was read: 'a'" in r.stderr and os.listdir(tmp_path) == ["d"], r.told()


# ---- the output

def test_nothing_that_is_there_is_replaced(tmp_path):
    (tmp_path / "f").write_bytes(b"x")
    (tmp_path / "f.torrent").write_bytes(b"mine")
    os.symlink("elsewhere", tmp_path / "link")
    for options in ([], ["-o", "link"]):
        r = create("f", *options, cwd=tmp_path, status=STORAGE)
        assert "is there already" in r.stderr, r.told()
    assert (tmp_path / "f.torrent").read_bytes() == b"mine" and sorted(os.listdir(tmp_path)) == ["f", "f.torrent", "link"]
    r = create("f", "-o", "no/such/place", cwd=tmp_path, status=STORAGE)
    assert "no/such/place" in r.stderr, r.told()


def test_its_mode_is_what_the_umask_leaves(tmp_path):
    (tmp_path / "f").write_bytes(b"x")
    for umask in (0o022, 0o077):
        out = tmp_path / ("%o" % umask)
        create("f", "-o", out, cwd=tmp_path, before=lambda: os.umask(umask))
        assert os.stat(out).st_mode & 0o7777 == 0o666 & ~umask


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_interrupted_it_leaves_nothing(tmp_path, how):
    with open(tmp_path / "large", "wb") as f:
        f.truncate(16 << 30)
    r = run("create", "--json", "large", cwd=tmp_path)
    process.wait_for(lambda: b'"hashing"' in bytes(r.out), 20, "it hashes")
    r.sample()
    r.signal(how)
    assert r.wait(20) == (-how if how == signal.SIGKILL else INTERRUPTED), r.told()
    assert r.leftovers() == [], r.told()
    process.wait_for(lambda: os.listdir(tmp_path) == ["large"], 5, "the temporary name is gone")


def test_no_room_for_the_torrent(tmp_path):
    """A limit on the size of files stands for a disk that is full."""
    import resource
    (tmp_path / "f").write_bytes(b"x")
    r = create("f", "-c", "x" * 5000, cwd=tmp_path, status=STORAGE, before=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096)))
    assert "cannot write the torrent" in r.stderr and os.listdir(tmp_path) == ["f"], r.told()


def test_a_missing_program_is_named(tmp_path):
    program = tmp_path / "bulkhead"
    shutil.copy(client.PROGRAM, program)
    (tmp_path / "f").write_bytes(b"x")
    r = process.Run([program, "create", "f"], cwd=tmp_path)
    assert r.wait(20) == FAILED and "bulkhead-create" in r.stderr, r.told()
    assert sorted(os.listdir(tmp_path)) == ["bulkhead", "f"]


# ---- the walls

@pytest.mark.skipif(client.SANITIZED, reason="the wider policy of sanitizer builds proves nothing")
@pytest.mark.parametrize("what", ["d", "d/a"])
def test_it_is_behind_walls(tmp_path, what):
    write(tmp_path / "d", {"a": 10})
    r = create(what, "--json", cwd=tmp_path)
    walls = [x["walls"] for x in client.json_lines(r) if x["event"] == "compartment"]
    assert len(walls) == 1
    assert {"seccomp", "Landlock files", "no new privileges", "no capabilities", "descriptors closed"} <= set(walls[0].split(", ")), walls
