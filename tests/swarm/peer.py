"""peer.py - a BitTorrent peer written by hand, honest until told otherwise.

All scripted peers of a test live in one asyncio loop in one thread (Swarm).  A behaviour is a coroutine
`async def behaviour(c)` that is given each connection (Conn) that the program under test makes; or, of a swarm that
calls, that the peer makes to the program.  `honest` is one; the others are in tests/hostile/peers.py.
"""
import asyncio
import contextlib
import os
import struct
import threading

import seeders

CHOKE, UNCHOKE, INTERESTED, NOT_INTERESTED, HAVE, BITFIELD, REQUEST, PIECE, CANCEL, PORT = range(10)
SUGGEST, HAVE_ALL, HAVE_NONE, REJECT, ALLOWED_FAST = range(13, 18)
EXTENDED = 20
PROTOCOL = b"\x13BitTorrent protocol"


def message(id, payload=b""):
    return struct.pack(">IB", 1 + len(payload), id) + payload


class Conn:
    """One connection, as the scripted peer sees it."""

    def __init__(self, peer, reader, writer):
        self.peer, self.payload, self.reader, self.writer = peer, peer.payload, reader, writer
        self.number = peer.connections          # the how-manieth of this peer, from 1
        self.theirs = None                      # their handshake, 68 bytes
        self.unchoked = False

    # -- bytes
    async def raw(self, data):
        self.writer.write(data)
        await self.writer.drain()

    async def send(self, id, payload=b""):
        await self.raw(message(id, payload))

    async def recv(self):
        """The next message as (id, payload); id None is a keep-alive."""
        n = struct.unpack(">I", await self.reader.readexactly(4))[0]
        if n > 1 << 20:
            raise AssertionError("the program under test sent a message of %d bytes" % n)
        body = await self.reader.readexactly(n)
        return (body[0], body[1:]) if n else (None, b"")

    def acted(self):
        """The misbehaviour has been shown: from now on honest peers give what they have."""
        self.peer.acts += 1
        self.peer.swarm.note()

    async def hold(self, seconds=600):
        """Reads and forgets."""
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._drain(), seconds)

    async def _drain(self):
        while await self.reader.read(65536):
            pass

    def reset(self):
        """Closes with RST."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(1, 13, struct.pack("ii", 1, 0))  # SOL_SOCKET, SO_LINGER
        self.writer.transport.abort()

    # -- the protocol, done right
    def hello(self, reserved=bytes(8), infohash=None, peer_id=None):
        return PROTOCOL + reserved + (infohash or self.payload.infohash) + (peer_id or self.peer.id)

    async def handshake(self, reserved=bytes(8), infohash=None, peer_id=None):
        """Whoever has called speaks first."""
        if not self.peer.swarm.calls:
            self.theirs = await self.reader.readexactly(68)
        await self.raw(self.hello(reserved, infohash, peer_id))
        if self.peer.swarm.calls:
            self.theirs = await self.reader.readexactly(68)

    def bits(self, pieces=None):
        """A bitfield of these pieces (default: all)."""
        b = bytearray((self.payload.pieces + 7) // 8)
        for i in range(self.payload.pieces) if pieces is None else pieces:
            b[i // 8] |= 0x80 >> i % 8
        return bytes(b)

    async def bitfield(self, pieces=None):
        await self.send(BITFIELD, self.bits(pieces))

    async def unchoke(self):
        self.unchoked = True
        await self.send(UNCHOKE)

    async def greet(self, **kw):
        """Handshake, "I have everything", unchoke."""
        await self.handshake(**kw)
        await self.bitfield()
        await self.unchoke()

    async def block(self, piece, begin, length, data=None):
        await self.send(PIECE, struct.pack(">II", piece, begin) + (self.payload.block(piece, begin, length) if data is None else data))

    async def next_request(self):
        """Waits for the next (piece, begin, length)."""
        while True:
            id, body = await self.recv()
            if id == REQUEST:
                self.peer.requests += 1
                return struct.unpack(">III", body)

    async def serve(self, answer=None):
        """Answers requests for ever: by answer(piece, begin, length), or truly, once the swarm's gate is open."""
        if not answer:
            await self.peer.swarm.gate.wait()
        while True:
            piece, begin, length = await self.next_request()
            if piece >= self.payload.pieces or begin + length > self.payload.piece_bytes(piece) or length > 1 << 17:
                self.peer.swarm.wrong.append("asked %s for piece %d begin %d length %d" % (self.peer.name, piece, begin, length))
                return
            if answer:
                await answer(piece, begin, length)
            else:
                await self.block(piece, begin, length)


