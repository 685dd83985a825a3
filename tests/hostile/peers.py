"""peers.py - one peer of each misbehaviour: ALL is the table.

Each is a coroutine that gets the connections that the program under test makes (see swarm/peer.py).  It says
c.acted() once its misbehaviour has been shown; the honest seeder waits for that, so that no test passes because
the download was over before.
"""
import asyncio
import os
import random
import struct

from payload import Raw, bencode
from peer import (ALLOWED_FAST, BITFIELD, CANCEL, CHOKE, EXTENDED, HAVE, HAVE_ALL, HAVE_NONE, INTERESTED, NOT_INTERESTED, PIECE, PORT, PROTOCOL, REJECT, REQUEST, SUGGEST,
                  UNCHOKE, message)

ALL = []       # every misbehaviour
CORRUPT = []   # those among them that send wrong data
FLOODS = []    # those among them that send as much as they can

FAST = bytes(7) + b"\x04"
EXTENSION = bytes(5) + b"\x10" + bytes(2)
BOTH = bytes(5) + b"\x10\x00\x04"
TERMINAL = b"\x1b]0;owned\x07\x1b[2J\x1b[31m\x9b31m\r\n\x08\xff\xfe"


def hostile(f):
    ALL.append(f)
    return f


def corrupt(f):
    CORRUPT.append(f)
    return hostile(f)


def flood(f):
    FLOODS.append(f)
    return hostile(f)


def variants(template, rows, group=hostile):
    """Several misbehaviours that differ in one value: registered as template_name."""
    for name, value in rows.items():
        def make(value):
            async def behaviour(c):
                await template(c, value)
            return behaviour
        b = make(value)
        b.__name__ = template.__name__ + "_" + name
        group(b)


async def pour(c, data, seconds=2.0):
    """The same bytes again and again, for a while; then it stays and reads."""
    loop = asyncio.get_running_loop()
    end, chunk = loop.time() + seconds, data * (1 + 65536 // len(data))
    drain = asyncio.create_task(c.hold())
    try:
        await c.raw(chunk)
        c.acted()
        while loop.time() < end and not drain.done():
            try:
                await asyncio.wait_for(c.raw(chunk), 0.2)
            except asyncio.TimeoutError:
                pass  # it no longer reads: just as well
            await asyncio.sleep(0)
        await drain
    finally:
        drain.cancel()


# ---------------------------------------------------------------- before and during the handshake

async def says(c, data):
    await c.raw(data)
    c.acted()
    await c.hold()

variants(says, {
    "a_wrong_protocol": b"\x13BitTorrent protocoL" + bytes(48),
    "a_protocol_name_of_255_bytes": b"\xff" + b"B" * 400,
    "a_protocol_name_of_no_bytes": bytes(68),
    "http": b"HTTP/1.1 400 Bad Request\r\nServer: " + TERMINAL + b"\r\n\r\n",
    "half_a_handshake": PROTOCOL + bytes(8),
    "terminal_codes": TERMINAL * 20,
    "random_bytes": random.Random(5).randbytes(5000),
    "a_tls_record": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500),
})


@hostile
async def silence(c):
    c.acted()
    await c.hold()


@hostile
async def closes_at_once(c):
    c.acted()


@hostile
async def resets_at_once(c):
    c.acted()
    c.reset()


@hostile
async def half_a_handshake_then_close(c):
    await c.raw(c.hello()[:48])
    c.acted()


@hostile
async def wrong_infohash(c):
    await c.handshake(infohash=os.urandom(20))
    c.acted()
    await c.bitfield()
    await c.unchoke()
    await c.hold()


@hostile
async def own_peer_id(c):
    theirs = await c.reader.readexactly(68)
    await c.raw(theirs)
    c.acted()
    await c.bitfield()
    await c.hold()


@hostile
async def same_peer_id_as_another(c):
    """The honest seeder's id: whoever keeps one of the two must not be left with none."""
    await c.handshake(peer_id=c.peer.swarm.all[0].id)
    await c.bitfield()
    c.acted()
    await c.hold()


@hostile
async def peer_id_of_terminal_codes(c):
    await c.handshake(peer_id=TERMINAL[:20].ljust(20, b"\x1b"))
    await c.bitfield()
    c.acted()
    await c.hold()


