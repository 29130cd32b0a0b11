"""Triage in pipelines of scikit-learn; all records are invented."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

from evidence.errors import InputError
from evidence.triage.estimators import RecordVectorizer, TriageClassifier
from evidence.triage.features import features
from tests.triage_rows import a_library

approx = pytest.approx


@pytest.fixture(scope="module")
def library():
    return a_library(80, 12, overlap=3)


def test_the_vectorizer_gives_the_vectors_of_triage(library):
    records, _ = library
    vectorizer = RecordVectorizer().fit(records)
    expected = features(records, "").matrix.toarray()
    assert vectorizer.transform(records).toarray() == approx(expected)
    assert vectorizer.transform(records[3:5]).toarray() == approx(expected[3:5])


def test_the_classifier_is_liblinears_with_weights_that_balance_the_kinds(library):
    records, labels = library
    rows = features(records, "").matrix
    mine = TriageClassifier(C=0.5, ratio=3.0).fit(rows, labels)
    included, excluded = sum(labels), len(labels) - sum(labels)
    one = included / (3.0 * excluded)
    scale = len(labels) / (included + one * excluded)
    theirs = LinearSVC(C=0.5, dual=False, tol=1e-12, max_iter=100_000)
    theirs.fit(rows, labels, sample_weight=np.where(labels, scale, one * scale))
    assert mine.decision_function(rows) == approx(theirs.decision_function(rows), abs=1e-5)
    assert (mine.predict(rows) == theirs.predict(rows)).all()


def test_both_work_in_a_pipeline_and_in_cross_validation(library):
    records, labels = library
    pipeline = clone(make_pipeline(RecordVectorizer(), TriageClassifier()))
    scores = cross_val_predict(pipeline, records, labels, method="decision_function", cv=4)
    relevant = np.array(labels)
    assert scores[relevant].mean() > scores[~relevant].mean()


def test_scores_with_one_left_out_are_those_of_cross_validation(library):
    """Leaving one out, with the weights of all: scikit-learn would balance each fit anew."""
    records, labels = library
    rows = features(records, "").matrix
    whole = TriageClassifier().fit(rows, labels)
    relevant = np.array(labels)
    included, excluded = relevant.sum(), (~relevant).sum()
    one = included / (9.8 * excluded)
    scale = len(labels) / (included + one * excluded)
    weights = np.where(relevant, scale, one * scale)
    for i in (0, 3, 11, 40):
        rest = np.arange(80) != i
        theirs = LinearSVC(C=0.11, dual=False, tol=1e-12, max_iter=100_000)
        theirs.fit(rows[rest], relevant[rest], sample_weight=weights[rest])
        assert whole.left_out_[i] == approx(theirs.decision_function(rows[[i]])[0], abs=1e-4)


def test_one_kind_alone_is_a_fault(library):
    records, _ = library
    with pytest.raises(InputError, match="1 kinds of records: there must be two"):
        TriageClassifier().fit(features(records, "").matrix, [True] * 80)
