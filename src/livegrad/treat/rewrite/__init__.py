"""The diff: what a treatment did to a live model, written into the user's own source.

    edits of a treatment -> propose(edits, root) -> Rewriting: its diff, its instructions, write()

source      one file as it is on disk, parsed so that all of it can be written back unchanged
find        the calls and the statement that a "file:line" means
names       what the file calls torch.nn, and what must be imported
fill        placeholders of an edit's code
plan        edits of one file, checked against it: what can be done where, and what cannot
apply       the plan, carried out on the tree
propose     edits of several files -> Rewriting
offer       the diff in colour, the question, the writing: what a command shows
edits_of_…  how each remedy says what it did

libcst, which does the parsing, is imported only when a file is looked at.
"""
