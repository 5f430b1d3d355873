"""``python -m netfs_cli``."""

from __future__ import annotations

import sys

from netfs_cli.main import main

sys.exit(main())
