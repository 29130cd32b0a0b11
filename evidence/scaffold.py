"""The text of a new claim file, complete but for the words that only a reviewer can write."""

from __future__ import annotations

import datetime as dt

FILL_IN = "FILL IN"  # a value that still holds these words is a fault, with the words that follow

_TEMPLATE = """\
#:schema ../docs/reference/claim.schema.json
#
# A new claim. Every text that begins with "FILL IN" is yours to write; `evidence check @ID@` lists
# what is left, with its line. Long texts may run over several lines between three quotation marks.
# The format is described in docs/reference/claims.md.

id = "@ID@" # the name of this file without .toml
title = "FILL IN: a few words, for tables"
statement = "FILL IN: the claim as one sentence that numbers could contradict"
review = "FILL IN: which review makes the claim"
version = "0.1"

# The works on which the review rests the claim; repeat the block for each.
[[rests_on]]
authors = "FILL IN: first author et al."
year = "FILL IN: the year, as a number without quotation marks"
# pmid = "12345678"                   # only where you have seen it; doi likewise
says = "FILL IN: what the work reports, in your own words, never the review's sentence"
source = "FILL IN: the address or page where you read that"

[pico]
population = "FILL IN: who"
intervention = "FILL IN: what is done"
comparator = "FILL IN: compared with what"
outcome = "FILL IN: what is measured, how and when"

[eligibility]
include = ["FILL IN: what a study must have"]
exclude = ["FILL IN: what rules a study out"]

# Who screens the records, and what their page offers them; without this one person decides.
# [screening]
# reviewers = 2                       # how many must decide by title and abstract; 1 or 2
# full_text_reviewers = 2             # the same at full text; as many by default
# reasons = ["wrong population"]      # of exclusion; by default the entries of exclude above
# highlight = ["randomi"]             # words that speak for a record
# highlight_against = ["mice"]        # words that speak against it
# views = ["MeSH", "journal=0.05"]    # what else orders the records: evidence rank --list-views

# ------------------------------------------------------------------------------ search strategy
# The lines of a block are joined by OR, the blocks by `combine`. PubMed reads strictly from left
# to right. Tag every term: [mh] for MeSH headings, [tiab] for title, abstract and keywords.
# Truncate only after four letters or more; proximity ("a b"[tiab:~3]) takes no truncation.
[search]
written = @ON@
combine = "#intervention AND #outcome NOT #animals_only"
limits = "none: no limit of date, language or publication status"
peer_review = "none yet" # who reviewed the strategy, for instance by PRESS, and when

[search.blocks.intervention]
about = "FILL IN: the concept in a few words"
[[search.blocks.intervention.lines]]
terms = "FILL IN: MeSH headings, such as 'Exercise[mh]'"
why = "FILL IN: why these headings"
[[search.blocks.intervention.lines]]
terms = "FILL IN: text words with synonyms and spellings, such as 'exercis*[tiab]'"
why = "FILL IN: what these words catch that the headings miss"

[search.blocks.outcome]
about = "FILL IN: the concept in a few words"
[[search.blocks.outcome.lines]]
terms = "FILL IN: MeSH headings and text words"
why = "FILL IN: why these terms"

[search.filters.animals_only]
about = "records indexed for animals and not for humans"
source = "own; the usual double negation, which keeps records that are not indexed yet"
[[search.filters.animals_only.lines]]
terms = "animals[mh] NOT humans[mh]"
why = "humans[mh] alone would lose every record without MeSH headings"

# Records that the search ought to find; recall is never claimed unmeasured. Repeat, or remove.
# [[search.known]]
# pmid = "12345678"
# cite = "Author 2020, Journal"
# status = "not yet verified"         # or "found" or "missed", then with the day: checked = @ON@
# source = "where the PMID was seen"

# --------------------------------------------------------------------------------- analysis plan
[plan]
written = @ON@
after_data_seen = false # true where any result was known when this was written
statement = "FILL IN: when the plan was written relative to the data, in words"
primary = "main" # the id of the analysis that counts
supports = "positive" # the sign of the effect that supports the claim

[plan.smallest_effect]
# value = 0.2                         # with the scale: measure = "SMD"
source = "FILL IN: where the smallest effect of interest comes from, or why there is none"

[plan.preference] # which result counts when a study offers several, first choice first
timepoints = ["FILL IN: first choice of time point"]
matrices_or_regions = ["FILL IN: first choice of sample or region"]
arms = ["FILL IN: first choice among the arms"]
statistics = ["means and SDs", "exact test statistic or p with group sizes"]

# The correlation between before and after, where an analysis needs one and a paper gives none.
# It rescales both the effect and its variance. Repeat for each outcome group, or remove.
[[plan.pre_post_r]]
outcome = "outcome" # begins the outcome_group of the analyses that it serves
value = 0.5
sensitivity = [0.3, 0.7, 0.9]
source = "FILL IN: where the correlation comes from; say so if it is an assumption"

# One question, one pool; designs that answer different questions are never mixed.
[[plan.analyses]]
id = "main"
title = "FILL IN: a few words, for the forest plot"
question = "FILL IN: the question that this analysis answers"
design = "between groups" # or "pre-post, one arm", "correlation", "case-control"
measure = "SMD"
standardiser = "raw SD"
decides = true # uncontrolled pre-post never decides
outcome_group = "outcome"
left = "FILL IN: what lies left of no effect, in the claim's words"
right = "FILL IN: what lies right of no effect"
sensitivity = ["leave-one-out", "pre-post-r", "all-rows", "tau2-dl", "wald"]
# Several rows on the same people are refused unless the plan says how they are handled:
# dependent = "aggregate"             # or "three-level", without tau2-dl and tau2-pm above
# rho = 0.6                           # their assumed sampling correlation
# rho_sensitivity = [0.3, 0.9]
# rho_source = "assumption"           # or where it comes from
"""


def scaffold(claim_id: str, on: dt.date) -> str:
    """A valid TOML text that fails validation only where a reviewer must write."""
    return _TEMPLATE.replace("@ID@", claim_id).replace("@ON@", on.isoformat())
