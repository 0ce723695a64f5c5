"""Running statistics of a loss: what each learns from the rows of a training step, and how ranks share it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ..catalog.declare import Told
from ..catalog.dialects import defaults_of
from ..catalog.entry import Entry
from ..catalog.evaluation import with_ignored
from ..catalog.ranges import Interval, check_value
from ..catalog.results import called, check_part
from ..errors import refusal
from ..labels import Given
from ..tensors import Target, class_axis, raised
from .exact import ExactBuffers

#: up to so many numbers of a statistic are printed with its module
SHOWN = 30


def check_statistics(where: str, names: Collection[str], taken: Collection[str]) -> None:
    """Raise if a running statistic is called like something that the module which keeps it has already.

    Args:
        where: the call, or the class, that an error names.
        names: of the running statistics.
        taken: the names that the module has for itself.
    """
    for name in names:
        if name in taken:
            came = f"the running statistic {name!r} has the name of an attribute of the module that keeps it"
            allowed = "a name that no module has, as it is the key in the state dict"
            raise refusal(where, came, allowed, f"call one of them '{name.strip('_')}_seen', say")


class RunningStatistic(ExactBuffers):
    """The running statistic that the loss's function takes by the keyword `name`, see `State`.

    The loss holds it under that name, so its key in a state dict is "<keyword>.value": "mean.value" for `wiou`,
    "wise_mean.value" for `wise=2`, "counts.value" for `ghm_c`. The key is the name of the buffer itself, as
    `torch.func.functional_call` and `torch.distributed.checkpoint` require. A single number has the shape (1,), since
    the compiler of torch 2.9 loses updates of 0-dim float64 buffers. Keys and shapes are part of the checkpoint
    format: they do not change.

    Args:
        entry: the loss.
        name: the keyword of the state.
        parameters: all parameters of the loss, defaults included.

    Attributes:
        value: the statistic, float64; the only buffer in the state dict.
        before: its value at the beginning of the step.
        pending: the sum of what the calls of the step have learnt from.
        is_told: it learns nothing from rows: somebody sets it, see `Loss.set_progress`.
        is_late: a step learns after use.
        of_gradient: it learns in the backward pass.
        unsized: its size is not known yet, see `State.sized_by`.
        each_call: a dialect whose framework learns from each call, of evaluation too, and in each process by itself.
        in_step: the calls make one update until the next `begin_step`; before the first one, each call is a step.
    """

    value: Tensor
    before: Tensor
    pending: Tensor

    def __init__(self, entry: Entry, name: str, parameters: Mapping[str, Any]) -> None:
        super().__init__()
        self.entry, self.name = entry, name
        state = entry.states[name]
        self.parameters_of_loss = parameters
        self.summary_keywords = entry.arguments(parameters)
        self.update_keywords = {key: parameters[key] for key in state.update_keywords}
        self.is_told = isinstance(state, Told)
        self.is_late, self.of_gradient = state.late or state.of_gradient, state.of_gradient
        self.each_call = defaults_of(entry.name, parameters.get("dialect")).learns == "each call"
        self.in_step = False
        self.unsized = parameters.get(state.sized_by, 0) is None
        value, pending = self._initial(parameters)
        self.register_buffer("value", value)
        self.register_buffer("before", value.clone(), persistent=False)
        self.register_buffer("pending", pending, persistent=False)
        self._prepare()

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)  # type: ignore[no-untyped-call]
        self._prepare()

    def _prepare(self) -> None:
        """Load the compiler, where it has to be told what it leaves alone: see `OutsideOfGraphs`."""
        if self.of_gradient and OutsideOfGraphs.fit is None:
            OutsideOfGraphs.fit = torch.compiler.disable(RunningStatistic.fit)  # type: ignore[no-untyped-call]

    def _initial(self, parameters: Mapping[str, Any]) -> tuple[Tensor, Tensor]:
        """The value from before the first call with these parameters, and a sum of no rows."""
        state, where = self.entry.states[self.name], self.entry.name
        initial = check_part(where, f"initial of {self.name!r}", state.initial(parameters)).double()
        empty = check_part(where, f"empty of {self.name!r}", state.empty(parameters)).double()
        self.shape, self.summary_shape = initial.shape, empty.shape
        return at_least_1d(initial), at_least_1d(empty)

    def fit(self, classes: int) -> None:
        """Become a statistic of so many classes, if it is of none yet."""
        if not self.unsized:
            return
        size, device = {self.entry.states[self.name].sized_by: int(classes)}, self.value.device
        self.summary_keywords = {**self.summary_keywords, **size}
        value, pending = self._initial({**self.parameters_of_loss, **size})
        # not registered: a failed torch.export leaves a hook on registration behind, which no compiler can trace
        self._buffers.update(value=value, before=value.clone(), pending=pending)
        if self.value.device != device:
            self._apply(lambda buffer: buffer.to(device))
        self.unsized = False

    def _load_from_state_dict(self, state_dict: Mapping[str, Any], prefix: str, *others: Any) -> None:
        saved = state_dict.get(f"{prefix}value")
        if isinstance(saved, Tensor) and saved.numel() and self.unsized:
            state = self.entry.states[self.name]
            sizes = ((count, state.initial({state.sized_by: count}).shape) for count in range(1, saved.numel() + 1))
            self.fit(next((count for count, size in sizes if size == saved.shape), 0))
        super()._load_from_state_dict(state_dict, prefix, *others)  # type: ignore[no-untyped-call]

    def check_classes(self, pred: Tensor) -> None:
        """Raise unless pred has as many classes as were learnt, where the loss was not told how many there are."""
        sized_by = self.entry.states[self.name].sized_by
        if self.unsized or not sized_by or self.parameters_of_loss.get(sized_by) is not None:
            return
        learnt, axis = self.summary_keywords[sized_by], class_axis(pred)
        if pred.shape[axis] != learnt:
            came = f"{sized_by} is None, {learnt} classes have been learnt (by an earlier call, or from a state dict)"
            came += f", and pred {tuple(pred.shape)} has {pred.shape[axis]} scores along axis {axis}"
            remedy = f"build one loss for each number of classes, and say {sized_by}=..., without background"
            raise refusal(self.entry.name, came, f"{learnt} scores, as those that were learnt", remedy)

    @property
    def current(self) -> Tensor:
        """The value in the shape that the loss's function takes: 0-dim for a number."""
        return as_said(self.value, self.shape)

    @torch.no_grad()
    def learn(self, given: Given, weight: Tensor | None) -> Tensor:
        """Update by these rows, and by those of earlier calls of the step; the value to use, as `current` has it."""
        if self.is_told:
            return self.current
        if self.unsized:
            fit = OutsideOfGraphs.fit if self.of_gradient else RunningStatistic.fit
            fit(self, given.pred.shape[class_axis(given.pred)])
        known = as_said(self.before if self.in_step else self.value, self.shape).clone() if self.is_late else None
        if self.of_gradient and known is not None:
            return known
        learned = self.add(given, None if self.each_call else weight)
        return learned if known is None else known

    def heard(self, given: Given) -> Tensor:
        """The prediction; what reaches it in the backward pass is learnt."""
        buffers = self.value, self.before, self.pending
        pred: Tensor = _Heard.apply(given.pred, given.target, self, *buffers)  # type: ignore[no-untyped-call]
        return pred

    @torch.no_grad()
    def add(self, given: Given, weight: Tensor | None, buffers: Sequence[Tensor] | None = None) -> Tensor:
        """Update by these rows, and by those of earlier calls of the step; the new value.

        Args:
            given: the rows.
            weight: theirs.
            buffers: value, before and pending, where a compiler has to see them come.
        """
        value, before, pending = buffers or (self.value, self.before, self.pending)
        pred, target = raised(given.pred.detach(), given.target)
        summarise = self.entry.states[self.name].summary
        keywords = with_ignored(self.entry, summarise, self.summary_keywords, given)
        summary = called(self.entry, summarise, {"pred": pred, "target": target, "weight": weight}, keywords)
        check_part(self.entry.name, f"summary of {self.name!r}", summary, self.summary_shape)
        summary = summary.to(value.dtype)
        summary = summary if summary.ndim else summary.view(1)
        if not self.in_step:
            return self._update(value, value, summary)
        pending.add_(summary)
        return self._update(value, before, pending)

    def begin_step(self) -> None:
        """From now on, all calls make one update."""
        self.in_step = True
        self.before.copy_(self.value)
        self.pending.zero_()

    @torch.no_grad()
    def end_step(self, summary: Tensor) -> None:
        """Update once by the sum over all ranks, instead of by this rank's, and begin the next step."""
        self._update(self.value, self.before, summary)
        self.begin_step()

    def _update(self, value: Tensor, before: Tensor, summary: Tensor) -> Tensor:
        update = self.entry.states[self.name].update
        numbers = {"value": as_said(before, self.shape), "summary": as_said(summary, self.summary_shape)}
        learned: Tensor = called(self.entry, update, numbers, self.update_keywords)
        check_part(self.entry.name, f"update of {self.name!r}", learned, self.shape)
        value.copy_(learned if learned.ndim else learned.view(1))
        return learned

    def extra_repr(self) -> str:
        """The value."""
        numbers = self.value.numel()
        return f"{self.current.tolist()}" if numbers <= SHOWN else f"{numbers} numbers"


