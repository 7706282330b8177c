"""``aspyx-event dlq``: lists, inspects, replays and purges the dead letters of a module's listeners."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Optional, TypeVar

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn

from ..exceptions import UnknownDeadLetterError
from ..manager import EventManager
from .dead_letter_selection import Selection, searched
from .dead_letter_view import as_json, details_of, table_of
from .imports import Lenient, make_environment
from .loader import check_target, load, manager_of
from .output import LogLevel, console, errors_in_one_line, note, set_up_logs, show

T = TypeVar("T")
#: Letters that are counted before an operation on all of them.
_COUNT_LIMIT = 10_000

dead_letter_app = typer.Typer(
    help="Events that listeners could not handle. No command here attaches a listener.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

Target = Annotated[str, typer.Argument(metavar="MODULE:CLASS", callback=check_target, help="shop.main:ShopModule")]
LetterId = Annotated[str, typer.Argument(metavar="ID", help="Id from `dlq list`.")]
MaybeId = Annotated[Optional[str], typer.Argument(metavar="[ID]", help="Id of a letter, from `dlq list`.")]  # noqa: UP045
All = Annotated[bool, typer.Option("--all", help="All letters that match the other options.")]
Subscription = Annotated[
    Optional[str],  # noqa: UP045 - evaluated at run time, also on Python 3.10
    typer.Option(metavar="NAME", help="Only letters of this listener or group; EVENT.NAME if several have the name."),
]
CauseText = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option("--cause", metavar="TEXT", help="Only letters whose cause has this text in its type or message."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show tracebacks of errors.")]
Level = Annotated[Optional[LogLevel], typer.Option(help="Default: warning.")]  # noqa: UP045


@dead_letter_app.command("list")
def list_letters(
    target: Target,
    subscription: Subscription = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="Maximum number of letters.")] = 100,
    as_json_: AsJson = False,
    log_level: Level = None,
    lenient: Lenient = False,
    debug: Debug = False,
) -> None:
    """List dead letters, oldest first in each subscription."""

    async def work(manager: EventManager) -> list[Any]:
        Selection(manager, subscription, None)  # refuses an unknown name
        letters = list(await manager.dead_letters.list(subscription, limit=limit))
        _note_nothing(len(letters), manager)
        return letters

    with errors_in_one_line(debug=debug):
        letters = _with_manager(target, log_level, work, lenient=lenient)
        if as_json_:
            typer.echo(json.dumps([as_json(letter) for letter in letters], indent=2))
            return
        if not letters:
            return
        show(table_of(letters))
        if len(letters) == limit:
            note(f"showing the first {limit}; raise --limit to see more", "dim")


@dead_letter_app.command()
def inspect(
    target: Target,
    letter_id: LetterId,
    body_limit: Annotated[int, typer.Option(min=0, help="Characters of the body to show; 0 shows all.")] = 2_000,
    as_json_: AsJson = False,
    log_level: Level = None,
    lenient: Lenient = False,
    debug: Debug = False,
) -> None:
    """Show a dead letter: cause with traceback, headers and body."""

    async def work(manager: EventManager) -> Any:
        return await manager.dead_letters.inspect(letter_id)

    with errors_in_one_line(debug=debug):
        letter = _with_manager(target, log_level, work, lenient=lenient)
        if as_json_:
            typer.echo(json.dumps(as_json(letter, full=True), indent=2))
        else:
            show(details_of(letter, body_limit))


@dead_letter_app.command()
def replay(
    target: Target,
    letter_id: MaybeId = None,
    all_: All = False,
    subscription: Subscription = None,
    cause: CauseText = None,
    rate: Annotated[
        Optional[float],  # noqa: UP045
        typer.Option(min=0.001, metavar="N", help="Maximum number of letters per second."),
    ] = None,
    as_json_: AsJson = False,
    log_level: Level = None,
    lenient: Lenient = False,
    debug: Debug = False,
) -> None:
    """Send dead letters back to the subscription that failed, and to no other."""
    _check_choice(letter_id, all_, subscription, cause)

    async def work(manager: EventManager) -> int:
        if letter_id is not None:
            return await manager.dead_letters.replay(letter_id)
        selection = Selection(manager, subscription, cause, to_replay=True)
        with _progress("replaying") as progress:
            total = len(await selection.ids(_COUNT_LIMIT)) if not progress.disable else 0
            task = progress.add_task("replaying", total=total if total < _COUNT_LIMIT else None)
            done = await manager.dead_letters.replay_all(
                selection.accepts, rate=rate, progress=lambda number: progress.update(task, completed=number)
            )
        for line in selection.skipped():
            note(line, "yellow")
        _note_nothing(done, manager)
        return done

    with errors_in_one_line(debug=debug):
        _report(_with_manager(target, log_level, work, lenient=lenient), "replayed", as_json_)


@dead_letter_app.command()
def purge(
    target: Target,
    letter_id: MaybeId = None,
    all_: All = False,
    subscription: Subscription = None,
    cause: CauseText = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")] = False,
    as_json_: AsJson = False,
    log_level: Level = None,
    lenient: Lenient = False,
    debug: Debug = False,
) -> None:
    """Delete dead letters permanently."""
    _check_choice(letter_id, all_, subscription, cause)
    if not yes and not sys.stdin.isatty():
        raise typer.BadParameter(
            "required without a terminal, because nobody can be asked to confirm", param_hint="--yes"
        )

    async def find(manager: EventManager) -> list[str]:
        ids = await Selection(manager, subscription, cause, letter_id=letter_id).ids(_COUNT_LIMIT)
        _note_nothing(len(ids), manager)
        return ids

    async def work(manager: EventManager) -> int:
        selection = Selection(
            manager, subscription, cause, letter_id=letter_id, among=None if among is None else frozenset(among)
        )
        with _progress("deleting") as progress:
            task = progress.add_task("deleting", total=len(among) if among is not None else None)
            done = await manager.dead_letters.purge(
                selection.accepts, progress=lambda number: progress.update(task, completed=number)
            )
        _note_nothing(done, manager)
        return done

    with errors_in_one_line(debug=debug):
        # Only the counted letters are deleted; more may arrive before the answer.
        among = None if yes else _with_manager(target, log_level, find, lenient=lenient)
        if among:
            typer.confirm(f"Delete {_count(len(among))} permanently?", abort=True, err=True)
        done = 0 if among is not None and not among else _with_manager(target, log_level, work, lenient=lenient)
        if letter_id is not None and not done:
            raise UnknownDeadLetterError(f"no dead letter {letter_id!r} in the subscriptions of this module")
        _report(done, "deleted", as_json_)


def _with_manager(
    target: str, log_level: LogLevel | None, work: Callable[[EventManager], Awaitable[T]], *, lenient: bool
) -> T:
    """Do *work* with the manager of a module. It is connected, but its listeners are not attached."""
    module_class = load(target)
    set_up_logs(log_level, LogLevel.WARNING)
    manager = manager_of(make_environment(module_class, lenient=lenient))
    if not manager.provider.capabilities.remote:
        note(
            f"the {manager.provider.name} provider keeps dead letters in its own process; they cannot be seen from here",
            "yellow",
        )

    async def connected() -> T:
        await manager.connect()
        try:
            return await work(manager)
        finally:
            await manager.stop()

    return asyncio.run(connected())


def _check_choice(letter_id: str | None, all_: bool, subscription: str | None, cause: str | None) -> None:
    if (letter_id is None) is not all_:
        raise typer.BadParameter("give either an ID or --all", param_hint="ID")
    if letter_id is not None and (subscription is not None or cause is not None):
        raise typer.BadParameter("--subscription and --cause require --all", param_hint="ID")


def _note_nothing(number: int, manager: EventManager) -> None:
    if not number:
        note(f"no dead letters; {searched(manager)}")


def _progress(label: str) -> Progress:
    out = console(stderr=True)
    columns = (SpinnerColumn(), TextColumn(label), BarColumn(), MofNCompleteColumn())
    return Progress(*columns, console=out, transient=True, disable=not out.is_terminal)


def _report(number: int, verb: str, as_json_: bool) -> None:
    typer.echo(json.dumps({verb: number}) if as_json_ else f"{verb} {_count(number)}")


def _count(number: int) -> str:
    return f"{number:,} dead letter{'' if number == 1 else 's'}"
