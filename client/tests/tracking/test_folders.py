"""Many files of a folder are one dataset."""

from __future__ import annotations

import hashlib

import pytest

from assay.tracking.folders import MANY, folder_digest, gather
from client.tests.tracking.conftest import Project

SPLITS = {"train", "test", "val"}


def files(folder: str, count: int) -> list[str]:
    return [f"{folder}/{number}.png" for number in range(count)]


@pytest.mark.parametrize(
    ("read", "folders"),
    [
        (files("/p/data", MANY), []),
        (files("/p/data", MANY + 1), ["/p/data"]),
        (files("/p/data/cat", 200) + files("/p/data/dog", 3), ["/p/data"]),  # classes of one set
        ([path for n in range(30) for path in files(f"/p/data/{n}", 10)], ["/p/data"]),
        (files("/p/data/train", 200) + files("/p/data/test", 200), ["/p/data/test", "/p/data/train"]),
        (files("/p/data/train", 60) + files("/p/data/test", 60), ["/p/data/test", "/p/data/train"]),
        (files("/p/data/train/cat", 90) + files("/p/data/train/dog", 90), ["/p/data/train"]),
        ([*files("/p/data/images", 200), "/p/data/labels.csv"], ["/p/data/images"]),
        (files("/p", 200), ["/p"]),
        (files("/p/a/images", 200) + files("/q/b/images", 200), ["/p/a/images", "/q/b/images"]),
    ],
)
def test_which_folder_stands_for_its_files(read: list[str], folders: list[str]) -> None:
    found = gather(read, ["/p/", "/q/"], SPLITS)
    assert sorted(found) == folders
    listed = [path for inside in found.values() for path in inside]
    assert len(listed) == len(set(listed))
    left = [path for path in read if path not in listed]
    assert len(left) <= MANY
    assert all(path.startswith(folder + "/") for folder, inside in found.items() for path in inside)


def test_a_manifest_is_of_names_sizes_and_contents_in_any_order() -> None:
    one, two = ("a.png", 1, "sha256:aa"), ("b\n.png", 2, "sha256:bb")
    written = b'assay folder-v1\n["a.png",1,"sha256:aa"]\n["b\\n.png",2,"sha256:bb"]\n'
    digest = folder_digest([one, two])
    assert digest == f"sha256:{hashlib.sha256(written).hexdigest()}" == folder_digest([two, one])
    assert digest != folder_digest([one])
    assert digest != folder_digest([one, ("c.png", 2, "sha256:bb")])


READ_ALL = """
import glob
with assay.run(namespace='fraud', client=recorder) as run:
    for path in glob.glob('data/images/*/*.png'):
        open(path, 'rb').read()
    open('data/labels.csv').read()
    {more}
"""


@pytest.fixture
def images(project: Project) -> Project:
    for name in ("cat", "dog"):
        for number in range(60):
            project.write(f"data/images/{name}/{number}.png", f"{name}{number}")
    project.write("data/labels.csv", "a,b\n1,2\n")
    return project


def test_a_folder_of_images_is_one_dataset(images: Project) -> None:
    told = images.train(READ_ALL.format(more=""))
    assert sorted(told.datasets) == ["data/images", "data/labels.csv"]
    use = told.datasets["data/images"]
    contents = {
        f"{name}/{number}.png": f"{name}{number}".encode() for name in ("cat", "dog") for number in range(60)
    }
    each = [
        (path, len(content), f"sha256:{hashlib.sha256(content).hexdigest()}")
        for path, content in contents.items()
    ]
    assert use["digest"] == folder_digest(each)
    assert (use["rows"], use["size"]) == (120, sum(size for _, size, _ in each))
    assert use["source"] == "120 files of data/images"
    assert (told.state, told.notes) == ("complete", "")

    images.write("data/images/dog/59.png", "another dog")
    assert images.train(READ_ALL.format(more="")).datasets["data/images"]["digest"] != use["digest"]


def test_a_file_of_many_that_changes_is_said(images: Project) -> None:
    told = images.train(READ_ALL.format(more="open('data/images/cat/7.png', 'a').write('x')"))
    assert told.datasets["data/images"]["rows"] == 119
    assert told.state == "incomplete"
    assert "`data/images/cat/7.png`" in told.notes


def test_a_folder_is_named_by_hand(images: Project) -> None:
    body = (
        "with assay.run(namespace='fraud', client=recorder{datasets}) as run:\n    {do}\n"
        "    open('data/images/cat/1.png').read()\n"
    )
    used = images.train(body.format(datasets="", do="run.use_dataset('pets', 'data/images', 'validation')"))
    given = images.train(body.format(datasets=", datasets={'pets': 'data/images'}", do="pass"))
    for told in (used, given):
        assert list(told.datasets) == ["pets"]
        assert (told.datasets["pets"]["rows"], told.state) == (120, "complete")
    assert used.datasets["pets"]["context"] == "validation"
    assert used.datasets["pets"]["digest"] == given.datasets["pets"]["digest"]


def test_a_folder_is_an_output(project: Project) -> None:
    body = (
        "with assay.run(namespace='fraud', client=recorder) as run:\n    import os; os.makedirs('out/parts')\n"
        "    for n in range(3): open(f'out/parts/{n}', 'w').write('x')\n    run.log_output('parts', 'out/parts')\n"
    )
    told = project.train(body)
    assert (told.datasets["parts"]["role"], told.datasets["parts"]["rows"]) == ("output", 3)
