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


# Series of an hour of a daemon that is well, in promtool's notation: begin+step x times.
_WELL = {
    'pushd_build_info{instance="a"}': "1+0x60",
    'pushd_ready{instance="a"}': "1+0x60",
    'pushd_healthy{instance="a"}': "1+0x60",
    'pushd_listen_up{instance="a"}': "1+0x60",
    'pushd_lease_held{instance="a"}': "1+0x60",
    'pushd_trigger_up{instance="a"}': "1+0x60",
    'pushd_warnings{instance="a"}': "0+0x60",
    'pushd_config_last_reload_successful{instance="a"}': "1+0x60",
    'pushd_doorbell_state{instance="a",state="deaf"}': "0+0x60",
    'pushd_attempts_total{instance="a",endpoint="e",result="2xx"}': "0+600x60",
    'pushd_attempts_total{instance="a",endpoint="e",result="5xx"}': "0+6x60",
    'pushd_claims_total{instance="a",endpoint="e"}': "5+600x60",
    'pushd_deliveries_total{instance="a",endpoint="e",outcome="delivered"}': "0+600x60",
    'pushd_deliveries_total{instance="a",endpoint="e",outcome="failed"}': "2+0x60",
    'pushd_deliveries_total{instance="a",endpoint="e",outcome="expired"}': "0+0x60",
    'pushd_released_total{instance="a",endpoint="e"}': "1+0x60",
    'pushd_in_flight{instance="a",endpoint="e"}': "2+0x60",
    'pushd_delivery_age_seconds_bucket{instance="a",endpoint="e",le="0.1"}': "0+600x60",
    'pushd_delivery_age_seconds_bucket{instance="a",endpoint="e",le="10"}': "0+600x60",
    'pushd_delivery_age_seconds_bucket{instance="a",endpoint="e",le="+Inf"}': "0+600x60",
    'pushd_behind{instance="a",endpoint="e"}': "0+0x60",
    'pushd_pushers{instance="a",endpoint="e"}': "3+0x60",
    'pushd_pushers_busy{instance="a",endpoint="e"}': "1+0x60",
    'pushd_queue_oldest_age_seconds{instance="a",endpoint="e"}': "1+0x60",
    'pushd_ledger_lag_seconds{instance="a"}': "0.02+0x60",
    'pushd_reconnects_total{instance="a"}': "3+0x60",
    'pushd_found_by_sweep_total{instance="a"}': "0+6x60",
}

# What has to be otherwise for an alert to fire: begin of the series' name, and its values.
_ILL = {
    "PushdAbsent": {"pushd_build_info": "_x60"},
    "PushdNotReady": {"pushd_ready": "0+0x60"},
    "PushdHangs": {"pushd_healthy": "0+0x60"},
    "PushdListenDown": {"pushd_listen_up": "0+0x60"},
    "PushdLeaseLost": {"pushd_lease_held": "0+0x60"},
    "PushdTriggerMissing": {"pushd_trigger_up": "0+0x60"},
    "PushdDoorbellDeaf": {"pushd_doorbell_state": "1+0x60"},
    "PushdEndpointDown": {'pushd_attempts_total{instance="a",endpoint="e",result="2xx"': "9+0x60"},
    "PushdEndpointErrors": {'pushd_attempts_total{instance="a",endpoint="e",result="5xx"': "0+90x60"},
    "PushdDeliveriesFailed": {'pushd_deliveries_total{instance="a",endpoint="e",outcome="failed"': "0+1x60"},
    "PushdDeliveriesExpired": {'pushd_deliveries_total{instance="a",endpoint="e",outcome="expired"': "0+1x60"},
    "PushdSlow": {'pushd_delivery_age_seconds_bucket{instance="a",endpoint="e",le="0.1"': "0+0x60"},
    "PushdBehind": {"pushd_behind": "1+0x60"},
    "PushdPushersBusy": {"pushd_pushers_busy": "3+0x60"},
    "PushdOldestWaits": {"pushd_queue_oldest_age_seconds": "200+0x60"},
    "PushdLedgerLag": {"pushd_ledger_lag_seconds": "40+0x60"},
    "PushdReconnects": {"pushd_reconnects_total": "0+3x60"},
    "PushdFoundBySweep": {"pushd_found_by_sweep_total": "0+400x60"},
    "PushdConfigRefused": {"pushd_config_last_reload_successful": "0+0x60"},
    "PushdSumsDiffer": {"pushd_in_flight": "3+0x60"},
    "PushdWarnings": {"pushd_warnings": "1+0x60"},
}


def test_each_alert_fires_when_it_should_and_not_while_all_is_well(tmp_path: Path) -> None:
    """By promtool, which plays an hour of samples to the rules."""
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not here: apt-get install prometheus")
    firing = 'count by (alertname) (ALERTS{alertstate="firing"%s})'
    tests = [_hour({}, firing % "", [])]
    for alert, changes in _ILL.items():
        expected = [{"labels": f'{{alertname="{alert}"}}', "value": 1}]
        tests.append(_hour(changes, firing % f',alertname="{alert}"', expected))
    file = tmp_path / "hours.yml"
    file.write_text(json.dumps({"rule_files": [str(_ALERTS)], "tests": tests}), "utf-8")
    done = subprocess.run([promtool, "test", "rules", str(file)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert set(_ILL) == set(re.findall(r"- alert: (\w+)", _ALERTS.read_text("utf-8")))


def _hour(changes: dict[str, str], expression: str, expected: list[dict[str, Any]]) -> dict[str, Any]:
    series = {
        name: next((values for begin, values in changes.items() if name.startswith(begin)), usual)
        for name, usual in _WELL.items()
    }
    return {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "promql_expr_test": [{"expr": expression, "eval_time": "55m", "exp_samples": expected}],
    }


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
