"""Configuration from environment variables."""

from __future__ import annotations

import os

from aspyx.di.configuration.configuration import ConfigurationSource


class EnvironmentSource(ConfigurationSource):
    """Reads ``EVENT_SERVER_NAME=a`` as ``event.server-name``. Shells cannot export names with dots."""

    def load(self) -> dict[str, object]:
        prefix = "EVENT_"
        variables = {key: value for key, value in os.environ.items() if key.startswith(prefix)}
        return {"event": {key[len(prefix) :].lower().replace("_", "-"): value for key, value in variables.items()}}
