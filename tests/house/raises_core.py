"""What each "Raises" of the core says, and a call for each condition: (place, error) to {condition: call}."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import loss_plugins as lp
from loss_plugins.audit import audit, catalogued, find_subject, resolve
from loss_plugins.catalog.dialects import translated
from loss_plugins.catalog.entries import add_alias
from loss_plugins.catalog.latex import rendered
from loss_plugins.demo.digits import make_digits
from loss_plugins.evidence.hardest import Labelled, hardest
from loss_plugins.evidence.named import named_losses
from loss_plugins.fusion import fuse, kernels, private
from loss_plugins.fusion.algebra import simplify
from loss_plugins.fusion.axes import require_apart
from loss_plugins.fusion.kernels import kernel_for, program_kernel
from loss_plugins.fusion.keys import key_of_parameters
from loss_plugins.fusion.native import require_compiler
from loss_plugins.fusion.observed import require_numbers_alone
from loss_plugins.fusion.ranks import require_same_operations
from loss_plugins.fusion.tracing import by_columns, joint, only, trace
from loss_plugins.fusion.trials import Layout
from loss_plugins.labels import along_classes, per_class
from loss_plugins.losses.masks import chosen, weights_of_classes
from loss_plugins.module import gain
from loss_plugins.module.imported import meant_by
from loss_plugins.module.mix import mix_loss
from loss_plugins.module.state import sync_losses
from loss_plugins.peers import timed
from loss_plugins.peers.packages import located
from tools.pages import compose

#: (patch, an empty folder): does what the docstring describes
Call = Callable[[pytest.MonkeyPatch, Path], Any]
Table = dict[tuple[str, str], dict[str, Call | str]]
PAIR = torch.rand(2, 3, 4).unbind()


def plain(pred: Tensor, target: Tensor) -> Tensor:
    return (pred - target).abs().sum(-1)


def coupled(pred: Tensor, target: Tensor) -> Tensor:
    return plain(pred, target) * plain(pred, target).mean()


def changing(pred: Tensor, target: Tensor) -> Tensor:
    return plain(pred, target.clamp_(0, 1))


def branching(pred: Tensor, target: Tensor) -> Tensor:
    return plain(pred, target) if float(pred.detach().sum()) > 0 else plain(pred, target) * 2


def counting(pred: Tensor, target: Tensor) -> Tensor:
    return plain(pred, target).view(pred.shape[0], 1).exp().view(pred.shape[0])


def samples(rows: int, classes: int) -> tuple[Tensor, Tensor]:
    pred, target = torch.rand(2, rows, 4).unbind()
    return pred, target


ROWS = Layout("rows", 2, 4, torch.empty(0), torch.empty(0), True)


def by_size(pred: Tensor, target: Tensor) -> Tensor:
    return plain(pred, target) * (1 + pred.shape[0] // 1000)


def by_layout(pred: Tensor, target: Tensor) -> Tensor:
    return plain(pred, target) * (2 if pred.is_contiguous() else 1)


def wrong_program(patch: pytest.MonkeyPatch, _: Path) -> None:
    patch.setattr(kernels, "program_kernel", lambda *given: lambda pred, target, tensors: (pred.sum(-1), pred))
    kernel_for(plain, samples, ROWS, {}, False)


def recorded(function: Callable[..., Tensor]) -> Any:
    pred, target = samples(23, 3)
    return trace(joint(function, by_columns), list(pred.unbind(-1)), list(target.unbind(-1)), {})


def changing_its_argument() -> Any:
    """A graph with an operation in place."""
    graph = torch.fx.Graph()
    graph.output([graph.call_function(torch.ops.aten.add_.Tensor, (graph.placeholder("x"), 1))])
    return graph


def by_position(pred: Any, target: Any, gamma: float = 2.0) -> Any:
    """A loss whose hyper-parameter lacks the * before it."""
    return gamma * (pred - target)


def no_compiler(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(shutil, "which", lambda name: None)


def foreign_images(folder: Path) -> Path:
    (folder / "images").mkdir()
    (folder / "images/mine.png").write_bytes(b"")
    return folder


def without(module: str, patch: pytest.MonkeyPatch, folder: Path, progress: bool = False) -> Any:
    """Compose the digits where a package is missing."""
    patch.setattr("importlib.util.find_spec", lambda name, *more: None if name.startswith(module) else object())
    patch.setitem(sys.modules, module, None)
    return make_digits(folder, train=1, val=1, progress=progress)


def unsized(patch: pytest.MonkeyPatch, folder: Path) -> None:
    patch.setattr("loss_plugins.module.state._is_distributed", lambda: True)
    loss = lp.EFLLoss()
    loss.begin_step()
    sync_losses([loss])


def in_step(patch: pytest.MonkeyPatch, folder: Path) -> None:
    sync_losses([lp.WIoULoss()])


ENTRIES = "loss_plugins/catalog/entries.py"
LOSS = "loss_plugins/module/loss.py"


HARDEST = "tests/evidence/test_hardest.py::test_losses_of_ones_own_that_misbehave_are_refused"


def labelled(**tensors: Tensor) -> Labelled:
    """An image with a label of class 0, and a prediction that equals it."""
    square = torch.tensor([[0.0, 0.0, 4.0, 4.0]])
    right = {"boxes": square, "classes": torch.tensor([0]), "predicted": square, "scores": torch.tensor([[0.9, 0.1]])}
    return Labelled(**{**right, **tensors})


CORE: Table = {
    (f"{ENTRIES}::register_loss", "ValueError"): {
        "unknown kind": lambda *_: lp.register_loss("promised", kind="boxes"),  # type: ignore[arg-type]
        "a name that is not snake case": lambda *_: lp.register_loss("MyIoU"),
        "is taken": lambda *_: lp.register_loss("ciou"),
        "stands for something else here": lambda *_: lp.register_loss("tensors"),
        "a function without `pred` and `target`": lambda *_: lp.register_loss("promised")(lambda a, b: a),
        "with hyper-parameters that may come by position": lambda *_: lp.register_loss("promised")(by_position),
    },
    (f"{ENTRIES}::register_loss", "TypeError"): {
        "an argument of another type": lambda *_: lp.register_loss("promised", traits=3),  # type: ignore[arg-type]
    },
    (f"{ENTRIES}::add_alias", "ValueError"): {
        "the name stands for another loss already": lambda *_: add_alias("CIoULoss", "eiou"),
    },
    (f"{ENTRIES}::get_entry", "TypeError"): {"the name is no text": lambda *_: lp.get_entry(3)},  # type: ignore[arg-type]
    (f"{ENTRIES}::get_entry", "ValueError"): {
        "no such loss; the error lists the closest names": lambda *_: lp.get_entry("coiu"),
    },
    ("loss_plugins/catalog/dialects.py::translated", "ValueError"): {
        "a value of theirs that we do not have": lambda *_: translated(
            "dice", {"dialect": "mmdet", "activate": False, "use_sigmoid": False}
        ),
        "one parameter under two names": lambda *_: translated(
            "dice", {"dialect": "mmdet", "naive_dice": True, "form": "vnet"}
        ),
    },
    ("loss_plugins/catalog/latex.py::rendered", "Unreadable"): {
        "broken LaTeX": lambda *_: rendered(r"\frac{a"),
        "a macro": lambda *_: rendered(r"\dfrac{a}{b}"),
        "environment that is not known here: print the LaTeX itself": lambda *_: rendered(
            r"\begin{matrix} a \end{matrix}"
        ),
    },
    ("loss_plugins/module/imported.py::resolve", "ValueError"): {
        "not of that form": lambda *_: resolve("ciou"),
        "no such module": lambda *_: resolve("no_such_module:f"),
        "no such name": lambda *_: resolve("math:no_such"),
        "nothing callable": lambda *_: resolve("math:pi"),
    },
    ("loss_plugins/audit/find.py::catalogued", "ValueError"): {
        "no such loss": lambda *_: catalogued("coiu"),
        "a parameter out of range": lambda *_: catalogued("ciou", eps=-1.0),
    },
    ("loss_plugins/audit/find.py::find_subject", "ValueError"): {"neither": lambda *_: find_subject("no such loss")},
    ("loss_plugins/module/imported.py::meant_by", "ValueError"): {
        "neither": lambda *_: meant_by("no such loss", "show", "NAME"),
        "it is in no catalogue": lambda *_: meant_by("math:sqrt", "show", "NAME"),
    },
    ("loss_plugins/audit/suite.py::audit", "ValueError"): {
        "an unknown kind": lambda *_: audit(plain, kind="boxes"),  # type: ignore[arg-type]
    },
    ("loss_plugins/evidence/hardest.py::hardest", "ValueError"): {
        "a loss that there is not": lambda *_: hardest([], box="coiu"),
        "that cannot be served": lambda *_: hardest([], cls="cross_entropy"),
        "tensors of other shapes": lambda *_: hardest([labelled(boxes=torch.rand(4))]),
        "a class without score": lambda *_: hardest([labelled(classes=torch.tensor([7]))]),
        "no image": lambda *_: hardest([]),
        "a loss of one's own that raises": HARDEST,
        "whose result is not finite": HARDEST,
        "of another shape": HARDEST,
    },
    ("loss_plugins/evidence/hardest.py::hardest", "TypeError"): {
        "a parameter that a loss does not have": lambda *_: hardest([], box="ciou(esp=1)"),
        "one that is missing": lambda *_: hardest([], box="mpdiou"),
    },
    ("loss_plugins/evidence/named.py::named_losses", "ValueError"): {
        "a loss that there is not": lambda *_: named_losses(["coiu"], "simulate"),
        "that is named in another form": lambda *_: named_losses(["ciou("], "simulate"),
        "a parameter out of range": lambda *_: named_losses(["ciou(eps=-1)"], "simulate"),
    },
    ("loss_plugins/evidence/named.py::named_losses", "TypeError"): {
        "a parameter that the loss does not have": lambda *_: named_losses(["ciou(esp=1)"], "simulate"),
        "one that is missing": lambda *_: named_losses(["mpdiou"], "simulate"),
    },
    ("loss_plugins/demo/digits.py::make_digits", "ValueError"): {
        "an argument is out of range": lambda _, folder: make_digits(folder, train=0),
    },
    ("loss_plugins/demo/digits.py::make_digits", "ImportError"): {
        "scikit-learn": lambda patch, folder: without("sklearn", patch, folder),
        "pillow": lambda patch, folder: without("PIL", patch, folder),
        "(for the bar) rich is missing": lambda patch, folder: without("rich", patch, folder, progress=True),
    },
    ("loss_plugins/demo/digits.py::make_digits", "FileExistsError"): {
        "`root` holds images/, labels/ or annotations/ that this function did not write": lambda _, folder: make_digits(
            foreign_images(folder), train=1, val=1, progress=False
        ),
    },
    ("loss_plugins/fusion/algebra.py::simplify", "NotTraceable"): {
        "an operation changes its argument": lambda *_: simplify(changing_its_argument(), [torch.rand(23)]),
        "depends on the number of rows": lambda *_: simplify(recorded(counting), [*torch.rand(8, 23)]),
    },
    ("loss_plugins/fusion/tracing.py::trace", "NotTraceable"): {
        "the operations depend on the data": lambda *_: recorded(branching),
        "or change an argument": lambda *_: trace(joint(changing, only), *([part] for part in samples(23, 3)), {}),
    },
    ("loss_plugins/fusion/axes.py::require_apart", "NotTraceable"): {
        "an operation may compute with several of them": lambda *_: require_apart(recorded(coupled), 4, per_row=True),
    },
    ("loss_plugins/fusion/ranks.py::require_same_operations", "NotTraceable"): {
        "they differ, for the loss asks how many axes there are": lambda *_: require_same_operations(
            recorded(plain), recorded(counting)
        ),
    },
    ("loss_plugins/fusion/private.py::record", "InPlaceError"): {
        "the function changes one of the tensors": lambda *_: private.record(
            lambda x: [x.view(-1).add_(1).sin()], [torch.rand(3)]
        ),
    },
    ("loss_plugins/fusion/recorder.py::Recorder.run", "RuntimeError"): {
        "it makes a number of Python of one that a tensor happens to have": lambda *_: private.noted(
            lambda x: [x * x.sum().item()], [torch.rand(3)]
        ),
    },
    ("loss_plugins/fusion/private.py::functional", "InPlaceError"): {
        "the function changes one of the tensors": lambda *_: private.functional(
            lambda x: [x.view(-1).add_(1).sin()], [torch.rand(3)], tracing_mode="real"
        ),
    },
    ("loss_plugins/fusion/kernels.py::kernel_for", "NotTraceable"): {
        "the loss cannot be recorded": lambda *_: kernel_for(branching, samples, ROWS, {}, False),
        "what was recorded gives other numbers": wrong_program,
    },
    ("loss_plugins/fusion/kernels.py::program_kernel", "NotTraceable"): {
        "the loss cannot be recorded": lambda *_: program_kernel(branching, samples, ROWS, {}),
    },
    ("loss_plugins/fusion/observed.py::require_numbers_alone", "NotTraceable"): {
        "the loss depends on a size": lambda *_: require_numbers_alone(by_size, ROWS, {}, any_size=False),
        "reads the numbers in a tensor by Python code": lambda *_: require_numbers_alone(
            branching, ROWS, {}, any_size=False
        ),
        "asks something else of a tensor, as where it lies in memory": lambda *_: require_numbers_alone(
            by_layout, ROWS, {}, any_size=False
        ),
        "an operation may compute with several rows or elements": lambda *_: require_numbers_alone(
            coupled, ROWS, {}, any_size=False
        ),
    },
    ("loss_plugins/fusion/keys.py::key_of_parameters", "NoKeyError"): {
        "a parameter that may change later, as an array or an object of some class": lambda *_: key_of_parameters(
            {"gamma": object()}
        ),
    },
    ("loss_plugins/labels.py::LabelRule.read", "ValueError"): {
        "a label that is neither a class, nor background, nor ignored": lambda *_: lp.FocalLoss().labels.read(
            torch.zeros(2, 3), torch.tensor([0, 4]), "class"
        ),
        "labels that may be a mask": lambda *_: lp.FocalLoss().labels.read(
            torch.zeros(2, 1, 3, 3), torch.zeros(2, 3, 3, dtype=torch.long), "class_map"
        ),
        "a score that the loss does not take": lambda *_: lp.FocalLoss().labels.read(
            torch.zeros(2, 3), torch.full((2, 3), 255), "dense"
        ),
    },
    ("loss_plugins/losses/longtail.py::class_count", "ValueError"): {
        "pred has another number of scores": lambda *_: lp.efl_loss(
            torch.zeros(2, 3), torch.zeros(2, 3), num_classes=4
        ),
    },
    ("loss_plugins/module/gain.py::box_gain", "ValueError"): {
        "one of the losses has no gradient on the set": lambda *_: gain.box_gain(
            lp.CIoULoss(), lambda pred, target: 0 * pred.sum(-1)
        ),
        "one that is not finite": lambda *_: gain.box_gain(
            lp.CIoULoss(), lambda pred, target: torch.inf * pred.sum(-1)
        ),
    },
    ("loss_plugins/module/gain.py::rotated_gain", "ValueError"): {
        "one of the losses has no gradient on the set": lambda *_: gain.rotated_gain(
            lp.KLDLoss(), lambda pred, target: 0 * pred.sum(-1)
        ),
        "one that is not finite": lambda *_: gain.rotated_gain(
            lp.KLDLoss(), lambda pred, target: torch.inf * pred.sum(-1)
        ),
    },
    ("loss_plugins/module/gain.py::fair_class_gain", "ValueError"): {
        "what is right for positives is wrong for negatives": lambda *_: gain.fair_class_gain(
            lp.BCEWithLogitsLoss(), lp.FocalLoss().elementwise
        ),
        "those of `class_gain`": lambda *_: gain.fair_class_gain(lp.FocalLoss(), lambda pred, target: 0 * pred),
    },
    ("loss_plugins/module/gain.py::class_gain", "ValueError"): {
        "one of the losses has no gradient on the set": lambda *_: gain.class_gain(
            lp.FocalLoss(), lambda pred, target: 0 * pred
        ),
        "one that is not finite": lambda *_: gain.class_gain(lp.FocalLoss(), lambda pred, target: torch.inf * pred),
    },
    ("loss_plugins/labels.py::per_class", "ValueError"): {
        "not as many numbers as classes": lambda *_: per_class("bce", "w", [1.0, 2.0], torch.zeros(2, 3), True),
    },
    ("loss_plugins/labels.py::along_classes", "ValueError"): {
        "not as many numbers as classes": lambda *_: along_classes("bce", torch.zeros(2, 3), alpha=[1.0, 2.0]),
    },
    ("loss_plugins/losses/masks.py::chosen", "ValueError"): {
        "one that pred does not have": lambda *_: chosen("dice", torch.zeros(2, 3, 4), [0, 3], True),
        "none at all": lambda *_: chosen("dice", torch.zeros(2, 3, 4), 0, False),
        "a choice of classes where there is no class axis": lambda *_: chosen("dice", torch.zeros(2, 4), 0, True),
    },
    ("loss_plugins/losses/masks.py::weights_of_classes", "ValueError"): {
        "not as many as classes": lambda *_: weights_of_classes("dice", torch.zeros(2, 3, 4), [1.0, 2.0], None),
        "pred has no class axis": lambda *_: weights_of_classes("dice", torch.zeros(2, 4), [1.0, 2.0], None),
    },
    ("loss_plugins/fusion/fused.py::Fused.require", "ValueError"): {
        "the loss is not separable": lambda *_: fuse(coupled, samples, True, compiled=True).require({}),
        "not known to depend on its arguments alone": lambda *_: fuse(plain, samples, True, pure=False).require({}),
    },
    ("loss_plugins/fusion/fused.py::Fused.require", "RuntimeError"): {
        "no compiler is found": lambda patch, _: (no_compiler(patch), fuse(plain, samples, True).require({})),
    },
    ("loss_plugins/fusion/native.py::require_compiler", "RuntimeError"): {
        "no C++ compiler is found": lambda patch, _: (no_compiler(patch), require_compiler()),
    },
    ("loss_plugins/module/build.py::build_loss", "ValueError"): {
        "unknown loss": lambda *_: lp.build_loss("coiu"),
        "a parameter out of range": lambda *_: lp.build_loss("ciou", eps=-1.0),
    },
    ("loss_plugins/module/build.py::build_loss", "TypeError"): {
        "unknown parameter": lambda *_: lp.build_loss("ciou", gama=2.0),
        "a spec that is neither name nor dict": lambda *_: lp.build_loss(3),  # type: ignore[arg-type]
    },
    (f"{LOSS}::Loss", "ValueError"): {
        "a reduction": lambda *_: lp.CIoULoss(reduction="avg"),  # type: ignore[arg-type]
        "parameter that is not allowed": lambda *_: lp.CIoULoss(eps=-1.0),
        "a loss that compile=True does not serve": lambda *_: lp.DiceLoss(compile=True),
    },
    (f"{LOSS}::Loss", "TypeError"): {
        "a keyword that the loss does not know": lambda *_: lp.CIoULoss(gama=2.0),
        "a hyper-parameter by position; the error lists those known": lambda *_: lp.CIoULoss("mean", 1.0, False, 1e-7),
    },
    (f"{LOSS}::Loss", "RuntimeError"): {
        "compile=True where no compiler is found": lambda patch, _: (no_compiler(patch), lp.CIoULoss(compile=True)),
    },
    (f"{LOSS}::Loss.forward", "ValueError"): {
        "unknown reduction": lambda *_: lp.CIoULoss()(*PAIR, reduction_override="avg"),
        'avg_factor with "sum"': lambda *_: lp.CIoULoss(reduction="sum")(*PAIR, avg_factor=2.0),
        "a weight that fits no row": lambda *_: lp.CIoULoss()(*PAIR, weight=torch.ones(5)),
        "a label that is no class": lambda *_: lp.FocalLoss()(torch.zeros(2, 3), torch.tensor([0, 4])),
    },
    (f"{LOSS}::Loss.forward", "TypeError"): {
        "something else than tensors": lambda *_: lp.CIoULoss()(PAIR[0].tolist(), PAIR[1]),
    },
    ("loss_plugins/module/mix.py::mix_loss", "ValueError"): {
        "losses of different kinds": lambda *_: mix_loss(*PAIR, losses=["ciou", "l1"]),
        "a spec that names a reduction": lambda *_: mix_loss(*PAIR, losses=[{"type": "ciou", "reduction": "sum"}]),
        "a gate for other than two box losses": lambda *_: mix_loss(*PAIR, losses=["ciou"], gate="size"),
    },
    ("loss_plugins/module/mix.py::gated_entry", "ValueError"): {
        "the members are not two losses of boxes in pixels, given by their corners": lambda *_: lp.build_loss(
            "mix", losses=["ciou", {"type": "giou", "box_format": "cxcywh"}], gate="size"
        ),
    },
    ("loss_plugins/module/state.py::Stateful.set_progress", "ValueError"): {
        "it is not from 0 to 1": lambda *_: lp.UIoULoss().set_progress(2.0),
    },
    ("loss_plugins/module/state.py::sync_losses", "RuntimeError"): {
        "no `begin_step` has been called": in_step,
        "of several ranks, this one has not learnt its number of classes": unsized,
    },
    ("loss_plugins/peers/packages.py::located", "ImportError"): {
        "the module cannot be imported": lambda *_: located("no_such_module:f"),
    },
    ("loss_plugins/peers/packages.py::located", "AttributeError"): {
        "the installed version has no such attribute": lambda *_: located("math:no_such"),
    },
    ("loss_plugins/peers/uses.py::Timed.theirs", "ImportError"): {
        "its package is not installed": lambda *_: replace(timed("giou")[0], place="no_such_module:f").theirs(),
    },
    ("tools/pages/__init__.py::compose", "KeyError"): {
        "the template names a part that there is not": lambda *_: compose("performance", {}),
    },
}
