from .configuration import ConfigurationManager as ConfigurationManager
from .configuration import ConfigurationSource as ConfigurationSource
from .configuration import ConfigValue as ConfigValue
from .configuration import config as config
from .configuration import inject_value as inject_value
from .env_configuration_source import EnvConfigurationSource as EnvConfigurationSource
from .yaml_configuration_source import YamlConfigurationSource as YamlConfigurationSource
