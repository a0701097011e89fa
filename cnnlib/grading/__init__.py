"""Exercise sheets: practice in a notebook (``check``), and grading of a folder of them (``cnnlib grade``)."""


def __getattr__(name: str):
    if name == "check":
        from cnnlib.grading.practice import check

        return check
    raise AttributeError(f"module 'cnnlib.grading' has no attribute {name!r}")
