"""payload.py - payloads of every shape, and torrents of them, made by our own bencoder.

A Payload is a tree on disk and the .torrent that describes it.  differences() compares what a client wrote with
it, by SHA-256 over each file, and objects to everything that is there and should not be.
"""
import hashlib
import os
import random
import stat

KIB, MIB = 1 << 10, 1 << 20


def bencode(x):
    """Dictionaries sorted by their raw keys; str as UTF-8; Raw() as it is."""
    if isinstance(x, Raw):
        return bytes(x)
    if isinstance(x, bool):
        raise TypeError("bencode has no booleans")
    if isinstance(x, int):
        return b"i%de" % x
    if isinstance(x, str):
        x = x.encode()
    if isinstance(x, (bytes, bytearray)):
        return b"%d:%s" % (len(x), bytes(x))
    if isinstance(x, (list, tuple)):
        return b"l" + b"".join(map(bencode, x)) + b"e"
    pairs = sorted((k.encode() if isinstance(k, str) else k, v) for k, v in x.items())
    return b"d" + b"".join(bencode(k) + bencode(v) for k, v in pairs) + b"e"


class Raw(bytes):
    """Bytes that are already bencoded, or are meant to be wrong."""


def bdecode(b):
    """The value at the start of b, and how many bytes it took.  For what the tests themselves made."""
    def value(i):
        c = b[i:i + 1]
        if c == b"i":
            e = b.index(b"e", i)
            return int(b[i + 1:e]), e + 1
        if c in b"ld" and c:
            items, i = [], i + 1
            while b[i:i + 1] != b"e":
                v, i = value(i)
                items.append(v)
            return (items if c == b"l" else dict(zip(items[::2], items[1::2]))), i + 1
        colon = b.index(b":", i)
        n = int(b[i:colon])
        if colon + 1 + n > len(b):
            raise ValueError("string past the end")
        return b[colon + 1:colon + 1 + n], colon + 1 + n
    return value(0)


class File:
    """One file of a payload: path components as str or bytes, length, BEP 47 attributes."""

    def __init__(self, path, length, attr=""):
        self.path = [os.fsencode(c) for c in (path.split("/") if isinstance(path, str) else path)]
        self.length, self.attr = length, attr


def random_bytes(rnd, length, most=1 << 27):
    """randbytes() makes less than 256 MiB at once."""
    return b"".join(rnd.randbytes(min(most, length - at)) for at in range(0, length, most))


