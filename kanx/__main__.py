"""``python -m kanx``: the command line."""

import sys

from kanx.cli import main

sys.exit(main())
