"""A small swarm of bulkheads: one seed with a slow line, five that fetch from it and from each other, one of which gives nothing.

The line is so slow that it, and not the machine, is what everybody waits for.
"""
import pytest

import client
import crowd
import payload as shapes

pytestmark = pytest.mark.skipif(client.REFERENCE, reason="a swarm of bulkheads")

MIB = 1 << 20


def test_a_swarm_shares_and_who_gives_nothing_waits(tmp_path):
    data = shapes.single(tmp_path, 10 * MIB + 777, piece_length=64 << 10)
    r = crowd.crowd(data, 2 * MIB, count=5, free_rider=True, within=50)
    assert None not in r.times and not r.wrong, (r.times, r.wrong)
    honest = [i for i in range(5) if i != r.rider]
    figures = "seed %.2f, given %s, complete after %s" % (r.seed_sent / data.length, ["%.2f" % (x / data.length) for x in r.sent], ["%.1f" % x for x in r.times])
    print(figures)
    # Five that do not share take five copies.
    assert data.length <= r.seed_sent <= 3.5 * data.length, figures
    assert all(r.sent[i] > data.length / 10 for i in honest) and r.sent[r.rider] < data.length / 10, figures
    # The others serve it little, even when they are complete: in the end it has what it lacks from the seed alone.
    assert r.times[r.rider] > max(r.times[i] for i in honest), figures
