"""Real clients that take from a seed and know nobody else, whoever connects to whom; and one swarm of all of them.

libtorrent, Transmission and aria2 have the fast extension, rtorrent has not.  All of them take at once, which costs
little more than the slowest of them.
"""
import pytest

import client
import isolation
import leechers
import payload as shapes
import process
import seeders
from client import end, events, get, listening, seed

MIB = 1 << 20
HERE = {"IPv4": isolation.HERE, "IPv6": isolation.HERE6}
NEXT = {"IPv4": isolation.next_here, "IPv6": isolation.next_here6}
NETS = ["10.77.0.0/16", "fd77::/16"]

pytestmark = pytest.mark.skipif(client.REFERENCE, reason="only bulkhead has these options")


@pytest.fixture
def data(tmp_path):
    return shapes.single(tmp_path, MIB + 777, piece_length=32 << 10)


def tracker_of(address, peers=(), **kw):
    """Transmission connects to nobody where there are seeds only."""
    t = seeders.Tracker(peers, address=address, **kw)
    t.extra = {"complete": 1, "incomplete": 1}
    return t


def one_of_each(data, family, tracker):
    torrent = data.write_torrent([tracker.url], path="%s.%s.torrent" % (data.torrent, family))
    return [make(data, NEXT[family](), torrent=torrent) for make in leechers.LEECHERS.values()]


def assert_given(r, data, leechers):
    end(r)
    assert events(r, "seeded")[0]["uploaded_bytes"] >= len(leechers) * data.length, r.told()


@pytest.mark.time_limit(120)
def test_all_connect_to_a_seed_and_complete(data, isolated):
    r = seed(data, trackers=False, allow=NETS, options=["--json"])
    port = listening(r)
    trackers = [tracker_of(here, [(here, port)]) for here in HERE.values()]
    takers = [x for family, t in zip(HERE, trackers) for x in one_of_each(data, family, t)]
    leechers.assert_complete(takers, 80)
    assert_given(r, data, takers)
    for t in trackers:
        t.close()


@pytest.mark.time_limit(120)
def test_a_seed_connects_to_all_of_them_and_they_complete(data, isolated):
    trackers = [tracker_of(here) for here in HERE.values()]
    takers = [x for family, t in zip(HERE, trackers) for x in one_of_each(data, family, t)]
    for x in takers:
        x.wait_ready()
    trackers.append(tracker_of(isolation.HERE, [(x.address, x.port) for x in takers]))
    r = seed(data, allow=NETS, options=["--json", "--no-listen"], torrent=data.write_torrent([trackers[-1].url], path=data.torrent + ".seed.torrent"))
    leechers.assert_complete(takers, 80)
    assert_given(r, data, takers)
    for t in trackers:
        t.close()


@pytest.mark.time_limit(120)
def test_a_swarm_of_all_of_them_completes(data, tmp_path, isolated):
    """One seed with a slow line, and six that take, two of them bulkhead: one as all the others, and one to which nobody
    can connect and which is not told of the seed, so that it has all from those that take.
    """
    tracker = tracker_of(isolation.HERE, learn="all")
    torrent = data.write_torrent([tracker.url], path=data.torrent + ".all.torrent")
    source = isolation.next_here()
    r = seed(data, allow=NETS, torrent=torrent, options=["--json", "--bind", source, "--max-up", "256k"])
    process.wait_for(lambda: tracker.announces, 15, "the seed announces")
    takers = [make(data, isolation.next_here(), torrent=torrent) for make in leechers.LEECHERS.values()]
    told = {"trackers": True}
    closed = {"peers": [(x.address, x.port) for x in takers], "options": ["--no-listen"]}
    runs = []
    for name, kw in (("told", told), ("closed", closed)):
        (tmp_path / name).mkdir()
        options = ["--json", "--seed-time", "10m", "--bind", isolation.next_here(), *kw.pop("options", ())]
        runs.append((get(torrent, tmp_path / name, allow=NETS, seconds=80, options=options, **kw), tmp_path / name))
    leechers.assert_complete(takers, 80)
    for x, folder in runs:
        process.wait_for(lambda: b'"event":"complete"' in x.out or x.p.poll() is not None, 30, "bulkhead completes")
        end(x)
        assert not data.differences(folder), x.told()
    end(r)
    assert events(r, "seeded")[0]["uploaded_bytes"] < len(takers + runs) * data.length, r.told()
    tracker.close()


def test_a_tree_of_files_is_given(tmp_path, isolated):
    data = shapes.many(tmp_path)
    leecher = leechers.libtorrent(data, isolation.next_here())
    leecher.wait_ready()
    r = seed(data, trackers=False, allow=NETS, peers=[(leecher.address, leecher.port)], options=["--json", "--no-listen"])
    leecher.assert_complete()
    end(r)
