"""The verbs as functions: what each command does, without the command line."""
