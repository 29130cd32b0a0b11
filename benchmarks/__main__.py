"""Lists and runs the benchmarks: every module of this package with a function ``run()``."""

from __future__ import annotations

import argparse
import importlib
import pkgutil
import sys
import time

import benchmarks


def names() -> list[str]:
    """The benchmark modules, by name."""
    found = (m.name for m in pkgutil.iter_modules(benchmarks.__path__))
    return sorted(name for name in found if not name.startswith("_"))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("name", nargs="*", help="all where none is named")
    parser.add_argument("--list", action="store_true", help="say what there is and end")
    wanted = parser.parse_args()
    if unknown := sorted(set(wanted.name) - set(names())):
        parser.error(f"there is no benchmark {unknown[0]!r}; known: {', '.join(names())}")
    for name in wanted.name or names():
        module = importlib.import_module(f"benchmarks.{name}")
        title = (module.__doc__ or "").partition("\n")[0]
        if wanted.list:
            print(f"{name:<12} {title}")
            continue
        print(f"== {name}: {title}", flush=True)
        start = time.perf_counter()
        module.run()
        print(f"   {time.perf_counter() - start:.0f} s\n", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
