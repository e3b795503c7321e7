"""Jobs and systems over any object store: the only place that knows keys."""
