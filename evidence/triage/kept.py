"""Runs of simulations kept on disk, so that a broken-off simulation goes on where it was."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path

from evidence import __version__
from evidence.files import read_text, write_text
from evidence.triage.labelled import Labelled
from evidence.triage.simulation import CHECK_EVERY, Model, Player, Run

VERSION = 1  # of what a run is; another number sets all kept runs aside


def play(
    labelled: Labelled,
    question: str,
    *,
    models: Sequence[Model],
    seeds: Sequence[int],
    priors: tuple[int, int],
    rules: Sequence[str],
    check_every: int = CHECK_EVERY,
    kept: Path | None = None,
    told: Callable[[Run], None] = lambda run: None,
) -> list[Run]:
    """All runs, each model with each seed, those from before as they were kept.

    Parameters
    ----------
    kept : path, optional
        A folder. Every run is written there, whole or not at all, as soon as it ends, in a file
        named after everything that it depends on: the toolkit's version, the file's bytes, the
        question, model, seed, priors and rules.
    told : callable
        Called with each run when it is there.

    Raises
    ------
    InputError, UnknownName
        As `simulate`.
    """
    player = Player(labelled.records, labelled.labels, question, priors=priors)
    runs = []
    for model in models:
        for seed in seeds:
            about = {
                "version": VERSION,
                "toolkit": __version__,
                "sha256": labelled.sha256,
                "question": question,
                "model": [
                    model.name,
                    [f"{v.name} {v.weight:g}" for v in model.views],
                    model.protocol,
                ],
                "seed": seed,
                "priors": list(priors),
                "rules": sorted(rules),
                "check_every": check_every,
            }
            text = json.dumps(about, sort_keys=True, ensure_ascii=False)
            name = hashlib.sha256(text.encode()).hexdigest()[:16]
            place = kept / f"run-{name}.json" if kept else None
            run = _read(place, about) if place else None
            if run is None:
                run = player.run(model, seed, rules=rules, check_every=check_every)
                if place:
                    write_text(place, json.dumps({"about": about, "run": run.json()}) + "\n")
            runs.append(run)
            told(run)
    return runs


def _read(place: Path, about: object) -> Run | None:
    """A kept run; None where there is none, or one that cannot be read, or of something else."""
    if not place.is_file():
        return None
    try:
        body = json.loads(read_text(place))
        return Run.from_json(body["run"]) if body["about"] == about else None
    except (ValueError, TypeError, KeyError):
        return None
