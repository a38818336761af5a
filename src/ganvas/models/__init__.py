"""The nets: one file a system, each a config class that builds a generator and a discriminator."""
