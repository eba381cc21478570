"""Keys of the log over time: which were in force at which size, how one follows another, and where they lie."""
