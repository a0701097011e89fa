"""Every address of the book follows from one: `repository.url` in `_config.yml`.

Standard library only, so that the Sphinx extension, the tools and the tests can all use it.
"""

import re


def _owner_and_name(repository):
    found = re.fullmatch(r"https://github\.com/([\w.-]+)/([\w.-]+?)(?:\.git)?/?", repository)
    if found is None:
        raise ValueError(
            f"repository.url in _config.yml is {repository!r}; it must look like https://github.com/USER/NAME."
        )
    return found.groups()


def site(repository):
    """Address of the published book, with a slash at its end (GitHub Pages of the repository)."""
    owner, name = _owner_and_name(repository)
    return f"https://{owner}.github.io/{name}/"


def colab(repository, branch, path):
    """Address that opens the notebook at `path` of the repository in Colab."""
    owner, name = _owner_and_name(repository)
    return f"https://colab.research.google.com/github/{owner}/{name}/blob/{branch}/{path}"


def edit(repository, branch, path):
    """Address of the page where a reader proposes a change to the file at `path`."""
    owner, name = _owner_and_name(repository)
    return f"https://github.com/{owner}/{name}/edit/{branch}/{path}"


def view(repository, branch, path):
    """Address where the file or folder at `path` is shown."""
    owner, name = _owner_and_name(repository)
    return f"https://github.com/{owner}/{name}/blob/{branch}/{path}"
