"""Commands of `flask --app wsgi`: the processes of the Procfile, and what people and scripts ask."""

import json
import sys

import click
from flask import Flask, current_app

from portal.errors import Permanent, Retryable, UserFault


def install_commands(app: Flask) -> None:
    """Attach every command; each imports what it needs when it runs, so that none makes the others slow."""
    for command in (release, worker, listener, tickets, reply, status, recompute_clocks, doctor, api_key):
        app.cli.add_command(command)


@click.command()
@click.option("--demo", is_flag=True, help="Load the demo data as well.")
def release(demo: bool) -> None:
    """Bring the database up to date: migrations, partitions, roles, permissions."""
    from redis.exceptions import RedisError
    from sqlalchemy.exc import OperationalError

    from portal import release as releasing

    try:
        releasing.bring_up_to_date(with_demo=demo)
    except OperationalError as error:
        reason = str(error.orig).strip().splitlines()[-1]
        _fail(f"PostgreSQL cannot be reached ({reason}). Start it, or correct DATABASE_URL.")
    except RedisError as error:
        _fail(f"Redis cannot be reached ({error}). Start it, or correct REDIS_URL.")


@click.command()
@click.option("--count", default=2, show_default=True, envvar="WORKERS", help="How many workers.")
def worker(count: int) -> None:
    """Work off jobs until stopped."""
    from portal.jobs.worker import run_pool

    run_pool(count)


@click.command()
def listener() -> None:
    """Take mail by SMTP and LMTP until stopped."""
    from portal.jobs.listen import listen_for_ever

    listen_for_ever(current_app._get_current_object())  # type: ignore[attr-defined]  # noqa: SLF001


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
@click.option("--query", default="", help="Only tickets whose number, subject or customer's address matches.")
def tickets(as_json: bool, query: str) -> None:
    """List tickets with their messages."""
    from portal.services import reading

    found = reading.tickets_as_data(query)
    if as_json:
        click.echo(json.dumps(found, ensure_ascii=False, indent=2))
        return
    for item in found:
        click.echo(f"#{item['number']:<8} {item['status']:10} {item['branch']:16} {item['subject']}")


@click.command()
@click.argument("number", type=int)
@click.option("--as", "username", required=True, help="Who answers.")
@click.option("--html", required=True, help="The answer, as HTML.")
def reply(number: int, username: str, html: str) -> None:
    """Answer a ticket."""
    from portal import access
    from portal.extensions import db
    from portal.models import User
    from portal.services import replies

    person = db.session.query(User).filter_by(username=username).one_or_none()
    if person is None:
        _fail(f"There is no person named {username!r}.")
    try:
        ticket = access.access_ticket_by_number(person, number, for_change=True)
        message = replies.send_reply(ticket, person, html)
    except (UserFault, Retryable, Permanent) as fault:
        _fail(str(fault))
    click.echo(f"Answered #{number}; the mail is {message.message_id_header}.")


@click.command()
@click.argument("number", type=int)
@click.argument("status")
@click.option("--as", "username", required=True, help="Who sets it.")
@click.option("--code", default="", help="How it ended: the label of a resolution code.")
def status(number: int, status: str, username: str, code: str) -> None:
    """Set a ticket to a status, as a person of the desk may."""
    from portal import access
    from portal.extensions import db
    from portal.models import User
    from portal.services import lifecycle, tickets

    person = db.session.query(User).filter_by(username=username).one_or_none()
    if person is None:
        _fail(f"There is no person named {username!r}.")
    try:
        ticket = access.access_ticket_by_number(person, number, for_change=True)
        code_id = lifecycle.code_named(code).id if code else None
        tickets.set_status(ticket, status, person, resolution_code_id=code_id)
    except (UserFault, Retryable, Permanent) as fault:
        _fail(str(fault))
    click.echo(f"#{number} is {ticket.status}.")


@click.command("recompute-clocks")
@click.option("--after", default=0, help="Go on after the ticket of this id, where it was broken off.")
def recompute_clocks(after: int) -> None:
    """Compute every clock anew from the ledger, and say which were stored otherwise. They are corrected."""
    from portal.services import recomputing

    many = 0
    differing: list[int] = []
    for looked in recomputing.recompute_all(after):
        many += looked.many
        differing += looked.differing
        click.echo(f"{many} tickets, up to id {looked.last_id}; {len(differing)} differed", err=True)
    if not differing:
        click.echo(f"The clocks of {many} tickets are as the ledger says. Nothing was changed.")
        return
    click.echo(f"{len(differing)} of {many} tickets differed and were corrected:")
    click.echo(" ".join(f"#{number}" for number in differing))
    sys.exit(1)


@click.command()
def doctor() -> None:
    """Check everything this installation needs."""
    from portal.services import health

    checks = health.check_all()
    for check in checks:
        click.echo(f"{'ok  ' if check.is_ok else 'FAIL'}  {check.name:10} {check.sentence}")
    sys.exit(0 if all(check.is_ok for check in checks) else 1)


@click.group("api-key")
def api_key() -> None:
    """Keys for the REST API."""


@api_key.command("create")
@click.option("--user", "username", required=True, help="Whose rights the key has.")
def create_api_key(username: str) -> None:
    """Print a new key; it is not shown again."""
    from portal.services import api_keys

    try:
        click.echo(api_keys.create(username))
    except UserFault as fault:
        _fail(str(fault))


def _fail(sentence: str) -> None:
    click.echo(sentence, err=True)
    sys.exit(1)
