"""The metrics of a real daemon: what they say, that they agree with the statistics, and that each series is there."""

import asyncio
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
from conftest import Database, StartDaemon, configuration
from prometheus_client.parser import text_string_to_metric_families

from pushd.demo.process import DaemonProcess
from pushd.demo.receiver import Receiver
from pushd.results import RESULTS

Samples = Mapping[tuple[str, frozenset[tuple[str, str]]], float]


async def scraped(daemon: DaemonProcess) -> Samples:
    """Every sample, by its name and labels."""
    status, body = await daemon.get("/metrics")
    assert status == 200
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(body.decode())
        for sample in family.samples
    }


def value(samples: Samples, name: str, **labels: str) -> float:
    return samples[name, frozenset(labels.items())]


async def test_every_series_is_there_from_the_start(start_daemon: StartDaemon) -> None:
    """At zero, for every endpoint, before anything has happened; by name, whatever its URL holds."""
    daemon = await start_daemon(["http://user:secret@127.0.0.1:1/hook?token=secret", "http://127.0.0.1:2/other"])
    samples = await scraped(daemon)
    for endpoint in ("127.0.0.1:1/hook", "127.0.0.1:2/other"):
        for outcome in ("delivered", "failed", "expired", "filtered"):
            assert value(samples, "pushd_deliveries_total", endpoint=endpoint, outcome=outcome) == 0
        for result in RESULTS:
            assert value(samples, "pushd_attempts_total", endpoint=endpoint, result=result) == 0
        for histogram in ("pushd_attempt_duration_seconds", "pushd_delivery_age_seconds"):
            assert value(samples, f"{histogram}_count", endpoint=endpoint) == 0
            assert value(samples, f"{histogram}_bucket", endpoint=endpoint, le="+Inf") == 0
        assert value(samples, "pushd_queue_size", endpoint=endpoint) == 1000
        assert value(samples, "pushd_pushers", endpoint=endpoint) == 3
    for name in ("ready", "healthy", "listen_up", "lease_held", "trigger_up", "config_last_reload_successful"):
        assert value(samples, f"pushd_{name}") == 1, name
    assert value(samples, "pushd_doorbell_state", state="asleep") == 1
    assert value(samples, "pushd_doorbell_state", state="deaf") == 0
    assert not [key for key in samples if "secret" in str(key)]


@pytest.mark.parametrize("readme", ["README.md", "README.zh-CN.md"])
async def test_every_metric_is_documented_and_no_other(start_daemon: StartDaemon, readme: str) -> None:
    """In the table of each README, without the prefix, with its labels."""
    lines = (Path(__file__).parent.parent / readme).read_text("utf-8").splitlines()
    first = next(number for number, line in enumerate(lines) if "deliveries_total" in line)
    last = next(number for number, line in enumerate(lines) if "build_info" in line)
    cells = " ".join(line.split("|")[1] for line in lines[first : last + 1])
    documented = {
        name: frozenset(filter(None, labels.split(",")))
        for name, labels in re.findall(r"`(\w+)(?:{([\w,]+)})?`", cells)
    }
    daemon = await start_daemon(["http://127.0.0.1:1/a"])
    _, body = await daemon.get("/metrics")
    there: dict[str, frozenset[str]] = {}
    for family in text_string_to_metric_families(body.decode()):
        name = f"{family.name}_total" if family.type == "counter" else family.name
        if name.startswith("pushd_"):
            there[name.removeprefix("pushd_")] = frozenset(family.samples[0].labels) - {"le"}
    assert documented.keys() == there.keys()
    told = {name: labels for name, labels in documented.items() if labels}
    assert told == {name: there[name] for name in told}


async def test_metrics_and_statistics_are_the_same_counters(
    database: Database, start_daemon: StartDaemon, receiver: Receiver
) -> None:
    """A delivery, a failure and a stale row, counted once, told twice."""
    async with Receiver() as gone:
        dead = gone.url("/dead")
    daemon = await start_daemon([receiver.url(), dead], max_retries=1, retry_interval="10ms", data_expiry="30s")
    database.insert_aged(60)
    await receiver.until_accepted([database.insert()])
    await daemon.line("推送失败")
    await database.until("select count(*) from pushd.history where state <> 'claimed'", [(4,)])
    samples, stats = await scraped(daemon), await daemon.stats()
    for name, of in stats["endpoints"].items():
        for outcome in ("delivered", "failed", "expired", "filtered"):
            assert value(samples, "pushd_deliveries_total", endpoint=name, outcome=outcome) == of[outcome]
        assert value(samples, "pushd_claims_total", endpoint=name) == of["claimed"] == 2
        assert value(samples, "pushd_attempt_duration_seconds_count", endpoint=name) == of["attempts"]
    assert value(samples, "pushd_notifications_total") == stats["notifications"] == 2
    good, bad = receiver.url()[7:], dead[7:]
    assert value(samples, "pushd_attempts_total", endpoint=good, result="2xx") == 1
    assert value(samples, "pushd_attempts_total", endpoint=bad, result="connect") == 2
    assert value(samples, "pushd_delivery_age_seconds_count", endpoint=good) == 1
    assert value(samples, "pushd_delivery_age_seconds_count", endpoint=bad) == 0
    assert 0 < value(samples, "pushd_delivery_age_seconds_sum", endpoint=good) < 5


async def test_metrics_are_served_while_postgresql_is_away(tmp_path: Path, receiver: Receiver) -> None:
    """With every series, and the truth."""
    async with DaemonProcess(tmp_path, configuration(f"host={tmp_path} dbname=x", [receiver.url()])) as daemon:
        samples = await scraped(daemon)
        assert value(samples, "pushd_ready") == value(samples, "pushd_listen_up") == 0
        assert value(samples, "pushd_healthy") == 1
        assert value(samples, "pushd_claims_total", endpoint=receiver.url()[7:]) == 0


async def test_prometheus_has_nothing_to_complain_of(start_daemon: StartDaemon, receiver: Receiver) -> None:
    """Names, units, types and help, by promtool."""
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not here: apt-get install prometheus")
    daemon = await start_daemon([receiver.url()])
    _, body = await daemon.get("/metrics")
    command = [promtool, "check", "metrics"]
    done = await asyncio.to_thread(subprocess.run, command, input=body, capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


async def test_names_are_by_the_conventions(start_daemon: StartDaemon, receiver: Receiver) -> None:
    """Ours begin with pushd_; counters end in _total, and seconds are seconds."""
    daemon = await start_daemon([receiver.url()])
    _, body = await daemon.get("/metrics")
    families = list(text_string_to_metric_families(body.decode()))
    assert all(re.match(r"(pushd|process)_[a-z_]+$", family.name) for family in families)
    assert all(family.documentation for family in families)
    counters = [family for family in families if family.type == "counter"]
    assert counters
    assert all(sample.name.endswith("_total") for family in counters for sample in family.samples)
