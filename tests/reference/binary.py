"""Values for pooled 2x2 tables and rates, each with its source.

``BCG``: 13 trials of BCG vaccine against tuberculosis (Colditz et al. 1994, JAMA 271:698-702), as
in ``metadat::dat.bcg``. ``STROKES``: strokes and person-years with warfarin and without (Hart et
al. 1999, Ann Intern Med 131:492-501), as in ``metadat::dat.hart1999``.
Results from metafor 3.8-1 (``rma.mh``, ``rma.peto``, ``rma.glmm``).
"""

from __future__ import annotations

BCG = {
    "study": [
        "Aronson 1948",
        "Ferguson & Simes 1949",
        "Rosenthal 1960",
        "Hart & Sutherland 1977",
        "Frimodt-Moller 1973",
        "Stein & Aronson 1953",
        "Vandiviere 1973",
        "TPT Madras 1980",
        "Coetzee & Berjak 1968",
        "Rosenthal 1961",
        "Comstock 1974",
        "Comstock & Webster 1969",
        "Comstock 1976",
    ],
    "events_1": [4, 6, 3, 62, 33, 180, 8, 505, 29, 17, 186, 5, 27],
    "total_1": [123, 306, 231, 13598, 5069, 1541, 2545, 88391, 7499, 1716, 50634, 2498, 16913],
    "events_2": [11, 29, 11, 248, 47, 372, 10, 499, 45, 65, 141, 3, 29],
    "total_2": [139, 303, 220, 12867, 5808, 1451, 629, 88391, 7277, 1665, 27338, 2341, 17854],
}

STROKES = {
    "events_1": [9, 8, 3, 6, 7, 20],
    "time_1": [413, 263, 487, 237, 489, 507],
    "events_2": [19, 19, 13, 9, 23, 50],
    "time_2": [398, 245, 435, 241, 483, 405],
}

# measure: estimate, standard error, Q
BCG_MANTEL_HAENSZEL = {
    "OR": (-0.473410988388585, 0.0410077784042314, 163.942579569193),
    "RR": (-0.453709604683754, 0.0393373668712944, 152.567553586657),
    "RD": (-0.003288181832613, 0.000286656748527374, 386.77594183656),
}
BCG_PETO = (-0.474446310940636, 0.0406590807446483, 167.730167511489)
STROKES_MANTEL_HAENSZEL = {
    "IRR": (-1.0295745969374, 0.162094900339308, 2.96854815463433),
    "IRD": (-0.039351346850971, 0.0061049838708695, 12.5320344730479),
}
# Cochran-Mantel-Haenszel with its correction; Breslow-Day with Tarone's.
BCG_ASSOCIATION, BCG_HOMOGENEITY = 135.688943723906, 171.756672993871
# model: estimate, standard error, tau2; lme4's tolerance is about 1e-4
BCG_GLMM = {
    "UM.FS": (-0.745013466103339, 0.175565799339644, 0.294893647589718),
    "CM.AL": (-0.722116995623337, 0.174401922301382, 0.288710350731379),
}
