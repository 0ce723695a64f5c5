"""What the catalogue's traits cannot say yet: inputs of class losses, detached parts, losses that fall on purpose.

Every line is judged both ways: a loss declared to fall, to leave out a part of its gradient, or not to be proper must
be seen to do so.
"""

from __future__ import annotations

from .samples import Scores

#: what class and region losses take, where it is not dense targets and logits
SCORES = {
    "bce": Scores(scale="probabilities"),
    "gaussian_focal": Scores(scale="probabilities"),
    "cross_entropy": Scores("class_map", class_axis=1),
    "nll": Scores("class_map", "log_probabilities", 1),
    "kl_div": Scores(scale="log_probabilities"),
    "margin_ranking": Scores("input_sign", "ranks"),
    "hinge_embedding": Scores(scale="distances"),
    "softmax_focal": Scores("class_map", class_axis=1),
    "distribution_focal": Scores("score", "logits"),
    "poly_cross_entropy": Scores("class_map", class_axis=1),
    "asymmetric_softmax": Scores("class_map", class_axis=1),
}

#: losses whose gradient leaves a part out, and why
DETACHED = {
    "ciou": "the weight alpha of the aspect term (1911.08287)",
    "alpha_ciou": "the weight beta of the aspect term (2110.13675)",
    "focal_eiou": "the weight IoU^gamma (2101.08158)",
    "mix": "of CIoU: the weight alpha of the aspect term (1911.08287)",
    "wiou": "the enclosing diagonal and the focusing weight (2301.10051)",
    "asymmetric": "the focusing weight (detach_focus=True)",
}

_LESS = "boxes weigh IoU^gamma, so a poor one costs less than a fair one"
#: losses that fall on a path on which boxes get worse, and why
NOT_MONOTONE: dict[str, dict[str, str]] = {
    "focal_eiou": dict.fromkeys(("shifted right", "shifted down", "shifted diagonally", "shrunk", "grown"), _LESS),
}

#: losses that cost something else in a mirror, and why
NOT_MIRRORED = {
    "extended_iou": "its signed intersection is measured from the upper left corner (IEEE 9429909)",
}

#: is the target the best score? Losses that are not named are measured only.
PROPER = {
    "bce": True,
    "bce_with_logits": True,
    "cross_entropy": True,
    "nll": True,
    "kl_div": True,
    "quality_focal": True,
    "varifocal": True,
    "distribution_focal": True,
    "focal": False,
    "softmax_focal": False,
    "poly_cross_entropy": False,
    "poly_focal": False,
    "asymmetric": False,
}
