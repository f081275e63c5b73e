"""The page as a person sees it, in a real browser, on a real daemon."""

import re
import subprocess
import sys
import zipfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from browser import Browser, program
from conftest import Database, StartDaemon

from pushd.demo.process import DaemonProcess
from pushd.demo.receiver import Receiver
from pushd.server import STATS_PATH

needs_chromium = pytest.mark.skipif(program() is None, reason="Chromium is not here: apt-get install chromium")
_EVIL = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"


async def address(daemon: DaemonProcess) -> str:
    return (await daemon.stats_url()).removesuffix(STATS_PATH)


@pytest.fixture
async def browser(tmp_path: Path) -> AsyncIterator[Browser]:
    async with Browser(tmp_path / "browser") as browser:
        yield browser


async def refuse_some(_: Receiver, __: web.Request, raw: bytes) -> web.StreamResponse:
    """What has "bad" in it is not wanted."""
    return web.json_response({}, status=400 if b"BAD" in raw else 200)


@pytest.fixture
async def scene(database: Database, start_daemon: StartDaemon, receiver: Receiver) -> DaemonProcess:
    """A daemon with two endpoints, one of which is gone, that has pushed and failed to."""
    receiver.answer = refuse_some
    async with Receiver() as gone:
        dead = gone.url("/dead")
    daemon = await start_daemon([receiver.url(), dead], max_retries=1, retry_interval="10ms")
    for number in range(8):
        database.insert(wallet_code=f"CODE{number}", wx_nick_name="张三 🎉")
    database.insert(wallet_code="BAD", wx_nick_name=_EVIL)
    last = database.insert(wallet_code=_EVIL)
    await receiver.until_accepted([last])
    await database.until("select count(*) from pushd.history where state <> 'claimed'", [(20,)])
    return daemon


# what a person sees


@needs_chromium
async def test_page_tells_how_it_goes(scene: DaemonProcess, browser: Browser) -> None:
    """State, figures, endpoints with charts, deliveries with failures first; from this machine alone, without a complaint."""
    await browser.look()
    await browser.open(await address(scene))
    await browser.until("document.getElementById('state').textContent", "Ready")
    assert await browser.value("document.documentElement.lang") == "en"
    figures = (await browser.text("#figures")).split("\n")
    assert figures[figures.index("Delivered") + 1] == "9"
    assert figures[figures.index("Failed") + 1] == "11"
    cards = await browser.value("[...document.querySelectorAll('.endpoint')].map((each) => each.innerText)")
    assert len(cards) == 2
    assert "9 delivered, 1 failed, 0 expired" in cards[0]
    assert "failing" in cards[1]
    assert "connect: connection refused" in cards[1]
    assert "has not taken anything" in await browser.text("#warnings")
    bars = await browser.value("document.querySelector('.bar-good').getAttribute('d')")
    assert bars.count("M") >= 1
    order = await browser.value("[...document.querySelectorAll('h3[data-word]')].map((each) => each.textContent)")
    assert order == ["Not delivered", "Delivered"]
    first = await browser.text("#undelivered tbody tr")
    assert "failed" in first
    assert "pushctl history" in await browser.text("#deliveries")
    here = await address(scene)
    assert {url for url in browser.asked if not url.startswith((here, "data:", "about:"))} == set()
    assert browser.complaints == []


@needs_chromium
async def test_what_people_wrote_stays_text(scene: DaemonProcess, browser: Browser) -> None:
    """A nickname and a wallet code that are markup are read as they were written, and nothing of them runs."""
    await browser.look()
    await browser.open(await address(scene))
    await browser.until("document.querySelectorAll('#delivered tbody tr').length", 9)
    assert _EVIL[:80] in await browser.text("#undelivered")
    assert _EVIL[:80] in await browser.text("#delivered")
    assert await browser.value("document.querySelectorAll('main img, main script').length") == 0
    assert (await browser.value("document.title")).startswith("pushd ")
    # Should somebody once forget it, the browser itself refuses.
    refused = "(() => { try { document.body.innerHTML = '<b>x</b>'; return 'taken' } catch (e) { return e.name } })()"
    assert await browser.value(refused) == "TypeError"


@needs_chromium
async def test_search_is_by_row_and_by_wallet_code(scene: DaemonProcess, browser: Browser) -> None:
    """Typed by a person, on the keyboard, starting anywhere."""
    await browser.look()
    await browser.open(await address(scene))
    await browser.until("document.querySelectorAll('#delivered tbody tr').length", 9)
    await browser.value("document.getElementById('search').focus()")
    await browser.call("Input.insertText", text="code3")
    await browser.until("document.getElementById('found').textContent", "2 found")
    assert "CODE3" in await browser.text("#delivered")
    assert "CODE4" not in await browser.text("#deliveries")
    assert await browser.value("document.activeElement.id") == "search"


