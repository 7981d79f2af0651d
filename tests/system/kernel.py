"""Debian's kernel, with the gpio-sim module that Debian leaves out, built from Debian's linux-source package."""

from __future__ import annotations

import contextlib
import gzip
import os
import re
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

from steps import HERE, BuildError, run

TOOLS = (
    "qemu-system-x86", "mmdebstrap", "busybox-static", "kmod", "cpio", "e2fsprogs", "gcc", "libc6-dev", "make",
    "xz-utils",
)  # fmt: skip
APT = ("apt-get", "-q", "-o", "Acquire::Retries=3")
MODULES = ("virtio_pci", "virtio_blk", "ext4", "configfs")
"""What the initial file system loads, beside gpio-sim."""


def kernel_version() -> str:
    """The kernel that Debian's linux-image-amd64 stands for now."""
    match = re.search(r"Depends: linux-image-(\S+)", run("apt-cache", "depends", "linux-image-amd64"))
    if not match:
        raise BuildError("apt knows no linux-image-amd64: the system tests need Debian on x86-64")
    return match[1]


def install_packages() -> str:
    """What the build and the tests need, with apt; returns the version of the kernel."""
    with contextlib.suppress(BuildError):
        version = kernel_version()
        if installed(packages_for(version)):
            return version
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    run(*APT, "update", env=environment)
    version = kernel_version()
    run(*APT, "install", "-y", "--no-install-recommends", *packages_for(version), env=environment)
    return version


def packages_for(version: str) -> list[str]:
    """The tools, and of this kernel what a module is built with."""
    return [*TOOLS, f"linux-headers-{version}", f"linux-source-{series_of(version)}"]


def series_of(version: str) -> str:
    """6.1 of 6.1.0-37-amd64."""
    return ".".join(version.split(".")[:2])


def installed(packages: Iterable[str]) -> bool:
    """Whether all of them are there."""
    asked = subprocess.run(
        ["dpkg-query", "-W", "-f", "${db:Status-Status}\n", *packages], capture_output=True, text=True
    )
    return asked.returncode == 0 and set(asked.stdout.split()) == {"installed"}


# ------------------------------------------------------------------ kernel


def build_kernel(version: str, place: Path) -> None:
    """Kernel, its modules, and the initial file system, which loads them and turns to the disk."""
    place.mkdir()
    run(*APT, "download", f"linux-image-{version}", cwd=place)
    (package,) = place.glob("linux-image-*.deb")
    run("dpkg-deb", "-x", package, place / "root")
    package.unlink()
    run("depmod", "-b", place / "root", version)
    shutil.copy(place / "root" / "boot" / f"vmlinuz-{version}", place / "vmlinuz")
    build_gpio_simulator(version, place / "gpio-sim")
    build_initrd(version, place)


def build_gpio_simulator(version: str, place: Path) -> None:
    """gpio-sim and the simulated interrupts it needs, as one module."""
    series = series_of(version)
    names = [f"linux-source-{series}/{name}" for name in (
        "drivers/gpio/gpio-sim.c", "drivers/gpio/gpiolib.h", "kernel/irq/irq_sim.c"
    )]  # fmt: skip
    place.mkdir()
    run("tar", "-xJf", f"/usr/src/linux-source-{series}.tar.xz", "-C", place, "--transform", "s,.*/,,", *names)
    simulator = place / "irq_sim.c"
    # irq_to_desc() is not exported to modules; generic_handle_irq() does the same with what is.
    text = simulator.read_text().replace("handle_simple_irq(irq_to_desc(irqnum))", "generic_handle_irq(irqnum)")
    simulator.write_text(text)
    (place / "Makefile").write_text(
        "obj-m := gpio-simulator.o\ngpio-simulator-y := gpio-sim.o irq_sim.o\nccflags-y := -I$(src)\n"
    )
    run("make", "-s", "-C", f"/usr/src/linux-headers-{version}", f"M={place}", "modules")
    run("strip", "--strip-debug", place / "gpio-simulator.ko")


def dependencies(version: str, place: Path, names: Iterable[str]) -> list[Path]:
    """The module files to insert, in order, each once."""
    found: dict[Path, None] = {}
    for name in names:
        shown = run("modprobe", "-d", place / "root", "-S", version, "--show-depends", name)
        found |= {Path(line.split()[1]): None for line in shown.splitlines() if line.startswith("insmod")}
    return list(found)


def build_initrd(version: str, place: Path) -> None:
    """Busybox, the modules, and guest/initrd-init."""
    tree = place / "initrd"
    for folder in ("bin", "dev", "proc", "sys", "newroot", "modules"):
        (tree / folder).mkdir(parents=True)
    shutil.copy("/bin/busybox", tree / "bin")
    modules = [*dependencies(version, place, MODULES), place / "gpio-sim" / "gpio-simulator.ko"]
    for number, module in enumerate(modules):
        shutil.copy(module, tree / "modules" / f"{number:03d}-{module.name}")
    shutil.copy(HERE / "guest" / "initrd-init", tree / "init")
    (tree / "init").chmod(0o755)
    names = "\n".join(str(path.relative_to(tree)) for path in sorted(tree.rglob("*")))
    packed = subprocess.run(
        ["cpio", "-o", "-H", "newc", "--quiet"], input=names.encode(), cwd=tree, check=True, stdout=subprocess.PIPE
    )
    (place / "initrd.gz").write_bytes(gzip.compress(packed.stdout, 1))
