"""Is it true? A benchmark suite for long contexts: tasks, methods, runner and report."""
