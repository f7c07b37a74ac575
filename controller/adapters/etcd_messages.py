"""etcd's messages and services, as the `etcd3` package describes them.

Its generated modules are older than protobuf's C implementation accepts, and the Python one costs a
resting daemon a tenth of its time. The descriptors in them are as good as ever: they are read as
text, without running the package, and given to the implementation that is there.
"""

import ast
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import grpc.aio
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

_MODULES: Final = ("kv_pb2", "auth_pb2", "rpc_pb2")  # each after those it imports
_FILE: Final = "rpc.proto"
_MULTIPLICITY: Final = ("unary", "stream")


def load() -> SimpleNamespace:
    """A class for each message, and a `...Stub` for each service, under the names of etcd's API.

    Raises ImportError when the package is missing or holds no descriptors.
    """
    pool = DescriptorPool()
    for module in _MODULES:
        proto = FileDescriptorProto.FromString(_descriptor(module))
        _drop_options(proto)
        pool.Add(proto)
    found = pool.FindFileByName(_FILE)
    names: dict[str, Any] = {
        name: GetMessageClass(message) for name, message in found.message_types_by_name.items()
    }
    names |= {f"{name}Stub": _stub(service) for name, service in found.services_by_name.items()}
    return SimpleNamespace(**names)


def _descriptor(module: str) -> bytes:
    """The serialized descriptor that stands in a generated module."""
    package = find_spec("etcd3")
    if package is None or package.origin is None:
        raise ImportError("the package etcd3 is not installed")
    path = Path(package.origin).parent / "etcdrpc" / f"{module}.py"
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.keyword) and node.arg == "serialized_pb":
            for part in ast.walk(node.value):
                if isinstance(part, ast.Constant) and isinstance(part.value, str | bytes):
                    text = part.value
                    return text if isinstance(text, bytes) else text.encode("latin-1")
    raise ImportError(f"{path} holds no serialized descriptor")


def _drop_options(proto: FileDescriptorProto) -> None:
    """What only concerns etcd's own code generator is not needed, nor what it is defined in."""
    for method in (method for service in proto.service for method in service.method):
        method.ClearField("options")
    proto.ClearField("options")


def _stub(service: Any) -> type:  # noqa: ANN401 - protobuf's descriptors are untyped
    """A class whose instances call the methods of `service` over a channel."""

    def bind(self: Any, channel: grpc.aio.Channel) -> None:  # noqa: ANN401 - made here
        for method in service.methods:
            kind = "_".join(
                _MULTIPLICITY[streams]
                for streams in (method.client_streaming, method.server_streaming)
            )
            call = getattr(channel, kind)(
                f"/{service.full_name}/{method.name}",
                request_serializer=GetMessageClass(method.input_type).SerializeToString,
                response_deserializer=GetMessageClass(method.output_type).FromString,
            )
            setattr(self, method.name, call)

    return type(f"{service.name}Stub", (), {"__init__": bind})
