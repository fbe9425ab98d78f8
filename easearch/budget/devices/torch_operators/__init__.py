"""One torch function an ONNX operator: `RULES`, by the operator's name."""

from easearch.budget.devices.torch_operators import arrays, elementwise, recurrent, windows
from easearch.budget.devices.torch_operators.arrays import stored
from easearch.budget.devices.torch_operators.node import Function, Node, NoRule, Rule

RULES: dict[str, Rule] = {**elementwise.RULES, **arrays.RULES, **windows.RULES, **recurrent.RULES}

__all__ = ["RULES", "Function", "NoRule", "Node", "Rule", "stored"]
