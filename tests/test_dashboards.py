"""What is shipped for Grafana and Prometheus: it names what a real daemon has, and all of it."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import StartDaemon
from prometheus_client.parser import text_string_to_metric_families

from pushd.demo.receiver import Receiver

_FOLDER = Path(__file__).parent.parent / "dashboards"
_ALERTS = _FOLDER / "alerts.yml"
_NAME = re.compile(r"\b(?:pushd|process)_\w+")


def dashboard() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((_FOLDER / "pushd.json").read_text("utf-8"))
    return loaded


def expressions(of: object) -> Iterator[str]:
    """All queries in a dashboard, wherever they stand."""
    if isinstance(of, dict):
        yield from (text for key, text in of.items() if key in {"expr", "definition"} and isinstance(text, str))
    for each in of.values() if isinstance(of, dict) else of if isinstance(of, list) else ():
        yield from expressions(each)


async def test_every_metric_named_exists_and_every_metric_is_shown(
    start_daemon: StartDaemon, receiver: Receiver
) -> None:
    """A renamed metric is an alert that never fires; one that nobody shows is one that nobody finds."""
    daemon = await start_daemon([receiver.url()])
    _, body = await daemon.get("/metrics")
    families = list(text_string_to_metric_families(body.decode()))
    there = {sample.name for family in families for sample in family.samples}
    there |= {family.name for family in families if family.type == "histogram"}
    named = set(_NAME.findall(" ".join([*expressions(dashboard()), _ALERTS.read_text("utf-8")])))
    assert named - there == set()
    unshown = {
        family.name
        for family in families
        if family.name.startswith("pushd_") and not any(name.startswith(family.name) for name in named)
    }
    assert unshown == set()


def test_labels_that_are_asked_for_exist() -> None:
    """By the words of the code: a result or an outcome that cannot be is never seen."""
    text = " ".join([*expressions(dashboard()), _ALERTS.read_text("utf-8")])
    labels = set(re.findall(r'(\w+)[!=]?=~?"([\w$.|]+)"', text))
    assert {name for name, _ in labels} <= {"instance", "endpoint", "outcome", "result", "state"}
    assert {value for name, value in labels if name == "result"} <= {"2xx"}
    assert {value for name, value in labels if name == "outcome"} <= {"failed", "expired"}
    assert {value for name, value in labels if name == "state"} <= {"deaf"}


def test_prometheus_can_read_the_alerts(tmp_path: Path) -> None:
    """And the dashboard's queries, once their variables are filled in, which only Grafana does."""
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not here: apt-get install prometheus")
    done = subprocess.run([promtool, "check", "rules", str(_ALERTS)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    queries = [text for text in expressions(dashboard()) if not text.startswith("label_values")]
    filled = [re.sub(r"\$(__rate_interval|\w+)", lambda m: "5m" if "_" in m[1] else ".*", text) for text in queries]
    rules = [{"record": f"query:{number}", "expr": text} for number, text in enumerate(filled)]
    file = tmp_path / "queries.yml"
    file.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}), "utf-8")  # JSON is YAML
    done = subprocess.run([promtool, "check", "rules", str(file)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_each_alert_says_what_it_is_and_what_to_do() -> None:
    """A name, a severity, a summary and a description of some length."""
    alerts = re.split(r"\n {6}- alert: ", _ALERTS.read_text("utf-8"))[1:]
    assert len(alerts) > 15
    for alert in alerts:
        name, _, rest = alert.partition("\n")
        assert re.fullmatch(r"Pushd[A-Za-z]+", name)
        assert re.search(r"severity: (critical|warning|info)\b", rest), name
        assert re.search(r"summary: .{20,}", rest), name
        description = rest.partition("description: ")[2]
        assert len(description) > 50, name
