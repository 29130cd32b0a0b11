"""The squared-hinge support vector machine in its dual, kept while decisions come and go.

With C = 0.11 nearly every decided record stays inside the margin, so that the machine is in effect
a least-squares one: with the support S (records inside the margin, alpha > 0), the kernel K and
weights w, its solution is

    (K_SS + 1 + diag(1 / (2 C w))) beta = y_S,    beta = alpha y,

repeated until S is stable (a finite number of exchanges: Portugal, Júdice & Vicente 1994,
Mathematics of Computation 63:625-643). The constant is an input of 1 for every record, as in
LIBLINEAR, hence the 1.

Every decision changes the weight of all records a little, because the classes are balanced, so a
factorisation of this matrix cannot be updated by one row. It is solved by preconditioned conjugate
gradients from the last solution (Hestenes & Stiefel 1952). What makes that fast is what the
weights do: 1 / (2 C w) is near 49 for an excluded record, against a similarity of 1.1 with itself,
so the excluded are next to diagonal but for the constant; the included and the protocol, of which
there are few, are solved exactly, and the constant is put back by Sherman and Morrison's formula.
Five to ten rounds give eleven digits, at 100 or 3,000 decisions, wherever they start: the optimum
is unique, and the way to it leaves no trace.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from evidence.errors import NotConverged
from evidence.triage.model import C

TOLERANCE = 1e-11  # of a residual; y is 1
MARGIN = 1e-9  # how far beyond the margin a record must be to leave or enter the support
SMALL = 150  # rows; so few are factorised in less time than a few rounds take
ROUNDS = 100  # of conjugate gradients, before the system is factorised instead
EXCHANGES = 200
BORDERED = 8  # included rows that came since an inverse was made; for more it is made anew

Floats = NDArray[np.float64]


class Machine:
    """Decided rows, at places 0, 1, ...; each with its class and its similarities to the others."""

    def __init__(self) -> None:
        self.size = 0
        self._similar = np.zeros((64, 64))
        self._relevant = np.zeros(64, dtype=bool)
        self._support = np.zeros(64, dtype=bool)
        self._beta = np.zeros(64)
        self.uncertain = 0.0  # how far two scores may be off after the last `solve`, together
        self._total = 0.0  # of the similarities of different rows, for their mean
        self._block: tuple[Floats, Floats] | None = None  # inverse of the included; their ridge
        self._ridge = np.empty(0)  # of the rows that were solved for last

    @property
    def similar(self) -> Floats:
        """Similarities of all rows, (size, size)."""
        return self._similar[: self.size, : self.size]

    @property
    def relevant(self) -> NDArray[np.bool_]:
        return self._relevant[: self.size]

    @property
    def beta(self) -> Floats:
        """Weight of each row in the score, as last solved; zero outside the support."""
        return self._beta[: self.size]

    def add(self, similar: Floats, own: float, relevant: bool) -> None:
        """Append a row.

        Parameters
        ----------
        similar : array, shape (size,)
            Its similarities to the rows there are.
        own : float
            Its similarity to itself.
        """
        new = self.size
        self._make_room(new + 1)
        self._similar[new, :new] = self._similar[:new, new] = similar
        self._similar[new, new] = own
        self._total += 2 * float(similar.sum())
        self._relevant[new], self._support[new], self._beta[new] = relevant, True, 0.0
        self.size = new + 1

    def extend(self, similar: Floats, own: Floats, relevant: NDArray[np.bool_]) -> None:
        """Append k rows.

        Parameters
        ----------
        similar : array, shape (k, size + k)
            Their similarities to the rows there are, then to each other.
        own, relevant : array, shape (k,)
            Their similarities to themselves, whatever ``similar`` says of these; their classes.
        """
        before, size = self.size, self.size + len(own)
        self._make_room(size)
        new = slice(before, size)
        self._similar[new, :size] = similar
        self._similar[:before, new] = similar[:, :before].T
        among = self._similar[new, new]
        self._total += 2 * float(similar[:, :before].sum()) + float(among.sum() - among.trace())
        among[np.diag_indices(len(own))] = own
        self._relevant[new], self._support[new], self._beta[new] = relevant, True, 0.0
        self.size = size

    def reserve(self, more: int) -> None:
        """Make room for so many rows more."""
        if self.size + more > len(self._beta):
            self._grow(self.size + more + 64)

    def change(self, place: int, relevant: bool) -> None:
        """Give a row the other class."""
        self._relevant[place], self._support[place], self._beta[place] = relevant, True, 0.0
        self._block, self._ridge = None, np.empty(0)

    def remove(self, place: int) -> None:
        """Take a row out; the last one moves to its place."""
        last = self.size - 1
        self._total -= 2 * float(self.similar[place].sum() - self._similar[place, place])
        if place != last:
            self._similar[place, : last + 1] = self._similar[last, : last + 1]
            self._similar[: last + 1, place] = self._similar[: last + 1, last]
            self._similar[place, place] = self._similar[last, last]
            for each in (self._relevant, self._support, self._beta):
                each[place] = each[last]
        self.size = last
        self._block, self._ridge = None, np.empty(0)

    def _make_room(self, size: int) -> None:
        if size > len(self._beta):
            self._grow(size + size // 4 + 32)  # little to spare: `times` reads that, too

    def _grow(self, room: int) -> None:
        bigger = np.zeros((room, room))
        bigger[: self.size, : self.size] = self.similar
        self._similar = bigger
        self._relevant, self._support, self._beta = (
            np.concatenate([each, np.zeros(room - len(each), dtype=each.dtype)])
            for each in (self._relevant, self._support, self._beta)
        )

    # --- solving ---------------------------------------------------------------------------------

    def solve(self, weights: Floats, *, tolerance: float = TOLERANCE) -> Floats:
        """Weights of the rows in the score, which is their weighted similarity plus their sum.

        Parameters
        ----------
        weights : array, shape (size,)
            How much the misfit of each row counts; positive.
        tolerance : float
            Largest residual to be left. `uncertain` says how far scores can be off then.

        Raises
        ------
        NotConverged
            If the support does not settle.
        """
        ridge = 1 / (2 * C * weights)
        y = np.where(self.relevant, 1.0, -1.0)
        margin = max(MARGIN, tolerance)
        self._foresee(ridge, y)
        fewest, patience = self.size + 1, 10
        for _ in range(EXCHANGES):
            inside = self._support[: self.size]
            beta = self._within(inside, ridge, y, self.beta, tolerance=tolerance)
            self._beta[: self.size] = beta
            wrong = inside & (y * beta < -margin)
            if not inside.all():
                outside = ~inside
                misfit = 1 - y[outside] * (self.similar[outside] @ beta + beta.sum())
                wrong[outside] = misfit > margin
            number = int(wrong.sum())
            if not number:
                return beta
            if number < fewest:
                fewest, patience = number, 10
            elif patience:
                patience -= 1
            else:  # Murty's rule: one at a time always ends
                wrong[np.flatnonzero(wrong)[:-1]] = False
            self._support[: self.size] = inside ^ wrong
        raise NotConverged(f"the support vector machine did not settle in {EXCHANGES} exchanges")

    def _foresee(self, ridge: Floats, y: Floats) -> None:
        """Begin near the optimum, which saves a round or two.

        The weight of a row is its misfit over its ridge, and misfits hardly move; a single new row
        begins as if it moved no other.
        """
        known = len(self._ridge)
        self.beta[:known] *= self._ridge / ridge[:known]
        if known and self.size == known + 1:
            beta = self.beta[:known]
            misfit = y[known] - self._similar[known, :known] @ beta - beta.sum()
            self._beta[known] = misfit / (ridge[known] + self._similar[known, known] + 1)
        self._ridge = ridge

    def _within(
        self,
        inside: NDArray[np.bool_],
        ridge: Floats,
        y: Floats,
        start: Floats,
        *,
        tolerance: float = TOLERANCE,
    ) -> Floats:
        """The solution of the equation above where only the rows inside count."""
        self.uncertain = 0.0
        if self.size <= SMALL:
            return self._directly(inside, ridge, y)
        mask = inside.astype(float)
        wide = np.zeros(len(self._beta))

        def times(v: Floats) -> Floats:
            wide[: self.size] = v
            # As symmetric, for half of the memory to be read, which is what takes the time.
            product: Floats = linalg.blas.dsymv(1.0, self._similar.T, wide)[: self.size]
            product += v.sum()
            product += ridge * v
            product *= mask
            return product

        nearly = self._preconditioner(inside, ridge)
        beta: Floats = start * mask
        residual = y * mask - times(beta)
        step = z = nearly(residual)
        slope = float(residual @ z)
        for _ in range(ROUNDS):
            if np.abs(residual).max(initial=0.0) <= tolerance:
                # A residual is what the score is off and what the row's own weight is, times its
                # ridge, by far the larger part: so two scores, even of rows at the margin, are
                # off by less than this; by a twentieth of it at most on ten reviews.
                self.uncertain = 3 * tolerance
                return beta
            product = times(step)
            length = slope / float(step @ product)
            beta += length * step
            residual -= length * product
            z = nearly(residual)
            slope, before = float(residual @ z), slope
            step = z + (slope / before) * step
        return self._directly(inside, ridge, y)

    def _directly(self, inside: NDArray[np.bool_], ridge: Floats, y: Floats) -> Floats:
        """As `_within`, by a factorisation."""
        beta = np.zeros(self.size)
        rows = np.flatnonzero(inside)
        if not len(rows):
            return beta
        _, beta[rows], failed = linalg.lapack.dposv(
            self._system(rows, ridge).T, y[rows], lower=1, overwrite_a=1
        )
        if failed:
            raise NotConverged("the decided records' similarities cannot be factorised")
        return beta

    def _system(self, rows: NDArray[np.intp], ridge: Floats) -> Floats:
        """The matrix of the equation above for some rows."""
        whole = len(rows) == self.size
        system: Floats = (self.similar if whole else self.similar[np.ix_(rows, rows)]) + 1
        system.reshape(-1)[:: len(rows) + 1] += ridge[rows]  # the diagonal
        return system

    def _preconditioner(self, inside: NDArray[np.bool_], ridge: Floats) -> Any:
        """An easy inverse: exact among the included, diagonal among the excluded, plus constant."""
        few = np.flatnonzero(self.relevant)
        inverse = self._included(few, ridge)
        pairs = self.size * (self.size - 1)
        mean = self._total / pairs if pairs else 0.0
        other = np.where(inside, 1 / (ridge + self.similar.diagonal() - mean), 0.0)
        some = inside[few].astype(float)

        def apart(r: Floats) -> Floats:
            z = other * r
            z[few] = (inverse @ r[few]) * some
            return z

        ones = apart(inside.astype(float))
        share = ones / (1 / (1 + mean) + ones.sum())

        def nearly(r: Floats) -> Floats:
            z = apart(r)
            z -= share * z.sum()
            return z

        return nearly

    def _included(self, few: NDArray[np.intp], ridge: Floats) -> Floats:
        """Inverse of the system of the included, nearly: the last one, where little has changed.

        A row more borders it (the inverse of a partitioned matrix: Banachiewicz 1937).
        """
        inverse, known = self._block or (np.empty((0, 0)), np.empty(0))
        more = few[len(known) :]
        if (
            not len(known)
            or len(more) > BORDERED
            or (np.abs(known / ridge[few[: len(known)]] - 1) > 0.02).any()
        ):
            system = self._similar[np.ix_(few, few)]
            system[np.diag_indices(len(few))] += ridge[few]
            inverse, more = linalg.inv(system), few[:0]
            known = ridge[few]
        for place in more:
            size = len(known)
            shares = inverse @ self._similar[few[:size], place]
            left = self._similar[place, place] + ridge[place]
            left -= self._similar[place, few[:size]] @ shares
            border = np.append(-shares, 1.0)
            bigger = np.zeros((size + 1, size + 1), order="F")
            bigger[:size, :size] = inverse
            inverse = linalg.blas.dger(1 / left, border, border, a=bigger, overwrite_a=True)
            known = np.append(known, ridge[place])
        self._block = (inverse, known)
        return inverse

    # --- leaving one out -------------------------------------------------------------------------

    def fitted(self) -> Floats:
        """The score of each row, (size,), as it was last solved for."""
        beta = self.beta
        scores: Floats = self.similar @ beta + beta.sum()
        return scores

    def left_out(self, weights: Floats) -> Floats:
        """The score that each row would get from all the others, exact.

        For a row in the support, y_i - beta_i / (H^-1)_ii with H the matrix of `solve`: the
        leave-one-out residual of least squares (Cawley & Talbot 2004, Neural Networks
        17(10):1467-1475). It is that of a fresh fit with the same weights, as long as the others
        keep their side of the margin. A row outside the support moves nothing: it keeps its score.

        Returns
        -------
        array, shape (size,)
        """
        beta, scores = self.beta, self.fitted()
        y = np.where(self.relevant, 1.0, -1.0)
        rows = np.flatnonzero(self._support[: self.size])
        scores[rows] = y[rows] - beta[rows] / self._inverse_diagonal(rows, 1 / (2 * C * weights))
        return scores

    def _inverse_diagonal(self, rows: NDArray[np.intp], ridge: Floats) -> Floats:
        system = self._system(rows, ridge)
        lower, failed = linalg.lapack.dpotrf(system.T, lower=1, clean=1, overwrite_a=1)
        if failed:
            raise NotConverged("the decided records' similarities cannot be factorised")
        inverse, _ = linalg.lapack.dtrtri(lower, lower=1, overwrite_c=1)
        diagonal: Floats = np.einsum("ij,ij->j", inverse, inverse)
        return diagonal

    def without(self, place: int, weights: Floats) -> Floats:
        """Weights of the rows after this one is left out, as in `left_out`; its own is zero."""
        beta = self.beta.copy()
        if not self._support[place]:
            return beta
        unit = np.zeros(self.size)
        unit[place] = 1.0
        inside = self._support[: self.size]
        column = self._within(inside, 1 / (2 * C * weights), unit, np.zeros(self.size))
        beta -= column * (beta[place] / column[place])
        beta[place] = 0.0
        return beta
