"""Weights that a module computes from other tensors whenever it runs: torch's parametrizations, the
older weight norm, pruning masks.

Tracing, scoring and surgery see such a weight as a plain parameter, in a copy of the model that
shares all else (`plain`). A grown copy gets back what computes it (`restore`): exactly, since only
what can hold every weight is taken apart. The rest (spectral norm, orthogonal matrices) stays as it
is, and the layers that use it do not grow.
"""

from __future__ import annotations

import copy
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize, prune, remove_weight_norm, weight_norm
from torch.nn.utils.parametrizations import _WeightNorm
from torch.nn.utils.weight_norm import WeightNorm

TOLERANCE = 1e-4
"""Relative error of a weight that was put into its parametrization and taken out."""


@dataclass(frozen=True, kw_only=True)
class Computed:
    """One weight that is computed: `maker` is a parametrization, a weight norm or a mask."""

    path: str
    """Of the module."""
    name: str
    module: nn.Module
    maker: parametrize.ParametrizationList | WeightNorm | prune.BasePruningMethod

    @property
    def sources(self) -> dict[str, Tensor]:
        """The tensors that it is computed from, by their paths in the module."""
        if isinstance(self.maker, parametrize.ParametrizationList):
            held = (*self.maker.named_parameters(), *self.maker.named_buffers())
            return {f"parametrizations.{self.name}.{name}": tensor for name, tensor in held}
        ends = ("_g", "_v") if isinstance(self.maker, WeightNorm) else ("_orig", "_mask")
        return {self.name + end: getattr(self.module, self.name + end) for end in ends}


def computed_weights(model: nn.Module) -> list[Computed]:
    """The weights that are computed and could be any."""
    found = list(_all(model))
    times = Counter((one.path, one.name) for one in found)
    # All parametrizations of a module, or none: they make up its class.
    stay = {
        one.path for one in found if times[one.path, one.name] > 1 or not _holds_everything(one)
    }
    return [one for one in found if one.path not in stay]


def plain(model: nn.Module) -> nn.Module:
    """The model with computed weights as parameters: a copy that shares all other tensors, or the
    model itself where there are none.
    """
    found = computed_weights(model) if isinstance(model, nn.Module) else []
    if not found:
        return model
    apart = {id(tensor) for one in found for tensor in one.sources.values()}
    own = (*model.parameters(), *model.buffers())
    memo: dict[int, Any] = {id(tensor): tensor for tensor in own if id(tensor) not in apart}
    other = copy.deepcopy(model, memo | loose(model))
    for one in found:
        _bake(other.get_submodule(one.path), one)
    return other


def restore(
    model: nn.Module, wider: nn.Module, followed: Callable[[str, Tensor, bool], Tensor]
) -> dict[int, Tensor]:
    """Put back into a grown plain copy what computed the weights of the model.

    Args:
        model: the model before it grew.
        wider: grown from `plain(model)`; it is changed.
        followed: path of a weight, a tensor of its old shape, and whether columns take their
            shares -> the tensor with the weight's new rows and columns; zero where these are new.

    Returns:
        `id` of the tensors from which weights were computed -> those that do so now.
    """
    new: dict[int, Tensor] = {}
    for one in computed_weights(model):
        module = wider.get_submodule(one.path)
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the older weight norm says that it is old
            if isinstance(one.maker, parametrize.ParametrizationList):
                _parametrize(module, one, one.maker)
            elif isinstance(one.maker, WeightNorm):
                dim = one.maker.dim
                weight_norm(module, one.name, dim)
                _away_from_zero(getattr(module, f"{one.name}_v"), -1 if dim is None else dim)
                setattr(module, one.name, one.maker.compute_weight(module))
            else:
                path = f"{one.path}.{one.name}".lstrip(".")
                _mask(module, one, partial(followed, path))
        again = Computed(path=one.path, name=one.name, module=module, maker=_maker(module, one))
        for (_, old), (_, now) in zip(one.sources.items(), again.sources.items(), strict=True):
            if isinstance(old, nn.Parameter):
                now.requires_grad_(old.requires_grad)
            new[id(old)] = now
    return new


def copied(model: nn.Module) -> nn.Module:
    """A copy of a model, also while gradients flow through what its modules computed last."""
    return copy.deepcopy(model, dict[int, Any](loose(model)))


def loose(model: nn.Module) -> dict[int, Tensor]:
    """`id` -> a copy, of the tensors that modules have as attributes and that gradients flow
    through: such are no leaves, and torch does not copy them.
    """
    found: dict[int, Tensor] = {}
    for module in model.modules():
        for value in vars(module).values():
            within = value if isinstance(value, tuple | list) else (value,)
            for one in within:
                if isinstance(one, Tensor) and not one.is_leaf:
                    found[id(one)] = one.detach().clone()
    return found


def maker_of(module: nn.Module) -> str | None:
    """What computes a module's weights, for people; None where nothing does."""
    if parametrize.is_parametrized(module):
        lists: Any = module.parametrizations
        return ", ".join(type(one).__name__ for many in lists.values() for one in many)
    hooks = (*module._forward_pre_hooks.values(), *module._forward_hooks.values())
    return ", ".join(getattr(hook, "__name__", type(hook).__name__) for hook in hooks) or None


