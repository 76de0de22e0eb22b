"""The form, the progress and the drift of an acquisition of a dataset."""
