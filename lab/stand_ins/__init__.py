"""Programs that stand in for ones that can't be had: they take what those take and say what those say; for tests."""
