"""Times ONNX models where they shall run: one file that needs python3 and onnxruntime alone.

Here it is a module like any other; a remote device gets a copy, and starts it as a program.

On shared machines speed drifts by the second. Interleaving spreads every drift over all models
alike; running a model several times a visit measures it with warm caches; the minimum is what the
machine can do undisturbed.

Boards are older than desks: this must run on Python 3.8.
"""

from __future__ import annotations

import functools
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

# Some builds report every session to their maker, and keep a file for it in the user's cache.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
import onnxruntime as ort

PROVIDER = "CPUExecutionProvider"
CHUNK = 64
"""Sessions held at once."""
LEAST_RUNS = 2
"""Runs a visit: the first may find cold caches."""
EVICTED = 96 * 2**20
"""Bytes walked through before a cold run: more than most processors cache."""
MAGIC = "easearch-runner 1"
"""The line behind which all that a runner says is answers; the number is the protocol's."""
BEAT_S = 1.0
"""Between two signs of life."""
CPUINFO = "/proc/cpuinfo"
INSTRUCTIONS = (
    *("avx2", "avx512f", "avx512_vnni", "avx512_bf16"),
    *("asimd", "asimdhp", "asimddp", "i8mm", "bf16", "sve"),
)
"""Instruction sets that change which kernels run."""
NUMBERS = ("cpu family", "model", "CPU implementer", "CPU variant", "CPU part")
"""Virtual machines hide the generation behind one name ("AMD EPYC"), boards say none: these do."""
_DTYPES = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(int8)": np.int8,
    "tensor(uint8)": np.uint8,
}


class CannotRun(Exception):
    """A model cannot be loaded or run here; the text says why."""


def timed(
    models: Sequence[bytes | str],
    *,
    rounds: int = 12,
    sessions: int = 1,
    visit_us: float = 150.0,
    visit_runs: int = 10,
    sample: Sequence[int] | None = None,
    threads: int = 1,
    provider: str = PROVIDER,
    cold: bool = False,
    done: Callable[[int], None] | None = None,
) -> list[dict[str, Any]]:
    """Time models in turns.

    Args:
        models: serialized models or names of files.
        rounds: how often every session is visited, at least twice.
        sessions: how many sessions a model has at once. Where a session's buffers happen to lie
            in memory changes a depthwise convolution by up to 40 %: several tell more than one.
        visit_us, visit_runs: a visit ends after this time or so many runs, and has at least two.
        sample: (N, C, ...), sizes for dimensions that a model leaves open; the batch is always 1.
        threads, provider: of the runtime.
        cold: one run a visit, behind emptied caches.
        done: called with the number of models timed so far, between any two visits.

    Returns:
        A dict a model: `min_us`, `median_us`, `p90_us`, `runs`, and `halves_us`, the minima of two
        interleaved halves of the visits: they differ by the noise of the machine.

    Raises:
        CannotRun: a model cannot be loaded or run.
    """
    return in_turns(
        models,
        lambda model: bound_call(model, sample, threads, provider),
        rounds=rounds,
        sessions=sessions,
        visit_us=visit_us,
        visit_runs=visit_runs,
        evict=evict if cold else None,
        done=done,
    )


