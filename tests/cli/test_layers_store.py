"""``netfs layers`` over a small store of Docker's, copied off its machine: from files to text and status."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from netfs.disk import openat2
from netfs.overlay.disk import root
from tests.cli.conftest import Result
from tests.cli.test_startup import PATHS, imported
from tests.unit.docker_store import DockerStore, hexadecimal

Run = Callable[..., Result]
SCHEMAS = Path(__file__).parents[2] / "docs" / "schema"
ODD = b"od\xffd\x1b[2J\nname"
EVIL = "\x1b[2J\u202e\nnetfs: all is well"


@pytest.fixture
def store(tmp_path: Path) -> DockerStore:
    """Image ``shop:1`` of base and app, containers web and evil of it, image ``tools:1`` of base and tools."""
    made = DockerStore(tmp_path / "machine" / "var/lib/docker")
    history: list[dict[str, object]] = [
        {"created_by": "/bin/sh -c #(nop) ADD file:1 in / "},
        {"created_by": "ENV A=b", "empty_layer": True},
        {"created_by": "RUN /bin/sh -c make app # buildkit"},
    ]
    shop = made.image("shop:1", "base", "app", history=history)
    made.image("tools:1", "base", "tools")
    made.container("web", shop, {"MountPoints": {"/srv": {"Source": "/mnt/pages", "Destination": "/srv"}}})
    made.container("evil", shop, {"Name": f"/{EVIL}", "Config": {"Image": EVIL, "Labels": {"a": EVIL}}})
    for layer, files in {
        "base": {"etc/passwd": "root", "etc/issue": "base", "bin/sh": "#!"},
        "app": {"etc/passwd": "root app", "srv/page": "hello"},
        "layer of web": {"etc/passwd": "root app web", "new": ""},
    }.items():
        for name, content in files.items():
            path = diff(made, layer) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
    (diff(made, "base") / "lib").symlink_to("usr/lib")
    (diff(made, "base") / "loop").symlink_to("loop")
    (diff(made, "layer of web") / os.fsdecode(ODD)).write_text("x")
    return made


def diff(store: DockerStore, word: str) -> Path:
    return store.overlay2 / hexadecimal(word) / "diff"


@pytest.fixture
def layers(run: Run, store: DockerStore) -> Run:
    """A command over the copy."""

    def ask(*words: str) -> Result:
        command, *rest = words
        return run("layers", command, "--root", str(store.path.parents[2]), *rest)

    return ask


def shown(result: Result) -> Any:
    assert result.err == ""
    return json.loads(result.out)


def test_ls_has_every_chain(layers: Run) -> None:
    listed = shown(layers("ls", "-o", "json"))["chains"]
    assert [(chain["kind"], chain["name"], len(chain["layers"])) for chain in listed] == [
        ("container", EVIL, 4),
        ("container", "web", 4),
        ("image", "shop:1", 2),
        ("image", "tools:1", 2),
    ]
    assert all(chain["own"] is not None for chain in listed)
    assert [chain["own"] for chain in shown(layers("ls", "--no-sizes", "-o", "json"))["chains"]] == [None] * 4


@pytest.mark.parametrize("word", ["web", "container/web", hexadecimal("container web")[:12]])
def test_show_a_container(layers: Run, word: str) -> None:
    result = layers("show", word)
    assert result.status == 0
    assert result.out.startswith("container web\n")
    assert "RUN make app" in result.out
    assert "ADD file:1 in /" in result.out


@pytest.mark.parametrize(
    "form", ["{id}", "{path}", "{path}/diff/etc", "{short}", "{short}…", "{start}…", "{elsewhere}"]
)
def test_a_layer_goes_by_many_names(layers: Run, store: DockerStore, form: str) -> None:
    identity = hexadecimal("layer of web")
    folder = store.overlay2
    word = form.format(
        id=identity, path=folder / identity, short=identity[:12], start=folder / identity[:5],
        elsewhere=f"/mnt/other/overlay2/{identity}/diff/x",
    )  # fmt: skip
    result = layers("show", word)
    assert (result.status, result.err) == (0, "")
    assert result.out.startswith(f"layer {identity[:12]} is the writable layer of container web\n")
    assert f"{folder}/{identity}\n" in result.out


def test_the_init_layer_goes_by_its_own_name(layers: Run) -> None:
    identity = hexadecimal("layer of web")
    assert layers("show", f"{identity[:12]}-init").out.startswith(f"layer {identity[:12]}-init is the init layer of")


@pytest.mark.parametrize("path", ["/etc/passwd", "etc/passwd", "/etc/../etc//./passwd", "/../etc/passwd"])
def test_which_names_the_provider_and_what_it_shadows(layers: Run, store: DockerStore, path: str) -> None:
    result = layers("which", "web", path, "-o", "json")
    answer = shown(result)
    assert result.status == 0
    assert answer["resolved"] == "/etc/passwd"
    assert answer["provider"]["path"] == str(diff(store, "layer of web") / "etc/passwd")
    assert [(each["id"], each["created_by"]) for each in answer["shadowed"]] == [
        (hexadecimal("app"), "RUN /bin/sh -c make app # buildkit"),
        (hexadecimal("base"), "/bin/sh -c #(nop) ADD file:1 in / "),
    ]


def test_which_of_a_directory_and_of_the_root(layers: Run) -> None:
    for path in ("/etc", "/etc/", "/"):
        answer = shown(layers("which", "shop:1", path, "-o", "json"))
        assert answer["provider"]["id"] == hexadecimal("app")
        assert [each["id"] for each in answer["merged"]] == [hexadecimal("base")]


def test_which_tells_what_is_mounted_over(layers: Run) -> None:
    result = layers("which", "web", "/srv/page")
    assert result.status == 0
    assert "! the container's processes see /mnt/pages/page instead: /mnt/pages is mounted at /srv\n" in result.out


@pytest.mark.parametrize(
    ("path", "status", "says"),
    [
        ("/nowhere", 1, "✗ /nowhere is not in web\n"),
        ("/etc/passwd/", 1, "✗ /etc/passwd/ cannot be opened in web: the kernel answers ENOTDIR (Not a directory)\n"),
        ("/etc/passwd/x", 1, "✗ /etc/passwd/x cannot be opened in web: the kernel answers ENOTDIR (Not a directory)\n"),
        ("/loop/x", 1, "and 36 more symlinks\n✗ /loop/x cannot be opened in web: the kernel answers ELOOP (Too many"),
        ("/lib", 0, "/lib in web comes from layer"),
        ("/lib/x", 1, "/lib is a symlink to usr/lib\n✗ /lib/x is not in web\n"),
        (f"/{'n' * 256}", 1, "the kernel answers ENAMETOOLONG (File name too long)\n"),
    ],
)
def test_which_says_why_not(layers: Run, path: str, status: int, says: str) -> None:
    result = layers("which", "web", path)
    assert result.status == status
    assert says in result.out


def test_an_empty_path_is_wrong_usage(layers: Run) -> None:
    assert layers("which", "web", "") == Result(2, "", "netfs: an empty path leads nowhere\n")


def test_diff_is_of_the_uppermost_layer(layers: Run, store: DockerStore) -> None:
    result = layers("diff", "web")
    assert result.status == 0
    assert result.out.splitlines() == ["C /etc", "C /etc/passwd", "A /new", r"A /od\xffd\x1b[2J\nname"]
    assert [each["path"] for each in shown(layers("diff", "tools:1", "-o", "json"))["changes"]] == []


def test_diff_of_a_container_whose_layer_is_gone_is_no_others(layers: Run, store: DockerStore) -> None:
    (diff(store, "layer of web").parent / "link").unlink()
    shutil.rmtree(diff(store, "layer of web").parent)
    result = layers("diff", "web")
    assert result.status == 3
    assert "it is not there" in result.out
    assert "A /" not in result.out


def test_usage_counts_each_layer_once(layers: Run) -> None:
    answer = shown(layers("usage", "-o", "json"))
    assert answer["bytes"] == sum(layer["own"]["bytes"] for layer in answer["layers"])
    assert len({layer["id"] for layer in answer["layers"]}) == len(answer["layers"]) == 7
    web = next(each for each in answer["chains"] if each["chain"]["name"] == "web")
    assert web["wasted"] > 0
    assert web["efficiency"] == round(1 - web["wasted"] / web["bytes"], 4)
    alone = shown(layers("usage", "web", "-o", "json"))
    assert [chain["chain"]["name"] for chain in alone["chains"]] == ["web"]


def test_orphans_are_told_and_left_alone(layers: Run, store: DockerStore) -> None:
    assert "✓ every directory is" in layers("orphans").out
    lost = store.directory("0" * 60 + "dead")
    (lost / "diff/file").write_text("x")
    (store.overlay2 / "l/NOWHERE").symlink_to("../gone/diff")
    result = layers("orphans")
    assert result.status == 0
    assert re.search(rf"Z   {lost}   no image, container or snapshot names it\n", result.out)
    assert f"layer-link-dangling  {store.overlay2}/l/NOWHERE\n" in result.out
    assert (lost / "diff/file").read_text() == "x"
    assert layers("show", lost.name).out.startswith("layer 000000000000 is nobody's")


def test_a_layer_that_is_missing_is_an_error(layers: Run, store: DockerStore) -> None:
    shutil.rmtree(diff(store, "app").parent)
    result = layers("orphans")
    assert result.status == 1
    assert "layer-lower-missing" in result.out
    assert layers("show", "web").status == 3
    assert layers("which", "web", "/etc/passwd").status == 3
    assert layers("ls").status == 3


def test_verify_needs_something_that_is_mounted(layers: Run) -> None:
    result = layers("verify", "web")
    assert (result.status, result.out) == (3, "")
    assert result.err.startswith("netfs: web: no overlay is mounted (a container has to run ")
    assert "of a copy nothing is mounted" in result.err


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ("wep", "no pod, container, image or layer is called 'wep' (did you mean web?)"),
        ("", "no pod, container, image or layer is called ''"),
        ("/etc", "no layer lies at '/etc', and no overlay is mounted there"),
        (EVIL + "x", "no pod, container, image or layer is called '\\\\x1b[2J\\\\u202e"),
    ],
)
def test_an_unknown_target_is_one_line(layers: Run, target: str, says: str) -> None:
    result = layers("show", target)
    assert (result.status, result.out, result.err.count("\n")) == (2, "", 1)
    assert says in result.err


def test_an_ambiguous_target_says_what_it_may_be(layers: Run, store: DockerStore) -> None:
    for digit in "12":
        store.directory(f"abc{digit}" * 16)
    result = layers("show", "abc")
    assert (result.status, result.out) == (2, "")
    assert result.err.startswith("netfs: 'abc' is ambiguous (it may be layer/abc1abc1abc1 in ")
    assert ", layer/abc2abc2abc2 in " in result.err


@pytest.mark.parametrize("folder", ["", "var/lib", "var/lib/docker", "var/lib/docker/overlay2"])
def test_the_root_may_be_the_disk_or_a_folder_of_it(run: Run, store: DockerStore, folder: str) -> None:
    place = store.path.parents[2] / folder
    result = run("layers", "show", "--root", str(place), hexadecimal("layer of web")[:12])
    assert result.status == 0
    assert str(store.overlay2 / hexadecimal("layer of web")) in result.out


def test_a_root_without_a_store_or_that_is_none(run: Run, tmp_path: Path) -> None:
    result = run("layers", "ls", "--root", str(tmp_path))
    assert (result.status, result.out) == (3, "")
    assert result.err.startswith(f"netfs: {tmp_path}: no layer store is there (")
    assert run("layers", "ls", "--root", str(tmp_path / "gone")).status == 3


def test_a_store_that_may_not_be_read_is_one_line(
    run: Run, store: DockerStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = openat2.open_in_root

    def refuse(folder: int, path: bytes, flags: int) -> int:
        if path.startswith(b"/var/lib/docker"):
            raise PermissionError(errno.EACCES, "Permission denied")
        return opened(folder, path, flags)

    monkeypatch.setattr(root, "open_in_root", refuse)
    result = run("layers", "ls", "--root", str(store.path.parents[2]))
    assert (result.status, result.out) == (3, "")
    assert re.fullmatch(r"netfs: .*/var/lib/docker may not be read \(run it as root\)\n", result.err)


@pytest.mark.parametrize(
    ("command", "schema"), [("ls", "layers"), ("diff", "diff"), ("show", "chain"), ("usage", "usage")]
)
def test_odd_names_go_through_json(layers: Run, command: str, schema: str) -> None:
    target = [] if command in ("ls", "usage") else ["web"]
    result = layers(command, *target, "-o", "json")
    assert result.out.isascii()
    Draft202012Validator(json.loads((SCHEMAS / f"netfs.{schema}.v1.json").read_text())).validate(shown(result))


def test_an_odd_name_can_be_asked_for(layers: Run, store: DockerStore) -> None:
    result = layers("which", "web", f"/{os.fsdecode(ODD)}", "-o", "json")
    assert os.fsencode(shown(result)["provider"]["path"]) == os.fsencode(diff(store, "layer of web")) + b"/" + ODD
    text = layers("which", "web", f"/{os.fsdecode(ODD)}").out
    assert text.startswith(r"/od\xffd\x1b[2J\nname in web comes from layer ")
    assert "\x1b" not in text


@pytest.mark.parametrize("form", ["text", "wide"])
@pytest.mark.parametrize("words", ["ls", "show evil", "which web /etc/passwd", "diff web", "usage", "orphans"])
def test_a_hostile_store_does_not_speak_to_the_terminal(layers: Run, store: DockerStore, words: str, form: str) -> None:
    repositories = store.own / "repositories.json"
    known = json.loads(repositories.read_text())["Repositories"]
    repositories.write_text(json.dumps({"Repositories": {EVIL: {EVIL: known["shop"]["shop:1"]}}}))
    (store.overlay2 / "l" / EVIL.replace("/", "")).symlink_to("../\x1b[2J/diff")
    (diff(store, "layer of web") / EVIL).mkdir()
    arguments = [hexadecimal("container evil") if word == "evil" else word for word in words.split()]
    result = layers(*arguments, "-o", form)
    assert result.err == ""
    assert not re.search(r"[^\x20-\x7e\n└├─│•✗✓…]", result.out)
    assert "\nnetfs: all is well" not in result.out


def test_a_reader_that_has_gone_is_no_failure(store: DockerStore) -> None:
    words = ["layers", "usage", "--root", str(store.path.parents[2])]
    code = "import sys; from netfs_cli.main import main; sys.exit(main())"
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run(
            [sys.executable, "-c", code, *words],
            stdout=writer, stderr=subprocess.PIPE, text=True, check=False, env={**os.environ, "PYTHONPATH": PATHS},
        )  # fmt: skip
    finally:
        os.close(writer)
    assert done.stderr == ""


def test_verbose_tells_how_long_the_stores_took(layers: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    result = layers("ls", "--no-sizes", "-v")
    assert re.fullmatch(r"read 1 store in \d+ ms\n", result.err)


def test_nothing_in_the_store_is_changed(layers: Run, store: DockerStore) -> None:
    def state() -> list[tuple[str, os.stat_result]]:
        return [(str(path), path.lstat()) for path in sorted(store.path.rglob("*"))]

    before = [(path, found.st_mtime_ns, stat.filemode(found.st_mode)) for path, found in state()]
    for words in (["ls"], ["show", "web"], ["which", "web", "/etc/passwd"], ["diff", "web"], ["usage"], ["orphans"]):
        layers(*words)
    assert [(path, found.st_mtime_ns, stat.filemode(found.st_mode)) for path, found in state()] == before


def test_help_reads_no_layers() -> None:
    for words in (["layers", "--help"], ["layers", "which", "--help"]):
        modules = imported(*words)
        assert not {name for name in modules if name.startswith(("netfs.overlay", "netfs.api", "netfs.sources"))}
        assert "msgspec" not in modules


def test_which_imports_what_it_needs(store: DockerStore) -> None:
    words = ["layers", "which", "--root", str(store.path.parents[2]), "web", "/etc/passwd"]
    modules = imported(*words)
    assert "netfs.overlay.whence" in modules
    ours = ("netfs.overlay.changes.", "netfs.sources", "netfs.lab", "netfs.collect")
    assert not {name for name in modules if name.startswith(ours)}
    assert not {"rich", "yaml", "msgspec", "scapy", "asyncio", "ssl"} & modules
