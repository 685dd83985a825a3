"""Twelve bulkheads, of which one has it all and gives it slowly: the others must pass on what they get."""
import pytest

import client
import crowd
import payload as shapes

pytestmark = pytest.mark.skipif(client.REFERENCE, reason="only bulkhead has this command line")


@pytest.mark.time_limit(120)
def test_twelve_pass_on_what_they_get(tmp_path):
    data = shapes.single(tmp_path, 64 << 20, piece_length=256 << 10)
    r = crowd.crowd(data, 8 << 20, within=60)
    told = "complete after %s s, given %s, the seed sent %d" % (r.times, r.sent, r.seed_sent)
    assert None not in r.times, told
    assert r.wrong == [], told
    assert r.seed_sent < 2 * data.length, told
    assert sum(r.sent) > data.length * (len(r.members) - 1) / 2, told
