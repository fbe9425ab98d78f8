"""Model and sample in, Graph out: the walk that finds channel groups, and the kinds of layers."""

from easearch.tracing import kinds as kinds
from easearch.tracing.call import Call
from easearch.tracing.kind import Kind, Op, Role
from easearch.tracing.registry import KINDS, register
from easearch.tracing.walk import trace

__all__ = ["KINDS", "Call", "Kind", "Op", "Role", "register", "trace"]
