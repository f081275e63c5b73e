"""The composition: every part made, and handed to those that need it."""

from dataclasses import dataclass

from pushd.claimer import Claimer
from pushd.config import Config
from pushd.doorbell import RATES, Doorbell, Rates, State
from pushd.heartbeat import Heartbeat
from pushd.housekeeper import Housekeeper
from pushd.inbox import Inbox
from pushd.lease import Lease
from pushd.listener import Listener
from pushd.pipeline import Pipeline
from pushd.preparation import Prepared
from pushd.settler import Settler
from pushd.stats import Stats
from pushd.sweeper import Sweeper


@dataclass(frozen=True, slots=True)
class Parts:
    """All that runs, each with its own session or task."""

    listener: Listener
    doorbell: Doorbell
    settler: Settler
    lease: Lease
    pipeline: Pipeline
    claimer: Claimer
    sweeper: Sweeper
    heartbeat: Heartbeat
    housekeeper: Housekeeper
    stats: Stats


def assemble(
    config: Config,
    prepared: Prepared,
    stats: Stats,
    rates: Rates = RATES,
) -> Parts:
    """Put together what a prepared database asks for; nothing runs yet, and there are no endpoints yet."""
    source, registration, ledger = prepared.source, prepared.registration, prepared.ledger
    data_expiry = config.webhook.data_expiry
    lease = Lease()
    inbox = Inbox()
    doorbell = Doorbell(source.oid, inbox, rates)
    listener = Listener(source.channel, doorbell, inbox, stats)
    settler = Settler(ledger)
    pipeline = Pipeline(data_expiry=data_expiry, lease=lease, settler=settler, inbox=inbox, stats=stats)
    housekeeper = Housekeeper(
        source=source,
        source_table=config.source.table,
        daemon_id=registration.daemon_id,
        pipeline=pipeline,
        stats=stats,
        data_expiry=data_expiry,
        retention=config.ledger.history_retention,
        silent=prepared.silent,
    )
    claimer = Claimer(
        source=source,
        ledger=ledger,
        lease=lease,
        settler=settler,
        pipeline=pipeline,
        doorbell=doorbell,
        data_expiry=data_expiry,
        inbox=inbox,
    )
    sweeper = Sweeper(
        source=source,
        registration=registration,
        claimer=claimer,
        pipeline=pipeline,
        data_expiry=data_expiry,
        inbox=inbox,
        stats=stats,
        hears_all=lambda: (
            listener.active.is_set() and doorbell.state is not State.DEAF and not housekeeper.trigger_fault
        ),
    )
    heartbeat = Heartbeat(
        registration=registration, ledger=ledger, lease=lease, settler=settler, pipeline=pipeline, inbox=inbox
    )
    return Parts(listener, doorbell, settler, lease, pipeline, claimer, sweeper, heartbeat, housekeeper, stats)
