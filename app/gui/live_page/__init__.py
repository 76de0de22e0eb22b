"""The live page: panes, the live, record and snapshot buttons, the numbers of the live view, and its panels."""
