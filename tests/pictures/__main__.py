"""``python -m tests.pictures``: draw the baselines again, to be looked at and committed."""

from tests.pictures import renew

for path in renew():
    print(f"{path}  {path.stat().st_size / 1000:.1f} kB")
