"""Before the first start: is the configuration good, and is the database ready."""

from pathlib import Path

import click
from pydantic import SecretStr

from pushd import migrations, postgres, preparation
from pushd.cli.frame import complete, config_option, load, with_database


@click.command()
@config_option
@click.option("--connect", is_flag=True, help="Look at the database, too.")
def check(path: Path | None, *, connect: bool) -> None:
    """Check the configuration. With --connect also what a start would find in the database; changes nothing."""
    config = load(path)
    endpoints = config.webhook.endpoints
    click.echo(f"configuration: good; {len(endpoints)} endpoint(s), rows up to {config.webhook.data_expiry:g} s old")
    for endpoint in endpoints:
        click.echo(f"  {endpoint.name}")
    if connect:
        source, condition = complete(with_database(config.database.dsn, lambda each: preparation.examine(each, config)))
        click.echo(f"database: good; {config.source.table} is heard on channel {source.channel}")
        for fault in condition:
            click.echo(f"warning: {fault}")


@click.command()
@config_option
@click.option("--dsn", help="Connect as the owner of the schema, not as the daemon of the configuration.")
@click.option("--to", type=click.IntRange(min=0), help="Stop at this version.")
@click.option("--down", is_flag=True, help="Take migrations back, all that are above --to.")
@click.option("--print", "print_", is_flag=True, help="Print the SQL, run nothing.")
def migrate(path: Path | None, dsn: str | None, to: int | None, *, down: bool, print_: bool) -> None:
    """Apply the files of sql/. Those that are not in force yet, each in its own transaction; or take them back."""
    secret = SecretStr(dsn) if dsn is not None else load(path).database.dsn

    async def work(connection: postgres.Connection) -> None:
        steps = list(migrations.steps(await migrations.applied(connection), to, down=down))
        for migration, text in steps:
            if print_:
                click.echo(text)
                continue
            await migrations.run(connection, migration, text)
            click.echo(f"{migration}: {'taken back' if down else 'applied'}")
        if not steps:
            click.echo("nothing to do")

    complete(with_database(secret, work))
