"""Commands, sessions and reports on top of the instrument; the window is in app.gui."""
