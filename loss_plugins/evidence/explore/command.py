"""The command `loss-plugins explore`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import track

from ...catalog.entries import get_entry, list_losses
from ...module.loss import Loss
from ...plots.made import command_line
from ...reports import require_writable, write_whole
from ..named import Named, named_losses, require_kinds
from .page import SHOWN, asked_for, explored, page_of

#: a mix is a sum, which the page makes itself
SUM = "mix"


def explore(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NAME]...",
            help="Losses to tick, and to add where they have parameters or are your own: NAME, "
            f"'NAME(key=value, ...)' or package.module:function. None: {' '.join(SHOWN)}.",
        ),
    ] = None,
    out: Annotated[Path, typer.Option(help="The HTML file.")] = Path("explore.html"),
) -> None:
    """Write a page that shows box losses live: one file, opened from disk, which asks nothing of any server."""
    require_writable("--out", out)
    named = named_losses(names or (), "explore")
    require_kinds(named, ("box",), "explore")
    losses = [name for name in list_losses("box") if name != SUM]
    added = [each for each in named if is_added(each)]
    work: list[Named | str] = [*added, *losses]
    told = track(work, "writing programs", console=Console(stderr=True), transient=True)
    found = [asked_for(each) if isinstance(each, Named) else explored(get_entry(each)) for each in told]
    ticked = [each.label if each.entry is None or is_added(each) else each.entry.name for each in named]
    write_whole(out, page_of(found, command_line(["explore", *(names or ())], {}), ticked or SHOWN))
    for each in found:
        if each.forms[0].program is None:
            typer.echo(f"{each.name} is greyed: {each.forms[0].reason}")
    Console(highlight=False).print(f"page: {escape(str(out))} ({out.stat().st_size / 1000:.0f} kB)", soft_wrap=True)


def is_added(named: Named) -> bool:
    """Whether a loss is none of those that the page has anyway."""
    return not isinstance(named.loss, Loss) or bool(named.loss.parameters_given)
