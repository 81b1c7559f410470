"""Methods and channels of real servers: reflection, .proto files, stubs, TLS of all kinds."""

import asyncio
import socket
import sys
import time
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from grpc_tools import protoc

from load.calls import Kind
from load.config.model import Config
from load.errors import ConfigError, LoadError, TargetError
from load.jobs import Target
from load.targets.channels import open_channel
from load.targets.connecting import target_of
from load.targets.methods import find_method
from tests.support.byte_server import ECHO, ByteServer, byte_server
from tests.support.certificates import Authority
from tests.support.probe import PROTO, probe_server
from tests.support.probe.contract import descriptor_set

_CALL = "probe.v1.Probe/Chat"
_NOWHERE = "127.0.0.1:1"


def _find(call: str = _CALL, host: str = _NOWHERE, **options: Any) -> Any:
    config = Config(call=call, host=host, insecure=True, **options)
    return find_method(config, target_of(config))


@pytest.fixture
def protoset(tmp_path: Path) -> str:
    """The contract of the probe in a file."""
    path = tmp_path / "probe.protoset"
    path.write_bytes(descriptor_set())
    return str(path)


def test_a_method_is_the_same_wherever_it_is_found(
    protoset: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a .proto file, a protoset, stubs of the current folder, or by either reflection."""
    found = _find(protoset=protoset)
    assert (found.path, found.full_name) == ("/probe.v1.Probe/Chat", "probe.v1.Probe.Chat")
    assert found.kind is Kind.BIDI_STREAM
    assert (found.input_type, found.output_type) == ("probe.v1.EchoRequest", "probe.v1.EchoReply")
    assert _find(".probe.v1.Probe.Chat", protoset=protoset) == found
    assert _find(proto=str(PROTO)) == found
    assert _find(proto=PROTO.name, import_paths=[str(PROTO.parent)]) == found
    package = tmp_path / "made_here"
    package.mkdir()
    well_known = Path(protoc.__file__).with_name("_proto")
    folders = [f"-I{PROTO.parent}", f"-I{well_known}"]
    assert not protoc.main(["", *folders, f"--python_out={package}", PROTO.name])
    monkeypatch.chdir(tmp_path)
    before = list(sys.path)
    assert _find(stubs="made_here.probe_pb2").path == found.path
    assert sys.path == before
    for version in ("v1", "v1alpha"):
        with byte_server(reflection=version, descriptors=descriptor_set()) as server:
            assert _find(host=server.target) == found
    with probe_server() as probe:
        assert _find(host=probe.target).input_type == found.input_type


def test_the_first_that_is_given_counts(protoset: str) -> None:
    """A .proto file before a protoset, before stubs; the server is asked only without them."""
    assert _find(proto=str(PROTO), protoset="missing", stubs="missing").path
    assert _find(protoset=protoset, stubs="missing").path
    with pytest.raises(ConfigError, match=r"^stubs: cannot import missing$"):
        _find(stubs="missing")
    with pytest.raises(TargetError, match=rf"{_NOWHERE} .*: Connection refused"):
        _find()


@pytest.mark.parametrize(
    "call, message",
    [
        (
            "probe.v1.Probe/Echos",
            "the service probe.v1.Probe has no method 'Echos'; did you mean Echo",
        ),
        (
            "probe.v1.Prob/Echo",
            "no service 'probe.v1.Prob' in {where}; did you mean probe.v1.Probe?",
        ),
        ("Probe.Echo", "no service 'Probe' in {where}; did you mean probe.v1.Probe?"),
        ("a.Thing/Do", "no service 'a.Thing' in {where}; there is probe.v1.Probe"),
    ],
)
def test_unknown_methods_are_told_with_what_is_near(call: str, message: str, protoset: str) -> None:
    """Of files, and of what a server tells."""
    with byte_server(reflection="v1", descriptors=descriptor_set()) as server:
        for where, options in (
            (protoset, {"protoset": protoset}),
            (f"what {server.target} serves", {"host": server.target}),
        ):
            with pytest.raises(TargetError) as caught:
                _find(call, **options)
            assert message.format(where=where) in str(caught.value)


@pytest.mark.parametrize("call", ["", "Echo", "a.B/C/D", "/Echo", "a.B/"])
def test_what_is_no_name_of_a_method_is_refused(call: str) -> None:
    """Before anything is opened."""
    with pytest.raises(ConfigError, match=r"^call: .*package\.Service/Method"):
        _find(call, protoset="missing")


def test_errors_in_files_are_told_in_one_line(tmp_path: Path, protoset: str) -> None:
    """With the place, or the import that is missing."""
    file = tmp_path / "thing.proto"
    file.write_text(
        'syntax = "proto3";\npackage a;\nimport "other.proto";\nmessage A { B b = 1; }\n'
    )
    with pytest.raises(
        TargetError, match=r"^proto: \S+thing.proto .*other.proto: .*not found"
    ) as e:
        _find(proto=str(file))
    assert "\n" not in str(e.value)
    folder = tmp_path / "imports"
    folder.mkdir()
    (folder / "other.proto").write_text('syntax = "proto3";\npackage a;\nmessage B { int32 x = }\n')
    with pytest.raises(TargetError, match=r"other.proto, line 3: "):
        _find(proto=str(file), import_paths=[str(folder)])
    for options, message in (
        ({"proto": "thing.txt"}, "proto: thing.txt does not end with .proto"),
        ({"proto": "missing.proto"}, "proto: there is no file missing.proto"),
        ({"proto": str(file), "import_paths": ["no"]}, "import-paths: there is no folder no"),
        ({"protoset": "missing"}, "protoset: cannot read missing: No such file or directory"),
        ({"protoset": str(file)}, f"protoset: {file} is no protoset"),
        ({"stubs": "json"}, "stubs: json is no generated module, such as thing_service_pb2"),
    ):
        with pytest.raises(ConfigError) as caught:
            _find(**options)
        assert str(caught.value) == message
    partly = tmp_path / "partly.protoset"
    alone = FileDescriptorSet.FromString(descriptor_set())
    del alone.file[:-1]
    partly.write_bytes(alone.SerializeToString())
    with pytest.raises(
        TargetError, match=r"not the file google/protobuf/timestamp.proto.*--include"
    ):
        _find(protoset=str(partly))


def test_reflection_is_asked_with_metadata_and_within_the_time() -> None:
    """A server without it, and one that says nothing at all, are told apart."""
    metadata = {"Authorization": "Bearer token", "trace-bin": "text"}
    with byte_server(reflection="v1", descriptors=descriptor_set()) as server:
        _find(host=server.target, reflect_metadata=metadata)
    assert server.reflections
    for seen in server.reflections:
        assert (seen["authorization"], seen["trace-bin"]) == ("Bearer token", b"text")
    with (
        byte_server() as server,
        pytest.raises(TargetError, match="has no server reflection: give"),
    ):
        _find(host=server.target)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        host = f"127.0.0.1:{silent.getsockname()[1]}"
        began = time.monotonic()
        with pytest.raises(TargetError, match="no answer in time"):
            _find(host=host, connect_timeout=300_000_000)
        assert 0.3 <= time.monotonic() - began < 5


async def _echo(target: Target, message: bytes = b"hello", metadata: Any = None) -> bytes:
    channel = open_channel(target)
    try:
        call: Any = channel.unary_unary(ECHO)
        answer: bytes = await call(message, metadata=metadata, timeout=10)
    finally:
        await channel.close()
    return answer


def _target(server: ByteServer, **options: Any) -> Target:
    return target_of(Config(host=server.target, **options))


async def test_bytes_go_through_a_channel_as_they_are(tmp_path: Path) -> None:
    """Each channel has a connection of its own, and the authority that is asked for."""
    with byte_server() as server:
        target = _target(server, insecure=True, keepalive=1, lb_strategy="round_robin")
        channels = [open_channel(target) for _ in range(3)]
        for channel in channels:
            call: Any = channel.unary_unary(ECHO)
            assert await call(b"\x00\xff") == b"\x00\xff"
        assert len(server.peers) == 3
        for channel in channels:
            await channel.close()
        assert set(server.authorities) == {server.target}
        await _echo(_target(server, insecure=True, authority="elsewhere.test:1"))
        assert server.authorities[-1] == "elsewhere.test:1"
        port = server.target.rpartition(":")[2]
        for host in (f"dns:///localhost:{port}", f"passthrough:///127.0.0.1:{port}"):
            assert await _echo(target_of(Config(host=host, insecure=True))) == b"hello"
    path = tmp_path / "socket"
    with byte_server(socket=path):
        assert await _echo(target_of(Config(host=f"unix://{path}", insecure=True))) == b"hello"


async def test_messages_are_as_large_as_they_may_be() -> None:
    """Without a limit, unless one is given."""
    large = b"x" * 5_000_000
    with byte_server() as server:
        assert await _echo(_target(server, insecure=True), large) == large
        for option in ("max_send_message_size", "max_recv_message_size"):
            target = _target(server, insecure=True, **{option: "1kb"})
            assert await _echo(target, b"x" * 900)
            with pytest.raises(grpc.aio.AioRpcError, match="larger than max"):
                await _echo(target, b"x" * 1100)


async def test_messages_are_compressed_if_asked_to() -> None:
    """By gzip, as few bytes on the wire show."""
    passed = 0

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal passed
        upstream = await asyncio.open_connection(*server.target.split(":"))

        async def copy(source: asyncio.StreamReader, to: asyncio.StreamWriter) -> int:
            count = 0
            while chunk := await source.read(65536):
                count += len(chunk)
                to.write(chunk)
            to.close()
            return count

        sent, _ = await asyncio.gather(copy(reader, upstream[1]), copy(upstream[0], writer))
        passed += sent

    with byte_server() as server:
        proxy = await asyncio.start_server(forward, "127.0.0.1", 0)
        async with proxy:
            host = "127.0.0.1:{1}".format(*proxy.sockets[0].getsockname())
            counts = []
            for compressed in (False, True):
                config = Config(host=host, insecure=True, enable_compression=compressed)
                assert await _echo(target_of(config), b"x" * 100_000) == b"x" * 100_000
                for _ in range(100):
                    if passed:
                        break
                    await asyncio.sleep(0.01)
                counts.append(passed)
                passed = 0
    assert counts[0] > 100_000
    assert 0 < counts[1] < 5000


@pytest.fixture(scope="module")
def authority() -> Authority:
    """An authority that no machine trusts."""
    return Authority()


@pytest.fixture
def files(tmp_path: Path, authority: Authority) -> dict[str, str]:
    """The files of a client of it."""
    chain, key = authority.issue("a client").write(tmp_path)
    cacert = tmp_path / "ca.pem"
    cacert.write_bytes(authority.certificate)
    return {"cacert": str(cacert), "cert": str(chain), "key": str(key)}


async def test_servers_are_verified(authority: Authority, files: dict[str, str]) -> None:
    """By the roots that are given, or those of the system; under the name that is given."""
    with byte_server(certificate=authority.issue()) as server:
        assert await _echo(_target(server, cacert=files["cacert"])) == b"hello"
        with pytest.raises(grpc.aio.AioRpcError, match="CERTIFICATE_VERIFY_FAILED"):
            await _echo(_target(server))
        with pytest.raises(grpc.aio.AioRpcError, match="UNAVAILABLE"):
            await _echo(_target(server, cacert=files["cacert"], cname="other.test"))
    with byte_server(certificate=authority.issue(hosts=["other.test"])) as server:
        with pytest.raises(grpc.aio.AioRpcError, match="UNAVAILABLE"):
            await _echo(_target(server, cacert=files["cacert"]))
        assert await _echo(_target(server, cacert=files["cacert"], cname="other.test"))
        assert server.authorities[-1] == "other.test"
        # As in Go, it is the name that is verified as well, if there is no other.
        assert await _echo(_target(server, cacert=files["cacert"], authority="other.test"))
        both = {"cname": "other.test", "authority": "third.test"}
        assert await _echo(_target(server, cacert=files["cacert"], **both))
        assert server.authorities[-1] == "third.test"


@pytest.mark.parametrize("verified", [True, False])
async def test_servers_can_verify_their_clients(
    authority: Authority, files: dict[str, str], verified: bool
) -> None:
    """By the certificate that is given, whether they are verified or not."""
    options: dict[str, Any] = {} if verified else {"skip_tls": True}
    with byte_server(certificate=authority.issue(), clients=authority.certificate) as server:
        assert await _echo(_target(server, **files, **options)) == b"hello"
        with pytest.raises(grpc.aio.AioRpcError):
            await _echo(_target(server, cacert=files["cacert"], **options))


@pytest.mark.parametrize(
    "made",
    [
        lambda authority: authority.issue(),
        lambda authority: authority.issue(hosts=["elsewhere.test"]),
        lambda authority: authority.issue(hosts=["*.elsewhere.test"]),
        lambda _: Authority("its own").own(),
    ],
    ids=["of an authority", "of another host", "of any host there", "signed by itself"],
)
async def test_verification_can_be_skipped(made: Any, authority: Authority) -> None:
    """Whoever signed the certificate, and for whatever host; the server still gets its own name."""
    with byte_server(certificate=made(authority)) as server:
        target = _target(server, skip_tls=True, cacert="is not looked at")
        assert await _echo(target) == b"hello"
        assert server.authorities[-1].partition(":")[0] == "127.0.0.1"
        for options in ({"cname": "a.test"}, {"authority": "a.test"}):
            assert await _echo(_target(server, skip_tls=True, **options)) == b"hello"
            assert server.authorities[-1] == "a.test"
        with pytest.raises(TargetError, match=r"^authority: with skipTLS it can have no port"):
            _target(server, skip_tls=True, authority="a.test:1")


async def test_why_verification_cannot_be_skipped_is_told(authority: Authority) -> None:
    """An expired certificate, a server without TLS, none at all, and one that says nothing."""
    expired = authority.issue(expired=True)
    with (
        byte_server(certificate=expired) as server,
        pytest.raises(TargetError, match=r"skipTLS: .*certificate has expired"),
    ):
        _target(server, skip_tls=True)
    with byte_server() as server, pytest.raises(TargetError, match=r"skipTLS: .* TLS"):
        _target(server, skip_tls=True)
    with pytest.raises(TargetError, match=r"skipTLS: cannot reach .*: Connection refused"):
        target_of(Config(host=_NOWHERE, skip_tls=True))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        host = f"127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(TargetError, match=r"skipTLS: .* in time"):
            target_of(Config(host=host, skip_tls=True, connect_timeout=200_000_000))
    with pytest.raises(TargetError, match=r"skipTLS: .*no address of one server"):
        target_of(Config(host="xds:///name", skip_tls=True))


def test_options_that_cannot_be_used_are_named(
    tmp_path: Path, authority: Authority, files: dict[str, str]
) -> None:
    """With what is wrong about them."""
    other = tmp_path / "other.pem"
    other.write_bytes(authority.issue().key)
    cases: list[tuple[dict[str, Any], str]] = [
        ({"host": ""}, "host: "),
        ({"cert": files["cert"]}, "cert: goes with key, which is missing"),
        ({"key": files["key"]}, "key: goes with cert, which is missing"),
        ({"cacert": "missing"}, "cacert: cannot read missing: No such file or directory"),
        ({"cacert": files["key"]}, f"cacert: {files['key']} has no certificate in PEM"),
        ({"cert": files["cert"], "key": str(other)}, f"cert: {files['cert']} and key {other} are"),
        ({"lb_strategy": "any"}, "lb-strategy: 'any' is none; there is pick_first, round_robin"),
        ({"max_recv_message_size": "much"}, "max-recv-message-size: 'much' is no size"),
        ({"cname": "a.test", "authority": "b.test:1"}, "authority: can have no port when cname"),
    ]
    for options, message in cases:
        with pytest.raises(LoadError) as caught:
            target_of(Config(**{"host": _NOWHERE, **options}))
        assert str(caught.value).startswith(message)
