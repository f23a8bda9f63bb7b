"""From the words of a command line to the files of a run: lists, folders, summary tables, survey paths."""
