"""What numbers of other frameworks mean here: their parameters to ours, where another name will not do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

Parameters = dict[str, Any]


def is_number(value: Any) -> bool:
    """Whether to convert a value before its range is checked, which names whatever else came."""
    return isinstance(value, (int, float))


def of_each(change: Callable[[float], float], numbers: Any) -> Any:
    """A change of one number, or of one per class."""
    if isinstance(numbers, Tensor):
        numbers = numbers.tolist()
    return list(map(change, numbers)) if isinstance(numbers, (list, tuple)) else change(numbers)


def of_mean_1(weights: Any) -> Any:
    """Weights of classes, of which a framework takes the mean by their sum, as factors whose mean is 1."""
    if not isinstance(weights, (list, tuple)) or not all(map(is_number, weights)) or sum(weights) <= 0:
        return weights
    return [weight * len(weights) / sum(weights) for weight in weights]


def without_trailing_axes(numbers: Any) -> Any:
    """Numbers per class that have axes of length 1 behind them, without those.

    >>> without_trailing_axes([[[1.0]], [[2.0]]])
    [1.0, 2.0]
    """
    if isinstance(numbers, Tensor):
        trailing = numbers.ndim > 1 and numbers.shape[1:].numel() == 1
        return numbers.flatten() if trailing else numbers
    while isinstance(numbers, (list, tuple)) and numbers and all(_is_one(each) for each in numbers):
        numbers = [each[0] for each in numbers]
    return numbers


def _is_one(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and len(value) == 1


def twice(share: Any) -> Any:
    """The share that goes to yes and no together, of that which goes to each; None for nothing."""
    return 0.0 if share is None else 2 * share if is_number(share) else share


def none_below_zero(alpha: Any) -> Any:
    """Torchvision's alpha, where a negative number means no weight."""
    return None if is_number(alpha) and alpha < 0 else alpha


def none_from_zero(alpha: Any) -> Any:
    """Ultralytics' alpha, where 0 or a negative number means no weight."""
    return None if is_number(alpha) and alpha <= 0 else alpha


def dice_mmdet(parameters: Parameters) -> Parameters:
    """V-Net's form has epsilon in both sums of its denominator, the naive one above and below."""
    if parameters["form"] == "vnet":
        return {**parameters, "eps": 2 * parameters["eps"]}
    return {**parameters, "smooth": parameters["eps"], "eps": 0.0}


def exponent_smp(parameters: Parameters) -> Parameters:
    """Its gamma is the exponent, ours the inverse."""
    return {**parameters, "gamma": 1 / parameters["gamma"]}


def negatives_rfdetr(parameters: Parameters) -> Parameters:
    """Its alpha is what negatives do not weigh; above 1 its loss would fall as they get worse."""
    return {**parameters, "alpha": of_each(lambda alpha: max(0.0, 1 - alpha), parameters["alpha"])}


def smooth_monai(parameters: Parameters) -> Parameters:
    """Its smooth_dr is all that the denominator gets; ours has smooth + eps there."""
    return {**parameters, "eps": parameters["eps"] - parameters["smooth"]}


def weights_monai(parameters: Parameters) -> Parameters:
    """Without the background it takes a weight for each of the others."""
    weight = parameters.get("class_weight")
    if parameters.get("include_background", True) or not isinstance(weight, (list, tuple, Tensor)):
        return parameters
    others = weight.tolist() if isinstance(weight, Tensor) else weight
    return {**parameters, "class_weight": [0.0, *others]}


def dice_monai(parameters: Parameters) -> Parameters:
    """With squares its overlap is the product, soft labels or not."""
    product = {"overlap": "product"} if parameters["form"] == "vnet" else {}
    return weights_monai(smooth_monai({**parameters, **product}))


def jaccard_monai(parameters: Parameters) -> Parameters:
    """It counts every mass twice."""
    smooth, whole = parameters["smooth"] / 2, parameters["eps"] / 2
    return weights_monai({**parameters, "smooth": smooth, "eps": whole - smooth})
