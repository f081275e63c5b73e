"""What it was measured on, so that a reader knows how far the absolute figures carry."""

import datetime as dt
import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path

import orjson

from bench.engines import PEERS
from pushd.demo.postgres import Cluster

_PACKAGES = ("psycopg", "pycurl", "uvloop", "aiohttp", "pgqueuer", "procrastinate")


def machine(cluster: Cluster) -> dict[str, str]:
    """Answer processor, cores, kernel, and the versions of all that took part."""
    info = Path("/proc/cpuinfo").read_text("utf-8")
    names = [line.partition(":")[2].strip() for line in info.splitlines() if line.startswith("model name")]
    versions = {name: importlib.metadata.version(name) for name in _PACKAGES if _installed(name)}
    worker = PEERS / "graphile_worker" / "node_modules" / "graphile-worker" / "package.json"
    if worker.exists():
        versions["graphile-worker"] = _version(worker)
        versions["Node.js"] = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout
    return {
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
        "processor": names[0] if names else platform.machine(),
        "cores": str(len(os.sched_getaffinity(0))),
        "kernel": platform.release().partition("-")[0],
        "PostgreSQL": cluster.psql("-Atc", "show server_version").strip(),
        "Python": platform.python_version(),
        **{name: version.strip().removeprefix("v") for name, version in versions.items()},
    }


def _installed(name: str) -> bool:
    try:
        importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def _version(package: Path) -> str:
    return str(orjson.loads(package.read_bytes())["version"])
