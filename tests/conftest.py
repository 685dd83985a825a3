"""conftest.py - what swarm/ and hostile/ share: the namespace, time limits, cleaning up, and one line of result."""
import os
import signal
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "swarm"))
sys.dont_write_bytecode = True

import isolation  # noqa: E402

ISOLATED = isolation.enter()  # before any thread

import process  # noqa: E402
import seeders  # noqa: E402


def pytest_configure(config):
    os.umask(0o022)
    signal.signal(signal.SIGALRM, on_alarm)


def on_alarm(number, frame):
    raise TimeoutError("the test's time is over")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_protocol(item):
    """Nothing here may hang: every test has its time, set-up and cleaning included."""
    limit = item.get_closest_marker("time_limit")
    signal.alarm(limit.args[0] if limit else 60)
    yield
    signal.alarm(0)
    process.stop_all()


@pytest.fixture(scope="session")
def authority(tmp_path_factory):
    return seeders.Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(autouse=True)
def state(tmp_path_factory, monkeypatch):
    """Where bulkhead keeps its records: of this test, never in the home of whoever runs it."""
    d = tmp_path_factory.mktemp("state")
    monkeypatch.setenv("XDG_STATE_HOME", str(d))
    return d / "bulkhead"


@pytest.fixture
def outdir(tmp_path):
    d = tmp_path / "out"
    d.mkdir()
    return d


@pytest.fixture
def isolated():
    if not ISOLATED:
        pytest.skip("no namespaces to be had here")


def pytest_terminal_summary(terminalreporter):
    """The line that tests/sum.sh adds up."""
    n = {k: len(terminalreporter.stats.get(k, [])) for k in ("passed", "failed", "error", "skipped")}
    where = "namespaces of its own" if ISOLATED else "the machine's own loopback"
    terminalreporter.write_line("== %s (uid %d, %s): %d passed, %d failed, %d skipped" % (
        os.environ.get("SUITE", "tests"), os.getuid(), where, n["passed"], n["failed"] + n["error"], n["skipped"]))
