#!/usr/bin/python3
"""reference.py - a client with bulkhead's command line and libtorrent's insides.

Takes bulkhead's place (BULKHEAD=tests/swarm/reference.py) to show that the seeders, trackers and hostile peers of
the tests are what they claim to be: what a well-known client completes too is no fault of the test.
"""
import argparse
import os
import sys
import time

import libtorrent as lt


def main():
    a = argparse.ArgumentParser()
    a.add_argument("command")
    a.add_argument("-d", default=".")
    a.add_argument("--peer", action="append", default=[])
    a.add_argument("--allow-net", action="append")
    a.add_argument("--timeout", type=float, default=60)
    a.add_argument("--no-trackers", action="store_true")
    a.add_argument("--ca-file")
    a.add_argument("-v", action="count")
    a.add_argument("-q", action="store_true")
    a.add_argument("source")
    a = a.parse_args()
    s = lt.session({
        "listen_interfaces": "127.0.0.1:0", "enable_dht": False, "enable_lsd": False, "enable_upnp": False, "enable_natpmp": False,
        "enable_outgoing_utp": False, "enable_incoming_utp": False, "allow_multiple_connections_per_ip": True, "ssrf_mitigation": False,
        "validate_https_trackers": bool(a.ca_file), "connection_speed": 500, "peer_timeout": 30, "request_timeout": 5, "piece_timeout": 5,
        "no_connect_privileged_ports": False})
    p = lt.add_torrent_params()
    p.ti = lt.torrent_info(a.source)
    p.save_path = a.d
    p.flags &= ~lt.torrent_flags.auto_managed & ~lt.torrent_flags.paused
    if a.no_trackers:
        p.trackers, p.ti = [], p.ti
    h = s.add_torrent(p)
    if a.no_trackers:
        h.replace_trackers([])
    for peer in a.peer:
        host, port = peer.rsplit(":", 1)
        h.connect_peer((host.strip("[]"), int(port)))
    end, done = time.monotonic() + a.timeout, -1
    while time.monotonic() < end:
        st = h.status()
        if st.is_seeding:
            h.flush_cache()
            s.pause()
            time.sleep(0.2)
            print(os.path.join(a.d, p.ti.name()))
            return 0
        if st.total_wanted_done > done:
            done, end = st.total_wanted_done, time.monotonic() + a.timeout
        time.sleep(0.02)
    return 5


sys.exit(main())
