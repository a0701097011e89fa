"""One module a sheet, named like its chapter, each with a ``SHEET``. Practice values only: no solution is here."""
