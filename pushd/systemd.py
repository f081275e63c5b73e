"""Tell the service manager what state we are in: the protocol of sd_notify(3)."""

import os
import socket

_BOUND = 0.5  # seconds for what is said once; a manager with much to do may have a full queue for a moment


def notify(state: str, *, bound: float = _BOUND) -> None:
    """Send a state such as "READY=1" to $NOTIFY_SOCKET; does nothing where there is none, or nobody behind it."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]  # Linux's abstract namespace
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
            sock.settimeout(bound)
            sock.sendto(state.encode(), address)
    except OSError:
        return  # a manager that does not listen must not stop the daemon
