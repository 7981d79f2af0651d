"""A Debian tree with latchd's virtual environment and the locked dependencies, as docs/install.md says."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

from steps import ROOT, BuildError, run

SUITE = "bookworm"
TREE_PACKAGES = (
    "systemd", "systemd-sysv", "udev", "dbus", "python3", "python3-venv", "kmod", "iproute2", "procps",
)  # fmt: skip
MASKED = (
    "getty.target", "systemd-timesyncd.service", "apt-daily.timer", "apt-daily-upgrade.timer", "e2scrub_all.timer",
    "dpkg-db-backup.timer",
)  # fmt: skip
"""Units that have nothing to do with a controller, or would set its clock."""

REQUIREMENTS = ROOT / "requirements" / "runtime.txt"
PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet")


def install_commands() -> list[str]:
    """The commands of docs/install.md that put the program onto the controller; guest/page.py runs the rest."""
    page = (ROOT / "docs" / "install.md").read_text(encoding="utf-8")
    section = page.split("## 1. ", 1)[1].split("\n## ", 1)[0]
    blocks = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)
    packages, *commands = [line for block in blocks[1:] for line in block.splitlines()]
    words = packages.split()
    if words[0] != "apt-get" or not {*words[3:]} <= {*TREE_PACKAGES}:
        raise BuildError(f"docs/install.md, section 1: the machine has not the packages of `{packages}`")
    return commands


def build_tree(tree: Path) -> None:
    """Debian, and of latchd the virtual environment with its locked dependencies."""
    options = [
        "--variant=minbase",
        "--mode=root",
        '--aptopt=Acquire::Languages "none"',
        "--dpkgopt=force-unsafe-io",
    ]
    options.append('--aptopt=Acquire::Retries "3"')
    options += [f"--dpkgopt=path-exclude=/usr/share/{folder}/*" for folder in ("man", "locale", "doc")]
    lists = ("/etc/apt/sources.list.d/debian.sources", "/etc/apt/sources.list")
    sources = [path for path in lists if Path(path).exists()][:1]
    run("mmdebstrap", *options, f"--include={','.join(TREE_PACKAGES)}", SUITE, tree, *sources)
    shutil.copy(REQUIREMENTS, tree)
    chosen = ("--require-hashes", "--no-deps", "--only-binary=:all:", "--python-version", "3.11")
    run(*PIP, "download", *chosen, "-r", REQUIREMENTS, "-d", tree / "wheels")
    for command in install_commands():
        if not needs_latchd(command):
            in_tree(tree, command)
    for unit in MASKED:
        (tree / "etc/systemd/system" / unit).symlink_to("/dev/null")
    (tree / "etc/hostname").write_text("controller\n")
    (tree / "etc/fstab").write_text("/dev/vda / ext4 rw 0 0\n")


def needs_latchd(command: str) -> bool:
    """Whether a command of the installation counts on latchd's own wheel."""
    return "latchd-*.whl" in command or command.startswith("ln ")


def in_tree(tree: Path, command: str) -> None:
    """Run a command of the installation inside; pip takes what was downloaded."""
    environment = {
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "/wheels",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_ROOT_USER_ACTION": "ignore", "LC_ALL": "C.UTF-8",
    }  # fmt: skip
    run("chroot", tree, "sh", "-ec", f"cd / && {command}", env=environment)
