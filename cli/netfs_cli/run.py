"""One run of the command line: from arguments to an exit status, with every error in one line.

=====  ====================================================
    0  delivered, healthy, done
    1  dropped, or findings of severity error
    2  usage
    3  undecided: something needed could not be read
  130  interrupted
  141  nobody reads the answer any more (a closed pipe)
=====  ====================================================
"""

from __future__ import annotations

import gc
import io
import os
import sys
from collections.abc import Sequence

import click

from netfs_cli import terminal
from netfs_cli.app import app
from netfs_cli.settings import Settings

INTERRUPTED = 130
PIPE_CLOSED = 141
UNDECIDED = 3


def run(arguments: Sequence[str], *, program: str, kubernetes: bool = False) -> int:
    """Run a command line. ``kubernetes``: where no source is named, the cluster of the kubeconfig is meant."""
    settings = Settings(kubernetes=kubernetes)
    complete = f"_{program.replace(' ', '_').replace('-', '_')}_COMPLETE".upper()
    if complete in os.environ:
        from click.shell_completion import shell_complete

        return shell_complete(app, {}, program, complete, os.environ[complete])
    # One answer leaves no garbage worth looking for, and to look for it among the records of a large cluster takes
    # longer than to read them.
    gc.disable()
    try:
        _prepare_streams()
        with app.make_context(program, list(arguments), obj=settings) as context:
            status = app.invoke(context)
        sys.stdout.flush()
    except click.exceptions.Exit as exit_:
        status = exit_.exit_code
    except click.UsageError as error:
        status = _complain(f"{error.format_message()}{_see(error)}", error.exit_code)
    except click.ClickException as error:
        status = _complain(error.format_message(), error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        status = INTERRUPTED
    except BrokenPipeError:
        _discard_stdout()
        status = PIPE_CLOSED
    except Exception as error:  # noqa: BLE001 (a traceback is a defect, whatever raised it)
        status = _failed(error, settings)
    finally:
        gc.enable()
    return status if isinstance(status, int) else 0


def _prepare_streams() -> None:
    """A name that the terminal cannot encode is shown by escapes; a stream that was closed takes what it gets."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 (open as long as the process)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def _see(error: click.UsageError) -> str:
    return f" (see: {error.ctx.command_path} --help)" if error.ctx is not None else ""


def _failed(error: Exception, settings: Settings) -> int:
    """An expected failure says what, where and what next; any other is a defect of netfs."""
    from netfs.errors import NetfsError

    if settings.verbose:
        import traceback

        traceback.print_exc()
    if isinstance(error, NetfsError):
        return _complain(str(error), error.exit_status)
    if isinstance(error, OSError) and error.strerror:
        _discard_stdout()
        place = f"{error.filename}: " if error.filename else ""
        return _complain(f"{place}{error.strerror}", UNDECIDED)
    again = "" if settings.verbose else "; -v shows where"
    return _complain(f"a defect in netfs, please report it: {type(error).__name__}: {error}{again}", UNDECIDED)


def _complain(message: str, status: int) -> int:
    terminal.error(message)
    return status


def _discard_stdout() -> None:
    """Let the interpreter's last flush of what stdout would not take go nowhere."""
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, sys.stdout.fileno())
    os.close(devnull)