@needs_chromium
async def test_language_is_the_persons(scene: DaemonProcess, browser: Browser) -> None:
    """中文 by the browser's languages, English for those that we do not speak, and a button for whoever wants the other."""
    await browser.look(languages="zh-CN,zh,en")
    await browser.open(await address(scene))
    await browser.until("document.getElementById('state').textContent", "就绪")
    assert await browser.value("document.documentElement.lang") == "zh-CN"
    assert "最近的推送" in await browser.text("#deliveries")
    assert "有端点不接收数据" in await browser.text("#warnings")
    await browser.value("document.getElementById('language').click()")
    await browser.until("document.getElementById('state').textContent", "Ready")
    assert await browser.value("document.documentElement.lang") == "en"
    await browser.look(languages="fr-FR,fr")
    await browser.open(await address(scene))
    await browser.until("document.getElementById('state').textContent", "Ready")


@needs_chromium
async def test_page_follows_what_happens(
    database: Database, scene: DaemonProcess, browser: Browser, receiver: Receiver
) -> None:
    """New rows appear without a reload; paused it stands still; without a daemon it says so."""
    await browser.look()
    await browser.open(await address(scene))
    await browser.until("document.getElementById('state').textContent", "Ready")
    row_id = database.insert(wallet_code="LATER")
    await browser.until("document.querySelector('#delivered tbody td:nth-child(3)').textContent", "LATER")
    await browser.value("document.getElementById('pause').click()")
    assert await browser.value("document.getElementById('pause').textContent") == "Go on"
    await receiver.until_accepted([row_id])
    await browser.value("document.getElementById('pause').click()")
    await scene.stop()
    await browser.until("document.getElementById('state').textContent", "No answer from the daemon")
    assert await browser.value("document.getElementById('state').className") == "state bad"


@needs_chromium
async def test_page_says_why_it_is_not_ready(
    database: Database, start_daemon: StartDaemon, receiver: Receiver, browser: Browser
) -> None:
    """In the words of /readyz, and in the person's language."""
    daemon = await start_daemon([receiver.url()])
    database.execute("revoke select on ocr_wallet_info from pushd_daemon")
    await browser.look(languages="zh-CN")
    await browser.open(await address(daemon))
    await browser.until("document.getElementById('state').textContent", "未就绪")
    reasons = await browser.text("#reasons")
    assert "无法" in reasons
    assert "permission denied for table ocr_wallet_info" in reasons


@dataclass(frozen=True)
class Window:
    """Through what a person looks."""

    width: int
    height: int
    dark: bool = False
    language: str = "en"

    def __str__(self) -> str:
        return f"{self.width}x{self.height} {'dark' if self.dark else 'light'} {self.language}"


@needs_chromium
@pytest.mark.parametrize(
    "window",
    [
        Window(1280, 900),
        Window(1280, 900, dark=True),
        Window(390, 844, language="zh-CN"),
        Window(360, 740, dark=True),
        Window(800, 600),
    ],
    ids=str,
)
async def test_picture(window: Window, scene: DaemonProcess, browser: Browser) -> None:
    """A real picture: neither empty nor wider than the window, in the colours that were asked for, readable."""
    await browser.look(width=window.width, height=window.height, languages=window.language, dark=window.dark)
    await browser.open(await address(scene))
    await browser.until("document.querySelectorAll('#delivered tbody tr').length", 9)
    assert await browser.value("document.documentElement.scrollWidth") <= window.width
    assert await browser.value(_TOO_WIDE) == []
    assert await browser.value(_TOO_FAINT) == []
    assert await browser.value(_TOO_SMALL) == []
    picture = await browser.seen()
    assert picture["width"] == window.width
    assert picture["height"] >= window.height
    assert (sum(picture["corner"]) < 150) is window.dark
    # Something stands in each quarter of it, down to the table at its end.
    assert min(picture["colours"]) > 5, picture["colours"]