class OutsideOfGraphs:
    """What a compiler leaves alone: what a backward pass learns into is no buffer that its own graph has made.

    Attributes:
        fit: as `RunningStatistic.fit`; None until the first statistic of gradients is made.
    """

    fit: Any = None


class _Heard(torch.autograd.Function):
    """Its argument, whose gradient is handed to a running statistic. A compiler traces it, as it does no hook."""

    @staticmethod
    def forward(ctx: Any, pred: Tensor, target: Target, statistic: RunningStatistic, *buffers: Tensor) -> Tensor:
        ctx.target, ctx.statistic, ctx.buffers = target, statistic, buffers
        return pred.view_as(pred)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        ctx.statistic.add(Given(gradient, ctx.target), None, ctx.buffers)
        return gradient, None, None, None, None, None


class Stateful(nn.Module):
    """A module that holds running statistics, or modules that do."""

    @property
    def statistics(self) -> dict[str, RunningStatistic]:
        """The running statistics by the keyword of the function that takes each; a mix leaves them to its members."""
        return {name: part for name, part in self._modules.items() if isinstance(part, RunningStatistic)}

    def begin_step(self) -> None:
        """From now to the next `begin_step`, all calls make one update of the running statistics.

        After k calls, say one per level of a head, the state is what one call with all rows would have made it.
        Without any `begin_step`, every call is a step of its own, as in the papers' code.

        A forward pass that `torch.utils.checkpoint` computes again in the backward pass is one more call, of which the
        same rows are learnt: call the loss outside of what is checkpointed. Transforms of `torch.func` take a loss that
        learns after `eval()` alone.
        """
        for statistic in statistics_of([self]):
            statistic.begin_step()

    def sync(self) -> None:
        """End the step: make the running statistics what one process with the rows of all ranks would have made them.

        Every rank calls it once per step, after the optimizer's step: see `sync_losses`.
        """
        sync_losses([self])

    def set_progress(self, progress: float) -> None:
        """Tell the losses that change in the course of a training (`uiou`) how much of it is over.

        The adapters of Ultralytics, MMDetection, transformers and LibreYOLO do. The state dict holds what was told.

        Args:
            progress: 0 at the beginning, 1 at the end; epoch / epochs, say.

        Raises:
            ValueError: it is not from 0 to 1.
        """
        check_value("set_progress", "progress", progress, Interval(0, 1), "pass epoch / epochs, say")
        for part in told_parts(self):
            part.value.fill_(progress)

    @property
    def takes_progress(self) -> bool:
        """Whether `set_progress` changes anything."""
        return bool(told_parts(self))


