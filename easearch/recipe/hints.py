"""What people of other tools mean by a key that a recipe does not have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from easearch.recipe.schema import is_part
from easearch.recipe.section import Part

_RATE = "training.rate is the learning rate here"
_SGD = "SGD with Nesterov momentum is the only optimizer as yet: training.rate, training.momentum"
_AUGMENT = (
    "pictures are shifted (training.pad) and mirrored (training.flip), and nothing else as yet"
)
_SCHEDULE = "the schedule is fixed: training.warmup, a constant rate, training.hold, one cosine"
_DEVICE = "device is where to train, budget.device is where the limits hold"
_NO = "there is no such thing as yet; leave it out"
HINTS: Mapping[str, str] = {
    **dict.fromkeys(("lr", "learningrate", "lr0", "baselr", "initiallr", "maxlr"), _RATE),
    **dict.fromkeys(("optimizer", "optimiser", "optim", "opt", "sgd", "adam", "adamw"), _SGD),
    **dict.fromkeys(("nesterov", "betas", "beta1", "beta2"), _SGD),
    **dict.fromkeys(("mixup", "cutmix", "augment", "augmentation", "augmentations"), _AUGMENT),
    **dict.fromkeys(("randaugment", "autoaugment", "erasing", "transforms", "crop"), _AUGMENT),
    **dict.fromkeys(("scheduler", "lrscheduler", "schedule", "cosine", "gamma"), _SCHEDULE),
    **dict.fromkeys(("dropout", "droprate"), "dropout is an argument of a seed: model.arguments"),
    **dict.fromkeys(("ema", "amp", "clip", "gradclip", "clipgrad", "compile", "patience"), _NO),
    **dict.fromkeys(("workers", "numworkers", "pinmemory", "resume", "pretrained"), _NO),
    **dict.fromkeys(("batchsize", "batch", "bs"), "training.batch_size is images a step"),
    **dict.fromkeys(("wd", "weightdecay", "l2", "decay"), "training.weight_decay is the L2 factor"),
    **dict.fromkeys(("smoothing", "labelsmooth"), "training.label_smoothing is it here"),
    **dict.fromkeys(("epoch", "numepochs", "nepochs", "maxepochs"), "training.epochs counts them"),
    **dict.fromkeys(("dataset", "datasets"), "data.name is the data set"),
    **dict.fromkeys(("network", "arch", "architecture", "backbone"), "model.name is the seed"),
    **dict.fromkeys(("gpu", "cuda", "cpu", "accelerator"), _DEVICE),
    **dict.fromkeys(
        ("classes", "numclasses", "nc"), "the data set says how many classes there are"
    ),
    **dict.fromkeys(
        ("imgsz", "imagesize", "imgsize", "resolution"), "data.size is the pixels a side"
    ),
    **dict.fromkeys(("manualseed", "randomseed", "randomstate"), "seed is the random seed"),
    **dict.fromkeys(("latency", "latencyms", "macs", "params"), "a limit stands in budget.limits"),
    **dict.fromkeys(("bits", "quantize", "quantization", "dtype"), "budget.precision is it here"),
}
"""A key, in small letters without `_` and `-` -> what to say of it."""


def hint(root: type[Part], keys: Sequence[str]) -> str:
    """What to say of the unknown key at the end of a path; "" where nothing is known of it."""
    key = keys[-1]
    elsewhere = [place for place in _places(root, key) if place != ".".join(keys)]
    if "device" in (key, *elsewhere):
        return f"{_DEVICE}."
    said = HINTS.get(key.lower().replace("_", "").replace("-", ""))
    if said is not None:
        return f"{said}."
    return f"did you mean {elsewhere[0]}?" if elsewhere else ""


def _places(root: type[Part], key: str) -> list[str]:
    """Dotted paths of the fields of that very name, at the top and in the sections."""
    found = [key] if key in root.model_fields else []
    for name, field in root.model_fields.items():
        if is_part(field.annotation) and key in field.annotation.model_fields:  # type: ignore[union-attr]
            found.append(f"{name}.{key}")
    return found
