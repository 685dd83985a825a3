"""process.py - starting programs, the one under test and the others, so that none outlives its test.

Whatever was started is stopped by pid.  Run watches the whole tree of the program under test: its memory, its
processes, and what it wrote, to pipes or to a terminal.
"""
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import tempfile
import termios
import threading
import time

STARTED = []  # what must be stopped at the end of the test


def start(command, **kw):
    """A helper program (seeder, tracker): stdin closed, output to a file that read_log() reads."""
    log = tempfile.TemporaryFile()
    p = subprocess.Popen([str(c) for c in command], stdin=subprocess.DEVNULL, stdout=log, stderr=log, **kw)
    p.log = log
    STARTED.append(p)
    return p


def read_log(p):
    # By pread: the offset is shared with the helper, which would write where a seek has left it.
    return os.pread(p.log.fileno(), 1 << 24, 0).decode(errors="replace")


def wait_for(condition, seconds, what, process=None):
    """Polls until condition() is true; its value.  Fails when the time is over or the process is."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if process is not None and process.poll() is not None:
            raise AssertionError("%s: the program ended with %s: %s" % (what, process.returncode, read_log(process)[-2000:]))
        if time.monotonic() > end:
            raise AssertionError("%s: not within %g s%s" % (what, seconds, ": " + read_log(process)[-2000:] if process else ""))
        time.sleep(0.02)


def stop_all():
    while STARTED:
        p = STARTED.pop()
        if isinstance(p, Run):
            p.stop()
            continue
        if p.poll() is None:
            p.terminate()
            try:
                p.wait(3)
            except subprocess.TimeoutExpired:
                p.kill()
                p.wait()
        p.log.close()


def children(pid):
    """Pids of the tree below and including pid."""
    out, todo = [], [pid]
    while todo:
        p = todo.pop()
        try:
            for t in os.listdir("/proc/%d/task" % p):
                with open("/proc/%d/task/%s/children" % (p, t)) as f:
                    todo += [int(x) for x in f.read().split()]
            out.append(p)
        except OSError:
            pass
    return out


def birth(pid):
    """Start time of a process: tells it from another one that got the same pid; None when it is gone or a zombie."""
    try:
        with open("/proc/%d/stat" % pid, "rb") as f:
            v = f.read().rsplit(b")", 1)[1].split()
        return None if v[0] in (b"Z", b"X") else int(v[19])
    except OSError:
        return None


def program_name(pid):
    try:
        with open("/proc/%d/comm" % pid) as f:
            return f.read().strip()
    except OSError:
        return ""


def memory(pid):
    """(anonymous and shared bytes of this process in proportion, its peak resident size)."""
    own = peak = 0
    try:
        with open("/proc/%d/status" % pid) as f:
            st = dict(l.split(":", 1) for l in f)
        peak = int(st.get("VmHWM", "0 kB").split()[0]) << 10
        own = (int(st.get("RssAnon", "0 kB").split()[0]) + int(st.get("RssShmem", "0 kB").split()[0])) << 10
        with open("/proc/%d/smaps_rollup" % pid) as f:
            roll = dict(l.split(":", 1) for l in f.readlines()[1:])
        own = (int(roll["Pss_Anon"].split()[0]) + int(roll["Pss_Shmem"].split()[0])) << 10
    except (OSError, ValueError, KeyError):
        pass  # it ended, or we may not look: what status said stands, an upper bound
    return own, peak


class Run:
    """The program under test, running.  stdout, stderr: descriptors in place of the pipes that are read here."""

    def __init__(self, command, tty=False, stdin=None, env=None, cwd=None, before=None, sample=True, stdout=None, stderr=None):
        self.command = [os.fsencode(str(c)) if not isinstance(c, bytes) else c for c in command]
        self.out, self.err, self.rc, self.killed = bytearray(), bytearray(), None, False
        self.peak_bytes, self.peak_process, self.seen = 0, {}, {}
        self.lock = threading.Lock()
        if tty:
            master, slave = pty.openpty()
            fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
            self.p = subprocess.Popen(self.command, stdin=slave, stdout=slave, stderr=slave, env=env, cwd=cwd, preexec_fn=before, start_new_session=True)
            os.close(slave)
            self.fds = {master: self.out}
        else:
            self.p = subprocess.Popen(self.command, stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE, stdout=subprocess.PIPE if stdout is None else stdout,
                                      stderr=subprocess.PIPE if stderr is None else stderr, env=env, cwd=cwd, preexec_fn=before, start_new_session=True)
            self.fds = {}
            for pipe, kept in (self.p.stdout, self.out), (self.p.stderr, self.err):
                if pipe is not None:
                    self.fds[os.dup(pipe.fileno())] = kept
                    pipe.close()
        self.started = time.monotonic()
        STARTED.append(self)
        self.threads = [threading.Thread(target=self._drain, daemon=True)]
        if sample:
            self.threads.append(threading.Thread(target=self._sample, daemon=True))
        for t in self.threads:
            t.start()
        if stdin is not None:
            try:
                self.p.stdin.write(stdin)
                self.p.stdin.close()
            except BrokenPipeError:
                pass

    def _drain(self):
        poll = select.poll()
        for fd in self.fds:
            poll.register(fd, select.POLLIN)
        open_fds = set(self.fds)
        while open_fds:
            for fd, _ in poll.poll(200):
                try:
                    data = os.read(fd, 65536)
                except OSError:  # a terminal whose other side is gone says EIO
                    data = b""
                if not data:
                    poll.unregister(fd)
                    open_fds.discard(fd)
                elif len(self.fds[fd]) < 64 << 20:
                    self.fds[fd].extend(data)
        for fd in self.fds:
            os.close(fd)

    def _sample(self):
        while self.rc is None and self.p.returncode is None:
            self.sample()
            time.sleep(0.05)

    def sample(self):
        total = 0
        for pid in children(self.p.pid):
            own, peak = memory(pid)
            total += own
            with self.lock:
                if pid not in self.seen:
                    b = birth(pid)
                    if b is not None:
                        self.seen[pid] = b
                self.peak_process[pid] = max(self.peak_process.get(pid, 0), peak)
        self.peak_bytes = max(self.peak_bytes, total)

    def tree(self):
        """{program name: [pids]} of what runs now."""
        out = {}
        for pid in children(self.p.pid):
            out.setdefault(program_name(pid), []).append(pid)
        return out

    def signal(self, number):
        self.p.send_signal(number)

    def wait(self, seconds):
        """Its exit status; fails (and stops it) when it takes longer."""
        try:
            self.rc = self.p.wait(seconds)
        except subprocess.TimeoutExpired:
            self.stop()
            raise AssertionError("still running after %g s\n%s" % (seconds, self.told())) from None
        for t in self.threads:
            t.join(2)
        return self.rc

    def stop(self):
        """By force, the whole tree.  Harmless when it has ended."""
        with self.lock:
            known = dict(self.seen)
        if self.p.poll() is None:
            known.update({pid: birth(pid) for pid in children(self.p.pid)})
            self.p.kill()
            self.p.wait()
        self.rc = self.p.returncode
        for pid, b in known.items():
            if b is not None and birth(pid) == b:
                try:
                    os.kill(pid, signal.SIGKILL)
                except OSError:
                    pass
        for t in self.threads:
            t.join(2)

    def leftovers(self, seconds=2.0):
        """Names of processes of this run that still live `seconds` after its end."""
        end = time.monotonic() + seconds
        while True:
            with self.lock:
                left = [pid for pid, b in self.seen.items() if birth(pid) == b]
            if not left or time.monotonic() > end:
                return ["%s (%d)" % (program_name(p), p) for p in left]
            time.sleep(0.02)

    @property
    def stdout(self):
        return bytes(self.out).decode(errors="surrogateescape")

    @property
    def stderr(self):
        return bytes(self.err).decode(errors="surrogateescape")

    def told(self):
        """All that is worth showing when a test fails."""
        c = b" ".join(self.command).decode(errors="replace")
        return "%s\nstatus %s, %.1f s, peak %.1f MiB\nstdout: %s\nstderr: %s" % (
            c, self.rc, time.monotonic() - self.started, self.peak_bytes / (1 << 20), bytes(self.out)[-3000:].decode(errors="replace"), bytes(self.err)[-5000:].decode(errors="replace"))


# What may be on a terminal: text, line ends, the progress line's carriage return and "erase to the end of the line".
ERASE = re.compile(rb"\x1b\[[02]?K")


def raw_bytes(output):
    """What a stranger could have written to the terminal: control bytes and invisible direction marks, with their surroundings."""
    text, bad = ERASE.sub(b"", output).decode(errors="surrogateescape"), []
    for i, c in enumerate(text):
        n = ord(c)
        control = (n < 32 and c not in "\r\n") or 0x7f <= n < 0xa0 or 0xdc80 <= n <= 0xdcff
        if control or n in (0x200e, 0x200f, 0x2028, 0x2029, 0xfeff) or 0x202a <= n <= 0x202e or 0x2066 <= n <= 0x2069:
            bad.append(ascii(text[max(0, i - 20):i + 20]))
    return bad
