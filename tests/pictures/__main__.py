"""``python -m tests.pictures``: draw the baselines again, to be looked at and committed."""

from tests.pictures import CASES, renew
from tests.pictures.more import MORE

for path in [*renew(CASES), *renew(MORE, shades=256)]:
    print(f"{path}  {path.stat().st_size / 1000:.1f} kB")
