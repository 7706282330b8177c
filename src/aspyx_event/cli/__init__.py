"""The command ``aspyx-event``: runs a module, manages its dead letters and contracts, checks the health of a process."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line and exit the process."""
    try:
        from .app import app
    except ImportError as error:
        if (error.name or "").partition(".")[0] not in ("typer", "rich", "click"):
            raise
        sys.stderr.write(f"aspyx-event needs {error.name}, which is not installed: pip install 'aspyx-event[cli]'\n")
        sys.exit(1)
    app(prog_name="aspyx-event")
