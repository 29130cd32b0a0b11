"""Lists and runs the benchmarks: every module of this package and below with a ``run()``."""

from __future__ import annotations

import argparse
import importlib
import pkgutil
import sys
import time
from collections.abc import Sequence

import benchmarks


def names() -> list[str]:
    """The benchmark modules, by name: ``triage``, ``meta.single``."""
    found = pkgutil.walk_packages(benchmarks.__path__, "benchmarks.")
    modules = (m.name.removeprefix("benchmarks.") for m in found if not m.ispkg)
    return sorted(name for name in modules if not name.rpartition(".")[2].startswith("_"))


def chosen(wanted: Sequence[str]) -> list[str]:
    """The modules that are named, each by itself or with all of its package; all for none."""
    known = names()
    if not wanted:
        return known
    found: dict[str, None] = {}
    for name in wanted:
        some = [each for each in known if each == name or each.startswith(f"{name}.")]
        if not some:
            raise KeyError(name)
        found |= dict.fromkeys(some)
    return list(found)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "name", nargs="*", help="a module or package of them; all where none is named"
    )
    parser.add_argument("--list", action="store_true", help="say what there is and end")
    wanted = parser.parse_args()
    try:
        modules = chosen(wanted.name)
    except KeyError as unknown:
        parser.error(f"there is no benchmark {unknown}; known: {', '.join(names())}")
    for name in modules:
        module = importlib.import_module(f"benchmarks.{name}")
        title = (module.__doc__ or "").partition("\n")[0]
        if wanted.list:
            print(f"{name:<18} {title}")
            continue
        print(f"== {name}: {title}", flush=True)
        start = time.perf_counter()
        module.run()
        print(f"   {time.perf_counter() - start:.0f} s\n", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
