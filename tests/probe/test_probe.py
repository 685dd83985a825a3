"""A compromised compartment, started by the real launcher, tries what must be impossible.

Each role as root (a uid of its own) and as an ordinary user; on this kernel and
on ones that lack Landlock, namespaces, notifications or the newest calls.
"""

import json
import os
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
FOLDER = Path(os.environ.get("PROBE_FOLDER", HERE.parent.parent / "build/tests/probe")).resolve()
ROLES = ["inspect", "resolver", "dialer", "netproc", "diskproc", "create", "parent"]
ROOT = os.geteuid() == 0
USERS = ["root", "user"] if ROOT else ["user"]
USER_ID = "61473"  # in no passwd

REQUIRED = {"no new privileges", "non-dumpable", "seccomp"}
SPACES = {"pid namespace", "mount namespace", "ipc namespace", "uts namespace"}


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """The programs where an ordinary user can start them, whatever the checkout's permissions."""
    if not ROOT:
        return FOLDER
    place = Path(subprocess.check_output(["mktemp", "-d", "/tmp/bulkhead-probes-XXXXXX"], text=True).strip())
    place.chmod(0o755)
    for name in FOLDER.iterdir():
        if name.is_file() and os.access(name, os.X_OK):
            subprocess.run(["install", "-m", "755", name, place], check=True)
    subprocess.run(["cp", "-r", FOLDER / "glass", place], check=True)
    subprocess.run(["chmod", "-R", "go+rX", place / "glass"], check=True)
    yield place
    subprocess.run(["rm", "-r", place], check=True)


def run(folder, role, user, lacking=(), attempt=None):
    command = [str(folder / "run_probe"), role, str(folder)] + ([attempt] if attempt else [])
    if lacking:
        command = [str(folder / "without"), *lacking, "--", *command]
    if ROOT and user == "user":
        command = ["setpriv", "--reuid", USER_ID, "--regid", USER_ID, "--clear-groups", *command]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd="/")
    if done.returncode == 77:
        pytest.skip("the wider policy of sanitizer builds proves nothing")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert lines, done.stderr
    return done, [line for line in lines if "attempt" in line], lines[-1]


def judge(done, attempts):
    wrong = [f"{a['attempt']}: expected {a['expect']}, got {a['by']}" for a in attempts if not a["ok"]]
    assert not wrong, "\n".join(wrong)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("user", USERS)
@pytest.mark.parametrize("role", ROLES)
def test_nothing_forbidden_works_and_everything_needed_does(folder, role, user):
    done, attempts, walls = run(folder, role, user)
    judge(done, attempts)
    assert len(attempts) > 100
    assert any(a["expect"] == "works" for a in attempts)
    assert REQUIRED <= set(walls["walls"])


@pytest.mark.parametrize("user", USERS)
@pytest.mark.parametrize("role", [r for r in ROLES if r != "parent"])
def test_attacks_are_named_to_the_parent(folder, role, user):
    for attempt, call in [("exec", "execve"), ("clones3", "clone3"), ("trace_me", "ptrace"), ("ring", "io_uring_setup")]:
        _, attempts, _ = run(folder, role, user, attempt=attempt)
        assert attempts[0]["by"] == f"seccomp: {call} named, killed"


@pytest.mark.parametrize("user", USERS)
@pytest.mark.parametrize("role", ROLES)
def test_without_landlock_who_has_files_does_not_start(folder, role, user):
    done, attempts, walls = run(folder, role, user, ["landlock"])
    if role in ("resolver", "diskproc", "create", "parent"):
        assert done.returncode == 1
        assert {a["by"] for a in attempts} == {"exit 6"}
        assert not any(a["worked"] for a in attempts)
    else:
        judge(done, attempts)
        assert "Landlock files" in walls["missing"]


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("lacking,user", [(what, USERS[0]) for what in ("namespaces", "recent")] + [(what, USERS[-1]) for what in (
    "namespaces", "listener", "namespaces listener recent")])
def test_on_lesser_kernels_what_is_missing_is_said_and_the_rest_holds(folder, lacking, role, user):
    done, attempts, walls = run(folder, role, user, lacking.split())
    judge(done, attempts)
    assert REQUIRED <= set(walls["walls"])
    if role == "parent":
        return
    if "namespaces" in lacking:
        assert SPACES <= set(walls["missing"])
    if "listener" in lacking:
        assert "forbidden calls named" in walls["missing"]
        named = {a["by"] for a in attempts if a["attempt"] in ("exec", "ring", "trace_me")}
        assert named == {"seccomp: SIGSYS"}


@pytest.mark.parametrize("user", USERS)
def test_walls_of_glass_are_noticed(folder, user):
    """The judge itself: a netproc that raises no filter fails the launcher's check, and the run."""
    command = [str(folder / "run_probe"), "netproc", str(folder / "glass"), "open_passwd"]
    if ROOT and user == "user":
        command = ["setpriv", "--reuid", USER_ID, "--regid", USER_ID, "--clear-groups", *command]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd="/")
    if done.returncode == 77:
        pytest.skip("the wider policy of sanitizer builds proves nothing")
    attempt = json.loads(done.stdout.splitlines()[0])
    assert done.returncode == 1 and attempt["worked"] and not attempt["ok"]
    assert "check of /proc" in attempt["by"]
