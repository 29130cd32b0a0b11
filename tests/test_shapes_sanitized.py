"""The compiled reader under the sanitizers: no byte outside of its own, nothing undefined."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "evidence/pubmed/_shapes.c"

# The reader that was built with the sanitizers takes the place of the usual one.
DAMAGE = """
import importlib.util, random, re, sys
spec = importlib.util.spec_from_file_location("evidence.pubmed._shapes", sys.argv[1])
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
sys.modules["evidence.pubmed._shapes"] = module
from evidence.pubmed.regular import regular_record
from tests.full_record import FULL

whole = FULL.strip().encode()
tags = re.findall(rb"<[^>]*>", whole)
signs = [b"<", b">", b"&", b"&#x1F600;", b"&lt;", b"/", b"</", b"<i>", b"</i>", b"<?", b"\\xff",
         b"\\xef\\xbf\\xbe", b"\\0", b"\\r\\n", b" ", b'"', b"<mml:mi>x</mml:mi>", b"<!--"]
rng = random.Random(20261126)
assert regular_record(whole) is not None
read = 0
for _ in range(int(sys.argv[2])):
    data = whole
    for _ in range(rng.randint(1, 3)):
        at, kind = rng.randrange(len(data) + 1), rng.randrange(5)
        if kind == 0:
            data = data[:at] + rng.choice(signs) + data[at + rng.randint(0, 12):]
        elif kind == 1:
            data = data[:at] + rng.choice(tags) + data[at:]
        elif kind == 2:
            data = data[:at] + data[at + rng.randint(1, 300):]
        elif kind == 3:
            other = rng.randrange(len(data) + 1)
            data = data[:other] + data[at:at + 400] + data[other:]
        else:
            data = data[:at]
    read += regular_record(data) is not None
print(read)
"""


def sanitizer() -> str:
    """Where the compiler keeps the library of its address sanitizer."""
    if not shutil.which("cc"):
        return ""
    found = subprocess.run(["cc", "-print-file-name=libasan.so"], capture_output=True, text=True)
    return found.stdout.strip() if os.sep in found.stdout else ""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="sanitizers are loaded before Linux's Python")
def test_damaged_records_lead_to_no_access_outside(tmp_path):
    include, loaded = Path(sysconfig.get_paths()["include"]), sanitizer()
    if not loaded or not (include / "Python.h").is_file():
        pytest.skip("there is no C compiler with sanitizers, or Python is without its headers")
    built = tmp_path / "_shapes.so"
    subprocess.run(
        ["cc", "-O1", "-g", "-shared", "-fPIC", "-fsanitize=address,undefined",
         "-fno-sanitize-recover=all", f"-I{include}", str(SOURCE), "-o", str(built)],
        check=True,
    )  # fmt: skip
    environment = {
        **os.environ,
        "LD_PRELOAD": loaded,
        "ASAN_OPTIONS": "detect_leaks=0",  # Python keeps much to its end
        "PYTHONMALLOC": "malloc",  # so that each object has borders that are watched
    }
    done = subprocess.run(
        [sys.executable, "-c", DAMAGE, str(built), "20000"],
        capture_output=True, text=True, cwd=ROOT, env=environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert int(done.stdout) > 100
