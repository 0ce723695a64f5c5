"""Where our defaults differ: every difference has a reason, every reason was measured."""

from __future__ import annotations

from dataclasses import replace

import torch

from loss_plugins.catalog.dialects import defaults_of, translated
from loss_plugins.parity.deviations import deviations
from loss_plugins.parity.reasons import REASONS
from loss_plugins.peers import compared
from loss_plugins.samples import SAMPLES

FEW = 800


def test_every_default_that_differs_has_a_reason() -> None:
    explained = {(reason.stock.framework, reason.loss) for reason in REASONS}
    first = {(row.framework, row.loss): row for row in reversed(compared())}
    for row in first.values():
        if (row.framework, row.loss) in explained:
            continue
        # the row's own parameters, under our names: what the dialect adds to them must be explained
        given = row.parameters if row.ours is None else row.ours
        silent = defaults_of(row.loss, row.framework).values
        ours = translated(row.loss, {**given, "dialect": row.framework})
        plain = replace(row, plain={key: ours[key] for key in ours if key in given or key not in {*silent, "dialect"}})
        dtype = torch.float32 if row.double is None else torch.float64
        pred, target = SAMPLES[row.sample](FEW, 0, dtype)
        ours_found = plain.default()(pred, target)
        theirs_found = row.theirs()(pred, target).reshape(ours_found.shape)  # smp's cross-entropy leaves an axis of 1
        apart = (ours_found - theirs_found).abs().max()
        assert apart < (row.promised.value if row.double is None else 1e-9), (row.framework, row.name)


def test_what_was_measured_covers_the_reasons() -> None:
    measured = {(found.framework, found.loss, found.builtin, found.why, found.restores) for found in deviations()}
    assert measured == {
        (reason.stock.framework, reason.loss, reason.stock.builtin, reason.why, reason.restores) for reason in REASONS
    }, "run: python -m tools.pages deviations"
    assert "NaN" in str(next(found for found in deviations("ciou") if found.framework == "mmdet"))