def told_parts(module: nn.Module) -> list[RunningStatistic]:
    """The numbers of a module, and of those inside, that somebody tells."""
    return [part for part in module.modules() if isinstance(part, RunningStatistic) and part.is_told]


def as_said(value: Tensor, shape: torch.Size) -> Tensor:
    """A buffer as the loss's functions take it: without axis where it is one number."""
    return value if len(shape) else value.view(())


def at_least_1d(value: Tensor) -> Tensor:
    """A copy with one axis more if there is none."""
    return value.reshape(value.shape or (1,)).clone()


def running_statistics(entry: Entry, parameters: Mapping[str, Any]) -> list[RunningStatistic]:
    """The running statistics that a loss keeps with these parameters, defaults included."""
    active = [name for name, state in entry.states.items() if not state.when or parameters.get(state.when)]
    return [RunningStatistic(entry, name, parameters) for name in active]


def statistics_of(losses: Iterable[nn.Module]) -> list[RunningStatistic]:
    """What the losses and their members learn from rows, in order."""
    parts = (part for loss in losses for part in loss.modules())
    learning = (part for part in parts if isinstance(part, RunningStatistic) and not part.is_told)
    return [part for part in learning if not part.each_call]


def sync_losses(losses: Iterable[nn.Module]) -> None:
    """End the step: running statistics become what one process with the rows of all ranks would have made of them.

    Statistics learn from sums over rows. The sums of all ranks are added, and the update is made once: a rank with many
    rows counts for more, one without rows for nothing. Every rank has to pass here once per step, with the same losses,
    so the place is after the optimizer's step, not in a forward pass, which a rank without objects may skip.

    Raises:
        RuntimeError: no `begin_step` has been called; of several ranks, this one has not learnt its number of classes.
    """
    statistics = statistics_of(losses)
    for statistic in statistics:
        if not statistic.in_step:
            raise RuntimeError(
                f"{statistic.entry.name}: sync() ends a step that was never begun; call begin_step() before the first "
                "forward pass of each step"
            )
    if not _is_distributed():
        for statistic in statistics:
            statistic.begin_step()
    elif statistics:
        unsized = next((statistic for statistic in statistics if statistic.unsized), None)
        if unsized is not None:  # ranks that have been called know of how many classes it is, and this one does not
            key = unsized.entry.states[unsized.name].sized_by
            raise RuntimeError(
                f"{unsized.entry.name}: {key} is None, and no call has told this rank of how many classes its running "
                f"statistic is; build the loss with {key}=..."
            )
        summaries = torch.cat([statistic.pending.flatten() for statistic in statistics])
        torch.distributed.all_reduce(summaries)
        parts = torch.split(summaries, [statistic.pending.numel() for statistic in statistics])
        for statistic, summary in zip(statistics, parts, strict=True):
            statistic.end_step(summary.view_as(statistic.pending))


def _is_distributed() -> bool:
    return torch.distributed.is_available() and torch.distributed.is_initialized()
