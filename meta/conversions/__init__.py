"""Numbers that papers do not print, from those that they do, each with its derivation.

Every function takes plain numbers of one study and returns a ``Conversion``: the value (or
several, by name), the formula's id and equation, the inputs and the source. ``text()`` is a line
that can be checked by hand, ``row()`` one for a table, ``recompute`` derives a stored one again.
Bad input raises ``InputError`` with the value and what to do.
"""

from meta.conversions.change import (
    change_sd,
    correlation_from_change,
    dz_from_raw_d,
    raw_d_from_dz,
    sd_from_percent_change,
)
from meta.conversions.design import (
    cluster_se,
    combine_groups,
    concentration,
    crossover,
    design_effect,
    effective_n,
    shared_control_covariance,
    split_shared_control,
)
from meta.conversions.provenance import FORMULAS, Conversion, recompute
from meta.conversions.spread import (
    mean_from_five,
    mean_from_iqr,
    mean_from_range,
    pooled_sd_from_se,
    sd_from_ci,
    sd_from_five,
    sd_from_five_wan,
    sd_from_iqr,
    sd_from_range,
    sd_from_se,
    se_from_ci,
    se_from_p,
    se_from_ratio_ci,
    se_from_t,
    skewness,
)
from meta.conversions.statistics import (
    d_from_log_or,
    dz_from_p,
    dz_from_t,
    g_from_f,
    g_from_p,
    g_from_t,
    log_or_from_d,
    r_from_p,
    r_from_t,
    t_from_p,
)

__all__ = [
    "FORMULAS",
    "Conversion",
    "change_sd",
    "cluster_se",
    "combine_groups",
    "concentration",
    "correlation_from_change",
    "crossover",
    "d_from_log_or",
    "design_effect",
    "dz_from_p",
    "dz_from_raw_d",
    "dz_from_t",
    "effective_n",
    "g_from_f",
    "g_from_p",
    "g_from_t",
    "log_or_from_d",
    "mean_from_five",
    "mean_from_iqr",
    "mean_from_range",
    "pooled_sd_from_se",
    "r_from_p",
    "r_from_t",
    "raw_d_from_dz",
    "recompute",
    "sd_from_ci",
    "sd_from_five",
    "sd_from_five_wan",
    "sd_from_iqr",
    "sd_from_percent_change",
    "sd_from_range",
    "sd_from_se",
    "se_from_ci",
    "se_from_p",
    "se_from_ratio_ci",
    "se_from_t",
    "shared_control_covariance",
    "skewness",
    "split_shared_control",
    "t_from_p",
]
