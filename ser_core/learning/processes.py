"""Learn in several processes, or on several machines: torchrun starts them, Lightning Fabric keeps them in step."""

import atexit
import os
from functools import cache

from lightning_fabric import Fabric
from torch import distributed


@cache
def processes() -> Fabric:
    """Return the processes that torchrun started together, of which this is one; without torchrun it is the only one.

    `torchrun --nproc-per-node 2 -m ser_core train ...` starts two. Several machines need `runs` and the corpora at
    the same paths.
    """
    here, machines = int(os.environ.get("LOCAL_WORLD_SIZE", 1)), int(os.environ.get("GROUP_WORLD_SIZE", 1))
    several = "ddp" if here * machines > 1 else "auto"
    fabric = Fabric(accelerator="cpu", strategy=several, devices=here, num_nodes=machines)
    fabric.launch()
    if distributed.is_initialized():
        # gloo's threads must end before the process does, or it now and then aborts when all its work is done.
        atexit.register(distributed.destroy_process_group)
    return fabric
