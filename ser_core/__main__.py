"""`python -m ser_core`."""

import sys

from ser_core.command_line import main

sys.exit(main())
