"""Effect sizes: one registered function per measure, grouped by kind of data."""

from meta.measures import (
    converted,
    correlations,
    generic,
    means,
    pre_post,
    pre_post_control,
    proportions,
    rates,
    reliability,
    single_group,
    two_by_two,
)
from meta.measures.build import effects, given
from meta.measures.registry import MEASURES, Measure, measure_named

__all__ = ["MEASURES", "Measure", "effects", "given", "measure_named"]

# Importing a module registers its measures.
KINDS = (
    means,
    two_by_two,
    converted,
    rates,
    correlations,
    reliability,
    pre_post,
    pre_post_control,
    single_group,
    proportions,
    generic,
)
