"""The method that is called."""

from load.calls import Method
from load.config.model import Config
from load.errors import ConfigError
from load.jobs import Target
from load.targets.descriptors import find
from load.targets.protos import compile_proto
from load.targets.protosets import read_protoset
from load.targets.reflection import reflect
from load.targets.stubs import import_stubs


def find_method(config: Config, target: Target) -> Method:
    """Return the method that `call` names, from the first that is given.

    That is `proto`, `protoset`, `stubs`; with none of them, the server is asked.

    Raises:
        ConfigError: `call` is no name of a method, or a file cannot be used.
        TargetError: There is no such method, or the server that is asked can't be reached.
    """
    service, name = parse_call(config.call)
    if config.proto:
        files = compile_proto(config.proto, config.import_paths)
        where = config.proto
    elif config.protoset:
        files, where = read_protoset(config.protoset), config.protoset
    elif config.stubs:
        files, where = import_stubs(config.stubs), config.stubs
    else:
        files = reflect(target, service, config.reflect_metadata)
        where = f"what {target.host} serves"
    return find(files, service, name, where=where)


def parse_call(call: str) -> tuple[str, str]:
    """Return the full name of the service, and the name of the method.

    Raises:
        ConfigError: It is neither `package.Service/Method` nor `package.Service.Method`.
    """
    service, _, name = call.strip().removeprefix(".").rpartition("/" if "/" in call else ".")
    if not service or not name or "/" in service:
        raise ConfigError(
            f"call: {call!r} is not like package.Service/Method or package.Service.Method"
        )
    return service, name
