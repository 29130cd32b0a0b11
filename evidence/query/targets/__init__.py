"""How each database writes what a PubMed strategy asks for, a module each; sources as of 2026."""

from __future__ import annotations

from evidence.query.targets.base import Target
from evidence.query.targets.cochrane import Cochrane
from evidence.query.targets.embase import Embase
from evidence.query.targets.europepmc import EuropePmc
from evidence.query.targets.ovid import Ovid
from evidence.query.targets.wos import WebOfScience

TARGETS: dict[str, type[Target]] = {
    target.key: target for target in (Ovid, Embase, WebOfScience, Cochrane, EuropePmc)
}