def _all(model: nn.Module) -> Iterator[Computed]:
    for path, module in model.named_modules():
        if parametrize.is_parametrized(module):
            lists: Any = module.parametrizations
            for name, maker in lists.items():
                yield Computed(path=path, name=name, module=module, maker=maker)
        for hook in module._forward_pre_hooks.values():
            if isinstance(hook, WeightNorm):
                yield Computed(path=path, name=hook.name, module=module, maker=hook)
            elif isinstance(hook, prune.BasePruningMethod):
                yield Computed(path=path, name=hook._tensor_name, module=module, maker=hook)


def _maker(module: nn.Module, one: Computed) -> Any:
    return next(o.maker for o in _all(module) if o.path == "" and o.name == one.name)


def _holds_everything(one: Computed) -> bool:
    """Whether any weight can be put in, of other sizes too, and comes out as it was."""
    if not isinstance(one.maker, parametrize.ParametrizationList):
        return True
    makers = [_on_numbers(copy.deepcopy(maker).eval()) for maker in one.maker]
    generator = torch.Generator().manual_seed(0)
    try:
        with torch.no_grad():
            weight = copy.deepcopy(one.maker, loose(one.module)).eval()()
            for more in (0, 1):
                sizes = [n + more if axis < 2 else n for axis, n in enumerate(weight.shape)]
                wanted = torch.randn(sizes, generator=generator).to(weight.dtype)
                wanted = wanted if weight.is_meta else wanted.to(weight.device)
                found = _round(makers, wanted)
                alike = found.shape == wanted.shape
                if not alike or not torch.allclose(found, wanted, TOLERANCE, TOLERANCE):
                    return False
    except Exception:  # it refuses weights of other sizes, or has no inverse
        return False
    return True


def _on_numbers(maker: nn.Module) -> nn.Module:
    """A frame without numbers gets some."""
    held = (*maker.parameters(), *maker.buffers())
    if any(tensor.is_meta for tensor in held):
        maker = maker.to_empty(device="cpu")
        for tensor in (*maker.parameters(), *maker.buffers()):
            tensor.data.fill_(1)
    return maker


def _round(makers: list[Any], weight: Tensor) -> Tensor:
    inner: Any = weight
    for maker in reversed(makers):
        inner = maker.right_inverse(inner)
    outer = makers[0](*inner) if isinstance(inner, tuple | list) else makers[0](inner)
    for maker in makers[1:]:
        outer = maker(outer)
    result: Tensor = outer
    return result


def _bake(module: nn.Module, one: Computed) -> None:
    trained = any(t.requires_grad for t in one.sources.values() if isinstance(t, nn.Parameter))
    with torch.no_grad():
        if isinstance(one.maker, parametrize.ParametrizationList):
            _unparametrize(module, one.name)
        elif isinstance(one.maker, WeightNorm):
            remove_weight_norm(module, one.name)
        else:
            prune.remove(module, one.name)  # type: ignore[no-untyped-call]
    baked = module._parameters[one.name]
    assert baked is not None
    baked.requires_grad_(trained)


def _unparametrize(module: nn.Module, name: str) -> None:
    """As `parametrize.remove_parametrizations`, which would change the class, and with it the
    module that was copied.
    """
    lists: Any = module.parametrizations
    weight = lists[name].eval()().detach().clone()
    del lists[name]
    if not lists:
        del module.parametrizations
        module.__class__ = type(module).__bases__[0]
        module.register_parameter(name, nn.Parameter(weight))
    else:
        module._parameters[name] = nn.Parameter(weight)  # the class has a property of the name


def _parametrize(module: nn.Module, one: Computed, makers: parametrize.ParametrizationList) -> None:
    weight = getattr(module, one.name).detach().clone()
    for maker in makers:
        parametrize.register_parametrization(module, one.name, copy.deepcopy(maker), unsafe=True)
    setattr(module, one.name, weight)  # through all of them, from the last to the first
    lists: Any = module.parametrizations
    for maker in lists[one.name]:
        if isinstance(maker, _WeightNorm):
            _away_from_zero(lists[one.name].original1, maker.dim)


def _away_from_zero(direction: Tensor, dim: int) -> None:
    """A direction of length zero is none: its length, which is kept apart, makes the weight 0."""
    length = torch.norm_except_dim(direction, 2, dim)
    direction.masked_fill_((length == 0).expand_as(direction), 1.0)


def _mask(module: nn.Module, one: Computed, followed: Callable[[Tensor, bool], Tensor]) -> None:
    """What is masked stays so, what is new is not; what a removed channel leaves to its twin comes
    out from under a mask.
    """
    weight = getattr(module, one.name).detach().clone()
    original, mask = (tensor.detach() for tensor in one.sources.values())
    left = (followed(original * mask, True) != 0).to(mask)
    new = torch.maximum(1 + followed(mask - 1, False), left)
    hidden = followed(original, False)
    prune.custom_from_mask(module, one.name, new)  # type: ignore[no-untyped-call]
    shown = getattr(module, f"{one.name}_orig")
    shown.copy_(torch.where(new != 0, weight, hidden))
    setattr(module, one.name, (shown * new).detach())
