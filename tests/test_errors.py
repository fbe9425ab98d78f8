"""Text of others is shown on one line, without codes that a terminal obeys."""

from __future__ import annotations

import pytest

from easearch.errors import printable, reason_of

SHOWN = {
    "plain text, ü and 漢": "plain text, ü and 漢",
    "a\x1b[96mb\x1b[0m": "ab",
    "two\nlines\r\n\tthree": "two lines three",
    "\x1b]0;title\x07x": "x",
    "\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\": "link",
    "\x9b31mred": "red",
    "left\u202eright\u200b": "leftright",
    "nul\x00 bell\x07 del\x7f": "nul bell del",
    "half\ud800": "half?",
    "cut\x1b": "cut",
}


@pytest.mark.parametrize("text", SHOWN)
def test_text_is_shown_on_one_line(text: str) -> None:
    assert printable(text) == SHOWN[text]
    assert printable(printable(text)) == printable(text)


def test_long_text_is_cut() -> None:
    assert printable("x" * 100, 10) == "x" * 7 + "..."
    assert printable("x" * 10, 10) == "x" * 10


class Step(RuntimeError):
    """As an exporter says that one of its steps failed."""


Step.__module__ = "torch.onnx.steps"


def test_a_reason_is_the_first_line_with_words() -> None:
    assert reason_of(ValueError("\n\n\x1b[1mbad\x1b[0m size.\nWhile executing ...")) == "bad size"
    assert reason_of(ValueError("Errors:\n\n\tsize of a\n\tsize of b")) == "Errors: size of a"
    assert reason_of(ValueError()) == "ValueError"
    assert reason_of(KeyError("image")) == "KeyError: 'image'"
    assert len(reason_of(ValueError("x" * 10_000))) < 250


def test_the_cause_of_a_failed_step_is_quoted() -> None:
    step = Step("Failed. Next steps:\n- ...")
    step.__cause__ = Step("step 3/3")
    step.__cause__.__cause__ = ValueError("no function for aten.median")
    assert reason_of(step) == "no function for aten.median"
    assert reason_of(Step("alone")) == "alone"