@needs_chromium
async def test_page_can_be_used_without_eyes_or_mouse(scene: DaemonProcess, browser: Browser) -> None:
    """Every control has a name and is reached by Tab in order; charts say what they show."""
    await browser.look()
    await browser.open(await address(scene))
    await browser.until("document.querySelectorAll('#delivered tbody tr').length", 9)
    await browser.call("Accessibility.enable")
    nodes = (await browser.call("Accessibility.getFullAXTree"))["nodes"]
    names = {
        (node["role"]["value"], node.get("name", {}).get("value", "")) for node in nodes if not node.get("ignored")
    }
    assert {("button", "Pause"), ("button", "中文"), ("searchbox", "Row id or wallet code")} <= names
    assert {("heading", "Endpoints"), ("heading", "Recent deliveries"), ("table", "Not delivered")} <= names
    charts = [name.partition(": ")[2] for role, name in names if role == "image"]
    assert len(charts) == 4
    assert all(name.startswith(("Deliveries, at most", "Responses, mean")) for name in charts)
    reached = []
    for _ in range(4):
        await browser.call("Input.dispatchKeyEvent", type="keyDown", key="Tab", code="Tab", windowsVirtualKeyCode=9)
        await browser.call("Input.dispatchKeyEvent", type="keyUp", key="Tab", code="Tab", windowsVirtualKeyCode=9)
        reached.append(await browser.value("document.activeElement.id || document.activeElement.className"))
    assert reached == ["skip", "pause", "language", "search"]


# Elements whose text has less contrast than 4.5:1 with what is behind it (WCAG 2.2, AA).
_TOO_FAINT = """
(() => {
  const light = ([r, g, b]) => {
    const part = (c) => ((c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
  };
  const colour = (text) => text.match(/[\\d.]+/g).map(Number);
  const behind = (element) => {
    for (let each = element; each; each = each.parentElement) {
      const back = colour(getComputedStyle(each).backgroundColor);
      if (back.length < 4 || back[3] === 1) return back;
    }
    return [255, 255, 255];
  };
  const texts = [...document.querySelectorAll("body *")].filter(
    (each) => each.getClientRects().length && [...each.childNodes].some((node) => node.nodeType === 3 && node.data.trim()));
  return texts.map((each) => {
    const [a, b] = [light(colour(getComputedStyle(each).color)), light(behind(each))].sort((x, y) => y - x);
    return [each.tagName + "." + each.className, (a + 0.05) / (b + 0.05)];
  }).filter(([, ratio]) => ratio < 4.5);
})()
"""
_TOO_WIDE = """
[...document.querySelectorAll("main *")]
  .filter((each) => each.getBoundingClientRect().right > innerWidth + 1).map((each) => each.outerHTML.slice(0, 80))
"""
_TOO_SMALL = """
[...document.querySelectorAll("button, input")]
  .filter((each) => each.getBoundingClientRect().height < 40).map((each) => each.id)
"""


# what is served


async def test_files_are_served_under_a_strict_policy(start_daemon: StartDaemon, receiver: Receiver) -> None:
    """Nothing inline, nothing foreign, nothing evaluated; only reading."""
    daemon = await start_daemon([receiver.url()])
    async with aiohttp.ClientSession(await address(daemon)) as client:
        for path, kind in (
            ("/", "text/html"), ("/page.css", "text/css"), ("/page.js", "text/javascript"),
            ("/charts.js", "text/javascript"), ("/words.js", "text/javascript"),
        ):  # fmt: skip
            async with client.get(path) as response:
                assert (response.status, response.content_type) == (200, kind)
                policy = response.headers["Content-Security-Policy"]
                assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'")
                assert "unsafe" not in policy
                text = await response.text()
                assert "http://" not in text.replace("http://www.w3.org/", "")
                assert "https://" not in text
                assert "innerHTML" not in text
            async with client.post(path) as response:
                assert response.status == 405


@needs_chromium
async def test_both_languages_say_the_same_things(
    start_daemon: StartDaemon, receiver: Receiver, browser: Browser
) -> None:
    """No word is missing in one of them, and every reason there can be has its Chinese words."""
    daemon = await start_daemon([receiver.url()])
    await browser.open(await address(daemon))
    keys = "import('/words.js').then(({words}) => Object.keys(words('%s')%s).sort())"
    assert await browser.value(keys % ("en", "")) == await browser.value(keys % ("zh", ""))
    code = (Path(__file__).parent.parent / "pushd" / "health.py").read_text("utf-8")
    assert set(await browser.value(keys % ("zh", ".reason"))) == set(re.findall(r'Finding\(\s*"(\w+)"', code))


def test_files_are_in_a_wheel(tmp_path: Path) -> None:
    """Whoever installs pushd has the page."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=Path(__file__).parent.parent, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {f"pushd/page/{name}" for name in ("index.html", "page.css", "page.js", "charts.js", "words.js")} <= names