class Payload:
    def __init__(self, folder, name, files, piece_length=32 * KIB, trackers=(), private=False, extra=None, seed=1):
        """files: a length (single file) or a list of File.  The data is written to folder/name."""
        self.folder, self.name, self.piece_length = str(folder), os.fsencode(name), piece_length
        self.single = isinstance(files, int)
        self.files = [File([self.name], files)] if self.single else files
        self.root = os.path.join(os.fsencode(self.folder), self.name)
        rnd = random.Random("%s %d" % (name, seed))
        self.data = b"".join(bytes(f.length) if "p" in f.attr else random_bytes(rnd, f.length) for f in self.files)
        self.hashes = [hashlib.sha1(self.data[i:i + piece_length]).digest() for i in range(0, len(self.data), piece_length)]
        self.info = {"name": self.name, "piece length": piece_length, "pieces": b"".join(self.hashes)}
        if private:
            self.info["private"] = 1
        if self.single:
            self.info["length"] = files
        else:
            self.info["files"] = [dict({"length": f.length, "path": f.path}, **({"attr": f.attr} if f.attr else {})) for f in self.files]
        self.infohash = hashlib.sha1(bencode(self.info)).digest()
        self.expected = {}
        self._write()
        self.torrent = os.path.join(self.folder, os.fsdecode(self.name[:100]) + ".torrent")
        self.write_torrent(trackers, extra)

    def _write(self):
        at = 0
        for f in self.files:
            data = self.data[at:at + f.length]
            at += f.length
            if "p" in f.attr:
                continue
            path = self.root if self.single else os.path.join(self.root, *f.path)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as out:
                out.write(data)
            self.expected[b"" if self.single else b"/".join(f.path)] = hashlib.sha256(data).hexdigest()

    def write_torrent(self, trackers=(), extra=None, path=None):
        """(Re)writes the .torrent: trackers is a list of URLs, each a tier of its own, or of lists of URLs."""
        top = {"info": self.info, "created by": "bulkhead tests"}
        tiers = [[t] if isinstance(t, str) else list(t) for t in trackers]
        if tiers:
            top["announce"] = tiers[0][0]
        if len(tiers) > 1 or (tiers and len(tiers[0]) > 1):
            top["announce-list"] = tiers
        top.update(extra or {})
        path = path or self.torrent
        with open(path, "wb") as f:
            f.write(bencode(top))
        return path

    @property
    def length(self):
        return len(self.data)

    @property
    def pieces(self):
        return len(self.hashes)

    def final(self, outdir):
        return os.path.join(os.fsencode(str(outdir)), self.name)

    def part(self, outdir):
        return self.final(outdir) + b".part"

    def block(self, piece, begin, length):
        at = piece * self.piece_length + begin
        return self.data[at:at + length]

    def piece_bytes(self, piece):
        return min(self.piece_length, self.length - piece * self.piece_length)

    def differences(self, outdir):
        """What is wrong with the download in outdir, as a list of sentences; empty when nothing is."""
        top, wrong, found = self.final(outdir), [], {}
        if not os.path.lexists(top):
            return ["%r is not there" % top]
        for path in walk(top):
            st = os.lstat(path)
            if stat.S_ISDIR(st.st_mode):
                continue
            if not stat.S_ISREG(st.st_mode):
                wrong.append("%r is neither file nor directory" % path)
                continue
            if st.st_mode & 0o7111:
                wrong.append("%r has mode %o" % (path, st.st_mode & 0o7777))
            with open(path, "rb") as f:
                found[os.path.relpath(path, top) if path != top else b""] = hashlib.sha256(f.read()).hexdigest()
        for path in sorted(set(found) | set(self.expected)):
            if found.get(path) != self.expected.get(path):
                wrong.append("%r: %s" % (path, "missing" if path not in found else "not of this torrent" if path not in self.expected else "SHA-256 differs"))
        if os.path.lexists(self.part(outdir)):
            wrong.append("%r is still there" % self.part(outdir))
        return wrong


def walk(top):
    """Every path at and below `top`, symlinks not followed."""
    yield top
    if os.path.isdir(top) and not os.path.islink(top):
        for name in sorted(os.listdir(top)):
            yield from walk(os.path.join(top, name))


# ---- the shapes that the tests download

def single(folder, length=1 * MIB + 12345, name="one file.bin", **kw):
    return Payload(folder, name, length, **kw)


def many(folder, name="many", **kw):
    """Nested, non-ASCII, empty files, one byte, sizes that no piece boundary meets."""
    return Payload(folder, name, [
        File("a/b/c/d/e/deep.bin", 200001),
        File("empty at the start", 0),
        File("Füße und Ωmega/日本語のファイル.txt", 70000),
        File("Füße und Ωmega/emoji 🚢.bin", 16385),
        File("one byte", 1),
        File("a/b/empty in between", 0),
        File("unaligned", 333333),
        File("zz/exactly one piece", 32 * KIB),
        File("zz/empty at the end", 0)], **kw)


def padded(folder, name="padded", **kw):
    """BEP 47: each file starts at a piece boundary, what is between is zeros that nobody stores."""
    piece, files = 32 * KIB, []
    for i, n in enumerate((50000, 1, 98304, 12345)):
        files.append(File("file%d.bin" % i, n))
        if n % piece and i < 3:
            files.append(File([".pad", str(piece - n % piece)], piece - n % piece, "p"))
    return Payload(folder, name, files, piece_length=piece, **kw)


def long_names(folder, name="long", **kw):
    return Payload(folder, name, [
        File("x" * 255, 40000),
        File("é" * 127 + "/" + "y" * 255, 40001)], **kw)


def small_files(folder, name="small", count=500, **kw):
    return Payload(folder, name, [File("d%02d/f%03d" % (i % 20, i), i * 7 % 3000) for i in range(count)], **kw)
