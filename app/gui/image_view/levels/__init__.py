"""Display levels: shared by panes that show the same kind of values, and changed by dragging on a histogram."""
