"""The unit files, and what puts them in their place: tried in a root of its own."""

import re
import shutil
import stat
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from test_cli import completed, pushctl

from pushd import steps
from pushd.errors import PushdError
from pushd.service import hidden, unit_text
from pushd.steps import Place

ROOT = Path(__file__).parent.parent
UNITS = ROOT / "systemd"
WORST = 1.5  # of systemd's own rating of exposure, from 0 to 10


def program(name: str) -> str:
    """A program of systemd's."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not here; Debian's package systemd has it")
    return found


def snapshot(root: Path) -> dict[str, tuple[str, int, int]]:
    """What is below a root that is ours: text, mode and group."""
    found = {}
    for path in sorted(root.rglob("*")):
        if path.is_file() and "pushd" in str(path.relative_to(root)):
            found[str(path.relative_to(root))] = (
                path.read_text("utf-8"),
                stat.S_IMODE(path.stat().st_mode),
                path.stat().st_gid,
            )
    return found


@pytest.fixture
def root(tmp_path: Path) -> Path:
    program("systemd-sysusers")
    path = tmp_path / "root"
    path.mkdir()
    return path


# the unit files -----------------------------------------------------------------


@pytest.mark.parametrize("name", ["pushd.service", "pushd@.service"])
def test_unit_is_clean_and_hardly_exposed(name: str, tmp_path: Path) -> None:
    """Nothing to say against it, and an exposure of 1.5 at the most; systemd need not run for that."""
    analyze = program("systemd-analyze")
    unit = tmp_path / name.replace("@", "@orders")
    unit.write_text(unit_text((UNITS / name).read_text("utf-8"), sys.executable), "utf-8")
    done = subprocess.run([analyze, "verify", unit], capture_output=True, text=True, check=False)
    about_us = [line for line in (done.stdout + done.stderr).splitlines() if "pushd" in line]
    assert (done.returncode, about_us) == (0, [])
    threshold = f"--threshold={int(WORST * 10)}"
    rated = subprocess.run(
        [analyze, "security", "--offline=true", "--no-pager", threshold, unit],
        capture_output=True,
        text=True,
        check=False,
    )
    assert rated.returncode == 0, rated.stdout
    exposure = re.search(r"exposure level for .*: ([\d.]+)", rated.stdout)
    assert exposure is not None, rated.stdout
    assert float(exposure[1]) <= WORST


@pytest.mark.parametrize("name", ["pushd.service", "pushd@.service"])
def test_every_restriction_has_its_reason(name: str) -> None:
    """A comment stands above each block of settings of [Service], so that nobody takes one away unknowingly."""
    _, _, service_section = (UNITS / name).read_text("utf-8").partition("[Service]\n")
    for block in service_section.partition("[Install]")[0].split("\n\n"):
        lines = block.strip().splitlines()
        assert not lines or lines[0].startswith("#") or lines[0].startswith("Restart="), block


def test_template_is_the_unit_but_for_the_name() -> None:
    """What protects one protects the other."""
    settings = [
        [line for line in (UNITS / name).read_text("utf-8").splitlines() if line and not line.startswith("#")]
        for name in ("pushd.service", "pushd@.service")
    ]
    assert [line for line in settings[1] if line not in settings[0]] == [
        "Description=pushd %i: pushes fresh rows of a PostgreSQL table to webhooks",
        "Environment=PUSHD_DAEMON_NAME=%i@%H",
        "ExecStart=/opt/pushd/bin/python -m pushd run -c /etc/pushd/%i.toml",
        "LoadCredential=database_dsn:pushd@%i.database_dsn",
    ]
    assert len(settings[1]) == len(settings[0]) + 1


def test_interpreter_is_written_as_systemd_reads_it() -> None:
    """A path with a space, or with what systemd would replace, is still that path."""
    text = "ExecStart=/opt/pushd/bin/python -m pushd run\n"
    assert unit_text(text, "/srv/p/bin/python3") == "ExecStart=/srv/p/bin/python3 -m pushd run\n"
    assert unit_text(text, "/srv/a b/100%$x") == 'ExecStart="/srv/a b/100%%$$x" -m pushd run\n'


def test_python_that_the_service_could_not_see_is_noticed() -> None:
    """ProtectHome and PrivateTmp hide it."""
    assert hidden("/opt/pushd/bin/python", "/usr/bin/python3.11") is None
    assert hidden("/opt/pushd/bin/python", "/root/.pyenv/bin/python") == "/root"
    assert hidden("/home/me/venv/bin/python") == "/home"
    assert hidden("/homes/venv/bin/python") is None


def test_unit_files_are_in_a_wheel(tmp_path: Path) -> None:
    """Installed from one, there is no checkout to take them from."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    wanted = [*(each.name for each in UNITS.iterdir()), "config.toml"]
    assert {f"pushd/units/{name}" for name in wanted} <= names


# install-service ----------------------------------------------------------------


