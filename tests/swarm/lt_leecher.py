#!/usr/bin/python3
"""lt_leecher.py ADDRESS PORT FOLDER TORRENT HOST:PORT...: downloads TORRENT into FOLDER from these peers, and gives what it has.

Prints COMPLETE when all is there, and stays until it is stopped.
"""
import sys
import time

import libtorrent as lt

from lt_seeder import session


def main():
    address, port, folder, torrent = sys.argv[1:5]
    s = session(address, int(port))
    s.apply_settings({"connections_limit": 50, "smooth_connects": False, "min_reconnect_time": 1})
    p = lt.add_torrent_params()
    p.ti = lt.torrent_info(torrent)
    p.save_path = folder
    p.flags &= ~lt.torrent_flags.auto_managed & ~lt.torrent_flags.paused
    h = s.add_torrent(p)
    told, dialled, end = False, 0, time.monotonic() + 600
    while time.monotonic() < end:
        if time.monotonic() - dialled > 2:
            dialled = time.monotonic()
            for peer in sys.argv[5:]:
                host, _, where = peer.rpartition(":")
                h.connect_peer((host, int(where)))
        s.wait_for_alert(200)
        s.pop_alerts()
        if not told and h.status().is_seeding:
            told = True
            print("COMPLETE", flush=True)


if __name__ == "__main__":
    main()
