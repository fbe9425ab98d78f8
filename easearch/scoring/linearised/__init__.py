"""Linearise once, apply many: fast products with splitting matrices, a rule a kind of layer.

`maps` are the bilinear maps, `steps` what a product asks of a layer, `bilinear` that of one with
parameters (`fold`: its norm folded in), `rules` which layer is which step, `plan` a unit's steps in
order, `few` some of its channels, `fields` what a batch leaves behind, `product` one product with
it.
"""

from easearch.scoring.linearised.fields import Engine, Fields, engine, joined
from easearch.scoring.linearised.product import Product

__all__ = ["Engine", "Fields", "Product", "engine", "joined"]
