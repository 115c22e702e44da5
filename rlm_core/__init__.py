"""Recursive Language Models (arXiv 2512.24601): the strategy, its sandbox and its LMs, without `llm` or DSPy."""
