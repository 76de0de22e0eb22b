"""The application without a window: configuration, session and command line."""
