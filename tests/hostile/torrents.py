"""torrents.py - torrent files that must be refused, and torrent files that are merely awkward.

REFUSED: name -> bytes (or a function that makes them, for the large ones).
AWKWARD: name -> list of File: what a hostile or careless maker calls its files; all of them must land, as plain
files inside the download, whatever they are called there.
"""
import hashlib

from payload import File, Raw, bencode

PIECE = 16384


def torrent(info=None, top=None, **changes):
    """A good torrent of one file, with these changes to its info; None takes a key out."""
    base = {"name": "name", "piece length": PIECE, "pieces": bytes(20), "length": 1000} if info is None else dict(info)
    base.update({k.replace("_", " "): v for k, v in changes.items()})
    whole = {"info": {k: v for k, v in base.items() if v is not None}}
    whole.update(top or {})
    return bencode(whole)


def many(*paths, **changes):
    """A torrent of files of 100 bytes each under these paths (lists of components)."""
    return torrent(length=None, files=[{"length": 100, "path": list(p)} for p in paths], **changes)


def info_of(raw):
    return b"d4:info" + raw + b"e"


GOOD = torrent()
HEAD = b"d6:lengthi1000e4:name4:name12:piece lengthi16384e6:pieces20:" + bytes(20)

REFUSED = {
    # no torrent at all
    "empty": b"",
    "text": b"hello\n",
    "html": b"<!DOCTYPE html><html><body>404</body></html>",
    "terminal codes": b"\x1b[2J\x1b]0;owned\x07" * 50,
    "zeros": bytes(5000),
    "an integer": b"i1e",
    "a list": b"l" + GOOD + b"e",
    "an empty dictionary": b"de",
    "truncated by one byte": GOOD[:-1],
    "truncated in the middle": GOOD[:len(GOOD) // 2],
    "trailing data": GOOD + b"x",
    "two torrents": GOOD * 2,
    # bencode
    "string longer than the file": b"d4:infod4:name99999999:xee",
    "string length of 20 digits": b"d4:infod4:name99999999999999999999:xee",
    "string length negative": b"d4:infod4:name-1:xee",
    "integer empty": info_of(b"d6:lengthie4:name4:name12:piece lengthi16384e6:pieces20:" + bytes(20) + b"e"),
    "integer of 1000 digits": info_of(b"d6:lengthi" + b"9" * 1000 + b"e4:name4:name12:piece lengthi16384e6:pieces20:" + bytes(20) + b"e"),
    "integer with a blank": info_of(b"d6:lengthi 1000e4:name4:name12:piece lengthi16384e6:pieces20:" + bytes(20) + b"e"),
    "integer never ends": b"d4:infod6:lengthi" + b"1" * 100000,
    "key that is no string": b"di1ei2e4:info" + GOOD[7:-1] + b"e",
    "key without value": b"d4:infoe",
    "nested 1,000,000 lists deep": lambda: b"d1:a" + b"l" * 1000000 + b"e" * 1000000 + GOOD[1:],
    "nested 1,000,000 dictionaries deep": lambda: b"d1:a" + b"d1:a" * 1000000,
    "lists that never close": lambda: b"l" * (20 << 20),
    "duplicate info": b"d" + GOOD[1:-1] + GOOD[1:-1] + b"e",
    "duplicate length": info_of(HEAD.replace(b"d6:lengthi1000e", b"d6:lengthi1000e6:lengthi2000e") + b"e"),
    "duplicate name": info_of(HEAD.replace(b"4:name4:name", b"4:name4:name4:name5:other") + b"e"),
    # what is missing or of the wrong kind
    "no info": bencode({"announce": "http://127.0.0.1:1/"}),
    "info a list": info_of(b"l4:namee"),
    "info a string": info_of(b"4:name"),
    "no name": torrent(name=None),
    "no length": torrent(length=None),
    "no pieces": torrent(pieces=None),
    "no piece length": torrent(piece_length=None),
    "name an integer": torrent(name=5),
    "name empty": torrent(name=""),
    "length a string": torrent(length="1000"),
    "pieces a list": torrent(pieces=[bytes(20)]),
    "files a string": torrent(length=None, files="x"),
    "files empty": torrent(length=None, files=[]),
    "file without length": torrent(length=None, files=[{"path": ["a"]}]),
    "file without path": torrent(length=None, files=[{"length": 100}]),
    "file that is a string": torrent(length=None, files=["a"]),
    "path a string": torrent(length=None, files=[{"length": 100, "path": "a/b"}]),
    "path of integers": torrent(length=None, files=[{"length": 100, "path": [1]}]),
    "both length and files": torrent(files=[{"length": 1000, "path": ["a"]}]),
    # numbers
    "length negative": torrent(length=-1),
    "length 2^63": torrent(length=1 << 63),
    "length 2^64": torrent(length=1 << 64),
    "length above the pieces": torrent(length=PIECE + 1),
    "length below the pieces": torrent(length=1000, pieces=bytes(40)),
    "file length negative": torrent(length=None, files=[{"length": 2000, "path": ["a"]}, {"length": -1000, "path": ["b"]}]),
    "file lengths that wrap": torrent(length=None, files=[{"length": (1 << 63) - 1, "path": ["a"]}, {"length": (1 << 63) - 1, "path": ["b"]}, {"length": 1002, "path": ["c"]}]),
    "piece length 0": torrent(piece_length=0),
    "piece length negative": torrent(piece_length=-PIECE),
    "piece length 2^40": torrent(piece_length=1 << 40),
    "piece length 2^63": torrent(piece_length=1 << 63),
    "pieces of 19 bytes": torrent(pieces=bytes(19)),
    "pieces of 39 bytes": torrent(pieces=bytes(39), length=PIECE * 2),
    "pieces empty": torrent(pieces=b""),
    "exabytes": torrent(length=1 << 60, piece_length=1 << 30),
    # paths that escape
    "path with ..": many(["..", "escaped"]),
    "path with .. inside": many(["a", "..", "..", "escaped"]),
    "path ends in ..": many(["a", ".."]),
    "path of .. alone": many([".."]),
    "path empty": many([]),
    "component empty": many(["a", "", "b"]),
    "component with NUL": many(["a\0b"]),
    "name ..": torrent(name=".."),
    "name .. of many": many(["a"], name=".."),
    "name with NUL": torrent(name="a\0b"),
    "name absolute": torrent(name="/etc/cron.d/owned"),
    "name absolute of many": many(["a"], name="/tmp/owned"),
    "component with .. inside": many(["a", "c/../../d"]),
    "component absolute": many(["/etc", "owned"]),
    "utf-8 path that escapes": torrent(length=None, files=[{"length": 100, "path": ["good"], "path.utf-8": ["..", "escaped"]}]),
    "utf-8 name that escapes": torrent(**{"name.utf-8": ".."}),
    # sizes
    "200,001 files": lambda: torrent(length=None, pieces=b"", files=Raw(b"l" + b"d6:lengthi0e4:pathl1:aee" * 200001 + b"e")),
    "3 million files": lambda: torrent(length=None, pieces=b"", files=Raw(b"l" + b"d6:lengthi0e4:pathl1:aee" * 3000000 + b"e")),
    "a path of 20,000 components": lambda: many(["d"] * 20000),
    "97 MiB": lambda: torrent(top={"comment": bytes(97 << 20)}),
    "12 million tokens": lambda: torrent(top={"a": Raw(b"l" + b"i0e" * 12000000 + b"e")}),
    # what is not supported yet
    "version 2 only": bencode({"info": {"name": "name", "piece length": PIECE, "meta version": 2,
                                        "file tree": {"name": {"": {"length": 1000, "pieces root": bytes(32)}}}}, "piece layers": {}}),
}

# Every good torrent, cut short anywhere, is none.
for cut in range(1, len(GOOD), 7):
    REFUSED["cut after %d bytes" % cut] = GOOD[:cut]

AWKWARD = {
    "control characters": [File([b"a\x1b[2Jb\x07\r\n"], 20000), File([b"dir\x01", b"\x7f\x08x"], 20001)],
    "slash inside a component": [File([b"a/b"], 20000), File([b"x", b"c/d/e"], 20001)],
    "backslashes and colons": [File([b"..\\..\\a"], 20000), File([b"C:\\x"], 20001), File([b"a:b"], 20002)],
    "invalid UTF-8": [File([b"\xff\xfe"], 20000), File([b"caf\xe9"], 20001), File([b"\xc0\xae\xc0\xae"], 20002), File([b"\xed\xa0\x80"], 20003)],
    "names over 255 bytes": [File([b"x" * 256], 20000), File([b"x" * 257], 20001), File([b"y" * 5000, b"z"], 20002), File(["é".encode() * 200], 20003)],
    "the same name twice": [File([b"same"], 20000), File([b"same"], 20001), File([b"SAME"], 20002), File([b"same"], 20003)],
    "a file that is a folder too": [File([b"a"], 20000), File([b"a", b"b"], 20001), File([b"a", b"b", b"c"], 20002)],
    "trailing dots and blanks": [File([b"a."], 20000), File([b"a "], 20001), File([b" a"], 20002), File([b"..."], 20003), File([b" "], 20004)],
    "direction marks": [File(["a\u202egnp.exe".encode()], 20000), File(["\u2066b\u2069".encode()], 20001), File(["\ufeff\u200e".encode()], 20002)],
    "names of devices": [File([b"con"], 20000), File([b"NUL.txt"], 20001), File([b"-rf"], 20002), File([b"~"], 20003), File([b".bashrc"], 20004)],
    "attributes": [File([b"run.sh"], 20000, "x"), File([b"hidden"], 20001, "h"), File([b"odd"], 20002, "zzz\x1b")],
    "names that mapping could make": [File([b"a%2fb"], 20000), File([b"a/b"], 20001), File([b"a_b"], 20002), File([b"%"], 20003), File([b"%25"], 20004)],
}


def infohash(raw_info):
    return hashlib.sha1(raw_info).digest()
