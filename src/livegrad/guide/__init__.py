"""The field guide: one Markdown page per finding, remedy and term, and the ways to find one."""
