"""The pool of pushers: so many for each endpoint as its policy says, while endpoints come, change and go."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from pushd.config import Endpoint
from pushd.pipeline import Pipeline
from pushd.track import Track
from pushd.webhook import Webhook

_LINGER = 1.0  # seconds for which a client stays beyond the timeout of the last attempt that it may have begun


@dataclass(frozen=True, slots=True)
class Changes:
    """What a new set of endpoints has come to: how many of them, and how many rows that waited were let go."""

    added: int = 0
    changed: int = 0
    removed: int = 0
    let_go: int = 0


class Pool:
    """Owns the pushers and their clients, as tasks of a group: one that fails ends the daemon."""

    def __init__(self, pipeline: Pipeline, tasks: asyncio.TaskGroup) -> None:
        self._pipeline = pipeline
        self._tasks = tasks
        # By track and number: an endpoint that comes back gets a new track, its former pushers end with the old one.
        self._pushers: dict[tuple[Track, int], asyncio.Task[None]] = {}
        self._clients: dict[asyncio.Task[None], None] = {}
        self._retired: dict[int, asyncio.Event] = {}  # by endpoint: set when its client is not the one to use any more

    @property
    def pushers(self) -> list[asyncio.Task[None]]:
        return list(self._pushers.values())

    @property
    def clients(self) -> list[asyncio.Task[None]]:
        return list(self._clients)

    async def apply(self, endpoints: Mapping[int, Endpoint]) -> Changes:
        """Push to these endpoints, by their ids, and to no others.

        One whose policy has changed keeps its lane, and what is under way ends as it began. What waits for one that
        is gone gets its outcome at once.
        """
        tracks = self._pipeline.tracks
        gone = [track for id_, track in tracks.items() if id_ not in endpoints]
        changed = {
            id_: endpoint for id_, endpoint in endpoints.items() if id_ in tracks and tracks[id_].endpoint != endpoint
        }
        new = {id_: endpoint for id_, endpoint in endpoints.items() if id_ not in tracks}
        former = [self._retired[id_] for id_ in [*changed, *(track.id for track in gone)]]
        clients = {id_: await self._open(id_, endpoint) for id_, endpoint in (changed | new).items()}
        let_go = sum(self._pipeline.dismiss(track) for track in gone)
        for id_, endpoint in changed.items():
            tracks[id_].change(endpoint, clients[id_])
        for id_, endpoint in new.items():
            self._pipeline.welcome(Track(id_, endpoint, clients[id_]))
        self._pushers = {place: task for place, task in self._pushers.items() if not task.done()}
        for id_ in clients:
            self._man(tracks[id_])
        for retired in former:
            retired.set()
        return Changes(len(new), len(changed), len(gone), let_go)

    def _man(self, track: Track) -> None:
        """Have a task for each pusher that ought to be there and is not."""
        for number in range(track.pushers):
            if (track, number) not in self._pushers:
                self._pushers[track, number] = self._tasks.create_task(
                    self._pipeline.push(track, number), name=f"push {track.endpoint.name} {number}"
                )

    async def _open(self, endpoint_id: int, endpoint: Endpoint) -> Webhook:
        opened: asyncio.Future[Webhook] = asyncio.get_running_loop().create_future()
        retired = self._retired[endpoint_id] = asyncio.Event()
        task = self._tasks.create_task(_keep_open(endpoint, opened, retired), name=f"client {endpoint.name}")
        self._clients[task] = None
        task.add_done_callback(self._clients.pop)
        return await opened


async def _keep_open(endpoint: Endpoint, opened: asyncio.Future[Webhook], retired: asyncio.Event) -> None:
    """Keep a client open until it is retired and the last of its attempts must have ended."""
    async with Webhook(endpoint) as webhook:
        opened.set_result(webhook)
        await retired.wait()
        await asyncio.sleep(endpoint.timeout + _LINGER)
