"""A step: one decision to a new order, at 1,000, 10,000 and 100,000 records; and beginning again.

Records are invented from a Zipf-like vocabulary, as long as abstracts are (about 190 words), with
phrases that recur; one in fifty is about the subject. Steps are timed at several numbers of
decisions, along a screening that follows the order.
"""

from __future__ import annotations

import os
import resource
import time

import numpy as np

from evidence.triage import Engine
from tests.triage_rows import a_record

SIZES = (1_000, 10_000, 100_000)
DEPTHS = (50, 200, 500, 1_000, 2_000)  # decisions at which steps are timed
STEPS = 15
WORDS = 190


def run() -> None:
    """Print median CPU milliseconds of a step, and seconds to begin, to stop and to begin again."""
    print(f"   {'records':>9}{'to begin, s':>13}"
          + "".join(f"{f'at {depth:,}':>11}" for depth in DEPTHS)
          + f"{'stopping rules at':>19}{'begun there, s':>16}{'memory, MB':>12}")  # fmt: skip
    for size in SIZES:
        records, relevant = invented(size)
        start = time.process_time()
        engine = Engine(records, "the subject of a review subject0 subject1 subject2")
        engine.next()
        begun = time.process_time() - start
        cells = []
        for depth in DEPTHS:
            if depth >= size:
                cells.append(f"{'–':>11}")
                continue
            have = len(engine.decisions)
            for pmid in engine.next(depth - have):  # a batch, to get there
                engine.decide(pmid, relevant[pmid])
            engine.next()
            spent = []
            for _ in range(STEPS):
                start = time.process_time()
                (pmid,) = engine.next()
                engine.decide(pmid, relevant[pmid])
                engine.next()
                spent.append(1000 * (time.process_time() - start))
            cells.append(f"{np.median(spent):>8.1f} ms")
        start = time.process_time()
        engine.verdicts()
        rules = f"{len(engine.decisions):,}: {time.process_time() - start:.2f} s"
        start = time.process_time()
        Engine.over(engine.collection, engine.decisions).next()  # as another reviewer would begin
        there = time.process_time() - start
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        cells += [f"{rules:>19}", f"{there:>16.2f}", f"{memory:>12,.0f}"]
        print(f"   {size:>9,}{begun:>13.1f}{''.join(cells)}", flush=True)
    print(f"   load of this machine meanwhile: {os.getloadavg()[1]:.1f} on {os.cpu_count()} cores")


def invented(size: int, *, seed: int = 0) -> tuple[list, dict[str, bool]]:
    """Records with words and phrases as frequent as in abstracts, and which are relevant."""
    rng = np.random.default_rng(seed)
    vocabulary = np.array([f"w{i}x" for i in range(60_000)])
    share = 1 / (np.arange(len(vocabulary)) + 3.0) ** 1.05
    steps = np.cumsum(share) / share.sum()
    phrases = vocabulary[np.searchsorted(steps, rng.random((4_000, 6)))]
    subject = np.array([f"subject{i}" for i in range(30)])
    records, relevant = [], {}
    for i in range(size):
        words = vocabulary[np.searchsorted(steps, rng.random(WORDS))].astype("U12")
        for place in rng.integers(0, WORDS - 6, 12):
            words[place : place + 6] = phrases[rng.integers(len(phrases))]
        about = rng.random() < 0.02
        number = 8 if about else int(rng.random() < 0.2) * 2
        words[rng.integers(0, WORDS, number)] = rng.choice(subject, number)
        pmid = str(10_000_000 + i)
        records.append(a_record(pmid, " ".join(words[:14]), " ".join(words[14:])))
        relevant[pmid] = about
    return records, relevant
