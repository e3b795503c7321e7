"""Use cases: one a module, frozen classes whose fields are ports."""
