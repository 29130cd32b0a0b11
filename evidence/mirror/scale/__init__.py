"""A mirror in shards: built and searched by many processes, on one machine or on many.

`add_shards` takes files in, `ShardedMirror` answers as `evidence.mirror.Mirror` does. Who does the
work is an engine: `Here`, this process alone, or `cluster`, the workers of a Dask scheduler.
"""

from __future__ import annotations

from evidence.mirror.scale.add import add_mesh_to_shards, add_shards
from evidence.mirror.scale.engines import Engine, Here, cluster
from evidence.mirror.scale.ledger import ledger_path
from evidence.mirror.scale.search import ShardedMirror

__all__ = [
    "Engine",
    "Here",
    "ShardedMirror",
    "add_mesh_to_shards",
    "add_shards",
    "cluster",
    "ledger_path",
]
