"""Each endpoint: does its name lead anywhere, does anybody answer there, and, asked for, what to a sample."""

import dataclasses

from pushd import sample
from pushd.config import Endpoint
from pushd.doctor.finding import Finding, Verdict
from pushd.event import Attempt
from pushd.retry import may_pass
from pushd.webhook import Webhook

_BOUND = 10.0  # seconds, however patient the endpoint's own timeout is


def _bounded(endpoint: Endpoint) -> Endpoint:
    return dataclasses.replace(endpoint, timeout=min(endpoint.timeout, _BOUND))


async def reach(endpoint: Endpoint) -> Finding:
    """Look the name up, connect, and shake hands; sends nothing."""
    check = f"endpoint {endpoint.name}"
    async with Webhook(_bounded(endpoint)) as webhook:
        attempt = await webhook.connect()
    secure = "TCP and TLS" if endpoint.url.lower().startswith("https:") else "TCP, not encrypted"
    if attempt.error is None:
        return Finding(check, Verdict.OK, f"connected in {attempt.seconds * 1000:.0f} ms ({secure})")
    return Finding(check, Verdict.FAILED, attempt.error, _advice(attempt))


async def push(endpoint: Endpoint) -> Finding:
    """POST a sample."""
    check = f"push {endpoint.name}"
    attempt = (await sample.send(_bounded(endpoint))).attempt
    took = f"{attempt.seconds * 1000:.0f} ms"
    if attempt.accepted:
        return Finding(check, Verdict.OK, f"accepted a sample with status {attempt.status} after {took}")
    return Finding(check, Verdict.FAILED, f"{attempt} after {took}", _advice(attempt))


def _advice(attempt: Attempt) -> str:
    if attempt.status is not None:
        return (
            "the receiver has to answer 2xx; its own log says why it does not"
            if may_pass(attempt)
            else "this answer is final, rows are not tried again: mend the URL, or the receiver"
        )
    match (attempt.error or "").partition(":")[0]:
        case "dns":
            return "mend the host in webhook.urls, or the name server in /etc/resolv.conf"
        case "tls":
            return (
                "mend the receiver's certificate (name, date, authority); an authority of your own goes into "
                "/usr/local/share/ca-certificates: update-ca-certificates, and restart pushd"
            )
        case "connect":
            return "start the receiver, or mend host and port in webhook.urls, or open the firewall"
        case _:
            return "see that the receiver answers this host, and in time"
