"""The algorithms that sign lines of notes, one a file: which bytes a line covers and how its key is written."""
