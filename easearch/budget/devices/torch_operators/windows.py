"""Rules for what looks at maps: convolutions, pools, padding, interpolation, norms.

ONNX lists what is added before all axes, then behind all; torch adds the same on both sides, or
takes pairs from the last axis to the first.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch.nn.functional as F
from torch import Tensor

from easearch.budget.devices.torch_operators.node import Function, Node, Rule

CONV = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
TRANSPOSED = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}
MAX_POOL = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}
AVERAGE_POOL = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}
PADS = {"constant": "constant", "reflect": "reflect", "edge": "replicate", "wrap": "circular"}


def _dims(node: Node) -> int:
    dims = len(node.shape) - 2
    if dims not in CONV:
        raise node.refused(f"an input of {len(node.shape)} axes")
    return dims


def _per_axis(node: Node, name: str, dims: int, default: int) -> list[int]:
    found: list[int] = node.attribute(name, [default] * dims)
    return found


def _pads(node: Node, kernel: Sequence[int]) -> tuple[list[int], list[int]]:
    """What is added before every axis of positions, and behind."""
    dims, way = len(kernel), node.attribute("auto_pad", "NOTSET")
    told = _per_axis(node, "pads", 2 * dims, 0)
    if way == "NOTSET":
        return told[:dims], told[dims:]
    if way == "VALID":
        return [0] * dims, [0] * dims
    stride = _per_axis(node, "strides", dims, 1)
    dilation = _per_axis(node, "dilations", dims, 1)
    spans = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
    sizes = zip(node.shape[2:], stride, spans, strict=True)
    whole = [max(0, (-(-size // s) - 1) * s + span - size) for size, s, span in sizes]
    less, more = [one // 2 for one in whole], [one - one // 2 for one in whole]
    return (less, more) if way == "SAME_UPPER" else (more, less)


def _pairs(begins: Sequence[int], ends: Sequence[int]) -> list[int]:
    """As `F.pad` takes them."""
    both = list(zip(begins, ends, strict=True))
    return [number for pair in reversed(both) for number in pair]


def _conv(node: Node) -> Function:
    dims = _dims(node)
    begins, ends = _pads(node, node.shape_of(1)[2:])
    options: dict[str, Any] = {
        "stride": _per_axis(node, "strides", dims, 1),
        "dilation": _per_axis(node, "dilations", dims, 1),
        "groups": node.attribute("group", 1),
    }
    run: Callable[..., Tensor] = CONV[dims]
    if begins == ends:
        return lambda x, weight, bias=None: run(x, weight, bias, padding=begins, **options)
    pairs = _pairs(begins, ends)
    return lambda x, weight, bias=None: run(F.pad(x, pairs), weight, bias, **options)


def _transposed(node: Node) -> Function:
    dims = _dims(node)
    node.only("output_shape", None)
    node.only("auto_pad", "NOTSET", "VALID")
    begins, ends = _pads(node, node.shape_of(1)[2:])
    options: dict[str, Any] = {
        "stride": _per_axis(node, "strides", dims, 1),
        "dilation": _per_axis(node, "dilations", dims, 1),
        "groups": node.attribute("group", 1),
        "output_padding": _per_axis(node, "output_padding", dims, 0),
    }
    run: Callable[..., Tensor] = TRANSPOSED[dims]
    if begins == ends:
        return lambda x, weight, bias=None: run(x, weight, bias, padding=begins, **options)
    cut = [-number for number in _pairs(begins, ends)]
    return lambda x, weight, bias=None: F.pad(run(x, weight, bias, **options), cut)


def _pool(node: Node) -> tuple[list[int], list[int], list[int], dict[str, Any]]:
    """Kernel, pads before and behind, and what both kinds of pool take."""
    dims = _dims(node)
    kernel: list[int] = node.attribute("kernel_shape")
    begins, ends = _pads(node, kernel)
    options = {
        "stride": _per_axis(node, "strides", dims, 1),
        "ceil_mode": bool(node.attribute("ceil_mode", 0)),
    }
    return kernel, begins, ends, options


def _fits(kernel: Sequence[int], begins: list[int], ends: list[int]) -> bool:
    """Whether torch's pools add that much by themselves."""
    return begins == ends and all(2 * p <= k for p, k in zip(begins, kernel, strict=True))