def test_install_lays_out_a_root(root: Path) -> None:
    """User, configuration and unit; the unit runs the very Python that pushctl runs on."""
    done = pushctl("install-service", "--root", root)
    assert done.returncode == 0, done.stderr
    unit = (root / "etc/systemd/system/pushd.service").read_text("utf-8")
    assert f"ExecStart={sys.executable} -m pushd run -c /etc/pushd/config.toml\n" in unit
    assert (root / "etc/pushd/config.toml").read_text("utf-8") == (ROOT / "config.toml").read_text("utf-8")
    assert stat.S_IMODE((root / "etc/pushd/config.toml").stat().st_mode) == 0o640
    assert stat.S_IMODE((root / "etc/pushd").stat().st_mode) == 0o750
    user, *_, shell = (root / "etc/passwd").read_text("utf-8").strip().split(":")
    assert (user, shell) == ("pushd", "/usr/sbin/nologin")
    assert f"next: edit {root}/etc/pushd/config.toml" in done.stdout
    (tried,) = re.findall(r"try it:  runuser -u pushd -- (\S+) check --connect -c (\S+)", done.stdout)
    assert Path(tried[0]).is_file()
    assert tried[1] == f"{root}/etc/pushd/config.toml"
    assert "systemctl enable --now pushd.service" in done.stdout


def test_installing_twice_keeps_what_was_edited(root: Path) -> None:
    """The configuration is the operator's; a unit that was changed by hand is kept beside the new one."""
    assert pushctl("install-service", "--root", root).returncode == 0
    config, unit = root / "etc/pushd/config.toml", root / "etc/systemd/system/pushd.service"
    config.write_text("# mine\n", "utf-8")
    before = snapshot(root)
    again = pushctl("install-service", "--root", root)
    assert again.returncode == 0, again.stderr
    assert snapshot(root) == before
    assert f"kept {config} as it is" in again.stdout
    ours = unit.read_text("utf-8")
    unit.write_text("# changed by hand\n", "utf-8")
    assert pushctl("install-service", "--root", root).returncode == 0
    assert unit.read_text("utf-8") == ours
    assert unit.with_name("pushd.service.old").read_text("utf-8") == "# changed by hand\n"


def test_dry_run_prints_what_a_shell_can_do(root: Path) -> None:
    """Nothing is done; and what is printed does the same as doing it."""
    printed = pushctl("install-service", "--dry-run", "--root", root)
    assert printed.returncode == 0, printed.stderr
    assert list(root.iterdir()) == []
    subprocess.run(["sh"], input=printed.stdout, text=True, check=True, capture_output=True)
    by_shell = snapshot(root)
    shutil.rmtree(root)
    root.mkdir()
    assert pushctl("install-service", "--root", root).returncode == 0
    assert snapshot(root) == by_shell
    assert "etc/pushd/config.toml" in by_shell


def test_dry_run_for_this_host_needs_no_rights() -> None:
    """It is what one reads before becoming root."""
    done = pushctl("install-service", "--dry-run", "--instance", "orders")
    assert done.returncode == 0, done.stderr
    assert "systemd-sysusers pushd.conf\n" in done.stdout
    assert "test -e /etc/pushd/orders.toml || install -D -m 0640 -g pushd" in done.stdout
    assert done.stdout.endswith("if test -d /run/systemd/system; then systemctl daemon-reload; fi\n")


def test_instances_share_a_template(root: Path) -> None:
    """Each has its own configuration; the template goes with the last that is enabled."""
    for name in ("orders", "refunds"):
        assert pushctl("install-service", "--root", root, "--instance", name).returncode == 0
        enabled = root / "etc/systemd/system/multi-user.target.wants" / f"pushd@{name}.service"
        enabled.parent.mkdir(exist_ok=True)
        enabled.symlink_to("/etc/systemd/system/pushd@.service")
    template = root / "etc/systemd/system/pushd@.service"
    assert "-c /etc/pushd/%i.toml\n" in template.read_text("utf-8")
    assert pushctl("uninstall-service", "--root", root, "--instance", "orders").returncode == 0
    assert template.exists()
    assert [path.name for path in enabled.parent.iterdir()] == ["pushd@refunds.service"]
    assert pushctl("uninstall-service", "--root", root, "--instance", "refunds").returncode == 0
    assert not template.exists()
    assert sorted(path.name for path in (root / "etc/pushd").iterdir()) == ["orders.toml", "refunds.toml"]


def test_uninstall_leaves_configuration_and_user(root: Path) -> None:
    """And says so; a second time there is nothing left to do."""
    assert pushctl("install-service", "--root", root).returncode == 0
    done = pushctl("uninstall-service", "--root", root)
    assert done.returncode == 0, done.stderr
    assert list(snapshot(root)) == ["etc/pushd/config.toml"]
    assert "pushd:" in (root / "etc/passwd").read_text("utf-8")
    assert f"left: {root}/etc/pushd" in done.stdout
    again = pushctl("uninstall-service", "--root", root)
    assert again.returncode == 0, again.stderr
    assert "was not there" in again.stdout


@pytest.mark.parametrize("name", ["../etc/passwd", "", "a b", "x" * 61, "名"])
def test_instance_is_a_plain_word(name: str) -> None:
    """It becomes part of paths and of a unit's name."""
    with pytest.raises(PushdError, match="no name for an instance"):
        Place(instance=name)


def test_failure_of_a_program_is_told(tmp_path: Path) -> None:
    """With what it said."""
    step = steps.Command(("false",))
    with pytest.raises(PushdError, match=r"^false: it does not say why$"):
        steps.perform(Place(tmp_path), step)


# completion ---------------------------------------------------------------------


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_a_script_for_the_shell(shell: str) -> None:
    """It asks pushctl itself, each time."""
    done = pushctl("completion", shell)
    assert done.returncode == 0, done.stderr
    assert "_PUSHCTL_COMPLETE" in done.stdout
    if found := shutil.which(shell):
        subprocess.run([found, "-n"], input=done.stdout, text=True, check=True)


def test_commands_are_completed() -> None:
    """By their beginning."""
    assert completed("pushctl inst", 1) == ["install-service"]
