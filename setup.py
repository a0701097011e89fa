"""The addresses of the project, from _config.yml, which holds that of the repository; all else is in pyproject.toml."""

import re
from pathlib import Path

from setuptools import setup

CONFIG = Path(__file__).with_name("_config.yml").read_text(encoding="utf-8")
REPOSITORY = re.search(r"url: *(https://github\.com/([\w.-]+)/([\w.-]+))", CONFIG)
ADDRESS, OWNER, NAME = REPOSITORY.groups()

setup(
    project_urls={
        "Homepage": f"https://{OWNER}.github.io/{NAME}/",
        "Source": ADDRESS,
        "Issues": f"{ADDRESS}/issues",
    }
)