def _max_pool(node: Node) -> Function:
    kernel, begins, ends, options = _pool(node)
    dilation = _per_axis(node, "dilations", len(kernel), 1)
    run: Callable[..., Tensor] = MAX_POOL[len(kernel)]
    if _fits(kernel, begins, ends):
        return lambda x: run(x, kernel, padding=begins, dilation=dilation, **options)
    pairs = _pairs(begins, ends)
    return lambda x: run(F.pad(x, pairs, value=-math.inf), kernel, dilation=dilation, **options)


def _average_pool(node: Node) -> Function:
    kernel, begins, ends, options = _pool(node)
    node.only("dilations", None, [1] * len(kernel))
    counts = bool(node.attribute("count_include_pad", 0))
    run: Callable[..., Tensor] = AVERAGE_POOL[len(kernel)]
    if _fits(kernel, begins, ends):
        return lambda x: run(x, kernel, padding=begins, count_include_pad=counts, **options)
    if not counts:
        raise node.refused(f"pads={[*begins, *ends]} that do not count")
    pairs = _pairs(begins, ends)
    return lambda x: run(F.pad(x, pairs), kernel, **options)


def _pad(node: Node) -> Function:
    mode, told = node.attribute("mode", "constant"), node.numbers(1) or []
    rank, half = len(node.shape), len(told) // 2
    axes = [axis % rank for axis in node.numbers(3) or range(rank)]
    begins, ends = [0] * rank, [0] * rank
    for axis, begin, end in zip(axes, told[:half], told[half:], strict=True):
        begins[axis], ends[axis] = begin, end
    pairs = _pairs(begins, ends)
    if mode == "constant":
        value = node.number(2, 0)
        return lambda x: F.pad(x, pairs, value=value)
    if any(pairs[2 * (rank - 2) :]) or rank < 3:
        raise node.refused(f"mode={mode} over samples or channels")
    return lambda x: F.pad(x, pairs[: 2 * (rank - 2)], mode=PADS[mode])


def _resize(node: Node) -> Function:
    """With `antialias`, torch's windows: ONNX has others where the ratio is no whole number."""
    for name, *allowed in (
        ("keep_aspect_ratio_policy", "stretch"),
        ("exclude_outside", 0),
        ("axes", None),
    ):
        node.only(str(name), *allowed)
    mode, aligned = _mode(node)
    options: dict[str, Any] = {"mode": mode}
    if mode in ("bilinear", "bicubic"):
        options["antialias"] = bool(node.attribute("antialias", 0))
    else:
        node.only("antialias", 0)
    if not mode.startswith("nearest"):
        options["align_corners"] = aligned
    sizes, scales = node.numbers(3), node.numbers(2)
    told, fixed = (sizes, node.shape) if sizes else (scales, (1, 1))
    if not told or tuple(told[:2]) != tuple(fixed[:2]):
        raise node.refused("another number of samples or channels")
    ends = zip(node.shape, told, strict=True)
    if aligned and not sizes and any(size * scale % 1 for size, scale in ends):
        raise node.refused("aligned corners and a scale that gives no whole number")
    options["size" if sizes else "scale_factor"] = told[2:]
    return lambda x: F.interpolate(x, **options)


def _sample(node: Node) -> Function:
    mode, outside = node.attribute("mode", "linear"), node.attribute("padding_mode", "zeros")
    options = {
        "mode": {"linear": "bilinear", "cubic": "bicubic"}.get(mode, mode),
        "padding_mode": outside,
        "align_corners": bool(node.attribute("align_corners", 0)),
    }
    return lambda x, grid: F.grid_sample(x, grid, **options)


