"""Sessions for developers and CI; each builds an environment of its own.

``nox -s "tests(tilelang)"`` tests one host, ``nox -s lint docs`` checks the rest. ``NOX_KERNELS`` names a
folder of further kernels for the tests of the TileLang host.
"""

import os
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nox

nox.options.default_venv_backend = "venv"
nox.options.sessions = ["tests", "lint", "docs"]

# The requirements of one supported host each, as tilelang/tt/_host.py lists them.
HOSTS = {
    "tvm25": ["apache-tvm==0.25.0.post1", "apache-tvm-ffi==0.1.12"],
    "tvm26": ["apache-tvm==0.26.0", "apache-tvm-ffi==0.1.14.post1"],
    "tvm27": ["apache-tvm==0.27.0.post1", "apache-tvm-ffi==0.1.14.post1"],
    "tilelang": ["tilelang==0.1.15"],
}
EXTRAS = nox.project.load_toml("pyproject.toml")["project"]["optional-dependencies"]
# The package itself comes as a wheel.
TEST_REQUIREMENTS = [*EXTRAS["testing"], *(each for each in EXTRAS["test"] if not each.startswith("tilelang-tt"))]
LINTED = ["tilelang", "tilelang_tt_pytest", "testing", "benchmarks", "examples", "docs", "tools", "noxfile.py"]
TESTS = Path("testing/python/tt")
WHEELS = Path("build/wheels")
# What the wheel is made of.
SOURCES = ["CMakeLists.txt", "pyproject.toml", "src", "tilelang", "tilelang_tt_pytest", "docs/errors"]
MAX_WHEEL_BYTES = 1_000_000
# Stages of Python, which reach what is watched by what other stages test, or by processes in which nothing is watched.
PYTHON_ALONE = re.compile(r'^pytestmark = pytest\.mark\.stage\("(testing|cli|docs|cache|many)"\)', re.MULTILINE)
SANITIZERS = ["libasan.so", "libubsan.so", "libstdc++.so"]