@hostile
async def handshake_one_byte_a_second(c):
    for i, b in enumerate(c.hello()):
        await c.raw(bytes([b]))
        if i == 1:
            c.acted()
        await asyncio.sleep(1)


@hostile
async def everything_one_byte_at_a_time(c):
    await c.reader.readexactly(68)
    for b in c.hello() + message(BITFIELD, c.bits()) + message(UNCHOKE):
        await c.raw(bytes([b]))
        await asyncio.sleep(0)
    piece, begin, length = await c.next_request()
    for b in message(PIECE, struct.pack(">II", piece, begin) + c.payload.block(piece, begin, length))[:2000]:
        await c.raw(bytes([b]))
        await asyncio.sleep(0)
    c.acted()
    await c.hold()


@hostile
async def all_reserved_bits(c):
    """Claims every extension there ever was, then does as it should."""
    await c.handshake(reserved=b"\xff" * 8)
    await c.bitfield()
    await c.unchoke()
    c.acted()
    await c.serve()


@hostile
async def silence_after_handshake(c):
    await c.handshake()
    c.acted()
    await c.hold()


@hostile
async def closes_after_handshake(c):
    await c.handshake()
    c.acted()


@hostile
async def two_handshakes(c):
    await c.handshake()
    await c.raw(c.hello())
    c.acted()
    await c.hold()


@hostile
async def messages_before_the_handshake(c):
    await c.raw(message(BITFIELD, c.bits()) + message(UNCHOKE))
    c.acted()
    await c.hold()


@flood
async def endless_zeros_instead_of_a_handshake(c):
    await pour(c, bytes(4096))


# ---------------------------------------------------------------- lengths

async def after_greeting(c, data):
    """Greets as it should, then sends this."""
    await c.greet()
    await c.raw(data)
    c.acted()
    await c.hold()

variants(after_greeting, {
    "length_of_4_gib": b"\xff\xff\xff\xff",
    "length_of_4_gib_piece": b"\xff\xff\xff\xff\x07" + bytes(70000),
    "length_of_4_gib_bitfield": b"\xff\xff\xff\xff\x05" + bytes(70000),
    "length_of_2_gib": b"\x80\x00\x00\x00\x07" + bytes(70000),
    "length_of_16_mib_extended": b"\x01\x00\x00\x00\x14\x00" + bytes(70000),
    "length_of_1_mib_unknown_id": struct.pack(">IB", 1 << 20, 200) + bytes(70000),
    "length_of_piece_just_above_a_block": struct.pack(">IB", 9 + 16385, 7) + bytes(9000),
    "choke_with_payload": message(CHOKE, bytes(9)),
    "have_of_3_bytes": message(HAVE, bytes(3)),
    "have_of_5_bytes": message(HAVE, bytes(5)),
    "request_of_11_bytes": message(REQUEST, bytes(11)),
    "cancel_of_13_bytes": message(CANCEL, bytes(13)),
    "piece_without_data": message(PIECE, bytes(8)),
    "piece_of_7_bytes": message(PIECE, bytes(7)),
    "piece_of_no_bytes": message(PIECE),
    "port_of_1_byte": message(PORT, b"\x01"),
    "empty_extended": message(EXTENDED),
    "empty_bitfield": message(BITFIELD),
    "bitfield_of_1_mib": message(BITFIELD, bytes(1 << 20)),
})


# ---------------------------------------------------------------- floods

async def flood_of(c, data):
    await c.greet(reserved=BOTH)
    await pour(c, data)