def _mode(node: Node) -> tuple[str, bool]:
    """torch's name of the interpolation, and whether corners are aligned."""
    mode = node.attribute("mode", "nearest")
    where = node.attribute("coordinate_transformation_mode", "half_pixel")
    rounded = node.attribute("nearest_mode", "round_prefer_floor")
    curve = node.attribute("cubic_coeff_a", -0.75)
    if mode == "nearest":
        known = {
            ("asymmetric", "floor"): "nearest",
            ("half_pixel", "round_prefer_ceil"): "nearest-exact",
        }
        if (where, rounded) in known:
            return known[where, rounded], False
        raise node.refused(f"mode=nearest, {where}, {rounded}")
    if where not in ("half_pixel", "align_corners") or (mode == "cubic" and curve != -0.75):
        raise node.refused(f"mode={mode}, {where}, cubic_coeff_a={curve:g}")
    dims = _dims(node)
    if mode == "cubic" and dims != 2:
        raise node.refused(f"mode=cubic over {dims} axes")
    linear = {1: "linear", 2: "bilinear", 3: "trilinear"}[dims]
    return "bicubic" if mode == "cubic" else linear, where == "align_corners"


def _batch_norm(node: Node) -> Function:
    node.only("training_mode", 0)
    eps = node.attribute("epsilon", 1e-5)

    def run(x: Tensor, scale: Tensor, bias: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
        return F.batch_norm(x, mean, variance, scale, bias, False, 0.0, eps)

    return run


def _instance_norm(node: Node) -> Function:
    eps = node.attribute("epsilon", 1e-5)
    return lambda x, scale, bias: F.instance_norm(x, weight=scale, bias=bias, eps=eps)


def _layer_norm(node: Node) -> Function:
    axis, eps = node.axis(-1), node.attribute("epsilon", 1e-5)
    sizes = node.shape[axis:]
    _refuse_other(node, sizes)
    return lambda x, scale, bias=None: F.layer_norm(x, sizes, scale, bias, eps)


def _rms_norm(node: Node) -> Function:
    axis, eps = node.axis(-1), node.attribute("epsilon", 1e-5)
    sizes = node.shape[axis:]
    _refuse_other(node, sizes)
    return lambda x, scale: F.rms_norm(x, sizes, scale, eps)


def _refuse_other(node: Node, sizes: tuple[int, ...]) -> None:
    if node.shape_of(1) != sizes:
        raise node.refused(f"scales of shape {node.shape_of(1)}, not {sizes}")


def _group_norm(node: Node) -> Function:
    groups, eps = node.attribute("num_groups"), node.attribute("epsilon", 1e-5)
    _refuse_other(node, node.shape[1:2])
    return lambda x, scale, bias: F.group_norm(x, groups, scale, bias, eps)


def _local_norm(node: Node) -> Function:
    size, bias = node.attribute("size"), node.attribute("bias", 1.0)
    alpha, beta = node.attribute("alpha", 1e-4), node.attribute("beta", 0.75)
    return lambda x: F.local_response_norm(x, size, alpha, beta, bias)


RULES: dict[str, Rule] = {
    "AveragePool": Rule(make=_average_pool),
    "BatchNormalization": Rule(make=_batch_norm),
    "Conv": Rule(make=_conv),
    "ConvTranspose": Rule(make=_transposed),
    "GridSample": Rule(make=_sample),
    "GroupNormalization": Rule(make=_group_norm),
    "InstanceNormalization": Rule(make=_instance_norm),
    "LRN": Rule(make=_local_norm),
    "LayerNormalization": Rule(make=_layer_norm),
    "MaxPool": Rule(make=_max_pool),
    "Pad": Rule(make=_pad, tensors=1),
    "RMSNormalization": Rule(make=_rms_norm),
    "Resize": Rule(make=_resize, tensors=1),
}