def in_turns(
    models: Sequence[bytes | str],
    opened: Callable[[bytes | str], Callable[[], None]],
    *,
    rounds: int = 12,
    sessions: int = 1,
    visit_us: float = 150.0,
    visit_runs: int = 10,
    evict: Callable[[], None] | None = None,
    done: Callable[[int], None] | None = None,
) -> list[dict[str, Any]]:
    """Time models in turns, whatever runs them.

    Args:
        models, rounds, sessions, visit_us, visit_runs, done: as `timed` takes them.
        opened: from a model, a function that runs it once.
        evict: empties the caches; one run a visit, each behind it. A call that can `warm` its
            inputs does so before.

    Returns:
        As `timed`.
    """
    answers: list[dict[str, Any]] = []
    tell = done or _nobody
    share = max(1, CHUNK // sessions)
    for start in range(0, len(models), share):
        part = models[start : start + share]
        calls = []
        for one in [*part] * sessions:
            calls.append(opened(one))
            tell(len(answers))
        halves: list[tuple[list[int], list[int]]] = [([], []) for _ in part]
        for number in range(max(2, rounds)):
            for place, call in enumerate(calls):
                session, model = divmod(place, len(part))
                if evict is None:
                    runs = _visit(call, visit_us * 1000, visit_runs)
                else:
                    evict()
                    getattr(call, "warm", _nothing)()
                    runs = [_run(call)]
                halves[model][(number + session) % 2].extend(runs)
                tell(len(answers))
        answers += [_summary(one, other) for one, other in halves]
        tell(len(answers))
    return answers


def open_session(model: bytes | str, threads: int = 1, provider: str = PROVIDER) -> Any:
    """A session: operators one after another, fully optimised, not spinning."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    options.log_severity_level = 4
    try:
        return ort.InferenceSession(model, options, providers=[provider])
    except Exception as error:
        raise CannotRun(f"ONNX Runtime cannot load {_named(model)}: {error}") from error


def random_inputs(session: Any, sample: Sequence[int] | None = None) -> dict[str, Any]:
    """Random inputs for a session: open dimensions as in `sample`, the batch 1."""
    return random_arrays(session.get_inputs(), sample)


def random_arrays(entries: Sequence[Any], sample: Sequence[int] | None = None) -> dict[str, Any]:
    """Random inputs by name, for entries that have `name`, `type` ("tensor(float)") and `shape`."""
    draw = np.random.default_rng(0)
    inputs = {}
    for entry in entries:
        if entry.type not in _DTYPES:
            raise CannotRun(f"the input '{entry.name}' is a {entry.type}, expected numbers")
        size = [_dimension(i, value, sample, entry.name) for i, value in enumerate(entry.shape)]
        middle = 128 if entry.type == "tensor(uint8)" else 0  # where quantized maps have zero
        inputs[entry.name] = (draw.standard_normal(size) + middle).astype(_DTYPES[entry.type])
    return inputs


def bound_call(
    model: bytes | str,
    sample: Sequence[int] | None = None,
    threads: int = 1,
    provider: str = PROVIDER,
) -> Callable[[], None]:
    """A function that runs the model once on random inputs bound in advance."""
    call = _Call(open_session(model, threads, provider), sample)
    try:
        call()
    except Exception as error:
        raise CannotRun(f"ONNX Runtime cannot run {_named(model)}: {error}") from error
    return call


class _Call:
    """A session with its inputs and outputs bound."""

    def __init__(self, session: Any, sample: Sequence[int] | None) -> None:
        self.session, self.binding = session, session.io_binding()
        self.inputs = []
        for name, array in random_inputs(session, sample).items():
            self.inputs.append(ort.OrtValue.ortvalue_from_numpy(array))
            self.binding.bind_ortvalue_input(name, self.inputs[-1])
        for entry in session.get_outputs():
            self.binding.bind_output(entry.name)

    def __call__(self) -> None:
        self.session.run_with_iobinding(self.binding)

    def warm(self) -> None:
        """Bring the inputs into the caches: in a network the layer before has just written them."""
        for value in self.inputs:
            value.numpy().sum()


def facts(threads: int = 1, provider: str = PROVIDER) -> dict[str, Any]:
    """What this machine is: processor, instruction sets, threads, runtime, provider.

    Raises:
        CannotRun: the runtime lacks the provider.
    """
    there = ort.get_available_providers()
    if provider not in there:
        raise CannotRun(
            f"onnxruntime {ort.__version__} has no {provider} here, it has {', '.join(there)}"
        )
    return {
        **processor(),
        "threads": threads,
        "runtime": f"onnxruntime {ort.__version__}",
        "provider": provider,
    }


def processor() -> dict[str, Any]:
    """Its name, and the instruction sets that matter.

    An emulated processor finds the file of the one that emulates it: that name is said, and no
    instruction set is taken from there.
    """
    try:
        with open(CPUINFO, errors="replace") as file:  # noqa: PTH123 (a module of its own)
            told = _cpuinfo(file.read())
    except OSError:
        told = {}
    machine = platform.machine()
    flags = set((told.get("flags") or told.get("Features") or "").split())
    name = told.get("model name") or platform.processor() or machine
    arm = machine in ("aarch64", "arm64")
    if arm and "flags" in told:
        flags, name = set(), machine + " emulated on " + name
    if arm:
        flags.add("asimd")  # all of them have it
    numbers = [f"{key} {told[key]}" for key in NUMBERS if key in told]
    return {
        "cpu": " ".join([name, *numbers]),
        "instructions": [name for name in INSTRUCTIONS if name in flags],
    }


def _cpuinfo(text: str) -> dict[str, str]:
    first = text.split("\n\n")[0]
    pairs = (line.partition(":") for line in first.splitlines())
    return {key.strip(): value.strip() for key, _, value in pairs}


def _visit(call: Callable[[], None], enough_ns: float, most_runs: int) -> list[int]:
    runs: list[int] = []
    spent = 0
    while len(runs) < LEAST_RUNS or (spent < enough_ns and len(runs) < most_runs):
        runs.append(_run(call))
        spent += runs[-1]
    return runs


def _run(call: Callable[[], None]) -> int:
    start = time.perf_counter_ns()
    call()
    return time.perf_counter_ns() - start


def _nothing() -> None:
    """What cannot be warmed stays as it is."""


def evict() -> None:
    """Walk through more memory than the processor caches."""
    _walk()[::64] += 1


@functools.lru_cache(maxsize=None)  # noqa: UP033 (Python 3.8)
def _walk() -> Any:
    return np.zeros(EVICTED, np.uint8)


def _summary(one: Sequence[int], other: Sequence[int]) -> dict[str, Any]:
    low, median, high = np.quantile(np.asarray([*one, *other]) / 1000, (0.0, 0.5, 0.9))
    return {
        "min_us": float(low),
        "median_us": float(median),
        "p90_us": float(high),
        "runs": len(one) + len(other),
        "halves_us": [min(one) / 1000, min(other) / 1000],
    }


def _dimension(axis: int, value: Any, sample: Sequence[int] | None, name: str) -> int:
    if isinstance(value, int) and value > 0:
        return value
    if axis == 0:
        return 1
    if sample is not None and axis < len(sample):
        return int(sample[axis])
    raise CannotRun(f"the input '{name}' leaves dimension {axis} open; give a sample's shape")


def _named(model: bytes | str) -> str:
    told = model.name if isinstance(model, Sent) else "" if isinstance(model, bytes) else model
    return told.rpartition("/")[-1] or "a generated model"


def _nobody(_: int) -> None:
    pass


class Sent(bytes):
    """A model that came over a connection."""

    name = ""
    """Of the file that it was, if it was one."""


def main() -> None:
    """Answer requests on the standard input until it ends.

    A request is a line of JSON: `do` is "facts" or "time", the rest are the function's arguments;
    `sizes` and `names` belong to the models whose bytes follow, `order` says which of them are
    timed. An answer is a line of JSON: `facts`, `times` or `error`; lines with `done` before it are
    signs of life. All answers come behind the line `MAGIC`.
    """
    requests = sys.stdin.buffer
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is no answer

    def tell(line: str) -> None:
        answers.write(line.encode() + b"\n")
        answers.flush()

    tell("\n" + MAGIC)
    for line in iter(requests.readline, b""):
        request = json.loads(line)
        models = [Sent(requests.read(size)) for size in request.pop("sizes", ())]
        for model, name in zip(models, request.pop("names", ())):  # noqa: B905 (Python 3.8)
            model.name = name
        tell(json.dumps(_answer(request, models, tell)))


def _answer(
    request: dict[str, Any], models: Sequence[bytes], tell: Callable[[str], None]
) -> dict[str, Any]:
    last = time.monotonic()

    def beat(done: int) -> None:
        nonlocal last
        if time.monotonic() - last >= BEAT_S:
            last = time.monotonic()
            tell(json.dumps({"done": done}))

    try:
        if request.pop("do") == "facts":
            return {"facts": facts(**request)}
        chosen = [models[place] for place in request.pop("order")]
        return {"times": timed(chosen, done=beat, **request)}
    except CannotRun as error:
        return {"error": str(error)}


if __name__ == "__main__":
    main()
