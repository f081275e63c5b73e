"""One attempt against receivers that misbehave: always a value, never an exception, never later than its timeout."""

import asyncio
import base64
import contextlib
import gzip
import socket
import ssl
import struct
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pycurl
import pytest

from pushd.config import Endpoint
from pushd.config import Webhook as Settings
from pushd.event import Attempt
from pushd.webhook import Webhook

Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


def endpoint(url: str, timeout: str = "2s") -> Endpoint:
    (made,) = Settings.model_validate({"urls": [url], "timeout": timeout}).endpoints
    return made


@contextlib.asynccontextmanager
async def scripted(script: Script, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """A server that reads one request after the other and lets the script answer; yields its port."""
    serving: set[asyncio.Task[None] | None] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.add(asyncio.current_task())
        try:
            with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
                await script(reader, writer)
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        running = [task for task in serving if task is not None]
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await asyncio.sleep(0)  # aborted transports close in the next turn of the loop


async def request(reader: asyncio.StreamReader) -> bytes:
    """One whole request, head and body."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(
        int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")
    )
    return head + await reader.readexactly(length)


def answering(*parts: bytes | float, close: bool = True) -> Script:
    """Answers each request with these bytes; a number is a pause."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await request(reader)
            for part in parts:
                if isinstance(part, bytes):
                    writer.write(part)
                    await writer.drain()
                else:
                    await asyncio.sleep(part)
            if close:
                return

    return script


async def post(url: str, within: str = "2s") -> Attempt:
    async with Webhook(endpoint(url, within)) as webhook:
        return await webhook.post(b"{}", "1-2-3")


@pytest.mark.parametrize(
    ("path", "sent"), [("/a%2Fb?x=1%2C2", "/a%2Fb?x=1%2C2"), ("/钱?包", "/%E9%92%B1?%E5%8C%85"), ("", "/")]
)
async def test_url_goes_out_as_it_is_written(path: str, sent: str) -> None:
    """%2F is not / to every receiver; only what is not ASCII is quoted."""
    asked: list[bytes] = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await request(reader))
        writer.write(OK)

    async with scripted(script) as port:
        assert (await post(f"http://127.0.0.1:{port}{path}")).accepted
    assert asked[0].startswith(f"POST {sent} HTTP/1.1".encode())


async def test_kept_connection_that_the_receiver_closes_costs_nothing() -> None:
    """It would be readable for ever; the next request gets a connection of its own."""
    closed = asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request(reader)
        writer.write(OK)
        await writer.drain()
        writer.close()
        await writer.wait_closed()
        closed.set()

    async with scripted(script) as port, Webhook(endpoint(f"http://127.0.0.1:{port}/")) as webhook:
        for _ in range(3):
            assert (await webhook.post(b"{}", "1-2-3")).accepted
            await closed.wait()
            closed.clear()
            before = time.process_time()
            await asyncio.sleep(0.2)
            assert time.process_time() - before < 0.1


