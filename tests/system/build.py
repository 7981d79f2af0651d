"""Builds the machine that the system tests boot: Debian packages, latchd installed as docs/install.md says.

Three parts, each built anew only when something that it is made of has changed: a kernel, a Debian tree, and the
image with latchd and the tests in it. Needs root (apt, mmdebstrap, chroot).
"""

from __future__ import annotations

import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from kernel import build_kernel, dependencies, install_packages
from steps import CACHE, HERE, ROOT, clear_but, digest, kept, run, step
from tree import PIP, REQUIREMENTS, build_tree, in_tree, install_commands, needs_latchd

TREE_MODULES = ("usbserial", "cdc_acm", "sch_netem")
"""What is loaded after the start: the unit of doors asks for two, the tests for the third."""

IMAGE_SIZE = "1200M"
SHARED_TESTS = ("tests/peers", "tests/cache/numbered.py")
"""What the guest's tests take from the others."""


@dataclass(frozen=True, slots=True)
class Machine:
    """What QEMU boots."""

    kernel: Path
    initrd: Path
    image: Path


def build_image(base: Path, kernel: Path, version: str, image: Path) -> None:
    """The tree with latchd, the modules that its unit asks for, and the tests, as a file system."""
    with tempfile.TemporaryDirectory(dir=image.parent) as folder:
        tree = Path(folder, "tree")
        run("cp", "-a", base, tree)
        run(*PIP, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", tree, ROOT)
        for command in install_commands():
            if needs_latchd(command):
                in_tree(tree, command)
        shutil.rmtree(tree / "wheels")
        add_modules(tree, kernel, version)
        add_tests(tree)
        # The disk is thrown away after each boot: no journal of its own.
        run("mke2fs", "-q", "-t", "ext4", "-O", "^has_journal", "-d", tree, image, IMAGE_SIZE)


def add_modules(tree: Path, kernel: Path, version: str) -> None:
    """The modules that are loaded after the start."""
    modules = tree / "usr" / "lib" / "modules" / version
    modules.mkdir(parents=True)
    for module in dependencies(version, kernel, TREE_MODULES):
        shutil.copy(module, modules)
    run("depmod", "-b", tree, version)


def add_tests(tree: Path) -> None:
    """The tests of the guest, what they share with the others, and what an installer copies to a controller."""
    tests = tree / "opt" / "system-test"
    shutil.copytree(HERE / "guest", tests)
    for name in SHARED_TESTS:
        (tests / name).parent.mkdir(parents=True, exist_ok=True)
        copy = shutil.copy if (ROOT / name).is_file() else shutil.copytree
        copy(ROOT / name, tests / name)
    shutil.copytree(ROOT / "systemd", tests / "systemd")
    shutil.copy(ROOT / "docs" / "install.md", tests)
    shutil.move(tree / "runtime.txt", tests)
    (wheel,) = tree.glob("latchd-*.whl")
    shutil.move(wheel, tests)
    run("gcc", "-O2", "-Wall", "-Werror", "-static", "-o", tests / "edges", HERE / "guest" / "edges.c")
    unit = tree / "etc" / "systemd" / "system" / "system-test.service"
    shutil.move(tests / unit.name, unit)
    wants = unit.parent / "multi-user.target.wants"
    wants.mkdir(exist_ok=True)
    (wants / unit.name).symlink_to(f"../{unit.name}")


def build() -> Machine:
    """Everything, or what of it has changed."""
    CACHE.mkdir(exist_ok=True)
    version = step("Debian packages", install_packages)
    guest = HERE / "guest"
    steps = HERE / "steps.py"
    kernel = CACHE / f"kernel-{digest(version, HERE / 'kernel.py', steps, guest / 'initrd-init')}"
    tree = CACHE / f"tree-{digest(HERE / 'tree.py', steps, REQUIREMENTS, *install_commands())}"
    inputs = [
        ROOT / name for name in ("cache", "drivers", "daemon", "systemd", "docs/install.md", "pyproject.toml")
    ]
    inputs += [ROOT / name for name in SHARED_TESTS]
    image = CACHE / f"image-{digest(kernel.name, tree.name, HERE / 'build.py', guest, *inputs)}.ext4"
    with ThreadPoolExecutor() as threads:  # the one waits for the network while the other works
        parts = [
            threads.submit(kept, "kernel and gpio-sim", kernel, lambda place: build_kernel(version, place)),
            threads.submit(kept, "Debian tree", tree, build_tree),
        ]
    for part in parts:
        part.result()
    kept("image", image, lambda place: build_image(tree, kernel, version, place))
    clear_but(kernel, tree, image)
    return Machine(kernel / "vmlinuz", kernel / "initrd.gz", image)
