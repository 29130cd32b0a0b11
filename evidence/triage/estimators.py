"""The vectors and the machine of triage with scikit-learn's interfaces, for pipelines of one's own.

::

    pipeline = make_pipeline(RecordVectorizer(), TriageClassifier())
    scores = cross_val_predict(pipeline, records, labels, method="decision_function")
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from evidence.errors import InputError
from evidence.model import Record
from evidence.triage import model
from evidence.triage.features import features
from evidence.triage.machine import Machine
from evidence.triage.terms import count
from evidence.triage.views import VIEWS, View

Floats = NDArray[np.float64]


class RecordVectorizer(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # sklearn: no types
    """Records to weighted term vectors, as `evidence.triage.features` makes them.

    Parameters
    ----------
    views : sequence of View
    """

    def __init__(self, views: Sequence[View] = VIEWS) -> None:
        self.views = views

    def fit(self, X: Sequence[Record], y: object = None) -> RecordVectorizer:
        """Learn which terms there are and how rare each is."""
        self.features_ = features(X, "", views=self.views)
        return self

    def transform(self, X: Sequence[Record]) -> Any:
        """Vectors, sparse (n, m); terms that were in fewer than two records have no column."""
        check_is_fitted(self)
        blocks = [
            block.weighted(
                count(map(block.vocabulary.view.texts, X), whole=block.vocabulary.view.whole)
            )[0]
            for block in self.features_.blocks
        ]
        return sparse.csr_array(sparse.hstack(blocks)) if blocks else sparse.csr_array((len(X), 0))


class TriageClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # sklearn: no types
    """The balanced squared-hinge machine of triage, solved to its optimum.

    Parameters
    ----------
    C : float
        Misfit against margin.
    ratio : float
        Weight of all relevant records together over that of all others.
    """

    def __init__(self, C: float = model.C, ratio: float = model.CLASS_RATIO) -> None:
        self.C = C
        self.ratio = ratio

    def fit(self, X: Any, y: Sequence[bool]) -> TriageClassifier:
        """Learn from rows and whether each is relevant.

        Raises
        ------
        InputError
            If one of the kinds is missing.
        """
        rows = sparse.csr_array(X)
        self.classes_, kinds = np.unique(np.asarray(y), return_inverse=True)
        if len(self.classes_) != 2:
            raise InputError(f"{len(self.classes_)} kinds of records: there must be two")
        relevant = kinds == 1
        included, excluded = int(relevant.sum()), int((~relevant).sum())
        one = included / (self.ratio * excluded)
        scale = len(relevant) / (included + one * excluded)
        weights = np.where(relevant, scale, one * scale) * (self.C / model.C)
        similar = (rows @ rows.T).toarray()
        machine = Machine()
        machine.extend(similar, similar.diagonal(), relevant)
        beta = machine.solve(weights)
        self.coef_ = np.asarray(rows.T @ beta)[None, :]
        self.intercept_ = np.array([beta.sum()])
        self.left_out_ = machine.left_out(weights)  # each row's score by all the others
        return self

    def decision_function(self, X: Any) -> Floats:
        """Scores; above 0 on the side of the relevant."""
        check_is_fitted(self)
        scores: Floats = np.asarray(sparse.csr_array(X) @ self.coef_[0] + self.intercept_[0])
        return scores

    def predict(self, X: Any) -> NDArray[Any]:
        """The likelier kind of each row."""
        kinds: NDArray[Any] = self.classes_[(self.decision_function(X) > 0).astype(int)]
        return kinds
