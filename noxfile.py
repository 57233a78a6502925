"""Sessions for developers and CI; each builds an environment of its own.

``nox -s "tests(tilelang)"`` tests one host, ``nox -s lint docs`` checks the rest. ``NOX_KERNELS`` names a
folder of further kernels for the tests of the TileLang host.
"""

import os
import subprocess
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
WHEELS = Path("build/wheels")
MAX_WHEEL_BYTES = 1_000_000
SANITIZERS = ["libasan.so", "libubsan.so", "libstdc++.so"]

_built: list[Path] = []


def wheel(session: nox.Session) -> str:
    """The wheel of these sources, built once per run of nox: every host tests the same file."""
    if not _built:
        session.run("rm", "-rf", str(WHEELS), external=True)
        session.run("python", "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(WHEELS), ".")
        _built.extend(WHEELS.glob("*.whl"))
        size = _built[0].stat().st_size
        if size > MAX_WHEEL_BYTES:
            session.error(f"{_built[0]} has {size} bytes; expected at most {MAX_WHEEL_BYTES}")
    return str(_built[0])


@nox.session
@nox.parametrize("host", list(HOSTS), ids=list(HOSTS))
def tests(session: nox.Session, host: str) -> None:
    """The test suite on one host. Arguments after ``--`` go to pytest."""
    if host == "tilelang":
        session.install("--quiet", "torch==2.13.0")
    session.install("--quiet", *HOSTS[host], *TEST_REQUIREMENTS, wheel(session))
    kernels = os.environ.get("NOX_KERNELS")
    session.run("pytest", "-n", "auto", *([f"--kernels={kernels}"] if kernels else []), *session.posargs)
    if host == "tilelang" and not session.posargs:  # `make bench` runs the parts that apache-tvm has
        session.run("python", "benchmarks/execution.py")
        session.run("python", "benchmarks/target.py")
        session.run("python", "benchmarks/service.py")


@nox.session
def browser(session: nox.Session) -> None:
    """The page of a plan in Chromium, which must be on PATH with chromedriver. Arguments after ``--`` go to pytest."""
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
    ignored = [f"--ignore=testing/python/tt/{name}.py" for name in ("test_library", "test_pool")]
    # Reports go to the file descriptor, which is not to be captured.
    session.run("pytest", "-n", "auto", "--capture=sys", *ignored, *session.posargs, env=watched)


@nox.session
def stress(session: nox.Session) -> None:
    """Sixteen processes on one cache for half a minute, which die, and damage and evict what they share."""
    session.install("--quiet", *HOSTS["tvm27"], *TEST_REQUIREMENTS, wheel(session))
    seconds = {"TILELANG_TT_STRESS_SECONDS": "30"}
    session.run("pytest", "testing/python/tt/test_cache_stress.py", *session.posargs, env=seconds)


@nox.session(python="3.11")
def fuzz(session: nox.Session) -> None:
    """Inputs that nobody would write, for a minute each; arguments after ``--`` go to libFuzzer."""
    session.install("--quiet", *HOSTS["tvm27"], "atheris==3.0.0", wheel(session))
    for target in sorted(Path("testing/fuzz").glob("fuzz_*.py")):
        session.log(f"fuzzing {target.stem}")
        session.run("python", "-P", str(target), *(session.posargs or ["-max_total_time=60", "-verbosity=0"]))


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
    session.install("--quiet", ".[tilelang,docs]")
    session.run("sphinx-build", "-W", "-n", "--keep-going", "-b", "html", "docs", "docs/_build/html")
