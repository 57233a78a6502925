"""What is left in a git tree, and what is not blamed on whom."""

import os
import shutil
import subprocess

import pytest

from tilelang.tt.testing import assert_git_not_dirty, git

pytestmark = pytest.mark.stage("testing")


def call(folder, *arguments):
    somebody = ["-c", "user.name=somebody", "-c", "user.email=somebody", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *somebody, "-C", str(folder), *arguments], check=True, capture_output=True)


@pytest.fixture
def tree(tmp_path):
    """Two files in the last commit, one that was changed since, and one that is new."""
    call(tmp_path, "init", "--quiet")
    for name in ("kept", "dirty"):
        (tmp_path / name).write_text("as committed")
    (tmp_path / ".gitignore").write_text("ignored\n")
    call(tmp_path, "add", "--all")
    call(tmp_path, "commit", "--quiet", "--message", "one")
    (tmp_path / "dirty").write_text("changed before")
    (tmp_path / "new").write_text("made before")
    return tmp_path


def write(name):
    return lambda tree: (tree / name).write_text("by a test")


def commit(tree):
    call(tree, "commit", "--quiet", "--all", "--message", "two")


CASES = {
    "nothing": (lambda tree: None, []),
    "touched": (lambda tree: os.utime(tree / "dirty", (1, 1)), []),
    "rewritten as it was": (lambda tree: (tree / "dirty").write_text("changed before"), []),
    "ignored": (write("ignored"), []),
    "new": (write("ä b\n"), ["new: ä b\n"]),
    "in a new folder": (lambda tree: ((tree / "a").mkdir(), write("a/b")(tree)), ["new: a/b"]),
    "bytecode": (lambda tree: ((tree / "__pycache__").mkdir(), write("__pycache__/a.pyc")(tree)), []),
    "changed": (write("kept"), ["changed: kept"]),
    "removed": (lambda tree: (tree / "kept").unlink(), ["changed: kept"]),
    "changed further": (write("dirty"), ["changed further: dirty"]),
    "new changed further": (write("new"), ["changed further: new"]),
    "new removed": (lambda tree: (tree / "new").unlink(), ["removed or reverted: new"]),
    "reverted": (lambda tree: call(tree, "checkout", "dirty"), ["removed or reverted: dirty"]),
    "staged": (lambda tree: call(tree, "add", "dirty"), ["changed further: dirty"]),
    "made executable": (lambda tree: (tree / "new").chmod(0o755), ["changed further: new"]),
    "link": (lambda tree: (tree / "link").symlink_to("nowhere"), ["new: link"]),
    "commit": (commit, ["a commit was made or checked out", "removed or reverted: dirty"]),
}


@pytest.mark.parametrize("case", CASES)
def test_changes(case, tree):
    change, expected = CASES[case]
    before = git.state(tree)
    change(tree)
    assert list(git.changes(before, git.state(tree))) == expected


def test_folder_in_a_tree(tree):
    (tree / "sub").mkdir()
    before = git.state(tree / "sub")
    write("kept")(tree)
    assert git.changes(before, git.state(tree / "sub")) == ("changed: kept",)


def test_paths_that_do_not_count(tree):
    (tree / "out").mkdir()
    ignored = [tree / "out", tree / "file"]
    before = git.state(tree, ignored)
    for name in ("out/log", "file", "file2"):
        write(name)(tree)
    assert git.changes(before, git.state(tree, ignored)) == ("new: file2",)


def test_before_the_first_commit(tmp_path):
    call(tmp_path, "init", "--quiet")
    before = git.state(tmp_path)
    write("one")(tmp_path)
    assert git.changes(before, git.state(tmp_path)) == ("new: one",)


def test_outside_of_a_tree(tmp_path):
    assert git.state(tmp_path) is None
    with assert_git_not_dirty(tmp_path):
        write("one")(tmp_path)


def test_without_git(tree, monkeypatch):
    monkeypatch.setenv("PATH", str(tree))
    assert git.state(tree) is None


def test_block_that_changes_the_tree(tree):
    block = assert_git_not_dirty(tree)
    block.__enter__()
    write("kept")(tree)
    write("other")(tree)
    with pytest.raises(AssertionError, match="the git tree was changed:\n    changed: kept\n    new: other"):
        block.__exit__(None, None, None)


def test_block_that_removes_the_tree(tree):
    with pytest.raises(AssertionError, match="a commit was made or checked out"), assert_git_not_dirty(tree):
        shutil.rmtree(tree / ".git")


def test_block_that_changes_nothing(tree):
    with assert_git_not_dirty(tree):
        write("ignored")(tree)
