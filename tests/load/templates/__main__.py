"""Stores anew what Go renders: `python -m tests.load.templates`, where there is Go."""

import json
import sys
import tempfile
from pathlib import Path

from tests.load.templates import golang, stored

if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        program = golang.build(Path(folder))
        if program is None:
            sys.exit("There is no Go here")
        content = stored.rendered(program)
    stored.PATH.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")
