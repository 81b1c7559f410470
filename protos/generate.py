"""Generate the Python packages of the contract: `python protos/generate.py FOLDER`.

Its packages are replaced as a whole, so that nothing of a removed proto stays behind.
"""

import shutil
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

PROTOS = Path(__file__).parent
ROOTS = ("buf", "patron")


def generate(target: Path) -> None:
    """Replace the packages in `target` by the messages, services and types of every proto.

    Raises:
        subprocess.CalledProcessError: protoc refused a proto; it has printed why.
    """
    protos = [path for root in ROOTS for path in sorted((PROTOS / root).rglob("*.proto"))]
    services = [path for path in protos if path.stem.endswith("_service")]
    target.mkdir(parents=True, exist_ok=True)
    for root in ROOTS:
        shutil.rmtree(target / root, ignore_errors=True)
    _protoc(protos, f"--python_out={target}", f"--mypy_out=quiet:{target}")
    _protoc(services, f"--grpc_python_out={target}", f"--mypy_grpc_out=quiet,only_async:{target}")
    for root in ROOTS:
        (target / root / "py.typed").touch()
        for module in [*(target / root).rglob("*.py")]:
            for package in module.relative_to(target).parents[:-1]:
                (target / package / "__init__.py").touch()


def _protoc(protos: list[Path], *outputs: str) -> None:
    scripts = Path(sys.executable).parent
    subprocess.run(
        [
            sys.executable,
            "-m",
            "grpc_tools.protoc",
            f"--proto_path={PROTOS}",
            f"--proto_path={files('grpc_tools') / '_proto'}",
            f"--plugin=protoc-gen-mypy={scripts / 'protoc-gen-mypy'}",
            f"--plugin=protoc-gen-mypy_grpc={scripts / 'protoc-gen-mypy_grpc'}",
            *outputs,
            *map(str, protos),
        ],
        check=True,
    )


if __name__ == "__main__":
    generate(Path(sys.argv[1]))
