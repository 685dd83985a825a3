"""Trackers that misbehave: the download completes all the same, and nothing raw of theirs reaches the terminal."""
import pytest

import client
import payload as shapes
import seeders
import trackers
from client import assert_complete, get
from process import raw_bytes

pytestmark = pytest.mark.skipif(client.REFERENCE, reason="says nothing about the tests")

# Those that are only found out by waiting; the others fail as soon as they are asked.
SLOW = ["silent", "drips_headers", "drips_body", "stops_in_the_middle", "endless_chunk_extension"]
QUICK = sorted(set(trackers.BEHAVIOURS) - trackers.GOOD_ONES - set(SLOW))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return shapes.single(tmp_path_factory.mktemp("payload"), 700001)


@pytest.fixture
def served(tmp_path, data):
    t = trackers.Trackers(tmp_path, [seeders.libtorrent(data)])
    yield t
    t.close()


def asked(server):
    with server.cond:
        return [r.name for r in server.requests]


def run(data, outdir, urls, ca, peers=(), within=50):
    torrent = data.write_torrent(urls, path=str(outdir) + ".torrent")
    r = get(torrent, outdir, peers, trackers=True, options=["-v", "--ca-file", ca], tty=True, seconds=40)
    assert_complete(r, data, outdir, within)
    assert raw_bytes(bytes(r.out)) == [], r.told()
    return r


@pytest.mark.parametrize("name", sorted(trackers.GOOD_ONES))
def test_gets_its_peers_from(data, outdir, served, name):
    run(data, outdir, [served.url(name)], served.ca, within=20)


@pytest.mark.few
def test_of_the_quick_ones_each_is_asked_until_one_is_right(data, outdir, served):
    """Each in a tier of its own: the next is asked only when the one before has failed."""
    r = run(data, outdir, [served.url(n, "good" if n == "redirect_to_http" else "http") for n in QUICK] + [served.url("plain")], served.ca)
    names = asked(served.http) + asked(served.good)
    missing = set(QUICK) - set(names)
    assert not missing, "never asked: %s\n%s" % (sorted(missing), r.told())
    assert names.count("plain") >= 1


@pytest.mark.few
def test_certificates_that_are_wrong_lead_to_the_next(data, outdir, served):
    urls = [served.url("plain", s) for s in ("other", "unknown", "expired", "no_tls")] + [served.url("plain", "good")]
    run(data, outdir, urls, served.ca)
    assert [asked(s) for s in (served.other, served.unknown, served.expired)] == [[], [], []]
    assert "plain" in asked(served.good)


@pytest.mark.parametrize("name", SLOW)
def test_a_slow_one_holds_nothing_up(data, outdir, served, name):
    run(data, outdir, [served.url(name)], served.ca, served.http.peers, within=30)


def test_there_are_enough_of_them():
    assert len(QUICK) + len(SLOW) >= 40
