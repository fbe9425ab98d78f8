"""The recipe: everything that one run needs, as validated data, and how a YAML file becomes one.

Whatever is wrong with a file comes out as one `RecipeError` sentence: the file, the dotted path of
the key, what was expected, what came, and the nearest known name.
"""

from easearch.recipe.choice import Choice
from easearch.recipe.limits import BudgetPart, FrontPart
from easearch.recipe.parts import (
    DataPart,
    GrowthPart,
    ModelPart,
    TrainingPart,
    seed_arguments,
)
from easearch.recipe.reading import parse_overrides
from easearch.recipe.recipe import Recipe
from easearch.recipe.scored import built_criterion, name_and_options
from easearch.recipe.section import Limit, Number, Part, Whole

__all__ = [
    "BudgetPart",
    "Choice",
    "DataPart",
    "FrontPart",
    "GrowthPart",
    "Limit",
    "ModelPart",
    "Number",
    "Part",
    "Recipe",
    "TrainingPart",
    "Whole",
    "built_criterion",
    "name_and_options",
    "parse_overrides",
    "seed_arguments",
]