variants(flood_of, {
    "keep_alives": bytes(4),
    "choke_and_unchoke": message(CHOKE) + message(UNCHOKE),
    "interested": message(INTERESTED),
    "interested_and_not": message(INTERESTED) + message(NOT_INTERESTED),
    "have_of_one_piece": message(HAVE, bytes(4)),
    "unknown_ids": b"".join(message(i, b"x") for i in range(40, 250)),
    "extended_of_unknown_number": message(EXTENDED, b"\xc8" + b"d1:ai1ee"),
    "extended_handshakes": message(EXTENDED, b"\x00" + bencode({"m": {"ut_pex": 1, "ut_metadata": 2}, "reqq": 1})),
    "ports": message(PORT, b"\x1a\xe1"),
    "cancels": message(CANCEL, struct.pack(">III", 0, 0, 16384)),
    "suggestions": message(SUGGEST, bytes(4)),
    "allowed_fast": message(ALLOWED_FAST, bytes(4)),
    "rejects": message(REJECT, struct.pack(">III", 0, 0, 16384)),
    "requests": message(REQUEST, struct.pack(">III", 0, 0, 16384)),
    "unrequested_pieces": message(PIECE, struct.pack(">II", 1, 16384) + bytes(16384)),
    "pieces_out_of_range": message(PIECE, struct.pack(">II", 1 << 30, 0) + bytes(16384)),
    "hash_requests": message(21, bytes(48)),
    "metadata_requests": message(EXTENDED, b"\x02" + b"d8:msg_typei0e5:piecei0ee"),
}, flood)


@flood
async def requests_and_never_reads(c):
    await c.handshake()
    await c.bitfield()
    await c.send(INTERESTED)
    await c.unchoke()
    loop = asyncio.get_running_loop()
    end, chunk = loop.time() + 2, message(REQUEST, struct.pack(">III", 0, 0, 16384)) * 4000
    c.acted()
    while loop.time() < end:
        try:
            await asyncio.wait_for(c.raw(chunk), 0.2)
        except asyncio.TimeoutError:
            break
    await asyncio.sleep(30)


@flood
async def flood_of_keep_alives_without_bitfield(c):
    await c.handshake()
    await pour(c, bytes(4))


# ---------------------------------------------------------------- bitfield, have

async def instead_of_a_bitfield(c, data):
    await c.handshake()
    await c.raw(data(c))
    await c.unchoke()
    c.acted()
    await c.serve()

