"""The journal of an archive: a SQLite database that alone decides which images exist, with a check sum for every entry."""
