"""Where packages come from, and how a root file system is made of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from local_cloud.host import debian, images

BOOKWORM = {"ID": "debian", "VERSION_CODENAME": "bookworm"}
DEB822 = """\
# made by the installer
Types: deb deb-src
URIs: https://mirror.example.net/debian/
# a comment between fields
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: https://mirror.example.net/debian-security
Suites: bookworm-security
Components: main
"""


def write(directory: Path, name: str, text: str) -> None:
    path = directory / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.mark.parametrize(
    ("name", "text", "mirror"),
    [
        ("sources.list.d/debian.sources", DEB822, "https://mirror.example.net/debian"),
        ("sources.list.d/debian.sources", DEB822.replace("Types: deb deb-src", "Types: deb-src"), None),
        ("sources.list.d/debian.sources", "Enabled: no\n" + DEB822.removeprefix("# made by the installer\n"), None),
        ("sources.list", "deb http://ftp.example.org/debian bookworm main contrib\n", "http://ftp.example.org/debian"),
        ("sources.list", "deb [signed-by=/k.gpg] http://a.example/debian bookworm main\n", "http://a.example/debian"),
        ("sources.list", "#deb http://ftp.example.org/debian bookworm main\n", None),
        ("sources.list", "deb cdrom:[Debian 12]/ bookworm main\n", None),
        ("sources.list", "deb http://vendor.example/apt stable main\n", None),
        ("sources.list.d/debian.sources.disabled", DEB822, None),
    ],
)
def test_find_mirror(tmp_path: Path, name: str, text: str, mirror: str | None) -> None:
    write(tmp_path, name, text)
    assert debian.find_mirror(BOOKWORM, tmp_path) == (mirror or debian.DEFAULT_MIRROR)


def test_ubuntu_has_no_debian_archive(tmp_path: Path) -> None:
    write(tmp_path, "sources.list", "deb http://archive.example.com/ubuntu noble main\n")
    assert debian.find_mirror({"ID": "ubuntu", "VERSION_CODENAME": "noble"}, tmp_path) == debian.DEFAULT_MIRROR


def test_passed_on_apt_options() -> None:
    dump = """\
APT::Architecture "amd64";
Acquire::http::Proxy "http://proxy.example:3128";
Acquire::http::User-Agent "";
Acquire::https::CAInfo "/etc/ssl/certs/corporate.pem";
Acquire::Check-Valid-Until "false";
Acquire::Languages:: "en";
"""
    assert debian.inherited_apt_options(dump) == (
        'Acquire::http::Proxy "http://proxy.example:3128"',
        'Acquire::https::CAInfo "/etc/ssl/certs/corporate.pem"',
        'Acquire::Check-Valid-Until "false"',
    )


def test_mmdebstrap_command(tmp_path: Path) -> None:
    recipe = debian.Recipe(
        suite="trixie", packages=("a", "b"), hooks=("touch $1/x",), uploads={"/src/entry.sh": "/usr/local/bin"}
    )
    command = debian.mmdebstrap_command(recipe, target=tmp_path / "o.tar", mirror="http://m", apt_options=('X "y"',))
    assert command[0] == "mmdebstrap"
    assert command[-3:] == ("trixie", str(tmp_path / "o.tar"), "http://m")
    assert {"--include=a,b", '--aptopt=X "y"', "--essential-hook=touch $1/x"} <= set(command)
    assert "--customize-hook=copy-in /src/entry.sh /usr/local/bin" in command


def test_digest_follows_what_goes_in_and_not_where_the_repository_lies(tmp_path: Path) -> None:
    def recipe(directory: str, text: str, packages: tuple[str, ...] = ("a",)) -> str:
        path = tmp_path / directory / "entry.sh"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        return debian.Recipe(suite="trixie", packages=packages, uploads={str(path): "/bin"}).digest()

    first = recipe("one", "x")
    assert recipe("two", "x") == first
    assert recipe("one", "y") != first
    assert recipe("two", "x", ("a", "b")) != first


def test_every_image_has_a_recipe() -> None:
    settings = images.ImageSettings(prefix="p", public={}, suite="trixie", mirror="", registry_timeout=1)
    names = {name for names in images.recipes(settings) for name in names}
    assert names == {"p/base:python3.13-trixie", "p/postgres:17-alpine", "p/haproxy:lts"}
