"""The command ``aspyx-event``: run a module, look after its dead letters and contracts, ask a process how it does."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line; ends the process."""
    try:
        from .app import app
    except ImportError as error:
        if (error.name or "").partition(".")[0] not in ("typer", "rich", "click"):
            raise
        sys.stderr.write(f"aspyx-event needs {error.name}, which is not installed: pip install 'aspyx-event[cli]'\n")
        sys.exit(1)
    app(prog_name="aspyx-event")
