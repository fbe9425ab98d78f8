"""Timing in ONNX Runtime on one core: models take turns, minima over many rounds are what counts.

On shared machines speed drifts by the second. Interleaving spreads every drift over all models
alike; running a model several times a visit measures it with warm caches; the minimum is what the
machine can do undisturbed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort

from easearch.errors import DeviceError

Model = bytes | Path
Progress = Callable[[int, int], None]
"""Called with (done, total)."""

PROVIDER = "CPUExecutionProvider"
CHUNK = 64
_DTYPES = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(int8)": np.int8,
    "tensor(uint8)": np.uint8,
}


@dataclass(frozen=True, kw_only=True)
class Timing:
    """Times of one model in microseconds, over all of its runs."""

    min_us: float
    median_us: float
    p90_us: float
    runs: int


def interleaved(
    models: Sequence[Model],
    *,
    rounds: int = 12,
    visit_us: float = 150.0,
    visit_runs: int = 10,
    sample: Sequence[int] | None = None,
    progress: Progress | None = None,
) -> list[Timing]:
    """Time models in turns, one thread, warm caches.

    Args:
        models: serialized models or files. rounds: how often every model is visited. visit_us,
        visit_runs: a visit ends after this time or so many runs, and has at least two. sample:
        (N, C, ...), sizes for the dimensions that a model leaves open; the batch is always 1.
        progress: called with (done, total) after each chunk of models.

    Raises:
        DeviceError: a model cannot be loaded or run.
    """
    timings: list[Timing] = []
    for start in range(0, len(models), CHUNK):
        calls = [bound_call(model, sample) for model in models[start : start + CHUNK]]
        runs: list[list[int]] = [[] for _ in calls]
        for _ in range(rounds):
            for call, kept in zip(calls, runs, strict=True):
                kept.extend(_visit(call, visit_us * 1000, visit_runs))
        timings += [_summary(kept) for kept in runs]
        if progress is not None:
            progress(len(timings), len(models))
    return timings


def open_session(model: Model) -> Any:
    """An ONNX Runtime session on one thread, sequential, fully optimised, not spinning."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    options.log_severity_level = 4
    source = str(model) if isinstance(model, Path) else model
    try:
        return ort.InferenceSession(source, options, providers=[PROVIDER])
    except Exception as error:
        what = model.name if isinstance(model, Path) else "a generated model"
        raise DeviceError(f"ONNX Runtime cannot load {what}: {error}") from error


def random_inputs(session: Any, sample: Sequence[int] | None = None) -> dict[str, Any]:
    """Random inputs for a session: open dimensions as in `sample`, the batch 1."""
    draw = np.random.default_rng(0)
    inputs = {}
    for entry in session.get_inputs():
        if entry.type not in _DTYPES:
            raise DeviceError(f"the input '{entry.name}' is a {entry.type}, expected numbers")
        size = [_dimension(i, value, sample, entry.name) for i, value in enumerate(entry.shape)]
        inputs[entry.name] = draw.standard_normal(size).astype(_DTYPES[entry.type])
    return inputs


def bound_call(model: Model, sample: Sequence[int] | None = None) -> Callable[[], None]:
    """A function that runs the model once on random inputs bound in advance."""
    session = open_session(model)
    binding = session.io_binding()
    for name, array in random_inputs(session, sample).items():
        binding.bind_cpu_input(name, array)
    for entry in session.get_outputs():
        binding.bind_output(entry.name)

    def call() -> None:
        session.run_with_iobinding(binding)

    try:
        call()
    except Exception as error:
        raise DeviceError(f"ONNX Runtime cannot run the model: {error}") from error
    return call


def _visit(call: Callable[[], None], enough_ns: float, most_runs: int) -> list[int]:
    runs: list[int] = []
    spent = 0
    while len(runs) < 2 or (spent < enough_ns and len(runs) < most_runs):
        start = time.perf_counter_ns()
        call()
        runs.append(time.perf_counter_ns() - start)
        spent += runs[-1]
    return runs


def _summary(runs_ns: Sequence[int]) -> Timing:
    low, median, high = np.quantile(np.asarray(runs_ns) / 1000, (0.0, 0.5, 0.9))
    return Timing(min_us=float(low), median_us=float(median), p90_us=float(high), runs=len(runs_ns))


def _dimension(axis: int, value: Any, sample: Sequence[int] | None, name: str) -> int:
    if isinstance(value, int) and value > 0:
        return value
    if axis == 0:
        return 1
    if sample is not None and axis < len(sample):
        return int(sample[axis])
    raise DeviceError(f"the input '{name}' leaves dimension {axis} open; give a sample's shape")
