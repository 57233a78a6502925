import tempfile
from pathlib import Path

from tilelang.tt.testing import read_stages

FILES = {
    "pyproject.toml": '[tool.tilelang-tt]\nstages = "stages.py"\n',
    "stages.py": """
from tilelang.tt.testing import Stage

STAGES = (Stage("parse", does="Reads texts.", sits="first"),)
""",
    "test_parse.py": """
import pytest

@pytest.mark.stage("parse")
def test_numbers(): ...
""",
}

with tempfile.TemporaryDirectory() as folder:
    for name, text in FILES.items():
        Path(folder, name).write_text(text)
    found = read_stages(Path(folder))
found.check()
for test in found.tests:
    print(f"{test.file}:{test.line} {test.name} exercises {test.stage}")

# Prints:
# test_parse.py:5 test_numbers exercises parse
