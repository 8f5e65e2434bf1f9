"""The command line: one verb per file. A verb's file imports click alone; what the verb needs it imports when
it runs.
"""
