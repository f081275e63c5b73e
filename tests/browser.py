"""A real Chromium without a window, spoken to over its DevTools protocol: what a person would see."""

import asyncio
import base64
import contextlib
import os
import re
import shutil
from pathlib import Path
from typing import Any, Self

import aiohttp

_START_BOUND = 30.0  # seconds
_ANSWER_BOUND = 20.0


def program() -> str | None:
    """Where Chromium is, if it is."""
    return shutil.which("chromium") or shutil.which("chromium-browser")


class Browser:
    """One tab; `complaints` are the errors of its console, `asked` the addresses that it wanted something from."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stack = contextlib.AsyncExitStack()
        self._socket: aiohttp.ClientWebSocketResponse
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._number = 0
        self._loaded = asyncio.Event()  # set when the page that was asked for is there
        self.complaints: list[str] = []
        self.asked: list[str] = []

    async def __aenter__(self) -> Self:
        async with contextlib.AsyncExitStack() as stack:
            port = await self._start(stack)
            client = await stack.enter_async_context(aiohttp.ClientSession())
            async with client.put(f"http://127.0.0.1:{port}/json/new?about:blank") as response:
                tab = await response.json()
            self._socket = await stack.enter_async_context(
                client.ws_connect(tab["webSocketDebuggerUrl"], max_msg_size=64 * 1024 * 1024)
            )
            listening = asyncio.create_task(self._listen(), name="devtools")
            stack.callback(listening.cancel)
            for domain in ("Page", "Runtime", "Log", "Network"):
                await self.call(f"{domain}.enable")
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def _start(self, stack: contextlib.AsyncExitStack) -> int:
        """Start it and answer its port; it can reach nothing but this machine."""
        chromium = program()
        assert chromium is not None, "look before you call"
        process = await asyncio.create_subprocess_exec(
            chromium,
            *("--headless=new", "--remote-debugging-port=0", f"--user-data-dir={self._folder}", "--no-first-run"),
            *("--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking", "--disable-sync"),
            *(
                "--disable-extensions",
                "--disable-component-update",
                "--hide-scrollbars",
                "--force-device-scale-factor=1",
            ),
            "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
            *(["--no-sandbox"] if os.geteuid() == 0 else []),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        stack.push_async_callback(_end, process)
        assert process.stderr is not None
        async with asyncio.timeout(_START_BOUND):
            async for line in process.stderr:
                if found := re.search(rb"DevTools listening on ws://127\.0\.0\.1:(\d+)/", line):
                    # Nobody reads on: what it says would fill the pipe.
                    draining = asyncio.create_task(_drain(process.stderr), name="chromium's lines")
                    stack.callback(draining.cancel)
                    return int(found[1])
        raise AssertionError("Chromium does not start")

    async def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Ask it for something, and wait for the answer."""
        self._number += 1
        answer = self._answers[self._number] = asyncio.get_running_loop().create_future()
        await self._socket.send_json({"id": self._number, "method": method, "params": parameters})
        async with asyncio.timeout(_ANSWER_BOUND):
            told = await answer
        assert "error" not in told, f"{method}: {told.get('error')}"
        result: dict[str, Any] = told["result"]
        return result

    async def look(self, *, width: int = 1280, height: int = 900, languages: str = "en-US", dark: bool = False) -> None:
        """Be a window of this size, of a person with these languages."""
        phone = width < 600
        await self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=phone
        )
        agent = (await self.call("Browser.getVersion"))["userAgent"]
        await self.call("Network.setUserAgentOverride", userAgent=agent, acceptLanguage=languages)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        await self.call("Emulation.setEmulatedMedia", features=[scheme])

    async def open(self, url: str) -> None:
        """Go there."""
        self._loaded.clear()
        await self.call("Page.navigate", url=url)
        async with asyncio.timeout(_ANSWER_BOUND):
            await self._loaded.wait()

    async def value(self, expression: str) -> Any:
        """What an expression comes to in the page."""
        told = await self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in told, told["exceptionDetails"]
        return told["result"].get("value")

    async def until(self, expression: str, expected: Any = True, within: float = 15.0) -> None:  # noqa: FBT002
        """Wait until an expression comes to this."""
        seen: Any = None
        try:
            async with asyncio.timeout(within):
                while (seen := await self.value(expression)) != expected:  # noqa: ASYNC110 (no event tells)
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise AssertionError(f"{expression} is {seen!r}, not {expected!r}") from None

    async def text(self, selector: str) -> str:
        """What a person reads there."""
        return str(await self.value(f"document.querySelector({selector!r}).innerText"))

    async def picture(self) -> bytes:
        """The whole page as a PNG."""
        return base64.b64decode((await self.call("Page.captureScreenshot", captureBeyondViewport=True))["data"])

    async def seen(self) -> dict[str, Any]:
        """A picture of the whole page, and what is in it: its size, a corner, how many colours each quarter has.

        The browser itself unpacks it, on an empty page.
        """
        picture = base64.b64encode(await self.picture()).decode()
        await self.open("about:blank")
        measured: dict[str, Any] = await self.value(_MEASURE % picture)
        return measured

    async def _listen(self) -> None:
        async for message in self._socket:
            told = message.json()
            if (answer := self._answers.pop(told.get("id", 0), None)) and not answer.done():
                answer.set_result(told)
            match told.get("method"):
                case "Page.loadEventFired":
                    self._loaded.set()
                case "Runtime.exceptionThrown":
                    self.complaints.append(str(told["params"]["exceptionDetails"]))
                case "Log.entryAdded" if told["params"]["entry"]["level"] == "error":
                    self.complaints.append(str(told["params"]["entry"]))
                case "Network.requestWillBeSent":
                    self.asked.append(told["params"]["request"]["url"])


_MEASURE = """
(async () => {
  const image = await createImageBitmap(await (await fetch("data:image/png;base64,%s")).blob());
  const { width, height } = image;
  const context = new OffscreenCanvas(width, height).getContext("2d");
  context.drawImage(image, 0, 0);
  const colours = [0, 1, 2, 3].map((part) => {
    const top = Math.floor((part * height) / 4);
    const { data } = context.getImageData(0, top, width, Math.floor(height / 4));
    const seen = new Set();
    for (let at = 0; at < data.length; at += 4) seen.add((data[at] << 16) | (data[at + 1] << 8) | data[at + 2]);
    return seen.size;
  });
  return { width, height, colours, corner: [...context.getImageData(2, 2, 1, 1).data.slice(0, 3)] };
})()
"""


async def _drain(stream: asyncio.StreamReader) -> None:
    while await stream.read(65536):
        pass


async def _end(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, 9)  # a session of its own: nobody else is in that group
    await process.wait()
