"""Configuration files of a temporary Artemis broker: those of `artemis create`, reduced to what tests need."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

#: Role of the administrator, with all permissions.
ADMIN_ROLE = "amq"

PERMISSIONS = (
    "createNonDurableQueue",
    "deleteNonDurableQueue",
    "createDurableQueue",
    "deleteDurableQueue",
    "createAddress",
    "deleteAddress",
    "consume",
    "browse",
    "send",
    "manage",
)

_ALL_PROTOCOLS: Mapping[str, str] = {"protocols": "CORE,AMQP,STOMP"}

# Written by `artemis create` of 2.44 for AMQP; some defaults of the broker differ.
_ACCEPTOR_DEFAULTS: Mapping[str, str] = {
    "amqpCredits": "1000",
    "amqpLowCredits": "300",
    "amqpMinLargeMessageSize": "102400",
    "amqpDuplicateDetection": "true",
    "supportAdvisory": "false",
    "suppressInternalManagementObjects": "false",
}

# The catch-all of `artemis create`: a provider has to work with an unconfigured broker.
_ADDRESS_DEFAULTS: Mapping[str, str] = {
    "dead-letter-address": "DLQ",
    "expiry-address": "ExpiryQueue",
    "redelivery-delay": "0",
    "address-full-policy": "PAGE",
    "auto-create-queues": "true",
    "auto-create-addresses": "true",
    "auto-delete-queues": "false",
    "auto-delete-addresses": "false",
}

_LOGIN = """activemq {
   org.apache.activemq.artemis.spi.core.security.jaas.PropertiesLoginModule required
       org.apache.activemq.jaas.properties.user="artemis-users.properties"
       org.apache.activemq.jaas.properties.role="artemis-roles.properties";
};
"""

_LOG4J = """rootLogger.level = INFO
rootLogger.appenderRef.console.ref = console
logger.audit.name = org.apache.activemq.audit
logger.audit.level = OFF
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d %-5level [%logger] %msg%n
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerConfig:
    """Configuration of a temporary broker, where it differs from a newly created broker.

    Attributes:
        user: The administrator.
        password: The administrator's password, plain ASCII.
        port: Port of the acceptor for all protocols; None picks a free port.
        users: Further users: name to (password, role). A role without permissions may do nothing.
        permissions: Address match (`#` matches all) to permission (see `PERMISSIONS`) to roles. A match grants only the
            listed permissions, except to the administrator, who has all.
        address_settings: Address match to element name to value; added to the settings of `artemis create` for `#`.
        acceptors: Further acceptors, each on its own free port: name to options. `protocols` defaults to all;
            `${artemis.instance}/etc` in a value is the directory that `files` are written to.
        files: Further files of the configuration directory, for example key stores.
        edit: Receives the text of broker.xml and returns the text to use.
        heap: Maximum Java heap, as for `-Xmx`.
        java_options: Further arguments of the JVM; they override those for a quick start.
    """

    user: str = "admin"
    password: str = field(default="admin", repr=False)
    port: int | None = None
    users: Mapping[str, tuple[str, str]] = field(default_factory=dict, repr=False)
    permissions: Mapping[str, Mapping[str, tuple[str, ...]]] = field(default_factory=dict)
    address_settings: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    acceptors: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    files: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    edit: Callable[[str], str] | None = None
    heap: str = "512M"
    java_options: tuple[str, ...] = ()

    def write(self, instance: Path, ports: Mapping[str, int], *, host: str, container_path: str | None = None) -> None:
        """Write the files below *instance*.

        Args:
            instance: An empty or missing directory.
            ports: Port of each acceptor; `artemis` is the acceptor for all protocols.
            host: Address that the acceptors bind to.
            container_path: Path of *instance* in the container, if the broker runs in a container.
        """
        etc = instance / "etc"
        for directory in (etc, instance / "data", instance / "tmp", instance / "lock"):
            directory.mkdir(parents=True, exist_ok=True)
        path = container_path or str(instance)
        texts = {
            "broker.xml": self._broker_xml(ports, host),
            "bootstrap.xml": (
                '<broker xmlns="http://activemq.apache.org/schema"><jaas-security domain="activemq"/>'
                f"<server configuration={quoteattr(f'file:{path}/etc/broker.xml')}/></broker>\n"
            ),
            "management.xml": '<management-context xmlns="http://activemq.apache.org/schema"/>\n',
            "login.config": _LOGIN,
            "log4j2.properties": _LOG4J,
            "artemis-users.properties": _properties({name: password for name, (password, _) in self._users().items()}),
            "artemis-roles.properties": _properties(self._roles()),
        }
        for name, text in texts.items():
            (etc / name).write_text(text, encoding="utf-8")
        for name, content in self.files.items():
            (etc / name).write_bytes(content)

    def _users(self) -> dict[str, tuple[str, str]]:
        return {self.user: (self.password, ADMIN_ROLE), **self.users}

    def _roles(self) -> dict[str, str]:
        members: dict[str, list[str]] = {}
        for name, (_, role) in self._users().items():
            members.setdefault(role, []).append(name)
        return {role: ",".join(names) for role, names in members.items()}

    def _broker_xml(self, ports: Mapping[str, int], host: str) -> str:
        acceptors = {"artemis": _ALL_PROTOCOLS, **self.acceptors}
        settings = {"#": {**_ADDRESS_DEFAULTS, **self.address_settings.get("#", {})}}
        settings |= {match: dict(values) for match, values in self.address_settings.items() if match != "#"}
        security = {"#": {}, **self.permissions}
        text = "\n".join(
            [
                '<configuration xmlns="urn:activemq"><core xmlns="urn:activemq:core">',
                "<name>aspyx-event</name>",
                "<journal-type>NIO</journal-type>",
                "<journal-pool-files>10</journal-pool-files>",
                "<paging-directory>data/paging</paging-directory>",
                "<bindings-directory>data/bindings</bindings-directory>",
                "<journal-directory>data/journal</journal-directory>",
                "<large-messages-directory>data/large-messages</large-messages-directory>",
                # Otherwise a full disk of the developer's machine would block all publishers silently.
                "<max-disk-usage>99</max-disk-usage>",
                "<acceptors>",
                *(_acceptor(name, host, ports[name], options) for name, options in acceptors.items()),
                "</acceptors>",
                "<security-settings>",
                *(_security(match, granted) for match, granted in security.items()),
                "</security-settings>",
                "<address-settings>",
                *(_address_setting(match, values) for match, values in settings.items()),
                "</address-settings>",
                "<addresses>",
                '<address name="DLQ"><anycast><queue name="DLQ"/></anycast></address>',
                '<address name="ExpiryQueue"><anycast><queue name="ExpiryQueue"/></anycast></address>',
                "</addresses>",
                "</core></configuration>",
            ]
        )
        return self.edit(text) if self.edit else text


