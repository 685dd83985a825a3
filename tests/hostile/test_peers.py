"""One honest seeder beside one peer of each misbehaviour: the download completes, bounded in time and memory.

And beside many at once.  The program runs on a terminal, with -v, so that whatever it says of them is seen raw.
"""
import contextlib

import pytest

import client
import payload as shapes
import peers
import seeders
from client import get
from peer import Swarm, honest
from process import raw_bytes


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return shapes.single(tmp_path_factory.mktemp("payload"), (2 << 20) + 12345, piece_length=64 << 10)


def blocks(data):
    return -(-data.length // 16384)


def download(data, outdir, behaviours, patience=3.0, within=40, least_acted=None):
    with Swarm(data, [honest] + behaviours, patience) as swarm, contextlib.ExitStack() as more:
        named, torrent = swarm.addresses, data.torrent
        if len(named) > 60:  # more than --peer takes: a tracker names them
            tracker = seeders.Tracker(named)
            more.callback(tracker.close)
            named, torrent = [], data.write_torrent([tracker.url], path=str(outdir) + ".torrent")
        swarm.start_clock()
        r = get(torrent, outdir, named, trackers=not named, options=["-v"], tty=not client.REFERENCE, seconds=30)
        client.assert_complete(r, data, outdir, within)
        acted = [p.name for p in swarm.hostile if p.acts]
        least = len(behaviours) if least_acted is None else least_acted
        assert len(acted) >= least, "not shown: %s\n%s" % (sorted(p.name for p in swarm.hostile if not p.acts), r.told())
        assert client.REFERENCE or swarm.wrong == [], swarm.wrong
        assert raw_bytes(bytes(r.out)) == [], r.told()
        for p in swarm.hostile:
            if p.behaviour in peers.CORRUPT:  # banned, not asked for everything again
                assert client.REFERENCE or p.requests <= blocks(data), "%s was asked %d times" % (p.name, p.requests)
            assert p.connections <= 30, "%s was dialled %d times" % (p.name, p.connections)
        return swarm, r


@pytest.mark.parametrize("behaviour", peers.ALL, ids=lambda b: b.__name__)
def test_completes_beside(data, outdir, behaviour):
    download(data, outdir, [behaviour])


def test_completes_beside_all_of_them_at_once(data, outdir):
    download(data, outdir, [b for b in peers.ALL if b not in peers.FLOODS], patience=8.0, within=58, least_acted=len(peers.ALL) * 2 // 3)


def test_completes_beside_all_floods_at_once(data, outdir):
    download(data, outdir, list(peers.FLOODS), patience=4.0, within=58, least_acted=len(peers.FLOODS) // 2)


def test_completes_beside_all_that_send_wrong_data_at_once(data, outdir):
    download(data, outdir, list(peers.CORRUPT), patience=4.0, within=58, least_acted=len(peers.CORRUPT) // 2)


def test_completes_beside_twenty_that_send_noise(data, outdir):
    noise = next(b for b in peers.CORRUPT if b.__name__ == "answers_with_noise")
    swarm, r = download(data, outdir, [noise] * 20, patience=4.0, within=58, least_acted=1)
    if not client.REFERENCE:
        assert sum(p.requests for p in swarm.hostile) < 4 * blocks(data), "asked them again and again: %d requests" % sum(p.requests for p in swarm.hostile)


def test_one_address_named_twice_is_one_connection(data, outdir):
    if client.REFERENCE:
        pytest.skip("its own ways")
    with Swarm(data, [honest], 0.1) as swarm:
        swarm.start_clock()
        r = get(data.torrent, outdir, swarm.addresses * 3)
        client.assert_complete(r, data, outdir)
        assert swarm.all[0].connections == 1


def test_there_are_enough_of_them():
    assert len(peers.ALL) >= 40 and len({b.__name__ for b in peers.ALL}) == len(peers.ALL)
