from typing import Any

from .configuration import ConfigurationSource

class EnvConfigurationSource(ConfigurationSource):
    def load(self) -> dict[str, Any]: ...
