"""A container engine: the one that answers already, else one that the lab starts itself."""

from __future__ import annotations

import ipaddress
import os
import signal
import socket
import subprocess
import time
from pathlib import Path

from lab import packages
from lab.places import RUN, STATE, LabError, lock, say

SOCKET = RUN / "docker.sock"
PID_FILE = RUN / "docker.pid"
LOG = RUN / "dockerd.log"
DATA = STATE / "docker"
OURS = f"unix://{SOCKET}"
BRIDGE = "permafrost0"
COMMANDS = {"dockerd": "docker.io", "docker": "docker.io", "iptables": "iptables", "ip": "iproute2"}
START_SECONDS = 180
STOP_SECONDS = 40


def answers(host: str) -> bool:
    """Whether an engine answers at this DOCKER_HOST."""
    if not host.startswith("unix://"):
        return _answers_by_sdk(host)
    try:
        with socket.socket(socket.AF_UNIX) as channel:
            channel.settimeout(10)
            channel.connect(host[len("unix://") :])
            channel.sendall(b"GET /_ping HTTP/1.0\r\nHost: docker\r\n\r\n")
            return b" 200 " in channel.recv(64)
    except OSError:
        return False


def _answers_by_sdk(host: str) -> bool:
    """TLS and ssh are the SDK's business; it is slow to import, hence not used for sockets."""
    import docker

    try:
        return bool(docker.DockerClient(base_url=host, timeout=10, use_ssh_client=host.startswith("ssh://")).ping())
    except Exception:  # every transport has its own errors, and each means the same here
        return False


def find() -> str | None:
    """The DOCKER_HOST of an engine that is up: the user's choice first, ours last."""
    chosen = os.environ.get("DOCKER_HOST")
    rootless = Path(os.environ.get("XDG_RUNTIME_DIR", "/nonexistent")) / "docker.sock"
    candidates = [chosen, "unix:///var/run/docker.sock", f"unix://{rootless}", OURS]
    return next((host for host in candidates if host and answers(host)), None)


def ensure() -> str:
    """DOCKER_HOST of a working engine; started if there is none."""
    found = find()
    if found:
        return found
    if os.geteuid():
        raise LabError("no container engine answers (DOCKER_HOST, /var/run/docker.sock) and only root could start one")
    with lock(STATE / "engine.lock"):
        found = find()
        if found is None and our_pid() is None:
            return _start()
        if found is None:
            _wait()  # for one that is too busy to answer: a second one would spoil its data
        return found or OURS


def _start() -> str:
    packages.ensure(COMMANDS)
    say("starting a container engine of the lab's own")
    RUN.mkdir(parents=True, exist_ok=True)
    # Of an engine that was killed. Its containerd may still be listed as a process, and dockerd would wait for it.
    containerd = RUN / "exec" / "containerd"
    for stale in (SOCKET, PID_FILE, containerd / "containerd.pid", containerd / "containerd.sock"):
        stale.unlink(missing_ok=True)
    argv = ["dockerd", f"--host={OURS}", f"--data-root={DATA}", f"--exec-root={RUN / 'exec'}"]
    argv += [f"--pidfile={PID_FILE}", f"--bridge={_bridge()}", "--log-level=warn"]
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])
    with LOG.open("ab") as log:
        daemon = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            env={**os.environ, "PATH": path},
            start_new_session=True,  # it outlives this command and its terminal
        )
    _wait(daemon)
    return OURS


def _wait(daemon: subprocess.Popen[bytes] | None = None) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not answers(OURS):
        code = daemon.poll() if daemon else None
        if code is not None or time.monotonic() > deadline:
            ended = f"ended with {code}" if code is not None else "does not answer"
            raise LabError(f"dockerd {ended}. The end of {LOG}:\n{_log_tail()}")
        time.sleep(0.1)


def _log_tail(lines: int = 25) -> str:
    return "\n".join(LOG.read_text(errors="replace").splitlines()[-lines:])


def _ip(*arguments: str, check: bool = True) -> str:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    if check and done.returncode:
        raise LabError(f"ip {' '.join(arguments)} failed: {done.stderr.strip()}")
    return done.stdout


def _bridge() -> str:
    """A bridge of our own: docker0 may belong to another engine, and two on one bridge hand out the same addresses."""
    if BRIDGE not in _ip("-br", "link"):
        network = _free_network()
        _ip("link", "add", BRIDGE, "type", "bridge")
        _ip("address", "add", f"{network[1]}/{network.prefixlen}", "dev", BRIDGE)
    _ip("link", "set", BRIDGE, "up")
    return BRIDGE


def _free_network() -> ipaddress.IPv4Network:
    rows = [row.split() for row in Path("/proc/net/route").read_text().splitlines()[1:]]
    used = [_route(row[1], row[7]) for row in rows if row[7] != "00000000"]
    for candidate in ipaddress.IPv4Network("172.16.0.0/12").subnets(new_prefix=16):
        if not any(candidate.overlaps(other) for other in used):
            return next(candidate.subnets(new_prefix=24))
    raise LabError("no free private network for the engine's bridge")


def _route(destination: str, mask: str) -> ipaddress.IPv4Network:
    """A row of /proc/net/route, whose numbers are little-endian hexadecimal."""
    address = ipaddress.IPv4Address(bytes.fromhex(destination)[::-1])
    return ipaddress.IPv4Network(f"{address}/{ipaddress.IPv4Address(bytes.fromhex(mask)[::-1])}", strict=False)


def stop() -> None:
    """Stop the engine, if the lab started it, and wait until it is gone."""
    pid = our_pid()
    if pid is not None:
        say(f"stopping the engine (process {pid})")
        os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        while our_pid() is not None:
            if time.monotonic() > deadline:
                raise LabError(f"dockerd (process {pid}) does not end; its log is {LOG}")
            time.sleep(0.1)
    if RUN.exists() and BRIDGE in _ip("-br", "link", check=False):
        _ip("link", "delete", BRIDGE)


def our_pid() -> int | None:
    """The engine's process, if it is really the one that uses our data root."""
    try:
        pid = int(PID_FILE.read_text())
        arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except (OSError, ValueError):
        return None
    return pid if f"--data-root={DATA}".encode() in arguments else None
