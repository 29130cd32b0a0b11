"""``python -m tests.pictures``: draw the baselines again, to be looked at and committed."""

from tests.pictures import CASES, renew
from tests.pictures.more import MORE, panels

for path in renew({**CASES, **MORE, "panels": panels}):
    print(f"{path}  {path.stat().st_size / 1000:.1f} kB")
