"""Terms of texts as numbers; all texts are invented."""

from __future__ import annotations

from collections import Counter
from unittest import mock

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from evidence.triage import terms

SOME = "rat rats a x2 3 drug™ β β1 Straße ÉTUDE § μg/ml – _ |"
WORDS = st.sampled_from(SOME.split())
A_TEXT = st.one_of(st.lists(WORDS, max_size=8).map(" ".join), st.text(max_size=20))


@given(st.lists(st.lists(A_TEXT, max_size=3), max_size=5), st.integers(1, 6))
def test_terms_are_counted_as_grams_name_them_whatever_the_texts_hold(records, together):
    with mock.patch.object(terms, "TOGETHER", together):
        counts = terms.count(records)
    assert np.all(counts.terms[1:] > counts.terms[:-1])
    assert len(counts.starts) == len(records) + 1
    for i, texts in enumerate(records):
        mine = slice(counts.starts[i], counts.starts[i + 1])
        found = dict(
            zip(counts.terms[counts.numbers[mine]].tolist(), counts.times[mine], strict=True)
        )
        assert found == Counter(terms.term_key(gram) for gram in terms.grams(texts))
        assert counts.lengths[i] == len(terms.grams(texts))
