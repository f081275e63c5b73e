"""A sample: what a receiver gets for a row, for a row that there is not."""

import secrets
import time
from dataclasses import dataclass

from pushd.config import Endpoint
from pushd.event import MICROSECONDS, Attempt, Row, envelope
from pushd.webhook import Webhook

WALLET_CODE = "PUSHD-TEST"


@dataclass(frozen=True, slots=True)
class Answer:
    """What an endpoint made of a sample."""

    endpoint: str
    webhook_id: str
    attempt: Attempt


def row(now: float) -> Row:
    """A row as of `now` (epoch seconds) that says of itself that it is a test; no sequence hands out its id."""
    return Row(
        id=0,
        time_us=int(now * MICROSECONDS),
        source_ip="192.0.2.1",  # for documentation: RFC 5737
        msg_id="pushd-test",
        group_id="pushd-test",
        wallet_code=WALLET_CODE,
        serial_no="pushd-test",
        wx_id="pushd-test",
        wx_nick_name="pushd 测试 test",
        pic_url=None,
    )


async def send(endpoint: Endpoint) -> Answer:
    """POST a sample, once; the ledger hears nothing of it."""
    # That of a delivery is made of numbers alone.
    webhook_id = f"test-{secrets.token_hex(8)}"
    async with Webhook(endpoint) as webhook:
        attempt = await webhook.post(envelope(row(time.time()), 0.0), webhook_id)
    return Answer(endpoint.name, webhook_id, attempt)
