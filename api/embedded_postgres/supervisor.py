"""The supervisor: the program that keeps one embedded Postgres running for as long as some process uses it.

Every process that uses the server holds a shared lock on the `users` file, and this program waits for the exclusive
one: so the kernel counts the users, also those that are killed. It exits once Postgres is ready and leaves a child
process that runs it. The child holds a lock on the `supervisor` file: if that is free, the child was killed, and a
user starts it again. Only the standard library is imported: it is run by its path, without the project around it.
"""

import contextlib
import ctypes
import fcntl
import os
import pwd
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

CLONE_NEWUSER = 0x10000000
PR_SET_PDEATHSIG = 1
ATTEMPTS = 5  # to start a server that never was ready; one that was is started again for as long as it is used
PAUSE, LONGEST_PAUSE = 0.5, 8.0  # seconds before the next start, doubled for each that did not get ready
LIBC = ctypes.CDLL(None)


def main(home: Path, programs: Path, sockets: Path, options: list[str]) -> None:
    """Exit with 0 as soon as Postgres takes connections, with 1 if it never does; the log says why."""
    ready, announce = os.pipe()
    if os.fork():
        os.close(announce)
        os._exit(0 if os.read(ready, 1) else 1)
    os.close(ready)
    os.setsid()
    sockets.mkdir(mode=0o700, exist_ok=True)
    alive = (home / "supervisor").open("ab")  # until this process ends
    fcntl.flock(alive, fcntl.LOCK_EX)
    _drop_root(home, sockets)
    cluster = _cluster(home, programs)
    command = [str(programs / "postgres"), "-D", str(cluster), "-k", str(sockets), *options]
    _run(command, home, sockets, announce)
    with contextlib.suppress(OSError):
        sockets.rmdir()


def _run(command: list[str], home: Path, sockets: Path, announce: int) -> None:
    """Run Postgres until nobody uses it. Whenever it dies before that (out of memory, killed), it is started again; the
    pause grows only while starts fail, so that a full disk is waited for and a killed server is back at once."""
    cluster, stopping = home / "cluster", threading.Event()
    process: subprocess.Popen[bytes] | None = None

    def stop(*_: object) -> None:
        stopping.set()
        if process is not None:
            process.send_signal(signal.SIGINT)  # Postgres' "fast": roll back what is open, write everything, go

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)

    def stop_when_unused() -> None:
        with (home / "users").open() as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            stop()
            threading.Event().wait()  # the lock is held until Postgres is down and this process ends

    threading.Thread(target=stop_when_unused, daemon=True).start()
    announced, failures = False, 0
    while True:
        _remove_stale_locks(cluster, sockets)
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, preexec_fn=_die_with_parent)  # noqa: S603
        if stopping.is_set():
            stop()
        was_ready = _wait_for_end(process, cluster, announce if not announced else None)
        announced, failures = announced or was_ready, 0 if was_ready else failures + 1
        if not announced and failures == ATTEMPTS:
            return
        if stopping.wait(min(PAUSE * 2**failures, LONGEST_PAUSE)):
            return


def _wait_for_end(process: "subprocess.Popen[bytes]", cluster: Path, announce: int | None) -> bool:
    """Wait until the server dies; whether it ever took connections. The first time that it does, say so."""
    while server(cluster) != process.pid:  # a server that was killed left its own "ready"
        if process.poll() is not None:
            return False
        time.sleep(0.01)
    if announce is not None:
        with contextlib.suppress(BrokenPipeError):  # whoever started this program waits no more, but may try again
            os.write(announce, b"1")
        os.close(announce)
    process.wait()
    return True


def server(cluster: Path) -> int | None:
    """The number of the server that takes connections: its pid file's first line, if the eighth says "ready", or
    "standby"."""
    try:
        lines = (cluster / "postmaster.pid").read_text().splitlines()
        return int(lines[0]) if lines[7].strip() in ("ready", "standby") else None
    except (OSError, IndexError, ValueError):
        return None


def _cluster(home: Path, programs: Path) -> Path:
    """The server's files, made at the first start: whole or not at all, because a rename is the last step."""
    cluster = home / "cluster"
    if not cluster.exists():
        unfinished = home / "cluster.new"
        shutil.rmtree(unfinished, ignore_errors=True)
        initdb = [str(programs / "initdb"), "-D", str(unfinished), "-U", "labelgraph", "-E", "UTF8", "-A", "trust"]
        subprocess.run([*initdb, *locale_options(initdb[0])], check=True, stdin=subprocess.DEVNULL)  # noqa: S603
        unfinished.rename(cluster)
    return cluster


def locale_options(initdb: str) -> list[str]:
    """Order by code point, know every script's letters; from version 17 on the same on every machine."""
    version = subprocess.run([initdb, "--version"], check=True, capture_output=True, text=True).stdout  # noqa: S603
    if int(version.split()[-1].split(".")[0]) >= 17:
        return ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    return ["--locale=C.UTF-8"]


def _remove_stale_locks(cluster: Path, sockets: Path) -> None:
    """Remove the lock files of a server that was killed, where its number now belongs to some other program.

    Postgres would take that program for a running server and refuse to start; common in containers (small numbers).
    Otherwise they stay: by them Postgres finds out whether processes of the killed server still use its files.
    """
    for lock in (cluster / "postmaster.pid", sockets / ".s.PGSQL.5432.lock"):
        with contextlib.suppress(OSError):
            pid = lock.read_text().split("\n")[0]
            if Path("/proc", pid).exists() and not any(_works_in(entry, cluster) for entry in Path("/proc").iterdir()):
                lock.unlink()


def _works_in(process: Path, folder: Path) -> bool:
    try:
        return (process / "cwd").samefile(folder)
    except OSError:  # gone, or somebody else's
        return False


def _drop_root(home: Path, sockets: Path) -> None:
    """Postgres refuses to run as root, and initdb as a number without a name: be somebody else, if only by name.

    In a user namespace the files stay root's own. Where namespaces are forbidden, the files are given to `nobody`.
    """
    if os.geteuid() != 0 and any(entry.pw_uid == os.geteuid() for entry in pwd.getpwall()):
        return
    nobody = pwd.getpwnam("nobody")
    uid, gid = os.geteuid(), os.getegid()
    if sys.platform == "linux" and LIBC.unshare(CLONE_NEWUSER) == 0:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{nobody.pw_uid} {uid} 1")
        Path("/proc/self/gid_map").write_text(f"{nobody.pw_gid} {gid} 1")
    else:
        for path in (home, sockets, *home.rglob("*"), *sockets.rglob("*")):
            os.chown(path, nobody.pw_uid, nobody.pw_gid, follow_symlinks=False)
        os.setgroups([])
        os.setgid(nobody.pw_gid)
        os.setuid(nobody.pw_uid)


def _die_with_parent() -> None:
    """Have the kernel stop Postgres cleanly should this program be killed (elsewhere the next start joins it)."""
    if sys.platform == "linux":
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGINT)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4:])