def _acceptor(name: str, host: str, port: int, options: Mapping[str, str]) -> str:
    merged = {**_ACCEPTOR_DEFAULTS, **_ALL_PROTOCOLS, **options}
    query = ";".join(f"{key}={value}" for key, value in merged.items())
    return f"<acceptor name={quoteattr(name)}>{escape(f'tcp://{host}:{port}?{query}')}</acceptor>"


def _security(match: str, granted: Mapping[str, tuple[str, ...]]) -> str:
    unknown = set(granted) - set(PERMISSIONS)
    if unknown:
        raise ValueError(f"unknown permissions {sorted(unknown)}; Artemis knows {', '.join(PERMISSIONS)}")
    rows = (
        f"<permission type={quoteattr(kind)} roles={quoteattr(','.join((ADMIN_ROLE, *granted.get(kind, ()))))}/>"
        for kind in PERMISSIONS
    )
    return f"<security-setting match={quoteattr(match)}>{''.join(rows)}</security-setting>"


def _address_setting(match: str, values: Mapping[str, str]) -> str:
    rows = (f"<{key}>{escape(value)}</{key}>" for key, value in values.items())
    return f"<address-setting match={quoteattr(match)}>{''.join(rows)}</address-setting>"


def _properties(values: Mapping[str, str]) -> str:
    return "".join(f"{_escaped(key)} = {_escaped(value)}\n" for key, value in values.items())


def _escaped(text: str) -> str:
    # In java.util.Properties these characters end a key, start a comment or escape.
    return "".join(f"\\{char}" if char in " :=#!\\" else char for char in text)
