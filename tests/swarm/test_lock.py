"""The normal form holds what a stranger chose: whoever is given one looks into it behind all walls, and not before."""
import struct

import pytest

import client
import compartments
from compartments import pair, sealed

pytestmark = pytest.mark.skipif(client.REFERENCE, reason="has no compartments")

NET_OPTIONS = struct.pack("=QIIIHBBBBBB28x", 64 << 20, 50, 50, 60000, 6881, 0, 1, 1, 1, 0, 1)


@pytest.mark.parametrize("program,channels,options", [
    ("bulkhead-netproc", ["DISK", "DIAL"], ("NET_OPTIONS", NET_OPTIONS)),
    ("bulkhead-dialer", ["DIAL", "RESOLVE"], ("DIALER_OPTIONS", compartments.dialer_options()))])
def test_a_form_that_is_none_is_found_after_the_last_wall(program, channels, options):
    ends = {what: pair(7) for what in channels}
    fds = {"FORM": (sealed(bytes(4096)), 0), **{what: (theirs.fileno(), 7) for what, (_, theirs) in ends.items()}}
    c = compartments.Compartment(program, fds, before_end=[options])  # READY came, and GO was said
    c.log_line("not a normal form")
    assert c.process.wait(5) == 1
