"""python -m lab.clean: stop what the lab started and remove what it made, outside of .lab."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from lab import engine, packages
from lab.places import RUN, STATE, LabError, say

# Images and containers of the lab are known by these; nothing else in a user's engine is touched.
IMAGES = "permafrost-lab/*"
LABEL = "permafrost.lab"


def _clean_foreign(host: str) -> None:
    """An engine of somebody else's keeps running: only what the lab made in it goes."""
    import docker

    client = docker.DockerClient(base_url=host, timeout=120)
    images = client.images.list(filters={"reference": IMAGES}) + client.images.list(filters={"label": LABEL}, all=True)
    containers = client.containers.list(all=True, filters={"label": LABEL})
    for image in images:
        containers += client.containers.list(all=True, filters={"ancestor": image.id})
    for container in {item.id: item for item in containers}.values():
        say(f"removing container {container.name}")
        container.remove(force=True, v=True)
    for tag in sorted({tag for image in images for tag in image.tags if tag.startswith("permafrost-lab/")}):
        say(f"removing image {tag}")
        client.images.remove(tag)
    client.images.prune(filters={"label": LABEL, "dangling": True})
    for kind in (client.networks, client.volumes):
        kind.prune(filters={"label": [LABEL]})


def _remove(place: Path) -> None:
    """Remove a directory of the engine, with the network namespaces that a stopped dockerd leaves mounted there."""
    mounted = [
        line.split()[4] for line in Path("/proc/self/mountinfo").read_text(errors="surrogateescape").splitlines()
    ]
    for point in sorted((one for one in mounted if one.startswith(f"{place}/")), reverse=True):
        subprocess.run(["umount", "--lazy", point], check=True)
    if place.exists():
        shutil.rmtree(place)


def main() -> None:
    """Clean up; the packages go last, since the rest needs them."""
    try:
        host = engine.find()
        if host and host != engine.OURS:
            _clean_foreign(host)
        if (STATE.exists() or RUN.exists()) and not os.geteuid():
            engine.stop()
            packages.remove_installed()
            for place in (STATE, RUN):
                _remove(place)
    except ImportError:
        sys.exit("lab: .lab/venv is gone, and without it the lab's images cannot be removed: make it again, then clean")
    except LabError as error:
        sys.exit(f"lab: {error}")


if __name__ == "__main__":
    main()
