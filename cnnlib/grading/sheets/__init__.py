"""One module a sheet, named like its chapter, each with a ``SHEET``: practice values, but no solutions."""
