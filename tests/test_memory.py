"""Memory freed by many threads is returned to the system."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from pages.shared.server import memory

pytestmark = pytest.mark.process

SCRIPT = """
import json, threading
import numpy as np, psutil
from pages.shared.server import memory

def held_mib():
    return psutil.Process().memory_info().rss / 2**20

kept, together = [], threading.Barrier(8)

def work():
    blocks = [np.ones(8_000) for _ in range(500)]  # 30 MiB in pieces that are too small to be mapped on their own
    together.wait()
    kept.append(blocks[-1])  # the last one keeps what lies before it from being given back by itself

before = held_mib()
threads = [threading.Thread(target=work) for _ in range(8)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
freed = held_mib()
memory.give_back()
print(json.dumps([freed - before, held_mib() - before]))
"""


@pytest.mark.skipif(memory._glibc() is None, reason="the allocator is not glibc's")
def test_memory_freed_by_threads_is_returned_even_below_a_live_block():
    run = subprocess.run([sys.executable, "-c", SCRIPT], cwd=Path(__file__).parent.parent, capture_output=True)
    stayed, at_last = json.loads(run.stdout)
    assert stayed > 100
    assert at_last < 20
