"""The console script ``netfs``. It imports next to nothing, so that ``netfs --version`` costs next to nothing."""

from __future__ import annotations

import gc
import sys

_VERSION = (["--version"], ["-V"])


def main() -> int:
    """Run the command line of this process and return its exit status."""
    arguments = sys.argv[1:]
    try:
        if arguments in _VERSION and _show_version():
            return 0
        from netfs_cli.run import run

        return run(arguments, program="netfs")
    except KeyboardInterrupt:
        return 130
    finally:
        gc.freeze()  # the interpreter ends now, and would look through all that is left for garbage first


def _show_version() -> bool:
    """Whether it could be shown; where stdout takes nothing, the long way says so properly."""
    from netfs import __version__

    try:
        sys.stdout.write(f"netfs {__version__}\n")
        sys.stdout.flush()
    except (OSError, AttributeError):
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
