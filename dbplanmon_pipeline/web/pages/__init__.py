"""The pages people look at: one file per page, each with its template."""