async def honest(c):
    """A seed that gives what is asked of it, once the swarm's gate is open."""
    await c.handshake()
    await c.bitfield()
    await c.peer.swarm.gate.wait()
    await c.unchoke()
    await c.serve()


async def metered(c):
    """A seed that gives as many blocks as Swarm.allow() has allowed so far, then waits."""
    await c.handshake()
    await c.bitfield()
    await c.unchoke()

    async def answer(piece, begin, length):
        await c.peer.swarm.allowed.acquire()
        c.peer.swarm.given += 1
        await c.block(piece, begin, length)
    await c.serve(answer)


class Peer:
    def __init__(self, swarm, payload, behaviour, address):
        self.swarm, self.payload, self.behaviour, self.name = swarm, payload, behaviour, behaviour.__name__
        self.id = b"-TS0000-" + os.urandom(12)
        self.address, self.port = address or seeders.next_address(), 0
        self.connections = self.open = self.acts = self.requests = 0
        self.tasks, self.sources = set(), set()

    async def listen(self, **kw):
        self.server = await asyncio.start_server(self.accept, self.address, 0, **kw)
        self.port = self.server.sockets[0].getsockname()[1]

    async def call(self, where):
        """Connects again and again, as soon as the last connection has ended."""
        while True:
            with contextlib.suppress(OSError, asyncio.TimeoutError):
                reader, writer = await asyncio.wait_for(asyncio.open_connection(*where, local_addr=(self.address, 0)), 5)
                await self.accept(reader, writer)
            await asyncio.sleep(0.3)

    async def accept(self, reader, writer):
        self.connections += 1
        self.open += 1
        self.swarm.most_open = max(self.swarm.most_open, sum(p.open for p in self.swarm.all))
        self.sources.add(writer.get_extra_info("peername")[0])
        self.tasks.add(asyncio.current_task())
        try:
            await self.behaviour(Conn(self, reader, writer))
        except (OSError, EOFError, asyncio.IncompleteReadError):
            pass  # they closed
        except AssertionError as e:
            self.swarm.wrong.append("%s: %s" % (self.name, e))
        finally:
            self.open -= 1
            self.tasks.discard(asyncio.current_task())
            writer.transport.abort()


class Swarm:
    """Scripted peers of one test.  The gate opens when every hostile peer has acted, or after `patience` seconds.

    They listen, or, with calls=(address, port), connect there.
    """

    def __init__(self, payload, behaviours, patience=2.0, calls=None):
        self.calls = calls
        self.payload, self.patience, self.wrong, self.given, self.most_open = payload, patience, [], 0, 0
        self.loop = asyncio.new_event_loop()
        self.ready = threading.Event()
        # Those that call come from networks of their own: how many may come from one is limited.
        self.all = [Peer(self, payload, b, seeders.next_network() if calls else None) for b in behaviours]
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()
        if not self.ready.wait(10):
            raise AssertionError("scripted peers did not start")

    def _run(self):
        asyncio.set_event_loop(self.loop)
        self.gate, self.closed, self.allowed = asyncio.Event(), asyncio.Event(), asyncio.Semaphore(0)
        with contextlib.suppress(asyncio.CancelledError):
            self.loop.run_until_complete(self._main())
        self.loop.close()

    async def _main(self):
        callers = []
        for p in self.all:
            if self.calls:
                callers.append(asyncio.create_task(p.call(self.calls)))
            else:
                await p.listen()
        self.note()
        self.loop.call_later(30, self.gate.set)
        self.ready.set()
        await self.closed.wait()
        for p in self.all:
            if not self.calls:
                p.server.close()
        tasks = callers + [t for p in self.all for t in p.tasks]
        for t in tasks:
            t.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def note(self):
        """A hostile peer has acted: is that all of them?  Patience starts with the first connection."""
        if all(p.acts for p in self.all if p.behaviour is not honest):
            self.gate.set()

    def start_clock(self):
        self.loop.call_soon_threadsafe(self.loop.call_later, self.patience, self.gate.set)

    def allow(self, blocks):
        def release():
            for _ in range(blocks):
                self.allowed.release()
        self.loop.call_soon_threadsafe(release)

    @property
    def addresses(self):
        return [(p.address, p.port) for p in self.all]

    @property
    def hostile(self):
        return [p for p in self.all if p.behaviour is not honest]

    def close(self):
        self.loop.call_soon_threadsafe(self.closed.set)
        self.thread.join(10)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()
