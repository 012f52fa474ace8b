"""`python -m ser_core`."""

import sys

from ser_core.commands import main

sys.exit(main())