@pytest.mark.parametrize(
    ("parts", "status"),
    [
        ((OK,), 200),
        ((b"HTTP/1.0 200 OK\r\n\r\nuntil the end",), 200),
        ((b"HTTP/1.1 204 No Content\r\n\r\n",), 204),
        ((b"HTTP/1.1 100 Continue\r\n\r\n", OK), 200),
        ((b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n", OK), 200),
        ((b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",), 200),
        ((b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nxyz",), 200),
        ((b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",), 302),
        ((b"HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n",), 500),
        ((b"HTTP/1.1 ", 0.1, b"200 OK\r\nContent-", 0.1, b"Length: 2\r\n\r\n{", 0.1, b"}"), 200),
    ],
    ids=["plain", "1.0", "204", "100", "103", "chunked", "not really gzip", "302", "500", "in pieces"],
)
async def test_any_whole_answer_is_its_status(parts: tuple[bytes | float, ...], status: int) -> None:
    """Whatever the framing; nothing is decompressed, no redirect followed."""
    async with scripted(answering(*parts)) as port:
        attempt = await post(f"http://127.0.0.1:{port}/")
    assert attempt.status == status
    assert attempt.accepted is (status < 300)


@pytest.mark.parametrize(
    ("parts", "error"),
    [
        ((), "http: disconnected before an answer"),
        ((b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort",), "http: the answer broke off"),
        ((b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",), "http: the answer broke off"),
        ((b"SSH-2.0-OpenSSH_9.6\r\n\r\n",), "http: malformed answer"),
        ((b"HTTP/1.1 200 OK\r\nX: " + b"y" * 400_000 + b"\r\n\r\n",), "http: malformed answer"),
        ((b"HTTP/1.1 200 OK\r\n", 9.0), "no whole answer within 0.3 s"),
        ((b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", 9.0), "no whole answer within 0.3 s"),
        ((9.0,), "no whole answer within 0.3 s"),
    ],
    ids=["hangs up", "short body", "short chunk", "no http", "endless header", "slow head", "slow body", "silence"],
)
async def test_anything_else_is_an_error_in_words(parts: tuple[bytes | float, ...], error: str) -> None:
    """In time, and without a status, so that it is tried again."""
    async with scripted(answering(*parts)) as port:
        began = time.monotonic()
        attempt = await post(f"http://127.0.0.1:{port}/?token=s3cret", "300ms")
    assert attempt.status is None
    assert str(attempt).startswith(error)
    assert "s3cret" not in str(attempt)
    assert attempt.seconds <= time.monotonic() - began < 1.5


async def test_endless_answer_is_read_to_a_cap_only() -> None:
    """Its status counts; its length does not."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            writer.write(b"10000\r\n" + b"x" * 65536 + b"\r\n")
            await writer.drain()

    async with scripted(script) as port:
        assert (await post(f"http://127.0.0.1:{port}/")).status == 200


async def test_compressed_answer_is_not_unpacked() -> None:
    """A few bytes that would become a gigabyte stay a few bytes."""
    bomb = gzip.compress(b"0" * 10_000_000)
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(bomb)
    requests: list[bytes] = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        requests.append(await request(reader))
        writer.write(head + bomb)
        await writer.drain()

    async with scripted(script) as port:
        assert (await post(f"http://127.0.0.1:{port}/")).status == 200
    assert b"accept-encoding" not in requests[0].lower()


async def test_answer_that_is_longer_than_it_says_spoils_no_other() -> None:
    """What is left over must not be taken for the answer to the next request."""
    lying = b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n{}HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n"
    async with (
        scripted(answering(lying, close=False)) as port,
        Webhook(endpoint(f"http://127.0.0.1:{port}/")) as webhook,
    ):
        for _ in range(5):
            assert (await webhook.post(b"{}", "1")).status in {200, None}


async def test_large_body_is_sent_without_asking_first() -> None:
    """A receiver that does not know Expect: 100-continue would cost a second."""
    async with scripted(answering(OK)) as port, Webhook(endpoint(f"http://127.0.0.1:{port}/")) as webhook:
        attempt = await webhook.post(b"x" * 3_000_000, "1")
    assert attempt.accepted
    assert attempt.seconds < 0.9


async def test_receiver_on_ipv6() -> None:
    """An address in brackets."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request(reader)
        writer.write(OK)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "::1", 0)
    async with server:
        assert (await post(f"http://[::1]:{server.sockets[0].getsockname()[1]}/")).accepted


async def test_name_with_several_addresses_is_tried_until_one_answers() -> None:
    """Localhost may be ::1 first, where nobody listens."""
    async with scripted(answering(OK)) as port:
        assert (await post(f"http://localhost:{port}/")).accepted


async def test_headers_are_those_of_the_specification_and_no_others() -> None:
    """Byte for byte, whatever the library would like to add."""
    requests: list[bytes] = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        requests.append(await request(reader))
        writer.write(OK)
        await writer.drain()

    async with scripted(script) as port:
        assert (await post(f"http://127.0.0.1:{port}/päth?q=ä")).accepted
    lines = requests[0].split(b"\r\n\r\n")[0].split(b"\r\n")
    assert lines[0] == b"POST /p%C3%A4th?q=%C3%A4 HTTP/1.1"
    assert sorted(lines[1:]) == [
        b"Accept: */*",
        b"Content-Length: 2",
        b"Content-Type: application/json",
        b"Host: 127.0.0.1:%d" % port,
        b"User-Agent: wx-msg-chat-webhook/1.0",
        b"webhook-id: 1-2-3",
    ]


async def test_user_and_password_of_the_url_are_sent_as_basic_authorization() -> None:
    """Percent-encoded or not; RFC 7617."""
    requests: list[bytes] = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        requests.append(await request(reader))
        writer.write(OK)
        await writer.drain()

    async with scripted(script) as port:
        assert (await post(f"http://user:p%40ss@127.0.0.1:{port}/")).accepted
    assert b"\r\nAuthorization: Basic " + base64.b64encode(b"user:p@ss") + b"\r\n" in requests[0]


@pytest.mark.parametrize("part", [b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"])
async def test_reset_in_the_answer_is_an_error_in_words(part: bytes) -> None:
    """Before it, in its head, in its body; and the client can be used on."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request(reader)
        writer.write(part)
        await writer.drain()
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    async with scripted(script) as port, Webhook(endpoint(f"http://127.0.0.1:{port}/")) as webhook:
        for _ in range(2):
            attempt = await webhook.post(b"{}", "1")
            assert attempt.status is None
            assert str(attempt).startswith(("network: ", "http: "))


async def test_reset_after_the_answer_costs_nothing() -> None:
    """The next attempt goes out on a new connection."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request(reader)
        writer.write(OK)
        await writer.drain()
        await asyncio.sleep(0.05)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    async with scripted(script) as port, Webhook(endpoint(f"http://127.0.0.1:{port}/")) as webhook:
        for _ in range(3):
            assert (await webhook.post(b"{}", "1")).accepted
            await asyncio.sleep(0.1)  # the reset has arrived


async def test_reset_is_an_error_in_words() -> None:
    """As a receiver that crashes would do it."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.transport.abort()

    async with scripted(script) as port:
        attempt = await post(f"http://127.0.0.1:{port}/")
    assert attempt.status is None
    assert str(attempt).startswith(("network: ", "http: disconnected"))


async def test_refused_connection_and_unknown_host_are_told_apart() -> None:
    """By kind, in the system's own words."""
    async with scripted(answering(OK)) as port:
        pass
    assert str(await post(f"http://127.0.0.1:{port}/")) == "connect: connection refused"
    assert str(await post("http://nowhere.invalid/", "5s")) == "dns: nowhere.invalid cannot be resolved"


async def test_connection_is_used_again() -> None:
    """One connection for many requests; and one that the receiver has closed meanwhile costs no delivery."""
    connections = 0

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        for _ in range(3):
            await request(reader)
            writer.write(OK)
            await writer.drain()

    async with scripted(script) as port, Webhook(endpoint(f"http://127.0.0.1:{port}/")) as webhook:
        for _ in range(3):
            assert (await webhook.post(b"{}", "1")).accepted
        assert connections == 1
        await asyncio.sleep(0.1)  # the receiver's close has arrived
        assert (await webhook.post(b"{}", "1")).accepted
        assert connections == 2


async def test_proxy_variables_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the environment happens to say must not lead rows elsewhere."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    async with scripted(answering(OK)) as port:
        assert (await post(f"http://127.0.0.1:{port}/")).accepted


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for localhost that nobody has signed but itself."""
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"),
            *("-addext", "subjectAltName=DNS:localhost"),
            *("-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")),
        ],
        check=True,
        capture_output=True,
    )
    return folder


async def test_certificate_that_cannot_be_trusted_is_refused(certificate: Path) -> None:
    """Verification is never off."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
    async with scripted(answering(OK), context) as port:
        attempt = await post(f"https://localhost:{port}/")
    assert attempt.status is None
    assert str(attempt).startswith("tls: ")
    assert "self-signed" in str(attempt) or "self signed" in str(attempt)


async def test_certificate_that_is_trusted_is_accepted(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the authorities of the system, or those that SSL_CERT_FILE names, for the name that it was made out for."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate / "cert.pem"))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
    async with scripted(answering(OK), context) as port:
        assert (await post(f"https://localhost:{port}/")).accepted
        wrong_name = await post(f"https://127.0.0.1:{port}/")
    assert wrong_name.status is None
    assert str(wrong_name).startswith("tls: ")


async def test_plain_server_behind_https_is_a_tls_error() -> None:
    """Not a puzzle."""
    async with scripted(answering(OK)) as port:
        attempt = await post(f"https://127.0.0.1:{port}/", "1s")
    assert str(attempt).startswith(("tls: ", "no whole answer"))


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ("Retry-After: 120", 120.0),
        ("Retry-After: Wed, 21 Oct 2015 07:29:30 GMT\r\nDate: Wed, 21 Oct 2015 07:28:00 GMT", 90.0),
        ("Retry-After: Wed, 21 Oct 2015 07:28:00 GMT\r\nDate: Wed, 21 Oct 2015 07:29:00 GMT", 0.0),
        ("Retry-After: Wed, 21 Oct 2015 07:28:00 GMT", None),
        ("Retry-After: soon", None),
        ("Retry-After: Mon, 01 Jan 99999999999999999999 00:00:00 GMT", None),
        ("Retry-After: -5", None),
        ("Retry-After: 1.5", None),
        ("X: y", None),
    ],
)
async def test_retry_after_is_read_as_the_rfc_says(headers: str, seconds: float | None) -> None:
    """Seconds, or a time by the receiver's own clock; anything else is as if it were not there."""
    answer = f"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n{headers}\r\n\r\n".encode()
    async with scripted(answering(answer)) as port:
        assert (await post(f"http://127.0.0.1:{port}/")).retry_after == seconds


async def test_cancelled_attempt_is_cancelled() -> None:
    """Cancellation passes through, and the client can be used on."""
    async with scripted(answering(9.0)) as port, Webhook(endpoint(f"http://127.0.0.1:{port}/")) as webhook:
        attempt = asyncio.create_task(webhook.post(b"{}", "1"))
        await asyncio.sleep(0.1)  # it is on its way
        attempt.cancel()
        with pytest.raises(asyncio.CancelledError):
            await attempt
    async with scripted(answering(OK)) as port:
        assert (await post(f"http://127.0.0.1:{port}/")).accepted


async def test_closed_client_leaves_nothing_to_the_garbage_collector(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reload makes new ones, and what libcurl holds for the old ones the collector does not see."""
    made: list[pycurl.Curl] = []

    def make() -> pycurl.Curl:
        made.append(real())
        return made[-1]

    real = pycurl.Curl
    monkeypatch.setattr(pycurl, "Curl", make)
    async with scripted(answering(OK)) as port, Webhook(endpoint(f"http://127.0.0.1:{port}/")) as webhook:
        assert (await webhook.post(b"{}", "1")).accepted
    assert made
    for handle in made:
        with pytest.raises(pycurl.error, match="no curl handle"):
            handle.getinfo(pycurl.RESPONSE_CODE)
