"""`python -m ser_core`."""

import gc
import sys

# Modules are never garbage; looking for it while they are imported takes a fifth of the time.
gc.disable()
from ser_core.commands import main  # noqa: E402

gc.freeze()
gc.enable()
sys.exit(main())
