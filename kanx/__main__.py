"""``python -m kanx`` is the command line."""

import sys

from kanx.cli import main

sys.exit(main())
