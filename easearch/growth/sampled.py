"""A sample as JSON: shapes and types of its tensors in their structure, and a sample made of them.

`{"dict": {"ids": {"shape": [4, 9], "dtype": "int64", "range": [0, 19]}}}`. No numbers are kept.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from easearch.errors import FileFormatError, nearest
from easearch.structures import Structure

TYPES: dict[str, torch.dtype] = {
    str(dtype).removeprefix("torch."): dtype
    for dtype in (
        *(torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.complex64),
        *(torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool),
    )
}
LARGEST = 2**24
"""Numbers of one sample: 3 x 2,300 x 2,300. What runs on it at tracing takes many times as much."""
DEEPEST, MOST = 16, 256
"""Containers in each other, and tensors and constants, at most."""
_CONSTANTS = (type(None), bool, int, float, str)


def described(sample: Structure) -> Any:
    """The sample as JSON.

    Raises:
        FileFormatError: it holds what a file cannot say.
    """
    if isinstance(sample, Tensor):
        found: dict[str, Any] = {"shape": list(sample.shape), "dtype": _name(sample.dtype)}
        if not sample.is_floating_point() and not sample.is_complex() and sample.numel():
            found["range"] = [int(sample.min()), int(sample.max())]
        return found
    if isinstance(sample, Mapping) and all(isinstance(name, str) for name in sample):
        return {"dict": {name: described(one) for name, one in sample.items()}}
    if type(sample) in (tuple, list):
        return {type(sample).__name__: [described(one) for one in sample]}
    if isinstance(sample, _CONSTANTS):
        return {"value": sample}
    raise FileFormatError(
        "expected a sample of tensors, numbers and text in tuples, lists and dicts, got a "
        f"{type(sample).__name__} in it; give its tensors in one of these"
    )


def made(form: Any) -> Structure:
    """A sample of this form: zeros, and whole numbers and booleans that go through their range."""
    (kind,) = form.keys() & {"shape", "dict", "tuple", "list", "value"}
    content = form[kind]
    if kind == "shape":
        dtype = TYPES[form["dtype"]]
        low, high = form.get("range", (0, 0))
        if low == high:
            return torch.full(content, low, dtype=dtype)
        numbers = torch.arange(math.prod(content)) % (high - low + 1) + low
        return numbers.reshape(content).to(dtype)
    if kind == "dict":
        return {name: made(one) for name, one in content.items()}
    if kind == "value":
        return content
    return tuple(map(made, content)) if kind == "tuple" else [made(one) for one in content]


def checked(form: Any) -> Any:
    """The form, if `made` can make it and memory is enough.

    Raises:
        TypeError, ValueError: what is wrong with it.
    """
    leaves = list(_leaves(form, 0))
    if len(leaves) > MOST:
        raise ValueError(f"expected {MOST} tensors and constants at most, got {len(leaves)}")
    numbers = sum(math.prod(leaf["shape"]) for leaf in leaves if "shape" in leaf)
    if numbers > LARGEST:
        raise ValueError(f"expected {LARGEST:,} numbers at most, got {numbers:,}")
    if not any("shape" in leaf for leaf in leaves):
        raise ValueError("expected at least one tensor, got none")
    return form


def _leaves(form: Any, depth: int) -> Iterator[dict[str, Any]]:
    if not isinstance(form, dict) or depth > DEEPEST:
        raise TypeError(f"expected the form of a sample, got {str(form)[:40]!r}")
    keys = set(form)
    if keys in ({"tuple"}, {"list"}, {"dict"}):
        ((kind, content),) = form.items()
        if kind == "dict":
            content = list(content.values()) if isinstance(content, dict) else None
        if not isinstance(content, list):
            raise TypeError(f"expected what is in a {kind}, got {str(content)[:40]!r}")
        for one in content:
            yield from _leaves(one, depth + 1)
    elif keys == {"value"} and isinstance(form["value"], _CONSTANTS):
        yield form
    elif {"shape", "dtype"} <= keys <= {"shape", "dtype", "range"}:
        _check_tensor(**form)
        yield form
    else:
        raise ValueError(f"expected the form of a sample, got the fields {sorted(keys)[:5]}")


def _check_tensor(shape: Any, dtype: Any, range: Any = (0, 0)) -> None:
    if not isinstance(shape, list) or not all(type(n) is int and n >= 0 for n in shape):
        raise TypeError(f"expected a shape of whole numbers, got {str(shape)[:40]!r}")
    if not isinstance(dtype, str) or dtype not in TYPES:
        raise ValueError(f"expected a type of numbers, got {str(dtype)[:40]!r}; {_near(dtype)}")
    whole = isinstance(range, list | tuple) and len(range) == 2
    if not whole or not all(type(n) is int and abs(n) < 2**62 for n in range):
        raise TypeError(f"expected a range of two whole numbers, got {str(range)[:40]!r}")
    if range[0] > range[1]:
        raise ValueError(f"expected a range from less to more, got {list(range)}")


def _near(dtype: Any) -> str:
    return nearest(str(dtype)[:40], TYPES)


def _name(dtype: torch.dtype) -> str:
    name = str(dtype).removeprefix("torch.")
    if name not in TYPES:
        raise FileFormatError(
            f"expected a sample of {', '.join(TYPES)}, got {name}; convert it to one of these"
        )
    return name
