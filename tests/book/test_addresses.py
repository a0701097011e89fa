"""The repository's address stands once, in `_config.yml`; every other follows from it."""

import re
import subprocess

import address
import pytest
from book import BRANCH, CONFIG, REPOSITORY, ROOT, SITE

OWNER, NAME = REPOSITORY.removeprefix("https://github.com/").split("/")
GENERATED = re.compile(r"chapters/.*\.ipynb")


def committed_files():
    """Files that git holds or would take up."""
    command = ["git", "-C", str(ROOT), "ls-files", "-co", "--exclude-standard"]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    return [ROOT / name for name in listed if (ROOT / name).is_file()]


def strays(text):
    """Places where a text names the repository or its site."""
    owner, name = re.escape(OWNER), re.escape(NAME)
    return re.findall(rf"github\.com[/:]{owner}\b\S*|{owner}\.github\.io\S*|github\.com/\S+/{name}\b", text)


def test_no_file_names_the_address_but_the_configuration():
    found = {}
    for file in committed_files():
        name = file.relative_to(ROOT).as_posix()
        if name == "_config.yml" or GENERATED.fullmatch(name) or b"\0" in file.read_bytes()[:1000]:
            continue
        if places := strays(file.read_text(encoding="utf8")):
            found[name] = places
    assert found == {}, "write links between pages relative; take addresses from _config.yml"


def test_the_configuration_names_it_once():
    assert len(strays((ROOT / "_config.yml").read_text(encoding="utf8"))) == 1


@pytest.mark.parametrize(
    "text", [f"see {REPOSITORY}/issues", f"({SITE}x.html)", f"git@github.com:{OWNER}/{NAME}.git"]
)
def test_a_stray_is_found(text):
    assert strays(text)


def test_addresses_follow_from_the_repository():
    repository = "https://github.com/someone/a-book"
    assert address.site(repository) == "https://someone.github.io/a-book/"
    assert address.site(repository + ".git") == address.site(repository)
    notebook = "someone/a-book/blob/main/chapters/x.ipynb"
    assert (
        address.colab(repository, "main", "chapters/x.ipynb")
        == f"https://colab.research.google.com/github/{notebook}"
    )
    assert address.edit(repository, "main", "x.md") == "https://github.com/someone/a-book/edit/main/x.md"
    assert address.view(repository, "main", "x.py") == "https://github.com/someone/a-book/blob/main/x.py"


@pytest.mark.parametrize("wrong", ["", "https://example.org/a/b", "https://github.com/only-owner"])
def test_an_address_of_another_form_is_refused(wrong):
    with pytest.raises(ValueError, match=r"repository\.url in _config\.yml"):
        address.site(wrong)


def test_launch_links_go_to_the_branch_that_is_configured():
    assert CONFIG["repository"]["branch"] == BRANCH == "main"
    assert CONFIG["launch_buttons"] == {"colab_url": "https://colab.research.google.com"}