variants(instead_of_a_bitfield, {
    "one_too_short": lambda c: message(BITFIELD, c.bits()[:-1]),
    "one_too_long": lambda c: message(BITFIELD, c.bits() + b"\x00"),
    "spare_bits_set": lambda c: message(BITFIELD, c.bits()[:-1] + b"\xff"),
    "two": lambda c: message(BITFIELD, c.bits()) * 2,
    "all_then_none": lambda c: message(BITFIELD, c.bits()) + message(BITFIELD, c.bits([])),
    "late": lambda c: message(HAVE, bytes(4)) + message(INTERESTED) + message(BITFIELD, c.bits()),
    "have_out_of_range": lambda c: message(HAVE, struct.pack(">I", c.payload.pieces)),
    "have_of_4_billion": lambda c: message(HAVE, b"\xff\xff\xff\xff"),
    "have_of_2_billion": lambda c: message(HAVE, b"\x80\x00\x00\x00"),
    "have_each_piece_twice": lambda c: b"".join(message(HAVE, struct.pack(">I", i // 2)) for i in range(2 * c.payload.pieces)),
    "bitfield_and_have_all": lambda c: message(BITFIELD, c.bits()) + message(HAVE_ALL),
    "have_all_without_the_fast_extension": lambda c: message(HAVE_ALL),
    "have_none_without_the_fast_extension": lambda c: message(HAVE_NONE) + message(HAVE, bytes(4)),
    "reject_without_the_fast_extension": lambda c: message(BITFIELD, c.bits()) + message(REJECT, struct.pack(">III", 0, 0, 16384)),
})


async def fast_peer(c, data):
    await c.handshake(reserved=FAST)
    await c.raw(data(c))
    await c.unchoke()
    c.acted()
    await c.serve()

variants(fast_peer, {
    "have_all_twice": lambda c: message(HAVE_ALL) * 2,
    "have_all_then_none": lambda c: message(HAVE_ALL) + message(HAVE_NONE),
    "have_none_then_all": lambda c: message(HAVE_NONE) + message(HAVE_ALL),
    "have_all_with_payload": lambda c: message(HAVE_ALL, bytes(7)),
    "allowed_fast_out_of_range": lambda c: message(HAVE_ALL) + message(ALLOWED_FAST, b"\xff\xff\xff\xff"),
    "suggestion_out_of_range": lambda c: message(HAVE_ALL) + message(SUGGEST, b"\x7f\xff\xff\xff"),
    "reject_of_what_was_not_asked": lambda c: message(HAVE_ALL) + message(REJECT, struct.pack(">III", 3, 0, 16384)),
    "reject_out_of_range": lambda c: message(HAVE_ALL) + message(REJECT, b"\xff" * 12),
})


@hostile
async def has_everything_and_rejects_everything(c):
    await c.handshake(reserved=FAST)
    await c.send(HAVE_ALL)
    await c.unchoke()
    while True:
        r = await c.next_request()
        await c.send(REJECT, struct.pack(">III", *r))
        c.acted()


@hostile
async def has_nothing_and_unchokes(c):
    await c.handshake()
    await c.bitfield([])
    await c.unchoke()
    c.acted()
    await c.hold()


# ---------------------------------------------------------------- pieces

async def answers(c, how):
    """Greets, and answers each request with what how(c, piece, begin, length) says."""
    await c.greet()
    n = 0
    while True:
        r = await c.next_request()
        await c.raw(how(c, *r))
        n += 1
        if n == 2:
            c.acted()


def piece(index, begin, data):
    return message(PIECE, struct.pack(">II", index & 0xffffffff, begin & 0xffffffff) + data)

variants(answers, {
    "with_another_index": lambda c, p, b, n: piece((p + 1) % c.payload.pieces, b, bytes(n)),
    "with_an_index_out_of_range": lambda c, p, b, n: piece(c.payload.pieces + 7, b, bytes(n)),
    "with_the_largest_index": lambda c, p, b, n: piece(-1, b, bytes(n)),
    "with_another_begin": lambda c, p, b, n: piece(p, b ^ 16384, bytes(n)),
    "with_an_unaligned_begin": lambda c, p, b, n: piece(p, b + 1, bytes(n)),
    "with_a_begin_that_wraps": lambda c, p, b, n: piece(p, -n, bytes(n)),
    "with_a_begin_past_the_end": lambda c, p, b, n: piece(p, 1 << 30, bytes(n)),
    "with_less_than_asked": lambda c, p, b, n: piece(p, b, c.payload.block(p, b, n)[:-1]),
    "with_more_than_asked": lambda c, p, b, n: piece(p, b, c.payload.block(p, b, n) + b"x"),
    "with_twice_as_much": lambda c, p, b, n: piece(p, b, c.payload.block(p, b, n) + bytes(n)),
    "with_one_byte": lambda c, p, b, n: piece(p, b, b"x"),
    "with_no_data": lambda c, p, b, n: piece(p, b, b""),
    "twenty_times": lambda c, p, b, n: piece(p, b, c.payload.block(p, b, n)) * 20,
    "with_choke_and_unchoke": lambda c, p, b, n: message(CHOKE) + message(UNCHOKE),
    "with_a_choke": lambda c, p, b, n: message(CHOKE),
    "with_keep_alives": lambda c, p, b, n: bytes(4),
})
variants(answers, {
    "with_zeros": lambda c, p, b, n: piece(p, b, bytes(n)),
    "with_noise": lambda c, p, b, n: piece(p, b, os.urandom(n)),
    "with_the_last_byte_wrong": lambda c, p, b, n: piece(p, b, c.payload.block(p, b, n)[:-1] + bytes([c.payload.block(p, b, n)[-1] ^ 1])),
    "with_every_other_block_wrong": lambda c, p, b, n: piece(p, b, bytes(n) if b // 16384 % 2 else c.payload.block(p, b, n)),
    "with_every_fourth_piece_wrong": lambda c, p, b, n: piece(p, b, bytes(n) if p % 4 == 0 else c.payload.block(p, b, n)),
    "with_one_block_of_a_piece_wrong": lambda c, p, b, n: piece(p, b, bytes(n) if b == 0 else c.payload.block(p, b, n)),
    "with_the_data_of_another_block": lambda c, p, b, n: piece(p, b, c.payload.block((p + 1) % (c.payload.pieces - 1), b, n).ljust(n, b"x")),
}, corrupt)


@corrupt
async def wrong_at_first_then_right(c):
    """Lies until the first hundred blocks are out, then is a model of honesty."""
    await c.greet()

    async def answer(p, b, n):
        c.peer.lies = getattr(c.peer, "lies", 0) + 1
        await c.block(p, b, n, bytes(n) if c.peer.lies <= 100 else None)
        if c.peer.lies == 4:
            c.acted()
    await c.serve(answer)


@corrupt
async def wrong_and_comes_back_with_another_peer_id(c):
    await c.greet(peer_id=os.urandom(20))

    async def answer(p, b, n):
        await c.block(p, b, n, bytes(n))
        c.acted()
    await c.serve(answer)


@hostile
async def answers_once_then_closes(c):
    await c.greet()
    await c.block(*await c.next_request())
    c.acted()


@hostile
async def answers_once_then_is_silent(c):
    await c.greet()
    await c.block(*await c.next_request())
    c.acted()
    await c.hold()


@hostile
async def stops_in_the_middle_of_a_block(c):
    await c.greet()
    p, b, n = await c.next_request()
    await c.raw(piece(p, b, c.payload.block(p, b, n))[:n // 2])
    c.acted()
    await c.hold()


@hostile
async def closes_in_the_middle_of_a_block(c):
    await c.greet()
    p, b, n = await c.next_request()
    await c.raw(piece(p, b, c.payload.block(p, b, n))[:n // 2])
    c.acted()


@hostile
async def resets_in_the_middle_of_a_block(c):
    await c.greet()
    p, b, n = await c.next_request()
    await c.raw(piece(p, b, c.payload.block(p, b, n))[:n // 2])
    await asyncio.sleep(0.05)
    c.acted()
    c.reset()


@hostile
async def answers_at_1_kib_a_second(c):
    await c.greet()
    while True:
        p, b, n = await c.next_request()
        data = piece(p, b, c.payload.block(p, b, n))
        for i in range(0, len(data), 103):
            await c.raw(data[i:i + 103])
            c.acted()
            await asyncio.sleep(0.1)


@hostile
async def never_unchokes(c):
    await c.handshake()
    await c.bitfield()
    c.acted()
    await c.hold()


@hostile
async def unchokes_and_never_answers(c):
    await c.greet()
    await c.next_request()
    c.acted()
    await c.hold()


@hostile
async def unchokes_and_sends_keep_alives(c):
    await c.greet()
    await c.next_request()
    c.acted()
    while True:
        await c.raw(bytes(4))
        await asyncio.sleep(0.2)


@hostile
async def chokes_with_requests_open(c):
    await c.greet()
    while True:
        await c.next_request()
        await c.send(CHOKE)
        c.acted()
        await asyncio.sleep(0.5)
        await c.send(UNCHOKE)


@hostile
async def answers_in_reverse_order_late(c):
    """Nothing forbidden: what was asked last comes first, two seconds late."""
    await c.greet()
    waiting = [await c.next_request()]
    c.acted()
    while True:
        try:
            while len(waiting) < 32:
                waiting.append(await asyncio.wait_for(c.next_request(), 2))
        except asyncio.TimeoutError:
            pass
        while waiting:
            await c.block(*waiting.pop())


@hostile
async def pieces_before_unchoke(c):
    await c.handshake()
    await c.bitfield()
    for i in range(20):
        await c.raw(piece(i % c.payload.pieces, 0, bytes(16384)))
        if i == 10:
            c.acted()  # it may be dropped before all are sent
    await c.hold()


@hostile
async def one_right_block_unasked(c):
    """The true data of a block that nobody asked it for."""
    await c.handshake()
    await c.bitfield()
    await c.unchoke()
    await c.raw(piece(c.payload.pieces - 1, 0, c.payload.block(c.payload.pieces - 1, 0, 16384)))
    c.acted()
    await c.serve()


# ---------------------------------------------------------------- what it asks of us

async def asks(c, body):
    await c.handshake()
    await c.bitfield([])
    await c.raw(message(INTERESTED) + message(REQUEST, body) * 3)
    c.acted()
    await c.hold()

variants(asks, {
    "for_a_piece_that_we_do_not_have": struct.pack(">III", 0, 0, 16384),
    "for_a_piece_out_of_range": struct.pack(">III", 1 << 31, 0, 16384),
    "for_no_bytes": struct.pack(">III", 0, 0, 0),
    "for_2_gib": struct.pack(">III", 0, 0, 1 << 31),
    "past_the_end_of_a_piece": struct.pack(">III", 0, 0xffffc000, 16384),
    "with_all_ones": b"\xff" * 12,
})


# ---------------------------------------------------------------- extension protocol (BEP 10)

async def extended(c, body):
    """An extended handshake of these bytes, then serves."""
    await c.handshake(reserved=EXTENSION)
    await c.send(EXTENDED, b"\x00" + body)
    await c.bitfield()
    await c.unchoke()
    c.acted()
    await c.serve()

variants(extended, {
    "garbage": b"\xff\x00garbage" * 10,
    "cut_short": bencode({"m": {"ut_pex": 1}})[:-3],
    "not_a_dictionary": b"i1e",
    "with_data_behind": bencode({"m": {}}) + b"trailing",
    "of_100_kib": bencode({"m": {}, "x": bytes(100000)}),
    "of_1_mib": bencode({"m": {}, "x": bytes((1 << 20) - 100)}),
    "nested_10000_deep": b"d1:m" + b"l" * 10000 + b"e" * 10000 + b"e",
    "nested_and_never_closed": b"d1:x" + b"l" * 60000,
    "of_10000_keys": bencode({"m": {"k%d" % i: i % 255 for i in range(10000)}}),
    "reqq_huge": bencode({"m": {}, "reqq": 1 << 62}),
    "reqq_negative": bencode({"m": {}, "reqq": -1}),
    "reqq_zero": bencode({"m": {}, "reqq": 0}),
    "reqq_a_string": bencode({"m": {}, "reqq": "many"}),
    "reqq_of_400_digits": b"d4:reqqi" + b"9" * 400 + b"ee",
    "string_length_huge": b"d1:v99999999999999999999:xe",
    "string_length_negative": b"d1:v-5:xe",
    "m_a_list": bencode({"m": [1, 2, 3]}),
    "m_numbers_out_of_range": bencode({"m": {"ut_pex": -1, "ut_metadata": 256, "lt_donthave": 1 << 40}}),
    "m_all_the_same_number": bencode({"m": {"ut_pex": 0, "ut_metadata": 0}}),
    "duplicate_keys": Raw(b"d4:reqqi5e4:reqqi250ee"),
    "version_of_terminal_codes": bencode({"m": {}, "v": TERMINAL * 100}),
    "metadata_size_huge": bencode({"m": {"ut_metadata": 3}, "metadata_size": 1 << 40}),
    "metadata_size_negative": bencode({"m": {"ut_metadata": 3}, "metadata_size": -1}),
    "yourip_of_3_bytes": bencode({"m": {}, "yourip": b"abc", "ipv4": b"x", "ipv6": b"y", "p": 70000}),
})


@hostile
async def extended_without_negotiation(c):
    await c.handshake()
    await c.send(EXTENDED, b"\x00" + bencode({"m": {"ut_pex": 1}}))
    await c.bitfield()
    await c.unchoke()
    c.acted()
    await c.serve()


@hostile
async def extended_handshake_that_never_ends(c):
    """Claims 60 KiB and sends one byte now and then."""
    await c.handshake(reserved=EXTENSION)
    await c.raw(struct.pack(">IBB", 60000, EXTENDED, 0) + b"d1:x59000:")
    c.acted()
    while True:
        await c.raw(b"x")
        await asyncio.sleep(0.1)


@hostile
async def peer_exchange_of_loopback(c):
    """Names fifty thousand peers on loopback and the LAN, unasked."""
    await c.greet(reserved=EXTENSION)
    await c.send(EXTENDED, b"\x00" + bencode({"m": {"ut_pex": 1}}))
    added = b"".join(struct.pack(">IH", 0x7f000001 + i, 22) for i in range(5000))
    for _ in range(10):
        await c.send(EXTENDED, b"\x01" + bencode({"added": added, "added.f": bytes(5000)}))
    c.acted()
    await c.serve()


@hostile
async def metadata_unasked(c):
    await c.greet(reserved=EXTENSION)
    await c.send(EXTENDED, b"\x00" + bencode({"m": {"ut_metadata": 2}, "metadata_size": 99999}))
    await c.send(EXTENDED, b"\x02" + bencode({"msg_type": 1, "piece": 0, "total_size": 99999}) + bytes(16384))
    c.acted()
    await c.serve()
