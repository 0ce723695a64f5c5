"""The command `loss-plugins plot`."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import track

from ..catalog.declare import KINDS
from ..catalog.ranges import Choice, check_value
from ..errors import refusal
from ..plots.made import Made, command_line
from ..plots.style import INSTALL, can_draw
from ..reports import require_writable, strict_json
from .curves import Curve, curve, surface
from .named import Named, named_losses
from .plot_pictures import draw
from .sweeps import FORMS, OF_BOXES, Inputs, inputs_of, sweeps_of

#: letters of a picture's name at most
LONGEST = 60
PICTURES = (".png", ".svg", ".pdf")


def plot(
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="NAME...", help="Losses side by side: NAME, 'NAME(key=value, ...)' or package.module:function."
        ),
    ],
    out: Annotated[
        Path, typer.Option(help="The picture: .png, .svg or .pdf; its numbers go beside it as .csv.")
    ] = Path("runs/plot/plot.png"),
    dark: Annotated[bool, typer.Option("--dark", help="On a dark ground.")] = False,
    kind: Annotated[str, typer.Option(help=f"What a function of yours is: {', '.join(KINDS)}.")] = "box",
    form: Annotated[str, typer.Option(help="Its target: dense, labels, class_map, ...")] = "dense",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for a program to read.")] = False,
) -> None:
    """Draw value and gradient of losses while a box shifts, grows and is stretched, a logit rises, a mask moves."""
    own = own_inputs(kind, form)
    named = named_losses(names, "plot")
    groups = grouped(named, own)
    files = {label: out if len(groups) == 1 else out.with_stem(f"{out.stem}-{label}") for label in groups}
    check_files([out, *files.values()])
    options = {"out": str(out), "dark": dark, **own_options(named, own)}
    made = Made(command_line(["plot", *names], options))
    console = Console(stderr=as_json)
    drawn = []
    for label, members in track(groups.items(), "drawing", console=console, transient=True):
        curves = [curve(each, sweep) for each, inputs in members for sweep in sweeps_of(inputs)]
        surfaces = [surface(each, inputs.kind) for each, inputs in members if inputs.kind in OF_BOXES]
        table = draw(curves, surfaces, files[label], made, dark)
        drawn.append({**made.to_dict(), "picture": str(files[label]), "numbers": str(table), **as_lists(curves)})
    for each in drawn if not as_json else ():
        for what in ("picture", "numbers"):
            console.print(f"{what}: {escape(str(each[what]))}", soft_wrap=True, highlight=False)
    if as_json:
        typer.echo(strict_json(drawn, indent=None))


def as_lists(curves: Sequence[Curve]) -> dict[str, Any]:
    """The curves in plain types."""
    return {
        "curves": [
            {
                "loss": each.label,
                "sweep": each.sweep.name,
                "place": each.plain_places.tolist(),
                "value": each.value.tolist(),
                "gradient": each.gradient.tolist(),
            }
            for each in curves
        ]
    }


def own_inputs(kind: str, form: str) -> Inputs:
    """What losses take that are in no catalogue."""
    check_value("plot", "--kind", kind, Choice(*KINDS))
    check_value("plot", "--form", form, Choice(*FORMS.get(kind, ("dense",))), f"leave it out, or name a form of {kind}")
    return Inputs(kind, form)  # type: ignore[arg-type]


def own_options(named: Sequence[Named], own: Inputs) -> dict[str, str]:
    """What the command was told of functions that are in no catalogue, if there are any."""
    return {} if all(each.entry for each in named) else {"kind": own.kind, "form": own.form}


def check_files(files: Sequence[Path]) -> None:
    """Raise, before anything is computed, if the pictures cannot be drawn under those names."""
    for file in files:
        if file.suffix not in PICTURES:
            raise refusal("plot", f"--out={str(file)!r}", f"a name that ends in {', '.join(PICTURES)}", "add .png, say")
        require_writable("--out", file)
        require_writable("--out", file.with_suffix(".csv"))
    if not can_draw():
        raise refusal("plot", "matplotlib is not installed", "an environment that can draw", INSTALL)


def grouped(named: list[Named], own: Inputs) -> dict[str, list[tuple[Named, Inputs]]]:
    """The losses by what is on the axes of their pictures: those of one group share all panels.

    Args:
        named: the losses.
        own: what those take that are in no catalogue.
    """
    groups: dict[tuple[str, ...], list[tuple[Named, Inputs]]] = defaultdict(list)
    for each in named:
        inputs = inputs_of(each.entry) if each.entry else own
        groups[tuple(f"{sweep.title}: {sweep.label}" for sweep in sweeps_of(inputs))].append((each, inputs))
    return {"-".join(plain(each.label) for each, _ in members)[:LONGEST]: members for members in groups.values()}


def plain(label: str) -> str:
    """A label as a part of a file's name: letters, digits and _."""
    return re.sub(r"\W+", "_", label).strip("_")
