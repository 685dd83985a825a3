#!/usr/bin/python3
"""lt_seeder.py ADDRESS PORT FOLDER TORRENT tracker|alone|leech RATE [PEER PORT]: seeds TORRENT, whose data is in FOLDER, until it is stopped.

Prints SEEDING when the data was checked and (with "tracker") announced.  RATE is bytes per second, 0 for no limit.
Once it seeds it connects to PEER; with "leech" at once, and FOLDER need hold nothing.
"""
import sys
import time

import libtorrent as lt


def session(address, port):
    where = "[%s]:%d" % (address, port) if ":" in address else "%s:%d" % (address, port)
    return lt.session({
        "listen_interfaces": where, "outgoing_interfaces": address, "enable_dht": False, "enable_lsd": False, "enable_upnp": False, "enable_natpmp": False,
        "enable_outgoing_utp": False, "enable_incoming_utp": False, "allow_multiple_connections_per_ip": True,
        "in_enc_policy": int(lt.enc_policy.disabled), "out_enc_policy": int(lt.enc_policy.disabled), "allowed_enc_level": int(lt.enc_level.plaintext),
        "validate_https_trackers": False, "ssrf_mitigation": False, "allow_idna": True, "no_connect_privileged_ports": False,
        "alert_mask": lt.alert.category_t.error_notification | lt.alert.category_t.tracker_notification | lt.alert.category_t.status_notification})


def main():
    address, port, folder, torrent = sys.argv[1:5]
    tracker, rate = sys.argv[5] == "tracker", int(sys.argv[6])
    s = session(address, int(port))
    p = lt.add_torrent_params()
    p.ti = lt.torrent_info(torrent)
    p.save_path = folder
    p.flags &= ~lt.torrent_flags.auto_managed & ~lt.torrent_flags.paused
    h = s.add_torrent(p)
    if rate:
        h.set_upload_limit(rate)  # the session's own limit leaves out local peers
    peer = (sys.argv[7], int(sys.argv[8])) if sys.argv[7:] else None
    if peer and sys.argv[5] == "leech":
        h.connect_peer(peer)
    announced = not tracker
    told = False
    end = time.monotonic() + 600
    while time.monotonic() < end:
        s.wait_for_alert(200)
        for a in s.pop_alerts():
            if isinstance(a, lt.tracker_reply_alert):
                announced = True
            elif isinstance(a, (lt.tracker_error_alert, lt.listen_failed_alert, lt.file_error_alert)):
                print(a.message(), flush=True)
        if not told and announced and h.status().is_seeding:
            told = True
            print("SEEDING", flush=True)
            if peer and sys.argv[5] != "leech":
                h.connect_peer(peer)


if __name__ == "__main__":
    main()