def wheel(session: nox.Session) -> str:
    """The wheel of these sources, built once for each Python: every host tests the same file."""
    print_tag = "import sys; print('cp%d%d' % sys.version_info[:2], end='')"
    folder = WHEELS / str(session.run("python", "-c", print_tag, silent=True))
    built = list(folder.glob("*.whl"))
    if not built or built[0].stat().st_mtime < _last_change():
        session.run("rm", "-rf", str(folder), external=True)
        session.run("python", "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), ".")
        built = list(folder.glob("*.whl"))
    size = built[0].stat().st_size
    if size > MAX_WHEEL_BYTES:
        session.error(f"{built[0]} has {size} bytes; expected at most {MAX_WHEEL_BYTES}")
    return str(built[0])


def _last_change() -> float:
    found = [
        path for name in SOURCES for path in (Path(name), *Path(name).rglob("*")) if "__pycache__" not in path.parts
    ]
    return max(path.stat().st_mtime for path in found)


def run_comparison(session: nox.Session, name: str, *arguments: str) -> None:
    """Two environments by a file of ``testing/comparisons``; the report is in ``build/comparisons``."""
    out, jobs = f"build/comparisons/{name}-{session.name}", str(os.cpu_count())
    command = ["tilelang-tt", "test", "compare", f"testing/comparisons/{name}.toml", "--out", out, "--jobs", jobs]
    session.run(*command, *arguments, *session.posargs)


@nox.session
@nox.parametrize("host", list(HOSTS), ids=list(HOSTS))
def tests(session: nox.Session, host: str) -> None:
    """The test suite on one host. Arguments after ``--`` go to pytest."""
    if host == "tilelang":
        session.install("--quiet", "torch==2.13.0")
    session.install("--quiet", *HOSTS[host], *TEST_REQUIREMENTS, wheel(session))
    if not session.posargs:
        run_comparison(session, "loaded")
    kernels = os.environ.get("NOX_KERNELS")
    session.run("pytest", "-n", "auto", *([f"--kernels={kernels}"] if kernels else []), *session.posargs)
    if host == "tilelang" and not session.posargs:  # `make bench` runs the parts that apache-tvm has
        session.run("python", "benchmarks/execution.py")
        session.run("python", "benchmarks/target.py")
        session.run("python", "benchmarks/service.py")


@nox.session
def compare(session: nox.Session) -> None:
    """The tests on apache-tvm 0.26 against 0.27. Arguments after ``--`` go to the comparison."""
    session.install("--quiet", *HOSTS["tvm27"], *TEST_REQUIREMENTS, wheel(session))
    baseline = Path(session.create_tmp()) / "tvm26"
    session.run("python", "-m", "venv", str(baseline))
    pip = [str(baseline / "bin/python"), "-m", "pip", "install", "--quiet"]
    session.run(*pip, *HOSTS["tvm26"], *TEST_REQUIREMENTS, wheel(session), external=True)
    run_comparison(session, "hosts", "--baseline", str(baseline), "--candidate", session.virtualenv.location)


@nox.session
def browser(session: nox.Session) -> None:
    """The pages in Chromium, which must be on PATH with chromedriver. Arguments after ``--`` go to pytest."""
    session.install("--quiet", *HOSTS["tvm27"], *TEST_REQUIREMENTS, "selenium==4.51.0", wheel(session))
    # Of this package only the copy of axe-core is needed, and not the browsers that it brings.
    session.install("--quiet", "--no-deps", "axe-playwright-python==0.1.8")
    session.run("pytest", "testing/browser", *session.posargs)


@nox.session
def sanitize(session: nox.Session) -> None:
    """The tests of one host on libraries that AddressSanitizer and UndefinedBehaviorSanitizer watch."""
    session.install("--quiet", *HOSTS["tvm27"], *TEST_REQUIREMENTS)
    session.install("--quiet", "--no-deps", "-C", "cmake.define.TILELANG_TT_SANITIZE=ON", ".")
    # Python is not built with them, so they must be there before it; and it frees little when it exits.
    preloaded = [subprocess.check_output(["g++", f"-print-file-name={name}"], text=True).strip() for name in SANITIZERS]
    watched = {
        "LD_PRELOAD": " ".join(preloaded),
        # Sizes that nobody has memory for fail as they do unwatched, and so does what is made to crash.
        "ASAN_OPTIONS": "detect_leaks=0:allocator_may_return_null=1:handle_segv=0:handle_abort=0",
        "UBSAN_OPTIONS": "print_stacktrace=1",
    }
    # What a released library may need from others is not what a watched one needs; and what watches has memory of its
    # own, for which workers with a limit leave no room.
    ignored = [f"--ignore={TESTS}/{name}.py" for name in ("test_library", "test_pool")]
    ignored += [f"--ignore={path}" for path in TESTS.glob("test_*.py") if PYTHON_ALONE.search(path.read_text())]
    # Reports go to the file descriptor, which is not to be captured.
    session.run("pytest", "-n", "auto", "--capture=sys", *ignored, *session.posargs, env=watched)


@nox.session(python="3.11")
def fuzz(session: nox.Session) -> None:
    """Inputs that nobody would write, for a minute each, two at a time; arguments after ``--`` go to libFuzzer."""
    session.install("--quiet", *HOSTS["tvm27"], "atheris==3.0.0", wheel(session))

    def run(target: Path) -> None:
        session.log(f"fuzzing {target.stem}")
        session.run("python", "-P", str(target), *(session.posargs or ["-max_total_time=60", "-verbosity=0"]))

    with ThreadPoolExecutor(2) as executor:
        list(executor.map(run, sorted(Path("testing/fuzz").glob("fuzz_*.py"))))


@nox.session
def lint(session: nox.Session) -> None:
    """Formatting, lints and types; all of them by configuration in pyproject.toml and .clang-format."""
    session.install("--quiet", *EXTRAS["dev"], *TEST_REQUIREMENTS, "numpy")
    session.run("ruff", "check", *LINTED)
    session.run("ruff", "format", "--check", *LINTED)
    sources = [str(path) for path in sorted(Path("src").rglob("*")) if path.suffix in {".h", ".cc"}]
    session.run("clang-format", "--dry-run", "--Werror", *sources)
    session.run("mypy")


@nox.session(name="format")
def format_(session: nox.Session) -> None:
    """Rewrite the sources as ``lint`` wants them."""
    session.install("--quiet", *EXTRAS["dev"])
    session.run("ruff", "check", "--fix", *LINTED)
    session.run("ruff", "format", *LINTED)
    sources = [str(path) for path in sorted(Path("src").rglob("*")) if path.suffix in {".h", ".cc"}]
    session.run("clang-format", "-i", *sources)


@nox.session
def docs(session: nox.Session) -> None:
    """The documentation, with warnings as errors, in docs/_build; the kernels of its gallery are TileLang's."""
    session.install("--quiet", "torch==2.13.0")
    session.install("--quiet", f"{wheel(session)}[tilelang,docs]")
    session.run("sphinx-build", "-W", "-n", "--keep-going", "-b", "html", "docs", "docs/_build/html")
