"""Many processes that store, read, damage, evict, clear and die on folders that they share.

Run as ``python -P cache_stress.py FOLDER SECONDS SEED``; it prints what was done and what was wrong, as JSON. In the
folder ``chaos`` anything may happen at any time: whatever is read there must be what belongs to its key. In the folder
``kept`` nothing is evicted or cleared, and each key is damaged by one process only, its owner, which writes into a
journal what it stores and damages: whatever was reported stored must be there until it is damaged.
"""

import json
import logging
import os
import random
import signal
import sys
import time
from hashlib import sha256
from pathlib import Path

from tilelang.tt import counters
from tilelang.tt.service.cache.disk import Disk

PROCESSES = 16
OWN = 8  # keys of one process in `kept`
SHARED = 200  # keys in `chaos`, of which the limit holds about a quarter
LIMIT = 200_000
PATIENCE = 120


def key_of(*names):
    return sha256(repr(names).encode()).hexdigest()


def payload_of(key):
    size = int(key[:4], 16) % 8000
    return (sha256(key.encode()).digest() * (size // 32 + 1))[:size]


def chaos(folder):
    return Disk(folder / "chaos", LIMIT)


def kept(folder):
    return Disk(folder / "kept", 1 << 30)


def path_of(disk, key):
    return disk.folder / key[:2] / key


def damage(path, dice):
    """Flip a bit, cut the file or empty it, in place."""
    try:
        with path.open("r+b") as file:
            size = path.stat().st_size
            kind = dice.choice(["flip", "cut", "empty"])
            if kind == "flip" and size:
                at = dice.randrange(size)
                file.seek(at)
                byte = file.read(1)
                file.seek(at)
                file.write(bytes([byte[0] ^ 1 << dice.randrange(8)]) if byte else b"")
            else:
                file.truncate(0 if kind == "empty" or not size else dice.randrange(size))
    except FileNotFoundError:
        pass


class Journal:
    """What one process has stored and damaged of its own, over all its lives."""

    def __init__(self, path):
        self.path = path
        self.file = os.open(path, os.O_CREAT | os.O_APPEND | os.O_RDWR)

    def write(self, event, number):
        os.write(self.file, f"{event}{number}\n".encode())

    def stored(self):
        """The keys that must be there."""
        last = {line[1:]: line[0] for line in self.path.read_text().splitlines()}
        return {int(number) for number, event in last.items() if event == "s"}


def live(me, folder, seed, until):
    """One life of a process."""
    dice = random.Random(seed)
    wild, tame = chaos(folder), kept(folder)
    wild.unnamed = tame.unnamed = Disk.unnamed and me % 2 == 0
    journal = Journal(folder / f"journal-{me}")
    stored = journal.stored()
    descriptors = len(os.listdir("/dev/fd"))
    while time.monotonic() < until:
        key = key_of("chaos", dice.randrange(SHARED))
        match dice.choices(["write", "read", "damage", "evict", "clear"], [40, 60, 8, 2, 0.05])[0]:
            case "write":
                wild.write(key, payload_of(key))
            case "read":
                assert wild.read(key) in (None, payload_of(key)), "a wrong result"
            case "damage":
                damage(path_of(wild, key), dice)
            case "evict":
                wild.evict()
            case "clear":
                wild.clear()
        number = dice.randrange(OWN)
        key = key_of("kept", me, number)
        if number in stored:
            assert tame.read(key) == payload_of(key), "lost, though stored"
        if dice.random() < 0.3:
            journal.write("d", number)
            stored.discard(number)
            damage(path_of(tame, key), dice)
        if tame.write(key, payload_of(key)):
            journal.write("s", number)
            stored.add(number)
        other = key_of("kept", dice.randrange(PROCESSES), dice.randrange(OWN))
        assert tame.read(other) in (None, payload_of(other)), "a wrong result"
        tame.write(other, payload_of(other))  # mends what its owner has damaged, while others do
    assert len(os.listdir("/dev/fd")) == descriptors, "a descriptor is open"
    (folder / f"counts-{me}").write_text(json.dumps(counters["cache"]))


def begin(me, folder, seed, until):
    child = os.fork()
    if child:
        return child
    try:
        live(me, folder, seed, until)
    except BaseException as error:
        print(f"process {me}, seed {seed}: {error!r}", file=sys.stderr, flush=True)
        os._exit(1)
    os._exit(0)


def main(folder, seconds, seed):
    logging.getLogger("tilelang.tt.cache").setLevel(logging.CRITICAL)
    dice = random.Random(seed)
    until = time.monotonic() + seconds
    running = {begin(me, folder, dice.random(), until): me for me in range(PROCESSES)}
    kills, failed = 0, []
    while running:
        assert time.monotonic() < until + PATIENCE, "a process hangs"
        time.sleep(dice.uniform(0, 0.05))
        if time.monotonic() < until:
            victim = dice.choice(list(running))
            os.kill(victim, signal.SIGKILL)  # a child that nobody has waited for: its id is nobody else's
        child, status = os.waitpid(-1, os.WNOHANG)
        if not child:
            continue
        me, code = running.pop(child), os.waitstatus_to_exitcode(status)
        if code == -signal.SIGKILL:
            kills += 1
            running[begin(me, folder, dice.random(), until)] = me
        elif code:
            failed.append(me)
    wild, tame = chaos(folder), kept(folder)
    lost = [
        (me, number)
        for me in range(PROCESSES)
        for number in Journal(folder / f"journal-{me}").stored()
        if tame.read(key_of("kept", me, number)) != payload_of(key_of("kept", me, number))
    ]
    wild.evict()
    tame.evict()
    keys = {*wild.keys(), *tame.keys()}
    left = [
        path.name
        for disk in (wild, tame)
        for path in disk.folder.rglob("*")
        if path.is_file() and path.name not in keys
    ]
    counts = [json.loads((folder / f"counts-{me}").read_text()) for me in range(PROCESSES) if me not in failed]
    print(
        json.dumps(
            {
                "failed": failed,
                "lost": lost,
                "left": left,
                "over": max(0, wild.usage()[1] - LIMIT),
                "kills": kills,
                **{event: sum(each.get(event, 0) for each in counts) for event in ("stores", "corrupt", "evictions")},
            }
        )
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]))
