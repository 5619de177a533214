// Gitea's built scripts are not in its Go module. Its pages work without them, but complain where the file is missing.
