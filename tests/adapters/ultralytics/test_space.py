# SPDX-License-Identifier: AGPL-3.0-or-later
"""What a search is refused for before its first training, beside the wrong spaces of test_tuning."""

from __future__ import annotations

import pytest

from loss_plugins.adapters import ultralytics as lpu
from loss_plugins.adapters.ultralytics.space import read_space


def test_numbers_per_class_are_not_searched() -> None:
    for numbers in ([2.0, 1.0], 2.0):
        spec = lpu.make_spec(cls={"type": "bce_with_logits", "pos_weight": numbers})
        if isinstance(numbers, float):
            assert read_space({"cls_loss.pos_weight": (0.5, 3)}, spec, {"optimizer": "SGD"})
        else:
            with pytest.raises(ValueError, match="'cls_loss\\.pos_weight', which is no number"):
                read_space({"cls_loss.pos_weight": (0.5, 3)}, spec, {"optimizer": "SGD"})


def test_a_slot_that_the_model_lacks_is_refused_before_the_first_training() -> None:
    with pytest.raises(ValueError, match="has no mask loss"):
        lpu.tune("yolo11n.yaml", mask="dice", space={"lrf": (0.1, 0.2)})
