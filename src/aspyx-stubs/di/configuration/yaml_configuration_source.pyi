from typing import Any

from .configuration import ConfigurationSource

class YamlConfigurationSource(ConfigurationSource):
    file: str
    def __init__(self, file: str) -> None: ...
    def load(self) -> dict[str, Any]: ...
